"""An answer as aiohttp receives it, with our deadlines and our errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from headworks.errors import HeadworksError, UpstreamError, UpstreamTimeout, UpstreamTruncated
from headworks.providers.http1 import Deadlines, Limits
from headworks.providers.responses import Headers, too_long

_TRY_AGAIN = "Try again; see the provider's status."
_TOO_MUCH = ("Got more than", "Too many headers")
SWITCHING = 101


class Unreadable(aiohttp.ClientPayloadError):
    """The parser gives up in the middle of a body."""

    def __init__(self, error: BaseException) -> None:
        self.why = error.message if isinstance(error, HttpProcessingError) else str(error)
        super().__init__(self.why)


class Exchange:
    """One request and its answer: the connection it has got, how much has come, and until when it may go on."""

    def __init__(self, place: str, deadlines: Deadlines, limits: Limits, total_at: float | None = None) -> None:
        self.place = place
        self.limits = limits
        self.received = 0
        """Bytes, with all their framing."""
        self.has_head = False
        self.is_over = False
        """Whether the last byte of the answer has come."""
        self.wants_new = total_at is not None
        """Whether a kept connection would not do."""
        self.loop = asyncio.get_running_loop()
        self.deadlines = deadlines
        self.total_at = self.loop.time() + deadlines.total_s if total_at is None else total_at
        self._slot: asyncio.Semaphore | None = None
        self._transport: asyncio.Transport | None = None
        self._is_kept = False
        self._timer: asyncio.Timeout | None = None

    @property
    def is_stale(self) -> bool:
        """Whether a kept connection ended before the first byte of the answer: asking again is safe."""
        return self._is_kept and not self.received and not self._is_late

    @property
    def _is_late(self) -> bool:
        return self._timer is not None and self._timer.expired()

    def again(self) -> Exchange:
        """The same request once more, within the same total deadline."""
        return Exchange(self.place, self.deadlines, self.limits, self.total_at)

    def connected(self, transport: asyncio.Transport | None, *, is_kept: bool) -> None:
        """There is a connection: from here on the deadline is that of the first byte."""
        self._transport = transport
        self._is_kept = is_kept
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(min(self.loop.time() + self.deadlines.first_byte_s, self.total_at))

    async def enter(self, slot: asyncio.Semaphore) -> None:
        """Wait for the right to a connection."""
        await slot.acquire()
        self._slot = slot

    def leave(self) -> None:
        """Give the right to who waits longest."""
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.release()

    def give_up(self) -> None:
        """Nobody waits for this answer any more."""
        self.abort()
        self.leave()

    def abort(self) -> None:
        """Close the connection now, whatever is still to be written."""
        if self._transport is not None:
            self._transport.abort()

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """For a connection, and then for the head of the answer. Raises TimeoutError."""
        at = min(self.loop.time() + self.deadlines.connect_s, self.total_at)
        async with asyncio.timeout_at(at) as self._timer:
            yield

    def too_late(self, size: int) -> HeadworksError:
        """Which deadline has passed before there was a head."""
        limits = self.deadlines
        if self.loop.time() >= self.total_at and limits.total_s < limits.connect_s + limits.first_byte_s:
            return self.missed("total", limits.total_s)
        if self._transport is not None:
            return self.missed("first byte", limits.first_byte_s)
        why = f"all {size} connections to it are busy" if self._slot is None else "it does not answer"
        return UpstreamTimeout(
            f"No connection to {self.place} within the connect deadline of {limits.connect_s:g} s: {why}.",
            next_step=_TRY_AGAIN,
        )

    def missed(self, name: str, seconds: float) -> UpstreamTimeout:
        """A deadline has passed."""
        return UpstreamTimeout(f"{self.place} did not keep the {name} deadline of {seconds:g} s.", next_step=_TRY_AGAIN)


class StreamedAnswer:
    """See responses.Response."""

    def __init__(self, exchange: Exchange, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Headers = [(name.lower(), value) for name, value in response.raw_headers]
        self._exchange = exchange
        self._response = response
        self._content = response.content
        self._size = 0
        self._error: HeadworksError | None = None
        # Also for who never reads: a connection is not held for ever.
        self._total = exchange.loop.call_at(exchange.total_at, self._total_passed)
        self._content.on_eof(self._end)

    @property
    def complete(self) -> bool:
        """Whether the whole answer has arrived."""
        return self._content.is_eof() and self._content.exception() is None

    @property
    def buffered(self) -> int:
        """Bytes that have arrived and were not taken, with their framing."""
        return self._exchange.received - self._size

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, or None; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    async def read(self, limit: int) -> bytes:
        """The whole body; UpstreamError once it is longer than `limit` bytes, and the connection is closed."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                self.abort()
                raise too_long(self._exchange.place, limit)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """All that has arrived since the last call, never empty; waits if that is nothing."""
        if self._content.exception() is not None and (rest := self._buffered()):
            return rest
        if self._error is not None:
            raise self._error
        try:
            piece = await self._next()
        except asyncio.CancelledError:
            self.abort()
            raise
        except (aiohttp.ClientError, OSError) as error:
            self._give_up(self._failure(error))
            if rest := self._buffered():
                return rest
            raise self._error or error from error
        if not piece:
            raise StopAsyncIteration
        self._size += len(piece)
        if self._size > self._exchange.limits.body_bytes:
            self._give_up(too_long(self._exchange.place, self._exchange.limits.body_bytes))
            raise self._error or StopAsyncIteration
        return piece

    async def close(self) -> None:
        """End the exchange; in the middle of a body this closes the connection."""
        self.abort()

    def abort(self) -> None:
        """As `close`, without waiting."""
        if not self.complete:
            self._give_up(UpstreamError(f"The answer of {self._exchange.place} was closed before its end."))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    async def _next(self) -> bytes:
        """A piece, empty at the end. Raises TimeoutError when none comes."""
        idle_s = self._exchange.deadlines.idle_s
        async with asyncio.timeout(idle_s):
            return await self._content.readany()

    def _buffered(self) -> bytes:
        """What came before the failure: aiohttp would keep it back."""
        return self._content._read_nowait(-1)  # noqa: SLF001 -- its public face raises first

    def _failure(self, error: Exception) -> HeadworksError:
        if self._error is not None:
            return self._error
        if isinstance(error, TimeoutError) and self._content.exception() is None:
            return self._exchange.missed("idle", self._exchange.deadlines.idle_s)
        if isinstance(error, Unreadable):
            return unreadable(self._exchange.place, error.why, self._exchange.limits.header_bytes)
        cause = error.__cause__
        how = f"broke the connection ({cause})" if isinstance(cause, OSError) else "closed the connection"
        return UpstreamTruncated(f"{self._exchange.place} {how} in the middle of its answer.", next_step="Try again.")

    def _end(self) -> None:
        self._exchange.is_over = True
        self._exchange.leave()
        self._total.cancel()

    def _total_passed(self) -> None:
        if not self.complete:
            self._give_up(self._exchange.missed("total", self._exchange.deadlines.total_s))

    def _give_up(self, error: HeadworksError) -> None:
        """End it with this error, unless it has ended before."""
        if self._error is None:
            self._error = error
        self._total.cancel()
        self._exchange.give_up()
        with suppress(RuntimeError):  # the loop is closed
            self._response.close()


