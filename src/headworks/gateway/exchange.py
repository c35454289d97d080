"""One HTTP exchange with a caller: the body with its limit, the answer, and the caller's leaving."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from headworks.eager import Run
from headworks.errors import BodyTooLarge, HeadworksError, InvalidRequest
from headworks.formats.contract import Writer
from headworks.formats.messages.format import MESSAGES
from headworks.gateway.contract import Arrived, Recorder
from headworks.gateway.dialects import Dialect
from headworks.gateway.wire.errors import Unexpected, headers_of
from headworks.gateway.wire.headers import FROM_CALLER, Header
from headworks.gateway.wire.parts import Direct
from headworks.turns import turn_of
from headworks.types.identity import NO_KEY, Principal, ShownKey
from headworks.types.ids import id_text, new_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

SIGNED_IN = "headworks.principal"
"""Where the server puts a caller who was authenticated before, by a session."""
_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.025
_OF_INTEREST = FROM_CALLER | {b"authorization", b"x-api-key", b"content-length", b"content-encoding", b"x-headworks-as"}


class CallerLeft(Exception):
    """The caller closed the connection before the request was whole."""


class Watch:
    """Notices callers who leave. It looks through the open exchanges now and then, so that short ones cost nothing.

    Whoever is still open at the second look is waited for by a task of its own, which sees a leaving at once, also one
    that has happened before.
    """

    def __init__(self) -> None:
        self._new: set[AsgiExchange] = set()
        self._seen_once: set[AsgiExchange] = set()
        self._is_armed = False

    def add(self, exchange: AsgiExchange) -> None:
        """From now on; the body is read."""
        self._new.add(exchange)
        if not self._is_armed:
            self._is_armed = True
            asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)

    def discard(self, exchange: AsgiExchange) -> None:
        """The exchange is over."""
        self._new.discard(exchange)
        self._seen_once.discard(exchange)

    def _look(self) -> None:
        for exchange in self._seen_once:
            exchange.wait_for_leaving()
        self._seen_once = self._new
        self._new = set()
        self._is_armed = bool(self._seen_once)
        if self._is_armed:
            asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)


class Exchange:
    """What a handler holds. `reply` are headers of ours for the answer, whichever it is. Subclasses know the wire."""

    __slots__ = (
        "_has_started",
        "arrived_at",
        "caller",
        "dialect",
        "forwarded",
        "headers",
        "key",
        "reply",
        "started_ns",
        "trace",
        "writer",
    )

    gathers = False
    """See Asked."""

    def __init__(self, headers: list[Header], dialect: Dialect, caller: Principal | None = None) -> None:
        self.headers = headers
        self.dialect = dialect
        self.writer: Writer | None = None
        """What writes the stream, where it is not the provider's own."""
        self.caller = caller
        """Somebody who was authenticated before, by a session."""
        self.key = NO_KEY
        self.forwarded: tuple[Header, ...] = ()
        """Headers that go on to the provider."""
        now_ns = time.time_ns()
        self.trace: UUID = new_id(now_ns)
        self.arrived_at = now_ns / 1e9
        self.started_ns = time.perf_counter_ns()
        self.reply: list[Header] = [(b"x-headworks-trace", id_text(self.trace))]
        self._has_started = False

    def scan(self, limit: int) -> None:
        """Look through the headers, once. Raises BodyTooLarge and InvalidRequest for a body that will not be read."""
        for header in self.headers:
            name = header[0]
            if name not in _OF_INTEREST:
                continue
            value = header[1]
            if name == b"authorization":
                kind, _, rest = value.partition(b" ")
                self.key = ShownKey(rest.strip().decode("latin-1")) if kind.lower() == b"bearer" else NO_KEY
            elif name == b"x-api-key":
                if not self.key.text:
                    self.key = ShownKey(value.strip().decode("latin-1"))
            elif name in FROM_CALLER:
                self.forwarded += (header,)
            elif name == b"content-length":
                if value.isdigit() and int(value) > limit:
                    raise _too_large(limit)
            elif name == b"x-headworks-as":
                raise InvalidRequest(
                    "No model is asked as somebody else.",
                    next_step="`x-headworks-as` is for searching and opening documents under /api.",
                    param="x-headworks-as",
                )
            elif value.lower() != b"identity":
                raise InvalidRequest("Compressed bodies are not read here.", next_step="Send it as it is.")

    def arrived(self, limit: int) -> bytes | None:  # noqa: ARG002 -- for those that have it
        """As `body`, where it is here already; None: it has to be waited for."""
        return None

    async def body(self, limit: int) -> bytes:
        """The whole body, once the headers were looked through. Raises BodyTooLarge, InvalidRequest, and CallerLeft.

        Once it is read, the handler is cancelled when the caller leaves.
        """
        raise NotImplementedError

    async def start(self, status: int, headers: list[Header]) -> None:
        """The head of the answer."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self._has_started = True

    async def begin(self, headers: list[Header], direct: Direct | None) -> None:  # noqa: ARG002 -- as above
        """The head of a stream; `direct` is told how its bytes are written without waiting, where they can be."""
        await self.start(200, headers)

    async def write(self, data: bytes, *, is_last: bool = False) -> None:
        """A part of the answer's body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": not is_last})

    async def relay(self, data: bytes) -> None:
        """As `write`, for what a provider has sent in one piece: there is nothing to join it with."""
        await self.write(data)

    def answer_at_once(self, status: int, headers: list[Header], body: bytes) -> bool:  # noqa: ARG002 -- as above
        """As `answer`, where that takes no waiting; False: it does."""
        return False

    async def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """A whole answer."""
        headers.append((b"content-length", b"%d" % len(body)))
        await self.start(status, headers)
        await self.write(body, is_last=True)

    async def fail(self, error: BaseException) -> None:
        """Tell the caller what went wrong: as an HTTP answer, or as the last event of a stream that has begun.

        What is unexpected is logged, and shows nothing of its insides. Who has left is told nothing. A cancellation
        that is not about the caller goes on.
        """
        if isinstance(error, HeadworksError):
            await self._tell(error)
        elif isinstance(error, Exception) and not isinstance(error, CallerLeft):
            _log.error("a request failed unexpectedly", exc_info=error)
            with suppress(Exception):
                await self._tell(_unexpected())
        elif not isinstance(error, CallerLeft) and not self._is_about_caller(error):
            raise error

    async def _send(self, message: Message) -> None:
        raise NotImplementedError

    def _is_about_caller(self, error: BaseException) -> bool:
        """Whether a cancellation came because the caller left."""
        raise NotImplementedError

    async def _tell(self, error: HeadworksError) -> None:
        if self.dialect.format is MESSAGES and "request-id" not in error.headers:
            error.headers = {**error.headers, "request-id": str(self.trace)}
        if self._has_started:
            event = self.dialect.error_event(error) if self.writer is None else self.writer.fail(error)
            await self.write(event, is_last=True)
        else:
            await self.answer(error.status, [*headers_of(error), *self.reply], self.dialect.body_of(error))


