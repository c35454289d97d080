"""The list of models: what this caller may name as `model`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

_OURS = "headworks"


def listing(names: Iterable[str]) -> bytes:
    """OpenAI's list."""
    return msgspec.json.encode({"object": "list", "data": [_row(name) for name in names]})


def single(name: str) -> bytes:
    """OpenAI's object of one model."""
    return msgspec.json.encode(_row(name))


def _row(name: str) -> dict[str, Any]:
    provider, slash, _ = name.partition("/")
    return {"id": name, "object": "model", "created": 0, "owned_by": provider if slash else _OURS}
