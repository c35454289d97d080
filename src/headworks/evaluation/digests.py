"""Digests of what evaluation keeps: of the canonical JSON (RFC 8785), as those of releases."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from headworks.types.ids import Digest


def digest_of(value: Any) -> Digest:  # noqa: ANN401 -- any JSON value
    """`sha256:` and 64 hexadecimal digits. Raises ValueError for what is no JSON: NaN, integers beyond 2^53."""
    return Digest("sha256:" + hashlib.sha256(rfc8785.dumps(value)).hexdigest())
