"""uvicorn's HTTP protocol at a lower price: one system call per answer, one timer per connection.

uvicorn writes the head of an answer and each part of its body by a system call of its own, checks each header by two
regular expressions, and sets a timer after each answer. Here writes are kept until the answer is complete, the
connection closes, a buffer is full, or the turn of the event loop ends, whichever comes first; headers are checked
together; the timer stays. The bytes, their order, and every rule are uvicorn's: the tests compare them.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import httptools
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

_FULL_BYTES = 64 * 1024
_KNOWN = 1024
_SHORT = 200
_TIMER_GRAIN_S = 0.002


class _Turn:
    """The connections of one event loop with something to write when its turn ends: one callback for all of them."""

    __slots__ = ("_transports",)

    def __init__(self) -> None:
        self._transports: list[JoiningTransport] = []

    def expect(self, transport: JoiningTransport) -> None:
        self._transports.append(transport)
        if len(self._transports) == 1:
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        transports, self._transports = self._transports, []
        for transport in transports:
            try:
                transport.flush()
            except RuntimeError:  # its client has left in this turn; the others must not suffer
                continue


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turn] = WeakKeyDictionary()


class JoiningTransport:
    """Joins what is written in one turn of the event loop; else the transport that it stands before."""

    __slots__ = ("_kept", "_size", "_transport", "_turn", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._turn = _turns.get(loop) or _turns.setdefault(loop, _Turn())
        self._kept: list[bytes] = []
        self._size = 0
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Keep `data` until the turn ends or enough has come together. TypeError if it is not bytes."""
        piece = data if type(data) is bytes else bytes(memoryview(data))
        self.keep([piece], len(piece))

    def keep(self, pieces: list[bytes], size: int) -> None:
        """As `write`, for several pieces of this size."""
        if not self._kept:
            self._turn.expect(self)
        self._kept += pieces
        self._size += size
        if self._size > _FULL_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        kept, self._kept = self._kept, []
        if kept:
            if self._size > _FULL_BYTES:
                self._transport.writelines(kept)
            else:
                self._transport.write(b"".join(kept))
            self._size = 0

    def close(self) -> None:
        """Write what is kept and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)


class JoiningCycle(RequestResponseCycle):
    """uvicorn's request and response; the common ways are shorter, all others are uvicorn's own."""

    transport: Any  # a JoiningTransport

    async def receive(self) -> ASGIReceiveEvent:
        """As ASGI has it."""
        if (
            self.more_body
            or not self.body
            or self.disconnected
            or self.response_complete
            or self.waiting_for_100_continue
        ):
            return await super().receive()
        self.flow.resume_reading()
        self.message_event.clear()
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: ASGISendEvent) -> None:
        """As ASGI has it."""
        kind = message["type"]
        if self.flow.write_paused or self.disconnected or self.access_log or self.response_complete:
            await super().send(message)
        elif kind == "http.response.body" and self.response_started and self.chunked_encoding is False:
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
        for name, value in [*self.default_headers, *message.get("headers", ())]:
            lower = _lower_names.get(name) or _checked(name)
            if lower in _FRAMING:
                closes = self._note(lower, value) or closes
            values.append(value)
            lines += (lower, b": ", value, b"\r\n")
        if HEADER_VALUE_RE.search(b"".join(values)):
            raise RuntimeError("Invalid HTTP header value.")
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in {204, 304}:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self.transport.keep(lines, 0)  # heads are small

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
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("Response content longer than Content-Length")
            self.transport.write(body)
        if not message.get("more_body", False):
            if self.expected_content_length != 0:
                raise RuntimeError("Response content shorter than Content-Length")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


class OneWriteProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=OneWriteProtocol)`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """A client has connected."""
        super().connection_made(transport)
        self._joining = JoiningTransport(transport, self.loop)
        self.transport = cast("asyncio.Transport", self._joining)
        self._idle_since: float | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def on_response_complete(self) -> None:
        """An answer is complete: start the next request of the pipeline, or wait for one."""
        self._joining.flush()
        self.server_state.total_requests += 1
        if self._joining.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._look_at_idleness)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _look_at_idleness(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:  # at work: the next answer sets the timer again
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s <= _TIMER_GRAIN_S:
            self.timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self._look_at_idleness)

    def on_headers_complete(self) -> None:
        """The head of a request is complete: start it, or queue it. As uvicorn's, with our cycle."""
        version = self.parser.get_http_version()
        self.scope["method"] = self.parser.get_method().decode("ascii")
        if version != "1.1":
            self.scope["http_version"] = version
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self._note_target()
        before = self.cycle
        self.cycle = JoiningCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        app = service_unavailable if self._is_full() else self.app
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def _note_target(self) -> None:
        target = _targets.get(self.url)
        if target is None:
            url = httptools.parse_url(self.url)
            path = url.path.decode("ascii")
            target = (unquote(path) if "%" in path else path, url.path, url.query or b"")
            if len(_targets) < _KNOWN and len(self.url) < _SHORT:
                _targets[self.url] = target
        path, raw_path, query = target
        self.scope["path"] = self.root_path + path
        self.scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        self.scope["query_string"] = query

    def _is_full(self) -> bool:
        limit = self.limit_concurrency
        if limit is None or (len(self.connections) < limit and len(self.tasks) < limit):
            return False
        self.logger.warning("Exceeded concurrency limit.")
        return True


_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
_lower_names: dict[bytes, bytes] = {}
"""Header names that are known to be well formed, in lower case."""
_targets: dict[bytes, tuple[str, bytes, bytes]] = {}
"""Path, raw path and query of targets that were seen before."""


def _checked(name: bytes) -> bytes:
    if HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    lower = name.lower()
    if len(_lower_names) < _KNOWN:
        _lower_names[name] = lower
    return lower
