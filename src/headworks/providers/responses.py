"""A provider's answer while it arrives: what the caller of `Upstream` holds."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from headworks.eager import Signal
from headworks.errors import HeadworksError, UpstreamError

Headers = list[tuple[bytes, bytes]]
RESENT = (b":resent", b"1")
"""The last of an answer's headers where its request went out twice. No provider can send one of that name."""


class Carrier(Protocol):
    """The connection that an answer arrives on."""

    place: str

    def abandon(self, response: Response) -> None:
        """Nobody waits for this answer any more: close the connection at once."""

    def resume_reading(self) -> None:
        """Buffered pieces were taken: read on, if reading was paused."""


class Response(Signal):
    """An answer: `status`, `headers` (names in lower case, as received otherwise), and the body as it comes.

    It is a signal of its own arrival: of its head, or of its end for who wants it `whole`. Take the body once, by
    `read()` or `async for`. An answer that is left unread holds its connection until a deadline passes: use
    `async with`, or `close()`.
    """

    __slots__ = (
        "_carrier",
        "_complete",
        "_error",
        "buffered",
        "headers",
        "pieces",
        "status",
        "through",
        "unanswered",
        "whole",
    )

    def __init__(self, carrier: Carrier, *, whole: bool) -> None:
        self.is_set = False
        self.resume = None
        self.status = 0
        self.headers: Headers = []
        self.whole = whole
        """Whether the caller waits for the end of the body and wants no pieces."""
        self.buffered = 0
        """Bytes that have arrived and were not taken."""
        self.unanswered = False
        """Whether a kept-alive connection ended before the first byte of the answer."""
        self._carrier = carrier
        self.pieces: list[bytes] = []
        """What has arrived and was not taken."""
        self.through: Callable[[bytes], bool] | None = None
        """Takes a piece in the place of who waits for it. False: it was taken, but who waits is to go on, with b""."""
        self._complete = False
        self._error: HeadworksError | None = None

    @property
    def complete(self) -> bool:
        """Whether the whole answer has arrived."""
        return self._complete

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, or None; `name` in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def read(self, limit: int) -> bytes:
        """The whole body; UpstreamError once it is longer than `limit` bytes, and the connection is closed."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                self.abort()
                raise too_long(self._carrier.place, limit)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """All that has arrived since the last call; waits if that is nothing. Only empty if `through` says so."""
        while not self.pieces:
            if self._error is not None:
                raise self._error
            if self._complete:
                raise StopAsyncIteration
            self.is_set = False
            try:
                await self
            except BaseException:  # cancelled: nobody will read on
                self.abort()
                raise
        return self.take()

    def take(self) -> bytes:
        """What is buffered now, perhaps nothing; a paused connection reads on."""
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        if not self._complete:
            self._carrier.resume_reading()
        return data

    async def arrival(self) -> None:
        """Until the head is there, for a caller who wants it `whole` the end. Cancelled, the connection is closed."""
        try:
            await self
        except BaseException:
            self.abort()
            raise

    def raise_failure(self) -> None:
        """Raise why the exchange ended early, if it did."""
        if self._error is not None:
            raise self._error

    def told(self) -> tuple[int, Headers, bytes]:
        """Status, headers and body of an answer that has arrived whole; raises as `raise_failure`."""
        if self._error is not None:
            raise self._error
        pieces = self.pieces
        return self.status, self.headers, pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def close(self) -> None:
        """End the exchange; in the middle of a body this closes the connection."""
        self.abort()

    def abort(self) -> None:
        """As `close`, without waiting. Somebody else who waits for a piece gets the error."""
        if not self._complete and self._error is None:
            self._error = UpstreamError(f"The answer of {self._carrier.place} was closed before its end.")
            self._carrier.abandon(self)
            self.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def was_resent(self) -> None:
        """It is the answer, or the failure, of a second try."""
        self.headers.append(RESENT)
        if isinstance(self._error, UpstreamError):
            self._error.is_resent = True

    # What the connection tells.

    def set(self) -> None:
        """Something has arrived."""
        through, pieces = self.through, self.pieces
        if through is None or self.resume is None or not pieces:
            super().set()
            return
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)  # as `take`, of a connection that is not paused
        pieces.clear()
        self.buffered = 0
        if not through(piece):
            pieces.append(b"")
            super().set()

    def finish(self) -> None:
        """The last byte was received. Who waits may go on before this returns: the connection is done with it."""
        self._complete = True
        super().set()

    def fail(self, error: HeadworksError) -> None:
        """The exchange can't go on; buffered pieces can still be taken, then the error is raised. As `finish`."""
        if self._error is None:
            self._error = error
        super().set()


def too_long(place: str, limit: int) -> UpstreamError:
    """An answer longer than somebody is willing to keep."""
    return UpstreamError(
        f"{place} sent an answer of more than {limit} bytes.", next_step="Raise the limit or ask for less."
    )
