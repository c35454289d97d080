"""uvicorn's HTTP protocol at a lower price: one system call per answer, one timer per connection, few objects.

uvicorn writes the head of an answer and each part of its body by a system call of its own, sets a timer after each
answer, and builds for each request what it needs to wait for a body. Here writes are kept until the answer is complete,
the connection closes, a buffer is full, or the turn of the event loop ends, whichever comes first; the timer stays; a
request that has arrived whole takes a short way, and is not parsed where its head repeats one before. The bytes, their
order, and every rule are uvicorn's: the tests compare them.

What uvicorn has no rule for: a client that stops in the middle of a request is not waited for longer than `patience_s`,
a head has a largest size, trailers are no headers (RFC 9110 6.5.1), and nobody names two hosts (RFC 9112 3.2).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headworks.server.http_cycles import Flow, JoiningCycle, ShortCycle
from headworks.server.joining import JoiningTransport
from headworks.server.known_heads import KnownHead, known_head

_KNOWN = 1024
_SHORT = 200
_LESSONS = 3
"""How often a connection may learn its head: one that changes with each request is not worth it."""
_TIMER_GRAIN_S = 0.002
_LARGEST_HEAD = 64 * 1024
_NOBODY: deque[Any] = deque(maxlen=0)
"""Requests that wait behind another on a connection where none does."""
_NO_PARSER = cast("httptools.HttpRequestParser", None)
_targets: dict[bytes, tuple[str, bytes, bytes]] = {}
"""Path, raw path and query of targets that were seen before."""


class OneWriteProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=OneWriteProtocol)`."""

    # With uvicorn's they would be too many for a dictionary that shares its keys: a kilobyte for each connection.
    __slots__ = (
        "_at_once",
        "_data",
        "_has_head",
        "_has_short_way",
        "_head_size",
        "_is_between",
        "_joining",
        "_keep_alive",
        "_known",
        "_lessons",
        "_pieces",
        "_rings_at",
        "_waits_since",
    )

    patience_s = 60.0
    """How long a head may take, and how long the next piece of a body; nginx waits as long."""
    _pieces: list[bytes] | None
    """Body of a request that may turn out to have arrived whole; None: another way was taken."""
    _data: bytes
    """What the parser is reading, if a request begins with it."""
    _is_between: bool
    """Whether it has read the last byte of a request, and none of the next."""
    _waits_since: float | None
    """Since when the client is waited for: for its next request, the end of a head, or more of a body."""
    _rings_at: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """A client has connected."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.pipeline = _NOBODY
        self._pieces = None
        self._data = b""
        self._is_between = self._has_head = False
        self._head_size = 0
        self._known: KnownHead | None = None
        self._lessons = _LESSONS
        self._joining = JoiningTransport(transport, self.loop)
        self.transport = cast("asyncio.Transport", self._joining)
        self._has_short_way = not (self.access_log or self.limit_concurrency or self.config.reset_contextvars)
        self._at_once = {} if self.root_path else getattr(self.config.app, "at_once", {})
        self._waits_since = self.loop.time()
        self._ring_by(self._waits_since + self.patience_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        # Both refer back to the connection, and would wait for the collector with it.
        self.cycle = cast("ShortCycle", None)
        self.parser = _NO_PARSER

    def data_received(self, data: bytes) -> None:
        """Part of a request, or several."""
        since, self._waits_since = self._waits_since, None
        known = self._known
        if known is not None and self._is_between and self.cycle.response_complete:
            again = known.request(data)
            if again is not None:
                self.url, (self.headers, body) = known.target, again
                cycle = self.cycle = ShortCycle(self, self.headers, body, keep_alive=True, head=known)
                self._at_once[known.target](cycle)
                return
        self._data = data if self._is_between else b""
        try:
            (self.parser or self._new_parser()).feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stop_parsing(error)
        self._data = b""
        if not self._is_between:
            self._wait_for_the_rest(since, len(data))
        elif self._waits_since is None and self.cycle is not None and self.cycle.response_complete:
            self._waits_since = since  # empty lines between two requests are nothing
        if self._pieces is not None:  # the rest of the body is still to come
            pieces, self._pieces = self._pieces, None
            if not self._joining.is_closing():
                self._describe()
                self._start()
                for piece in pieces:
                    self.on_body(piece)

    def _wait_for_the_rest(self, since: float | None, size: int) -> None:
        """A head or a body has not come to its end with these bytes; `since`: when a head began that goes on."""
        now = self.loop.time()
        if self._has_head:
            self._waits_since = now
        else:
            self._waits_since = since if self._head_size else now
            self._head_size += size
            if self._head_size > _LARGEST_HEAD:
                self._refuse(b"431 Request Header Fields Too Large", b"The head of the request is too large.")
        self._ring_by(now + self.patience_s)

    def _refuse(self, status: bytes, why: bytes) -> None:
        """Say so where nothing is answered yet, and close."""
        cycle = self.cycle
        if not self._joining.is_closing():
            if cycle is None or cycle.response_complete or not cycle.response_started:
                if cycle is not None:
                    cycle.disconnected = True  # it can answer nothing any more
                head = b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
                self.transport.write(head % (status, len(why)) + b"connection: close\r\n\r\n" + why)
            self.transport.close()

    def _stop_parsing(self, error: Exception) -> None:
        """As uvicorn's: 400, a WebSocket, or a request for another protocol that is let pass."""
        self._is_between = True  # nothing more is waited for
        if isinstance(error, httptools.HttpParserUpgrade):
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._unsupported_upgrade_warning()
            return
        self.logger.warning("Invalid HTTP request received.")
        self.send_400_response("Invalid HTTP request received.")

    # What the parser tells.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._is_between = self._has_head = False
        self._head_size = 0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: nothing that comes behind a body may say who asks, and what."""
        if self._has_head:
            return
        name = name.lower()
        if name == b"host" and any(known == b"host" for known, _ in self.headers):
            raise ValueError("two hosts")
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head of a request is complete. As uvicorn's, with our cycles."""
        self._has_head = True
        parser = self.parser
        if parser.should_upgrade() and self._should_upgrade():
            self._describe()
            return
        self._keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        if (
            self._has_short_way
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)
        ):
            self._pieces = []
        else:
            self._describe()
            self._start()

    def on_body(self, body: bytes) -> None:
        """A piece of a request's body."""
        if self._pieces is not None:
            self._pieces.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        pieces, self._pieces = self._pieces, None
        self._is_between = True
        if pieces is None:
            super().on_message_complete()
        else:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            is_first = self.cycle is None
            cycle = self.cycle = ShortCycle(self, self.headers, body, keep_alive=self._keep_alive)
            serve = self._at_once.get(self.url)
            if serve is not None and self.parser.get_method() == b"POST":
                if self._lessons and self._keep_alive and not is_first:  # many connections have one request only
                    self._lessons -= 1
                    self._known = known_head(self._data, self.url, self.headers, body) or self._known
                serve(cycle)
                return
            self._describe()
            cycle.describe(self.scope)
            task = self.loop.create_task(cycle.run_asgi(self.app))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    def _describe(self) -> None:
        """ASGI's words for the request whose head the parser has read last."""
        target = _targets.get(self.url)
        if target is None:
            target = self._parsed_target()
        path, raw_path, query = target
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": self.parser.get_http_version(),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,  # type: ignore[typeddict-item] # known since the connection was made
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": self.parser.get_method().decode("ascii"),
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
        }

    def _parsed_target(self) -> tuple[str, bytes, bytes]:
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        target = (unquote(path) if "%" in path else path, url.path, url.query or b"")
        if len(_targets) < _KNOWN and len(self.url) < _SHORT:
            _targets[self.url] = target
        return target

    def _start(self) -> None:
        """The long way: the body may still be coming, or another request is before this one."""
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
            keep_alive=self._keep_alive,
            on_response=self.on_response_complete,
        )
        app = service_unavailable if self._is_full() else self.app
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, app)
        else:
            self.flow.pause_reading()
            if not self.pipeline:
                self.pipeline = deque()
            self.pipeline.appendleft((self.cycle, app))

    def _is_full(self) -> bool:
        limit = self.limit_concurrency
        if limit is None or (len(self.connections) < limit and len(self.tasks) < limit):
            return False
        self.logger.warning("Exceeded concurrency limit.")
        return True

    # Between two requests.

    def on_response_complete(self) -> None:
        """An answer is complete: start the next request of the pipeline, or wait for one."""
        joining = self._joining
        joining.flush()
        self.server_state.total_requests += 1
        if joining.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._is_between:
            now = self._waits_since = self.loop.time()
            closes_at = now + self.timeout_keep_alive
            if self.timeout_keep_alive_task is None or self._rings_at > closes_at:
                self._ring_by(closes_at)

    def rest(self, cycle: ShortCycle) -> None:
        """A long answer has begun: without its parser an open stream is a kilobyte less, and most read nothing more."""
        self.loop.call_soon(self._rest, cycle)

    def _rest(self, cycle: ShortCycle) -> None:
        if self.cycle is cycle and self.headers is cycle.headers:  # else the next request has begun to come
            self.parser = _NO_PARSER

    def _new_parser(self) -> httptools.HttpRequestParser:
        self.parser = parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        return parser

    def _unset_keepalive_if_required(self) -> None:
        self._waits_since = None

    def _ring_by(self, at: float) -> None:
        """Have the one timer ring at `at` or earlier."""
        timer = self.timeout_keep_alive_task
        if timer is not None:
            if self._rings_at <= at:
                return
            timer.cancel()
        self._rings_at = at
        self.timeout_keep_alive_task = self.loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self.timeout_keep_alive_task = None
        since = self._waits_since
        if since is None:  # at work: the next answer sets the timer again
            return
        now = self.loop.time() + _TIMER_GRAIN_S
        is_at_work = self.cycle is not None and not self.cycle.response_complete
        if self.flow.read_paused or (is_at_work and not self.cycle.more_body):  # it is the client who waits
            self._waits_since = now
            self._ring_by(now + self.patience_s)
        elif self._is_between:
            if now < since + self.timeout_keep_alive:
                self._ring_by(since + self.timeout_keep_alive)
            else:
                self.timeout_keep_alive_handler()
        elif now < since + self.patience_s:
            self._ring_by(since + self.patience_s)
        elif not self._has_head and not self._head_size:  # nothing came at all
            self.transport.close()
        else:
            self._refuse(b"408 Request Timeout", b"The rest of the request did not come.")
