"""What we send before a request's body, checked once and kept as bytes.

Header values come from configuration and from callers, so a line break in one is refused here: it would let its
author write headers, or a second request, of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NewType

from headworks.errors import UpstreamError

HeaderBlock = NewType("HeaderBlock", bytes)
"""Header lines ready to be sent, each ended by CR LF; made by `header_block` and worth keeping between requests."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = re.compile(rb"/[\x21-\x7e]*")
_OURS = frozenset(
    (b"accept-encoding", b"connection", b"content-length", b"expect", b"host", b"te", b"transfer-encoding", b"upgrade")
)
_STEADY = frozenset((b"anthropic-beta", b"anthropic-version", b"openai-beta"))
_MOST, _LONGEST = 64, 1024
_WITHOUT_BODY = frozenset((b"GET", b"DELETE", b"OPTIONS"))
_METHODS = _WITHOUT_BODY | frozenset((b"POST", b"PUT", b"PATCH"))


def header_block(headers: Iterable[tuple[bytes, bytes]]) -> HeaderBlock:
    """The lines of these headers, with `accept-encoding: identity`.

    Raises UpstreamError for a name or value that could not stand on one line, and for a header that belongs to the
    connection (host, content-length, …). The message names the header, never its value.
    """
    lines = [b"accept-encoding: identity\r\n"]
    for name, value in headers:
        shown = name.decode("latin-1", "replace")
        if not _TOKEN.fullmatch(name):
            raise UpstreamError(
                f"{shown!r} is not the name of an HTTP header.", next_step="Correct the provider's headers."
            )
        if name.lower() in _OURS:
            raise UpstreamError(
                f"The header {shown!r} belongs to the connection and can't be set.", next_step="Leave it out."
            )
        if _BAD_IN_VALUE.search(value) or value != value.strip(b" \t"):
            raise UpstreamError(
                f"The value of the header {shown!r} holds a control character or outer white space.",
                next_step="Look for a line break at the end of a key.",
            )
        lines.append(b"%b: %b\r\n" % (name, value))
    return HeaderBlock(b"".join(lines))


class HeaderBlocks:
    """One account's own headers, with those that callers send along, but for what `never` names.

    `usual` are sent where the caller does not say otherwise. What many callers send alike is made once: a version of
    an API, its betas. A trace or a key differs each time.
    """

    __slots__ = ("_made", "_never", "_own", "_usual")

    def __init__(
        self,
        own: Iterable[tuple[bytes, bytes]],
        usual: Iterable[tuple[bytes, bytes]] = (),
        never: frozenset[bytes] = frozenset(),
    ) -> None:
        self._own = tuple(own)
        self._usual = tuple(usual)
        self._never = never
        self._made: dict[tuple[tuple[bytes, bytes], ...], HeaderBlock] = {}

    def beside(self, forwarded: tuple[tuple[bytes, bytes], ...]) -> HeaderBlock:
        """All of them. Raises UpstreamError; see `header_block`."""
        block = self._made.get(forwarded)
        if block is None:
            told = [each for each in forwarded if each[0].lower() not in self._never]
            names = {name.lower() for name, _ in told}
            block = header_block((*self._own, *told, *(each for each in self._usual if each[0] not in names)))
            if all(name in _STEADY for name, _ in forwarded) and len(block) < _LONGEST and len(self._made) < _MOST:
                self._made[forwarded] = block
        return block


@lru_cache(maxsize=1024)
def request_line(method: bytes, target: bytes) -> bytes:
    """The first line of a request; ValueError for a method or a path that can't stand in it."""
    if method not in _METHODS:
        raise ValueError(f"{method!r} is not a method that providers are called with.")
    if not _TARGET.fullmatch(target):
        raise ValueError("The path of a request starts with / and holds neither spaces nor control characters.")
    return b"%b %b HTTP/1.1\r\n" % (method, target)


def framing(method: bytes, body: bytes) -> bytes:
    """The content-length line, where one is due, and the empty line that ends the head."""
    if body or method not in _WITHOUT_BODY:
        return b"content-length: %d\r\n\r\n" % len(body)
    return b"\r\n"