def too_many_headers(place: str, limit: int) -> UpstreamError:
    """A head that does not end."""
    return UpstreamError(f"{place} sent more than {limit} bytes of headers.")


def unreadable(place: str, why: str, header_bytes: int) -> UpstreamError:
    """The parser has given up."""
    if why.startswith(_TOO_MUCH):
        return too_many_headers(place, header_bytes)
    return UpstreamError(
        f"{place} sent something that is not an HTTP/1.1 answer ({' '.join(why.split())[:200]}).",
        next_step="Check the provider's address, and whether it speaks http or https there.",
    )


def cause(error: aiohttp.ClientConnectorError) -> OSError:
    """What the system said; a certificate's fault is kept inside."""
    inner = getattr(error, "certificate_error", None) or error.os_error
    return inner if isinstance(inner, OSError) else error


def refuse_odd(place: str, response: aiohttp.ClientResponse) -> None:
    """Close an answer that is not to be guessed at, and say why: another protocol, two framings, a compressed body."""
    try:
        _check_head(place, response)
    except UpstreamError:
        response.close()
        raise


def _check_head(place: str, response: aiohttp.ClientResponse) -> None:
    framings = 0
    for written, value in response.raw_headers:
        name = written.lower()
        if name == b"content-encoding" and value.lower() not in {b"", b"identity"}:
            raise UpstreamError(f"{place} compressed its answer although it was asked not to.")
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            raise UpstreamError(f"{place} used a transfer coding other than chunked.")
        framings += name in {b"content-length", b"transfer-encoding"}
    if response.status == SWITCHING:
        raise UpstreamError(f"{place} switched to another protocol without being asked.")
    if framings > 1:
        raise unreadable(place, "two lengths", 0)