class ArrivedExchange(Exchange):
    """With a request that arrived whole: it begins without a task, and the connection says when the caller leaves."""

    __slots__ = ("_has_left", "_outbox", "_request", "_run")

    gathers = True

    def __init__(self, request: Arrived, dialect: Dialect, outbox: Outbox) -> None:
        super().__init__(request.headers, dialect)
        self._request = request
        self._outbox = outbox
        self._has_left = False

    def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin."""
        self._run = run = Run(work)
        self._request.when_left(self._leave)
        run.step()

    def arrived(self, limit: int) -> bytes:
        """See Exchange."""
        head = self._request.head
        if head is None or head.notes is None:
            self.scan(limit)
            if head is not None:
                head.notes = (self.key, self.forwarded)
        else:
            self.key, self.forwarded = head.notes
        body = self._request.body
        if len(body) > limit:
            raise _too_large(limit)
        return body

    async def body(self, limit: int) -> bytes:
        """See Exchange."""
        return self.arrived(limit)

    def answer_at_once(self, status: int, headers: list[Header], body: bytes) -> bool:
        """See Exchange."""
        self._has_started = True
        self._outbox.add(self, status, headers, body)
        return True

    def send(self, status: int, headers: list[Header], body: bytes) -> None:
        """The whole answer, now that its record is written."""
        try:
            self._request.answer(status, headers, body)
        except (RuntimeError, ValueError):
            _log.exception("an answer could not be sent")
            self.refuse(_unexpected())

    def refuse(self, error: HeadworksError) -> None:
        """In the place of an answer that may not be given."""
        with suppress(RuntimeError):  # the caller has left in this turn
            self._request.answer(error.status, [*headers_of(error), *self.reply], self.dialect.body_of(error))

    async def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """See Exchange."""
        self.answer_at_once(status, headers, body)

    async def begin(self, headers: list[Header], direct: Direct | None) -> None:
        """See Exchange."""
        if self._request.begin(200, headers):
            self._has_started = True
        else:
            await self.start(200, headers)
        self._request.let_go()
        if direct is not None:
            direct.write = self._request.write

    async def write(self, data: bytes, *, is_last: bool = False) -> None:
        """See Exchange."""
        if not is_last or not self._request.finish(data):
            await super().write(data, is_last=is_last)

    async def relay(self, data: bytes) -> None:
        """See Exchange."""
        if not self._request.write(data):
            await self.write(data)

    def _leave(self) -> None:
        self._has_left = True
        self._run.cancel()

    async def _send(self, message: Message) -> None:
        await self._request.send(message)

    def _is_about_caller(self, error: BaseException) -> bool:
        return self._has_left and isinstance(error, asyncio.CancelledError)


class Outbox:
    """Whole answers until the end of their turn: all records of it are written together, then they leave."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._turn = turn_of(asyncio.get_running_loop())
        self._waiting: list[tuple[ArrivedExchange, int, list[Header], bytes]] = []

    def add(self, exchange: ArrivedExchange, status: int, headers: list[Header], body: bytes) -> None:
        """An answer that is complete. What can't be recorded is not answered: its caller is told why."""
        if not self._waiting:
            self._turn.at_end(self._send)
        self._waiting.append((exchange, status, headers, body))

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self._recorder.flush()
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody is left waiting
            if not isinstance(error, HeadworksError):
                _log.error("records could not be written", exc_info=error)
                error = _unexpected()
            for exchange, *_ in waiting:
                exchange.refuse(error)
            return
        for exchange, status, headers, body in waiting:
            exchange.send(status, headers, body)


