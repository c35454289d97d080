"""A started answer on its way: relayed in the caller's own format, or told in neutral words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress

from headworks.eager import in_task
from headworks.errors import UpstreamError, UpstreamTimeout, UpstreamTruncated
from headworks.formats import answers, neutral
from headworks.formats.contract import Reader, Watch
from headworks.formats.neutral import Counted, Failed, Grown, Stopped
from headworks.gateway.dialects import Dialect
from headworks.gateway.opening import NativeStream, Started, ToldStream, fed
from headworks.gateway.recording import Record
from headworks.gateway.tool_calls import CallWatch
from headworks.gateway.translation import rejected
from headworks.gateway.wire.parts import Relayed
from headworks.providers.contract import Answer
from headworks.types.models import Usage

_LINGER_S = 0.25
"""How long a provider may take to end its answer after its last event before its connection is given up."""
_GRACE_S = 2.0
"""How long it may take from the end of its answer to the last event: for the count, which comes between them."""


async def relay(started: Started, stream: NativeStream, record: Record) -> AsyncGenerator[Relayed, None]:
    """The answer's bytes. Raises UpstreamTruncated where a stream stops without having ended.

    Who has finished and then neither says more nor hangs up is not waited for: the stream is ended in his place.
    """
    watch = stream.watch
    pieces = aiter(stream.answer)
    grace: _Grace | None = None
    try:
        events = stream.held
        while not watch.is_terminal:
            if events:
                yield Relayed(events)
            if watch.is_finished and grace is None and watch.ending:
                grace = _Grace(stream.answer)
            try:
                piece = await anext(pieces)
            except (StopAsyncIteration, UpstreamError) as end:
                if isinstance(end, UpstreamError) and not (watch.has_failed or watch.is_finished):
                    raise  # who has said that the answer ends, or has failed, may hang up as it likes
                if isinstance(end, UpstreamTimeout) or (grace is not None and grace.has_passed):
                    events = b"" if watch.has_failed else watch.ending
                    break
                events = watch.see(stream.framer.rest)  # an end without an empty line is still an end
                if not (watch.is_finished or watch.is_terminal or watch.has_failed):
                    raise truncated(started) from None
                break
            events = watch.see(stream.framer.whole(piece))
            record.heard = watch.heard
        await _linger(stream.answer)
        if watch.has_failed:
            record.row.error_code = UpstreamError.code
        _settle(watch, record)
        yield Relayed(events, is_last=True)
    finally:
        if grace is not None:
            grace.cancel()
        _settle(watch, record)
        stream.answer.abort()


class _Grace:
    """A timer that closes an answer which is finished and does not end."""

    __slots__ = ("_answer", "_timer", "has_passed")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.has_passed = False
        self._timer = asyncio.get_running_loop().call_later(_GRACE_S, self._pass)

    def cancel(self) -> None:
        """There is nothing to wait for any more."""
        self._timer.cancel()

    def _pass(self) -> None:
        self.has_passed = True
        self._answer.abort()


async def told(started: Started, dialect: Dialect, record: Record) -> AsyncGenerator[neutral.Event, None]:
    """What the answer says. Raises UpstreamTruncated where it has no end, UpstreamRejected for an error inside it."""
    stream = started.told
    if stream is None:
        assert started.answer is not None  # noqa: S101 -- an answer is a stream or whole
        record.settle(started.usage)
        for event in answers.replay(started.answer):
            yield event
        return
    counts, calls = _Counts(record), CallWatch()
    try:
        async for event in _events(started, stream):
            if isinstance(event, Failed):
                raise rejected(dialect, event, UpstreamError.status, started.shown_headers())
            calls.note(event)
            counts.note(event)
            yield event
    finally:
        stream.answer.abort()


async def _events(started: Started, stream: ToldStream) -> AsyncIterator[neutral.Event]:
    """The reader's events, to the one that ends the answer: what follows it is nobody's concern any more."""
    for event in stream.held:
        yield event
        if isinstance(event, Stopped):
            return
    if stream.error is not None:
        raise stream.error
    async for event in _read_on(started, stream):
        yield event
        if isinstance(event, Stopped):
            await _linger(stream.answer)
            return


async def _read_on(started: Started, stream: ToldStream) -> AsyncIterator[neutral.Event]:
    if stream.is_over:
        return
    try:
        async for piece in stream.answer:
            for event in fed(started.aim, started.headers, stream.reader, piece):
                yield event
    except UpstreamError as error:
        for event in _end_in_spite(stream.reader, error):
            yield event
    else:
        for event in stream.reader.end():
            yield event


def _end_in_spite(reader: Reader, error: UpstreamError) -> Sequence[neutral.Event]:
    """The last events of an answer that was whole when its stream failed; raises the error if it was not."""
    try:
        return reader.end()
    except UpstreamError:
        raise error from None


class _Counts:
    """What is counted on the way. A count holds for all of the answer once its end is told."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._usage: Usage | None = None

    def note(self, event: neutral.Event) -> None:
        """An event that goes on."""
        record = self._record
        if isinstance(event, Grown):
            record.heard += 1
        elif isinstance(event, Counted):
            self._usage = event.usage if self._usage is None else answers.merged(self._usage, event.usage)
            record.settle(self._usage, is_last=False)
        elif isinstance(event, Stopped):
            record.settle(self._usage)


def _settle(watch: Watch, record: Record) -> None:
    record.heard = watch.heard
    record.settle(watch.usage, is_last=watch.is_finished or watch.is_terminal)


async def _linger(answer: Answer) -> None:
    """Read to the end, so that the connection can be used again; how it ends is nobody's concern any more."""
    if answer.complete:
        return
    await in_task()
    with suppress(UpstreamError, TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            async for _ in answer:
                pass


def truncated(started: Started) -> UpstreamTruncated:
    """The error for a stream that ends without an end."""
    return UpstreamTruncated(
        f"The stream of `{started.aim.target.name}` ended without a finish reason: the answer is not whole.",
        next_step="Try again.",
    )
