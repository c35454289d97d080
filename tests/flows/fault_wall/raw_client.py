"""A client on a bare socket: it keeps every byte with its time, and parses them by itself, strictly."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_RESET = struct.pack("ii", 1, 0)
_SIZE = re.compile(rb"[0-9a-fA-F]+")


@dataclass
class Received:
    """What came back on one connection, and how it ended: `closed`, `reset`, `left` (by us) or `late` (never ended)."""

    raw: bytes = b""
    ended: str = "late"
    left_at: float = 0.0
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    is_whole: bool = False
    """Whether the body came to the end that its framing promises."""
    fault: str = ""
    """Why it is no HTTP answer, if it is none."""

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str | None:
        """The only value of a header; None if it is missing, or there several times."""
        found = self.values(name)
        return found[0] if len(found) == 1 else None


async def send(
    host: str,
    port: int,
    request: bytes,
    *,
    limit_s: float,
    leave: Callable[[], Awaitable[str]] | None = None,
) -> Received:
    """One request on a connection of its own. `leave`: when it returns, hang up as it says (fin, reset)."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    received = Received()
    pieces: list[bytes] = []
    reading = asyncio.create_task(_read(reader, pieces, received))
    try:
        writer.write(request)
        leaving = asyncio.create_task(_leave(leave, writer, received)) if leave else None
        waiting = {reading} | ({leaving} if leaving else set())
        await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if leaving is not None:
            leaving.cancel()
    finally:
        reading.cancel()
        writer.close()
    received.raw = b"".join(pieces)
    parse(received)
    return received


async def _read(reader: asyncio.StreamReader, pieces: list[bytes], received: Received) -> None:
    try:
        while piece := await reader.read(1 << 20):
            pieces.append(piece)
        how = "closed"
    except ConnectionError:
        how = "reset"
    if not received.left_at:
        received.ended = how


async def _leave(leave: Callable[[], Awaitable[str]], writer: asyncio.StreamWriter, received: Received) -> None:
    how = await leave()
    if how == "reset":
        found: socket.socket = writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    received.ended, received.left_at = "left", time.monotonic()
    writer.transport.abort()


def request_of(path: str, key: str, body: bytes, host: str) -> bytes:
    """A POST whose connection ends with the answer."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def parse(received: Received) -> None:
    """Fill in status, headers and body."""
    head, end, rest = received.raw.partition(b"\r\n\r\n")
    if not end:
        received.fault = "no head" if received.raw else "nothing"
        return
    lines = head.decode("latin-1").split("\r\n")
    if not re.fullmatch(r"HTTP/1\.1 [1-5][0-9][0-9]( .*)?", lines[0]):
        received.fault = f"not a status line: {lines[0][:80]!r}"
        return
    received.status = int(lines[0].split(" ")[1])
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", name):
            received.fault = f"not a header: {line[:80]!r}"
            return
        received.headers.append((name.lower(), value.strip()))
    _parse_body(received, rest)


def _parse_body(received: Received, rest: bytes) -> None:
    lengths, codings = received.values("content-length"), received.values("transfer-encoding")
    if codings == ["chunked"] and not lengths:
        received.body, received.is_whole, left = _unchunked(rest)
    elif len(lengths) == 1 and lengths[0].isdigit() and not codings:
        size = int(lengths[0])
        received.body, received.is_whole, left = rest[:size], len(rest) >= size, rest[size:]
    else:
        received.fault = f"framed by {lengths} and {codings}"
        return
    if left:
        received.fault = f"bytes after the answer: {left[:80]!r}"


def _unchunked(rest: bytes) -> tuple[bytes, bool, bytes]:
    """The body, whether its last chunk is there, and what follows."""
    pieces: list[bytes] = []
    at = 0
    while True:
        line_end = rest.find(b"\r\n", at)
        if line_end < 0 or not _SIZE.fullmatch(rest[at:line_end]):
            return b"".join(pieces), False, b""
        size = int(rest[at:line_end], 16)
        start = line_end + 2
        if size == 0:
            return b"".join(pieces), rest[start : start + 2] == b"\r\n", rest[start + 2 :]
        pieces.append(rest[start : start + size])
        at = start + size + 2
        if len(rest) < at:
            return b"".join(pieces), False, b""