class AsgiExchange(Exchange):
    """As any ASGI server has it."""

    __slots__ = ("_has_left", "_receive", "_send_message", "_task", "_waiting", "_watch")

    def __init__(self, scope: Scope, receive: Receive, send: Send, dialect: Dialect, watch: Watch) -> None:
        super().__init__(scope["headers"], dialect, scope.get(SIGNED_IN))
        self._receive = receive
        self._send_message = send
        self._watch = watch
        self._has_left = False
        self._task = asyncio.current_task()
        self._waiting: asyncio.Task[None] | None = None

    async def body(self, limit: int) -> bytes:
        """See Exchange."""
        self.scan(limit)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        body: bytes = message["body"]
        if message["more_body"]:
            body = await self._rest(body, limit)
        if len(body) > limit:
            raise _too_large(limit)
        self._watch.add(self)
        return body

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watch.discard(self)
        if self._waiting is not None:
            self._waiting.cancel()

    def wait_for_leaving(self) -> None:
        """Cancel the handler's task as soon as the caller leaves."""
        self._waiting = asyncio.get_running_loop().create_task(self._wait_for_leaving())

    async def _wait_for_leaving(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        if self._task is not None:
            self._task.cancel()

    async def _rest(self, body: bytes, limit: int) -> bytes:
        pieces, size = [body], len(body)
        while size <= limit:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            pieces.append(message["body"])
            size += len(pieces[-1])
            if not message["more_body"]:
                break
        return b"".join(pieces)

    async def _send(self, message: Message) -> None:
        await self._send_message(message)

    def _is_about_caller(self, error: BaseException) -> bool:
        is_about_caller = self._has_left and self._task is not None and isinstance(error, asyncio.CancelledError)
        if is_about_caller and self._task is not None:
            self._task.uncancel()
        return is_about_caller


def _unexpected() -> Unexpected:
    return Unexpected("Something went wrong in the server.", next_step="Its log says what.")


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {limit // (1024 * 1024)} MiB.",
        next_step="Send less, or raise `max_body_mb` in headworks.toml.",
    )
