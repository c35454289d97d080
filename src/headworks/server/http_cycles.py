"""uvicorn's request and response, shorter where the way is the common one; all other ways are uvicorn's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, Protocol

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from headworks.server.known_heads import KnownHead

_KNOWN = 1024
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
_WITHOUT_BODY = frozenset((204, 304))
_NOT_IN_VALUES = bytes(code for code in range(256) if HEADER_VALUE_RE.search(bytes((code,))))
_lower_names: dict[bytes, bytes] = {}
"""Header names that are known to be well formed, in lower case."""

SHORT_WAY = "headworks.short_way"
"""The ASGI extension that a request has which arrived whole: its ShortCycle."""


class Connection(Protocol):
    """What a cycle needs of its protocol."""

    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState
    loop: asyncio.AbstractEventLoop

    def on_response_complete(self) -> None:
        """An answer is complete."""

    def rest(self, cycle: ShortCycle) -> None:
        """A long answer has begun."""


class Flow(FlowControl):
    """uvicorn's, which has an event only once somebody waits: most connections never do."""

    _is_writable_event: asyncio.Event | None  # type: ignore[assignment] # uvicorn makes one at once

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = self.write_paused = False
        self._is_writable_event = None

    async def drain(self) -> None:
        """Until the client has taken enough of what was written."""
        if self.write_paused:
            if self._is_writable_event is None:
                self._is_writable_event = asyncio.Event()
            await self._is_writable_event.wait()

    def pause_writing(self) -> None:
        """The client takes less than is written."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """It has taken enough."""
        self.write_paused = False
        if self._is_writable_event is not None:
            self._is_writable_event.set()
            self._is_writable_event = None


class JoiningCycle(RequestResponseCycle):
    """Checks the headers of an answer together, and leaves it to the transport to join head and body."""

    transport: Any  # a JoiningTransport

    async def send(self, message: ASGISendEvent) -> None:
        """As ASGI has it."""
        kind = message["type"]
        if self.flow.write_paused or self.disconnected or self.access_log or self.response_complete:
            await super().send(message)
        elif kind == "http.response.body" and self.chunked_encoding is False and self.response_started:
            self._write_sized(message)
        elif kind == "http.response.start" and not self.response_started:
            self._write_head(message)
        else:
            await super().send(message)

    def _write_head(self, message: Any) -> None:  # noqa: ANN401 - told apart by its type key
        self.response_started = True
        self.waiting_for_100_continue = False
        status = message["status"]
        lines = [STATUS_LINE[status]]
        values = []
        closes = False
        for name, value in (*self.default_headers, *message.get("headers", ())):
            lower = _lower_names.get(name) or _checked(name)
            if lower in _FRAMING:
                closes = self._note(lower, value) or closes
            values.append(value)
            lines += (lower, b": ", value, b"\r\n")
        if HEADER_VALUE_RE.search(b"".join(values)):
            raise RuntimeError("Invalid HTTP header value.")
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in _WITHOUT_BODY:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self.transport.keep(lines)

    def _note(self, name: bytes, value: bytes) -> bool:
        """What a header says about the body and the connection; true if the connection is to close."""
        if name == b"content-length" and self.chunked_encoding is None:
            self.expected_content_length = int(value.decode())
            self.chunked_encoding = False
        elif name == b"transfer-encoding" and value.lower() == b"chunked":
            self.expected_content_length = 0
            self.chunked_encoding = True
        elif name == b"connection" and b"close" in [token.lower().strip() for token in value.split(b",")]:
            self.keep_alive = False
            return True
        return False

    def _write_sized(self, message: Any) -> None:  # noqa: ANN401 - told apart by its type key
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("Response content longer than Content-Length")
            if is_last:
                self.transport.write_last(body)
            else:
                self.transport.write(body)
        if is_last:
            if self.expected_content_length != 0:
                raise RuntimeError("Response content shorter than Content-Length")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


class ShortCycle(JoiningCycle):
    """For a request that has arrived whole: nothing of it is waited for, only the caller's leaving.

    It is served at once, without a task and without ASGI's messages, where the application has a function for its
    path; else by `run_asgi`, after `describe`.
    """

    access_log = False
    waiting_for_100_continue = False
    more_body = False
    disconnected = False
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    logger = logging.getLogger("uvicorn.error")
    scope: Any = MappingProxyType({"method": "POST"})
    """What is served at once is a POST, and needs no other words."""
    _leaving: asyncio.Future[None] | None = None
    _on_leaving: Callable[[], object] | None = None
    _is_read = False

    def __init__(
        self,
        protocol: Connection,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        *,
        keep_alive: bool,
        head: KnownHead | None = None,
    ) -> None:
        # Not uvicorn's: most of what it sets stands above and below.
        self._protocol = protocol
        self.headers = headers
        self.head = head
        self.body = body  # type: ignore[assignment] # uvicorn collects in a bytearray
        self.keep_alive = keep_alive

    def describe(self, scope: HTTPScope) -> None:
        """ASGI's scope, which gets our extension."""
        self.scope = scope
        scope["extensions"] = {SHORT_WAY: self}  # type: ignore[dict-item] # an extension of ours

    @property
    def transport(self) -> Any:  # type: ignore[override] # noqa: ANN401 - a JoiningTransport
        """The connection's."""
        return self._protocol.transport

    @property
    def flow(self) -> FlowControl:  # type: ignore[override] # as above
        """The connection's."""
        return self._protocol.flow

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override] # as above
        """Those of every answer."""
        return self._protocol.server_state.default_headers

    # The extension: what `receive` and `send` do, without waiting.

    def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """The whole answer, for who has sent none of it; its content-length is added, and must not be in `headers`."""
        if self.disconnected or self.response_started:
            return
        if not self.keep_alive or status in _WITHOUT_BODY or self.scope["method"] == "HEAD":
            self._write_head({"status": status, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
            self._write_sized({"body": body})
            return
        protocol = self._protocol
        lines = [_opening(status, protocol.server_state.default_headers)]
        for name, value in headers:
            lines += (_beginnings.get(name) or _beginning(name), value, b"\r\n")
        values = b"".join(lines[2::3])
        if len(values.translate(None, _NOT_IN_VALUES)) != len(values):  # as HEADER_VALUE_RE finds it
            raise RuntimeError("Invalid HTTP header value.")
        lines += (b"content-length: %d\r\n\r\n" % len(body), body)
        self.response_started = self.response_complete = True
        protocol.transport.write_last(b"".join(lines))  # type: ignore[attr-defined] # a JoiningTransport's
        self._end()

    def begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """The head of an answer in pieces, now. False, and nothing is done: it is for `send`; so with those below."""
        if self.response_started or self.disconnected or self.flow.write_paused:
            return False
        try:
            self._write_head({"status": status, "headers": headers})
        except (RuntimeError, ValueError):  # nothing of it is written: the caller can still be told
            self.response_started, self.chunked_encoding = False, None
            raise
        return True

    def write(self, piece: bytes) -> bool:
        """A piece of an answer whose end nobody knows."""
        protocol = self._protocol
        if not piece or not self.chunked_encoding or self.disconnected or protocol.flow.write_paused:
            return False
        protocol.transport.write_last(b"%x\r\n%b\r\n" % (len(piece), piece))  # type: ignore[attr-defined] # as above
        return True

    def finish(self, piece: bytes) -> bool:
        """The last piece of such an answer, which may be empty."""
        if not self.chunked_encoding or self.response_complete or self.disconnected or self.flow.write_paused:
            return False
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        self.transport.write_last(chunk + b"0\r\n\r\n")
        self.response_complete = True
        self.set()
        if not self.keep_alive:
            self.transport.close()
        self._end()
        return True

    def when_left(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once if the caller leaves before the answer is complete."""
        self._on_leaving = callback
        if self.disconnected:
            self.set()

    def let_go(self) -> None:
        """Forget what was asked: an answer has begun whose end may be far away."""
        self.body = b""  # type: ignore[assignment] # as above
        self.headers.clear()
        self._protocol.rest(self)

    # What uvicorn calls.

    @property
    def message_event(self) -> Any:  # type: ignore[override] # noqa: ANN401 - as much of an Event as uvicorn uses here
        """Who is told, by `set`, that the caller has left or that the answer is complete."""
        return self

    def set(self) -> None:
        """See `message_event`."""
        if self.disconnected and self._on_leaving is not None:
            callback, self._on_leaving = self._on_leaving, None
            callback()
        if self._leaving is not None and not self._leaving.done():
            self._leaving.set_result(None)

    def on_response(self) -> None:
        """The answer is complete."""
        self._end()

    def _end(self) -> None:
        self._on_leaving = None
        if "extensions" in self.scope:
            del self.scope["extensions"]  # a reference in a circle, which would wait for the collector
        self._protocol.on_response_complete()

    async def receive(self) -> ASGIReceiveEvent:
        """As ASGI has it: the body, then nothing until the caller leaves or the answer is complete."""
        if not self.disconnected and not self.response_complete:
            if not self._is_read:
                self._is_read = True
                return {"type": "http.request", "body": bytes(self.body), "more_body": False}
            self.flow.resume_reading()
            self._leaving = self._protocol.loop.create_future()
            await self._leaving
        return {"type": "http.disconnect"}


_opened: tuple[Any, dict[int, bytes]] = (None, {})
"""uvicorn's headers of every answer, a new list each second, and what begins an answer by its status."""
_beginnings: dict[bytes, bytes] = {}
"""What begins the line of a header that is known to be well formed and says nothing of the body's size."""


def _opening(status: int, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    global _opened  # noqa: PLW0603 - the cache is one value, replaced at once
    if _opened[0] is not default_headers:
        _opened = (default_headers, {})
    opening = _opened[1].get(status)
    if opening is None:
        lines = [b"%b: %b\r\n" % (_checked(name), value) for name, value in default_headers]
        opening = _opened[1][status] = STATUS_LINE[status] + b"".join(lines)
    return opening


def _beginning(name: bytes) -> bytes:
    lower = _checked(name)
    if lower in _FRAMING:
        raise ValueError(f"The header {lower.decode()!r} is not the application's in a whole answer.")
    beginning = lower + b": "
    if len(_beginnings) < _KNOWN:
        _beginnings[name] = beginning
    return beginning


def _checked(name: bytes) -> bytes:
    if HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    lower = name.lower()
    if len(_lower_names) < _KNOWN:
        _lower_names[name] = lower
    return lower
