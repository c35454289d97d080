"""One HTTP exchange with a caller, in raw ASGI: the body with its limit, the answer, and the caller's leaving."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from headworks.errors import BodyTooLarge, HeadworksError, InvalidRequest
from headworks.gateway.wire.errors import Unexpected, body_of, event_of, headers_of
from headworks.gateway.wire.headers import Header

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)
_WATCH_AFTER_S = 0.02
"""Most answers of fast providers are there before; a caller who leaves earlier is noticed then."""


class CallerLeft(Exception):
    """The caller closed the connection before the request was whole."""


class Exchange:
    """What a handler holds. `reply` are headers of ours for the answer, whichever it is."""

    __slots__ = (
        "_has_left",
        "_receive",
        "_send",
        "_started",
        "_task",
        "_timer",
        "_watcher",
        "headers",
        "reply",
        "scope",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.headers: list[Header] = scope["headers"]
        self.reply: list[Header] = []
        self._receive = receive
        self._send = send
        self._started = False
        self._has_left = False
        self._task: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLarge as soon as that is known, and CallerLeft."""
        for name, value in self.headers:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                raise _too_large(limit)
            if name == b"content-encoding" and value.lower() != b"identity":
                raise InvalidRequest(
                    "Compressed bodies are not read here.", next_step="Send it without content-encoding."
                )
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            self._watch_soon()
            return _within(body, limit)
        pieces = [body]
        size = len(body)
        while message.get("more_body", False):
            if size > limit:
                raise _too_large(limit)
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
        self._watch_soon()
        return _within(b"".join(pieces), limit)

    async def start(self, status: int, headers: list[Header]) -> None:
        """The head of the answer."""
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, is_last: bool = False) -> None:
        """A part of the answer's body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": not is_last})

    async def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """A whole answer."""
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.write(body, is_last=True)

    async def fail(self, error: HeadworksError) -> None:
        """An error: as an HTTP answer, or as the last event of a stream that has begun."""
        if self._started:
            await self.write(event_of(error), is_last=True)
        else:
            await self.answer(error.status, [*headers_of(error), *self.reply], body_of(error))

    # Whoever leaves is not worked for any longer.

    def __enter__(self) -> Self:
        """Once the body is read, the current task is cancelled when the caller leaves."""
        self._task = asyncio.current_task()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._has_left and kind is asyncio.CancelledError and self._task is not None:
            self._task.uncancel()
            return True
        return False

    def _watch_soon(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, self._watch)

    def _watch(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._wait_for_leaving())

    async def _wait_for_leaving(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        if self._task is not None:
            self._task.cancel()


async def guarded(exchange: Exchange, work: Awaitable[None]) -> None:
    """Do the work of a handler; whatever fails becomes an answer, and nothing unexpected shows its insides."""
    try:
        with exchange:
            await work
    except CallerLeft:
        pass
    except HeadworksError as error:
        await exchange.fail(error)
    except Exception:  # noqa: BLE001 -- the last line of defence: logged, and answered without details
        _log.exception("a request failed unexpectedly")
        with suppress(Exception):
            await exchange.fail(Unexpected("Something went wrong in the server.", next_step="Its log says what."))


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {limit // (1024 * 1024)} MiB.",
        next_step="Send less, or raise `max_body_mb` in headworks.toml.",
    )
