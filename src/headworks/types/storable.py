"""What PostgreSQL keeps as text: no NUL, and no half of a surrogate pair, which is no character."""

from __future__ import annotations

import re

UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with a mark in place of what can't be kept. A name that had one is nobody's, so it is just not found."""
    return UNSTORABLE.sub("\ufffd", text)
