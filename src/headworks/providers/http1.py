"""One HTTP/1.1 connection to a provider: writes a request, parses the answer, keeps the deadlines.

A connection has one timer that stays armed from request to request and looks, when it rings, whether a deadline has
passed meanwhile: exchanges that go well never touch it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast

import httptools

from headworks.errors import HeadworksError, UpstreamError, UpstreamTimeout, UpstreamTruncated
from headworks.providers.responses import Headers, Response, too_long
from headworks.turns import turn_of

_HIGH_WATER_BYTES = 256 * 1024
_JOIN_UNDER_BYTES = 64 * 1024
_TIMER_GRAIN_S = 0.002
_WATCHED = frozenset((b"content-length", b"transfer-encoding", b"content-encoding"))
_TRY_AGAIN = "Try again; see the provider's status."


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each stage of one exchange may take, in seconds.

    `connect_s` until there is a connection, waiting for a free one included; `first_byte_s` from the request to the end
    of the answer's headers; `idle_s` between two pieces of the body, while they are read; `total_s` for everything.
    """

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 30.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection accepts, and how long it is kept without work."""

    header_bytes: int = 64 * 1024
    body_bytes: int = 64 * 1024 * 1024
    idle_keepalive_s: float = 30.0


class Owner(Protocol):
    """Who gets a connection back: its pool."""

    def opened(self, connection: Connection) -> None:
        """The connection stands; told once, before `closed`."""

    def released(self, connection: Connection) -> None:
        """The connection has finished an exchange and can carry another."""

    def closed(self, connection: Connection) -> None:
        """The connection is gone; told once."""


class Connection(asyncio.Protocol):
    """One socket to `place`, carrying one exchange at a time."""

    __slots__ = (
        "_deadlines",
        "_ending",
        "_framed",
        "_head_done",
        "_headers",
        "_heard_at",
        "_informational",
        "_limits",
        "_owner",
        "_parser",
        "_paused",
        "_received",
        "_response",
        "_reusable",
        "_sent_at",
        "_timer",
        "_timer_at",
        "_total_at",
        "_transport",
        "_turn",
        "_unsent",
        "loop",
        "opened",
        "place",
        "served",
        "usable",
    )

    def __init__(self, owner: Owner, place: str, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.place = place
        self.usable = False
        """Whether it can take a request now."""
        self.opened = False
        """Whether it ever stood."""
        self.served = 0
        """Finished exchanges; a connection that has served before may have been closed by the other side meanwhile."""
        self._owner = owner
        self._limits = limits
        self._transport = cast("asyncio.Transport", None)
        self._response: Response | None = None
        self._headers: Headers = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadlines = Deadlines()
        self._sent_at = self._heard_at = self._total_at = loop.time()
        self._received = 0
        self._head_done = self._ending = self._paused = self._informational = self._framed = False
        self._reusable = True
        self._parser = httptools.HttpResponseParser(self)
        self._turn = turn_of(loop)
        self._unsent: list[bytes] = []

    @property
    def closing(self) -> bool:
        """Whether it can carry nothing any more."""
        return self._transport.is_closing()

    # Requests.

    def begin(self, response: Response, request: list[bytes], deadlines: Deadlines, total_at: float) -> None:
        """Send a request (its head and body), when the turn ends, whose answer goes to `response`.

        `total_at` is on the loop's clock.
        """
        now = self.loop.time()
        self.usable = False
        if self._transport.is_closing():  # it died after it was chosen
            response.unanswered = self.served > 0
            response.fail(self._cut_short(None))
            return
        self._response = response
        self._headers = response.headers
        self._received = 0
        self._head_done = self._framed = False
        self._deadlines = deadlines
        self._sent_at = self._heard_at = now
        self._total_at = total_at
        self._unsent = request
        self._turn.at_end(self._send)
        in_s = self._timer_at - now
        if (
            self._timer is None
            or in_s > deadlines.first_byte_s
            or in_s > deadlines.idle_s
            or in_s > self._limits.idle_keepalive_s
            or self._timer_at > total_at
        ):
            soonest_s = min(deadlines.first_byte_s, deadlines.idle_s, self._limits.idle_keepalive_s)
            self._ring_by(min(now + soonest_s, total_at))

    def _send(self) -> None:
        request, self._unsent = self._unsent, []
        if self._transport.is_closing():  # abandoned in the same turn, or lost: `connection_lost` says so
            return
        if len(request[-1]) < _JOIN_UNDER_BYTES:
            self._transport.write(b"".join(request))
        else:
            self._transport.writelines(request)

    def abandon(self, response: Response) -> None:
        """Nobody waits for this answer any more."""
        if self._response is response:
            self._response = None
            self.abort()

    def abort(self) -> None:
        """Close at once; an exchange that is under way fails in `connection_lost`."""
        self.usable = False
        self._transport.abort()

    def resume_reading(self) -> None:
        """Undo the pause that unread pieces caused; the idle clock starts again."""
        if self._paused:
            self._paused = False
            self._heard_at = self.loop.time()
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket stands, TLS included."""
        self._transport = cast("asyncio.Transport", transport)
        self.usable = self.opened = True
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Part of an answer, the whole of one, or more than we asked for."""
        response = self._response
        if response is None:  # nobody asked: whatever it is, the next answer could not be told from it
            self.abort()
            return
        self._heard_at = self.loop.time()
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._ending:
                self._end_with(self._unreadable(error))
                return
            self._reusable = False
        if self._ending:
            self._finish(response)
        elif self._received > self._limits.header_bytes and not self._head_done:
            self._end_with(UpstreamError(f"{self.place} sent more than {self._limits.header_bytes} bytes of headers."))
        elif self._received > self._limits.body_bytes + self._limits.header_bytes:
            self._end_with(too_long(self.place, self._limits.body_bytes))
        elif self._head_done and not response.whole:
            response.set()
            if response.buffered > _HIGH_WATER_BYTES and not self._paused:
                self._paused = True
                self._transport.pause_reading()

    def eof_received(self) -> None:
        """The other side sends no more."""
        self.usable = False
        response = self._response
        if (
            response is not None and self._head_done and not self._framed
        ):  # the end of the body is the end of the stream
            self._reusable = False
            self._finish(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        response, self._response = self._response, None
        self._owner.closed(self)
        if response is not None:
            response.unanswered = self._received == 0 and self.served > 0
            response.fail(self._cut_short(exc))
        self._parser = cast("httptools.HttpResponseParser", None)  # it refers back to us

    # What the parser tells.

    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        if self._ending:  # bytes after the answer
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if self._head_done:  # a trailer, or bytes after the answer
            return
        name = name.lower()
        self._headers.append((name, value))
        if name in _WATCHED:
            self._watch(name, value.lower())

    def on_headers_complete(self) -> None:
        """The head is complete; an informational one is followed by another."""
        if self._head_done:
            return
        status = self._parser.get_status_code()
        if status < 200:  # informational: the answer is still to come
            self._informational = True
            self._headers.clear()
            self._framed = False
            return
        self._head_done = True
        self._reusable = self._parser.should_keep_alive()
        response = self._response
        if response is not None:
            response.status = status

    def on_body(self, body: bytes) -> None:
        """A piece of the body, out of its chunk."""
        response = self._response
        if response is not None and not self._ending:
            response.pieces.append(body)
            response.buffered += len(body)

    def on_message_complete(self) -> None:
        """The last byte of an answer."""
        if self._informational:
            self._informational = False
        else:
            self._ending = True

    def _watch(self, name: bytes, value: bytes) -> None:
        if name == b"content-encoding":
            if value not in {b"", b"identity"}:
                raise UpstreamError(f"{self.place} compressed its answer although it was asked not to.")
        elif name == b"transfer-encoding" and value != b"chunked":
            raise UpstreamError(f"{self.place} used a transfer coding other than chunked.")
        else:
            self._framed = True

    # Ends.

    def _finish(self, response: Response) -> None:
        self._response = None
        self._ending = False
        self.served += 1
        if self._reusable and not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            if self._paused:
                self.resume_reading()
            self.usable = True
            self._owner.released(self)
        else:
            self.abort()
        response.finish()

    def _end_with(self, error: HeadworksError) -> None:
        response, self._response = self._response, None
        self.abort()
        if response is not None:
            response.fail(error)

    def _unreadable(self, error: Exception) -> HeadworksError:
        cause = error.__context__
        if isinstance(cause, HeadworksError):
            return cause
        if isinstance(error, httptools.HttpParserUpgrade):
            return UpstreamError(f"{self.place} switched to another protocol without being asked.")
        return UpstreamError(
            f"{self.place} sent something that is not an HTTP/1.1 answer ({error}).",
            next_step="Check the provider's address, and whether it speaks http or https there.",
        )

    def _cut_short(self, exc: Exception | None) -> HeadworksError:
        how = "closed the connection" if exc is None else f"broke the connection ({exc})"
        if not self._head_done:
            return UpstreamError(f"{self.place} {how} without an answer.", next_step=_TRY_AGAIN)
        return UpstreamTruncated(f"{self.place} {how} in the middle of its answer.", next_step="Try again.")

    # Deadlines.

    def _ring_by(self, at: float) -> None:
        """Have the timer ring at `at` or earlier."""
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self.loop.time() + _TIMER_GRAIN_S
        if self._response is None:
            if now >= (closes_at := self._heard_at + self._limits.idle_keepalive_s):
                self.abort()
            else:
                self._ring_by(closes_at)
            return
        name, seconds, at = self._next_deadline()
        if now >= at:
            missed = f"{self.place} did not keep the {name} deadline of {seconds:g} s."
            self._end_with(UpstreamTimeout(missed, next_step=_TRY_AGAIN))
        else:
            self._ring_by(min(at, now + self._deadlines.idle_s))

    def _next_deadline(self) -> tuple[str, float, float]:
        """Name, length and time of the deadline that passes first as things stand."""
        limits = self._deadlines
        total = ("total", limits.total_s, self._total_at)
        if self._paused:  # we keep the provider waiting, not it us
            return total
        if self._head_done:
            stage = ("idle", limits.idle_s, self._heard_at + limits.idle_s)
        else:
            stage = ("first byte", limits.first_byte_s, self._sent_at + limits.first_byte_s)
        return stage if stage[2] < total[2] else total
