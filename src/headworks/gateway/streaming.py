"""A started answer on its way to the caller, in the caller's own format: bytes in, the same bytes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import msgspec

from headworks.errors import UpstreamError, UpstreamTruncated
from headworks.formats.sse import data_of, split
from headworks.gateway.attempts import Started
from headworks.gateway.recording import Record
from headworks.gateway.wire.parts import Event, Relayed
from headworks.gateway.wire.sse import is_done, is_error, is_finish, read_chunk, usage_in, without_null_usage
from headworks.providers.contract import Answer

_LINGER_S = 0.25
"""How long a provider may take to end its answer after `[DONE]` before its connection is given up."""


class Tally:
    """What a relayed stream has said so far. `strips`: only we asked for usage, so the caller does not see it."""

    __slots__ = ("_record", "_strips", "has_failed", "is_done", "is_finished")

    def __init__(self, record: Record, *, strips: bool) -> None:
        self._record = record
        self._strips = strips
        self.is_finished = False
        self.is_done = False
        self.has_failed = False

    def see(self, events: bytes) -> bytes:
        """Note what whole events say; gives the bytes for the caller."""
        self._record.heard += events.count(b"data:")
        if b'"usage"' in events or b'"error"' in events:
            events = b"".join(map(self._look, split(events)))
        self.is_finished = self.is_finished or is_finish(events)
        self.is_done = self.is_done or is_done(events)
        return events

    @property
    def has_ended(self) -> bool:
        """Whether the answer came to an end of its own, be it an error."""
        return self.is_finished or self.is_done or self.has_failed

    def _look(self, event: bytes) -> bytes:
        try:
            chunk = read_chunk(data_of(event))
        except msgspec.DecodeError:
            return event
        if is_error(chunk):
            self.has_failed = True
            self._record.row.error_code = UpstreamError.code
        if (usage := usage_in(chunk.usage)) is not None:
            self._record.settle(usage)
            return b"" if self._strips and not chunk.choices else event
        return without_null_usage(event) if self._strips else event


async def relay(started: Started, record: Record, *, strips: bool) -> AsyncGenerator[Event, None]:
    """The answer's bytes. Raises UpstreamTruncated where a stream stops without having ended."""
    stream = started.stream
    assert stream is not None  # noqa: S101 -- what is whole is given at once
    tally = Tally(record, strips=strips)
    pieces = aiter(stream.answer)
    try:
        events = tally.see(stream.held)
        while not tally.is_done:
            if events:
                yield Relayed(events)
            piece = await _next(pieces, tally)
            if piece is None:
                events = tally.see(stream.framer.rest)  # an end without an empty line is still an end
                if not tally.has_ended:
                    raise _truncated(started)
                break
            events = tally.see(stream.framer.whole(piece))
        await _linger(stream.answer)
        yield Relayed(events, is_last=True)
    finally:
        started.abort()


async def _next(pieces: AsyncIterator[bytes], tally: Tally) -> bytes | None:
    """The next piece, None at the end: a provider that has reported an error may hang up as it likes."""
    try:
        return await anext(pieces, None)
    except UpstreamError:
        if tally.has_failed:
            return None
        raise


async def _linger(answer: Answer) -> None:
    """Read to the end, so that the connection can be used again; how it ends is nobody's concern any more."""
    if answer.complete:
        return
    with suppress(UpstreamError, TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            async for _ in answer:
                pass


def _truncated(started: Started) -> UpstreamTruncated:
    return UpstreamTruncated(
        f"The stream of `{started.aim.target.name}` ended without a finish reason: the answer is not whole.",
        next_step="Try again.",
    )
