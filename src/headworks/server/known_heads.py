"""Heads that a connection repeats: clients send the same one with each request, but for the length of the body.

What the parser has read of a head stays true for the next request that has the same bytes, and is not read again.
"""

from __future__ import annotations

import re
from typing import Any

Headers = list[tuple[bytes, bytes]]

_CONTENT_LENGTH = b"content-length"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,10})\r\n", re.IGNORECASE)
_MOST_DIGITS = 10
_BEGINNING = b"POST "
_END = b"\r\n\r\n"
_LARGEST = 8192
_LEFT_TO_THE_PARSER = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"connection"))
"""They say how a body comes, or what becomes of the connection."""


class KnownHead:
    """A head up to the digits of its content-length and after them, with what the parser has read of it."""

    __slots__ = ("_after", "_at", "_before", "_headers", "notes", "target")

    def __init__(self, target: bytes, before: bytes, after: bytes, headers: Headers) -> None:
        self.target = target
        self._before = before
        self._after = after
        self._headers = headers.copy()
        self._at = [name for name, _ in headers].index(_CONTENT_LENGTH)
        self.notes: Any = None
        """What the application has made of the headers, for itself: it holds for every request with this head."""

    def request(self, data: bytes) -> tuple[Headers, bytes] | None:
        """Headers and body where the bytes are one whole request with this head, and no more."""
        if not data.startswith(self._before):
            return None
        start = len(self._before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        length = data[start:end]
        if end < 0 or not length.isdigit() or not data.startswith(self._after, end):
            return None
        body = data[end + len(self._after) :]
        if len(body) != int(length):
            return None
        headers = self._headers.copy()
        headers[self._at] = (_CONTENT_LENGTH, length)
        return headers, body


def known_head(data: bytes, target: bytes, headers: Headers, body: bytes) -> KnownHead | None:
    """Of the bytes of one whole POST, as the parser has read it; None where it had better read the next one, too.

    Names of headers are in lower case.
    """
    size = len(data) - len(body)
    if (
        not body
        or size > _LARGEST
        or not data.startswith(_BEGINNING)
        or not data.endswith(body)
        or data.find(_END) != size - len(_END)
    ):
        return None
    names = [name for name, _ in headers]
    lengths = list(_LENGTH.finditer(data, 0, size))
    if names.count(_CONTENT_LENGTH) != len(lengths) or len(lengths) != 1 or not _LEFT_TO_THE_PARSER.isdisjoint(names):
        return None
    (length,) = lengths
    if int(length[1]) != len(body):
        return None
    return KnownHead(target, data[: length.start(1)], data[length.end(1) : size], headers)
