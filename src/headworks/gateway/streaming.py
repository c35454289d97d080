"""A started answer on its way: relayed in the caller's own format, or told in neutral words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from headworks.errors import UpstreamError, UpstreamTruncated
from headworks.formats import answers, neutral
from headworks.formats.neutral import Counted, Failed, Grown, Stopped
from headworks.gateway.attempts import NativeStream, Started, ToldStream
from headworks.gateway.dialects import Dialect
from headworks.gateway.recording import Record
from headworks.gateway.translation import rejected
from headworks.gateway.wire.parts import Relayed
from headworks.providers.contract import Answer

_LINGER_S = 0.25
"""How long a provider may take to end its answer after its last event before its connection is given up."""


async def relay(started: Started, stream: NativeStream, record: Record) -> AsyncGenerator[Relayed, None]:
    """The answer's bytes. Raises UpstreamTruncated where a stream stops without having ended."""
    watch = stream.watch
    pieces = aiter(stream.answer)
    try:
        events = stream.held
        while not watch.is_terminal:
            if events:
                yield Relayed(events)
            piece = await _next(pieces, stream)
            if piece is None:
                events = watch.see(stream.framer.rest)  # an end without an empty line is still an end
                if not (watch.is_finished or watch.is_terminal or watch.has_failed):
                    raise truncated(started)
                break
            events = watch.see(stream.framer.whole(piece))
            record.heard = watch.heard
        await _linger(stream.answer)
        if watch.has_failed:
            record.row.error_code = UpstreamError.code
        record.settle(watch.usage)
        yield Relayed(events, is_last=True)
    finally:
        record.heard = watch.heard
        record.settle(watch.usage)
        stream.answer.abort()


async def told(started: Started, dialect: Dialect, record: Record) -> AsyncGenerator[neutral.Event, None]:
    """What the answer says. Raises UpstreamTruncated where it has no end, UpstreamRejected for an error inside it."""
    stream = started.told
    if stream is None:
        assert started.answer is not None  # noqa: S101 -- an answer is a stream or whole
        for event in answers.replay(started.answer):
            _note(event, started, dialect, record)
            yield event
        return
    try:
        async for event in _events(stream):
            _note(event, started, dialect, record)
            yield event
    finally:
        stream.answer.abort()


async def _events(stream: ToldStream) -> AsyncIterator[neutral.Event]:
    has_stopped = False
    for event in stream.held:
        has_stopped = has_stopped or isinstance(event, Stopped)
        yield event
    if stream.is_over:
        return
    try:
        async for piece in stream.answer:
            for event in stream.reader.feed(piece):
                has_stopped = has_stopped or isinstance(event, Stopped)
                yield event
    except UpstreamError:
        if not has_stopped:
            raise
    for event in stream.reader.end():
        yield event


def _note(event: neutral.Event, started: Started, dialect: Dialect, record: Record) -> None:
    if isinstance(event, Grown):
        record.heard += 1
    elif isinstance(event, Counted):
        record.settle(event.usage)
    elif isinstance(event, Failed):
        raise rejected(dialect, event, UpstreamError.status, started.shown_headers())


async def _next(pieces: AsyncIterator[bytes], stream: NativeStream) -> bytes | None:
    """The next piece, None at the end: a provider that has reported an error may hang up as it likes."""
    try:
        return await anext(pieces, None)
    except UpstreamError:
        if stream.watch.has_failed:
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


def truncated(started: Started) -> UpstreamTruncated:
    """The error for a stream that ends without an end."""
    return UpstreamTruncated(
        f"The stream of `{started.aim.target.name}` ended without a finish reason: the answer is not whole.",
        next_step="Try again.",
    )
