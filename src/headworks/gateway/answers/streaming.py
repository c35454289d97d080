"""A started answer on its way, relayed in the caller's own format; `translated` has those of other formats."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from headworks.errors import UpstreamError, UpstreamTimeout, UpstreamTruncated
from headworks.formats.contract import Watch
from headworks.formats.neutral import Event
from headworks.gateway.answers.lingering import Grace, linger
from headworks.gateway.answers.opening import NativeStream, Started
from headworks.gateway.answers.translated import told_together
from headworks.gateway.dialects import Dialect
from headworks.gateway.recording import Record
from headworks.gateway.wire.parts import Relayed
from headworks.providers.responses import Response


async def relay(started: Started, stream: NativeStream, record: Record) -> AsyncGenerator[Relayed, None]:
    """The answer's bytes.

    Raises UpstreamTruncated where a stream stops without having ended, UpstreamError before the end of an answer with a
    call of a tool that is not whole. Who has finished and then neither says more nor hangs up is not waited for: the
    stream is ended in his place.
    """
    watch, calls = stream.watch, stream.calls
    pieces = aiter(stream.answer)
    through = _Through(stream, record)
    grace: Grace | None = None
    try:
        events = stream.held
        while not watch.is_terminal:
            if events:
                passed = events if calls is None else calls.passed(events)
                if passed:
                    yield Relayed(passed)
                events = stream.held = b""  # a stream may stay open for long
            if watch.is_finished and grace is None and watch.ending:
                grace = Grace(stream.answer)
            try:
                piece = await anext(pieces)
            except (StopAsyncIteration, UpstreamError) as end:
                events = _rest(end, started, stream, grace)
                break
            events = stream.held + (watch.see(stream.framer.whole(piece)) if piece else b"")  # more came before we woke
            record.heard = watch.heard
        through.end()
        await linger(stream.answer)
        if calls is not None:
            events = calls.passed(events)
            if calls.fault is not None:
                if events:
                    yield Relayed(events)
                raise calls.fault
        if watch.has_failed:
            record.row.error_code = UpstreamError.code
        _settle(watch, record)
        yield Relayed(events, is_last=True)
    finally:
        if grace is not None:
            grace.cancel()
        _settle(watch, record)
        stream.answer.abort()
        through.end()


def _rest(end: Exception, started: Started, stream: NativeStream, grace: Grace | None) -> bytes:
    """What is still to be relayed where a provider says no more. Raises why that is no end."""
    watch = stream.watch
    if isinstance(end, UpstreamError) and not (watch.has_failed or watch.is_finished):
        raise end  # who has said that the answer ends, or has failed, may hang up as it likes
    if isinstance(end, UpstreamTimeout) or (grace is not None and grace.has_passed):
        return b"" if watch.has_failed else watch.ending
    events = watch.see(stream.framer.rest)  # an end without an empty line is still an end
    if not (watch.is_finished or watch.is_terminal or watch.has_failed):
        raise truncated(started) from None
    return events


class _Through:
    """Sends what only goes by to the caller at once: half of what a piece costs is to wake up all who wait for it."""

    __slots__ = ("_record", "_stream")

    def __init__(self, stream: NativeStream, record: Record) -> None:
        self._stream = stream
        self._record = record
        if isinstance(stream.answer, Response):  # those of other clients go the long way
            stream.answer.through = self

    def end(self) -> None:
        """From here on all pieces go the long way. Without it, this and the answer would wait for the collector."""
        if isinstance(self._stream.answer, Response):
            self._stream.answer.through = None

    def __call__(self, piece: bytes) -> bool:
        stream = self._stream
        watch, direct = stream.watch, stream.direct
        events = watch.see(stream.framer.whole(piece))
        if (
            watch.is_finished
            or watch.is_terminal
            or watch.has_failed
            or (stream.calls is not None and stream.calls.are_in(events))
            or time.monotonic() > direct.until
        ):
            stream.held = events
            return False
        self._record.heard = watch.heard
        if not events or (direct.write is not None and direct.write(events)):
            return True
        stream.held = events
        return False


async def told(started: Started, dialect: Dialect, record: Record) -> AsyncGenerator[Event, None]:
    """As `translated.told_together`, event by event."""
    async with aclosing(told_together(started, dialect, record)) as pieces:
        async for piece in pieces:
            for event in piece.events:
                yield event


def _settle(watch: Watch, record: Record) -> None:
    record.heard = watch.heard
    record.settle(watch.usage, is_last=watch.is_finished or watch.is_terminal)


def truncated(started: Started) -> UpstreamTruncated:
    """The error for a stream that ends without an end."""
    return UpstreamTruncated(
        f"The stream of `{started.aim.target.name}` ended without a finish reason: the answer is not whole.",
        next_step="Try again.",
    )
