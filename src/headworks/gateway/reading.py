"""A started answer read for its text: what a feature's answer, and a call from inside, are made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from headworks.errors import UpstreamRejected, UpstreamTruncated
from headworks.formats.sse import data_of, split
from headworks.gateway.attempts import OpenStream, Started
from headworks.gateway.recording import Record
from headworks.gateway.wire.parts import Finished, Text
from headworks.gateway.wire.sse import usage_in
from headworks.types.models import Usage


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_read = msgspec.json.Decoder(_Answer).decode
_NO_USAGE = Usage()


async def read(started: Started, record: Record) -> AsyncGenerator[Text | Finished, None]:
    """Text as it comes, then the end as the provider gave it. Raises UpstreamTruncated where there is none."""
    try:
        usage, reason = _NO_USAGE, None
        async for part in _parts(started):
            if (counted := usage_in(part.usage)) is not None:
                usage = counted
                record.settle(usage)
            for choice in part.choices or ():
                said = choice.delta or choice.message
                text = (said.content or said.refusal) if said else None
                if text:
                    record.heard += 1
                    yield Text(text)
                reason = choice.finish_reason or reason
        if reason is None:
            raise UpstreamTruncated(
                f"The answer of `{started.aim.target.name}` ended without a finish reason: it is not the whole answer.",
                next_step="Try again.",
            )
        yield Finished(reason, usage)
    finally:
        started.abort()


async def _parts(started: Started) -> AsyncIterator[_Answer]:
    if started.stream is None:
        yield _parsed(started, started.body)
        return
    async for events in _whole_events(started.stream):
        for event in split(events):
            data = data_of(event)
            if data == b"[DONE]":
                return
            if data:
                yield _parsed(started, data)


async def _whole_events(stream: OpenStream) -> AsyncIterator[bytes]:
    yield stream.held
    async for piece in stream.answer:
        yield stream.framer.whole(piece)
    if rest := stream.framer.rest:
        yield rest + b"\n\n"


def _parsed(started: Started, data: bytes) -> _Answer:
    try:
        part = _read(data)
    except msgspec.DecodeError as error:
        raise UpstreamTruncated(
            f"`{started.aim.target.name}` sent a part of an answer that can't be read: {error}.",
            code="upstream_not_an_answer",
        ) from None
    if bytes(part.error) not in {b"", b"null"}:
        raise UpstreamRejected(502, data, {})
    return part
