"""A whole answer, and a stream of frames, as neutral events.

A stream is messageStart, blocks, messageStop, and metadata with the usage behind it; the end is told after the usage.
Texts and thoughts begin with their first delta, calls of tools with a start of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import msgspec

from headworks.errors import UpstreamError, UpstreamTruncated
from headworks.formats.converse import blocks, held
from headworks.formats.converse.answers import (
    NULL,
    UNREADABLE,
    ServedIn,
    read_exception,
    rest_of,
    stopped_by,
    unreadable,
    usage_of,
)
from headworks.formats.event_stream import Decoder, Frame
from headworks.formats.neutral import (
    Answer,
    Aside,
    Block,
    Cited,
    Closed,
    Counted,
    Event,
    Ext,
    Grown,
    Opened,
    Signed,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.unmapped import Reading, note
from headworks.types.models import Usage


class _Message(msgspec.Struct):
    content: list[msgspec.Raw]
    role: str = ""


class _Output(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct, rename="camel"):
    """The last three tell Bedrock's own clients how it went."""

    output: _Output
    stop_reason: str
    usage: msgspec.Raw = NULL
    additional_model_response_fields: msgspec.Raw = NULL
    service_tier: ServedIn | None = None
    metrics: msgspec.Raw = NULL
    performance_config: msgspec.Raw = NULL
    trace: msgspec.Raw = NULL


class _Input(msgspec.Struct, gc=False):
    input: str = ""


class _Thought(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    tool_use: _Input | None = None
    reasoning_content: _Thought | None = None
    citation: msgspec.Raw = NULL
    # What is held until its block is whole.
    image: msgspec.Raw = NULL
    tool_result: msgspec.Raw = NULL


class _BlockDelta(msgspec.Struct, rename="camel", gc=False):
    """`p`, here and below, is padding."""

    delta: _Delta
    content_block_index: int
    p: msgspec.Raw = NULL


class _RawDelta(msgspec.Struct, rename="camel", gc=False):
    delta: dict[str, msgspec.Raw]


class _BlockStart(msgspec.Struct, rename="camel", gc=False):
    start: dict[str, msgspec.Raw]
    content_block_index: int
    p: msgspec.Raw = NULL


class _BlockStop(msgspec.Struct, rename="camel", gc=False):
    content_block_index: int


class _Called(msgspec.Struct, rename="camel", gc=False):
    tool_use_id: str
    name: str
    type: str | None = None


class _MessageStop(msgspec.Struct, rename="camel", gc=False):
    stop_reason: str
    additional_model_response_fields: msgspec.Raw = NULL
    p: msgspec.Raw = NULL


class _Metadata(msgspec.Struct, rename="camel", gc=False):
    usage: msgspec.Raw = NULL
    service_tier: ServedIn | None = None
    metrics: msgspec.Raw = NULL
    performance_config: msgspec.Raw = NULL
    trace: msgspec.Raw = NULL
    p: msgspec.Raw = NULL


_answer: Reading[_Answer] = Reading("converse", _Answer)
_block_start: Reading[_BlockStart] = Reading("converse", _BlockStart, "contentBlockStart")
_block_delta: Reading[_BlockDelta] = Reading("converse", _BlockDelta, "contentBlockDelta")
_raw_delta = msgspec.json.Decoder(_RawDelta).decode
_block_stop = msgspec.json.Decoder(_BlockStop).decode
_message_stop: Reading[_MessageStop] = Reading("converse", _MessageStop, "messageStop")
_metadata: Reading[_Metadata] = Reading("converse", _Metadata, "metadata")
_called = msgspec.json.Decoder(_Called).decode
_ANSWERED = ("output", "stopReason", "usage", "additionalModelResponseFields")


def read_answer(body: bytes) -> Answer:
    """See contract.Spoken."""
    try:
        found = _answer(body)
        content = [blocks.read_block(each) for each in found.output.message.content]
        usage, ext = _counted(found.usage, found.service_tier)
        ext |= rest_of(body, _ANSWERED)
    except UNREADABLE as error:
        raise unreadable("answer", error) from None
    stopped = stopped_by(found.stop_reason, found.additional_model_response_fields)
    return Answer(Started(origin="converse"), content, stopped, usage, ext)


def _counted(raw: msgspec.Raw, tier: ServedIn | None) -> tuple[Usage, Ext]:
    """An answer that nobody has counted is one all the same."""
    return (Usage(), {}) if bytes(raw) == b"null" else usage_of(raw, tier)


class _BeforeError(list[Event]):
    """Events that stand before bytes that can't be read: who goes through them comes to the error."""

    def __init__(self, events: list[Event], error: UpstreamError) -> None:
        super().__init__(events)
        self._error = error

    def __iter__(self) -> Iterator[Event]:
        yield from super().__iter__()
        raise self._error


class Reader:
    """See contract.Reader."""

    __slots__ = ("_broken", "_decoder", "_given", "_has_ended", "_held", "_open", "_stopped")

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._open: dict[int, type[Block]] = {}
        self._given: set[int] = set()
        """Calls that some of the input has come of."""
        self._held: dict[int, held.Held] = {}
        self._stopped: Stopped | None = None
        self._has_ended = False
        self._broken: UpstreamError | None = None

    def feed(self, data: bytes) -> list[Event]:
        """See contract.Reader. What stands before bytes that can't be read is given, and the error comes after it."""
        if self._broken is not None:
            raise self._broken
        events: list[Event] = []
        try:
            for frame in self._decoder.frames(data):
                events.extend(self._read(frame))
        except UpstreamError as error:
            self._broken = error
            if not events:
                raise
            return _BeforeError(events, error)
        return events

    def end(self) -> list[Event]:
        """See contract.Reader. The usage may be missing."""
        if self._has_ended:
            return []
        if self._broken is not None:
            raise self._broken
        if self._stopped is None or not self._decoder.is_between_frames:
            raise UpstreamTruncated(
                "The provider's stream ended without a stop reason, so the answer is not whole.",
                next_step="Ask again.",
            )
        self._has_ended = True
        return [self._stopped]

    @property
    def lacks_only_its_count(self) -> bool:
        """See contract.Reader."""
        return self._stopped is not None and not self._has_ended

    @property
    def is_between_frames(self) -> bool:
        """Whether all that was fed are whole frames that can be read."""
        return self._broken is None and self._decoder.is_between_frames

    def _read(self, frame: Frame) -> Iterator[Event]:
        headers = frame.headers
        kind = headers.get(":message-type")
        if kind == "exception":
            self._has_ended = True
            yield read_exception(str(headers.get(":exception-type", "")), frame.payload)
            return
        if kind == "error":
            self._has_ended = True
            failed = read_exception(str(headers.get(":error-code", "")), b"")
            failed.message = str(headers.get(":error-message", ""))
            yield failed
            return
        try:
            yield from self._event(str(headers.get(":event-type", "")), frame.payload)
        except UNREADABLE as error:
            raise unreadable("stream", error) from None

    def _event(self, kind: str, payload: bytes) -> Iterator[Event]:
        match kind:
            case "contentBlockDelta":
                yield from self._delta(payload)
            case "contentBlockStart":
                yield from self._start(payload)
            case "contentBlockStop":
                yield from self._close(_block_stop(payload).content_block_index)
            case "messageStart":
                yield Started(origin="converse")
            case "messageStop":
                yield from self._stop(payload)
            case "metadata":
                told = _metadata(payload)
                usage, ext = _counted(told.usage, told.service_tier)
                yield Counted(usage, ext | rest_of(payload, ("usage",)))
                if self._stopped is not None and not self._has_ended:
                    self._has_ended = True
                    yield self._stopped
            case _:
                note("converse", kind)
                yield Aside("converse", kind, msgspec.Raw(payload))

    def _start(self, payload: bytes) -> Iterator[Event]:
        found = _block_start(payload)
        index = found.content_block_index
        if index in self._open or index in self._held:
            self._refuse(f"the block {index} begins twice")
        kind, inside = next(iter(found.start.items()), ("", None))
        if kind == "toolUse" and inside is not None and (call := _called(inside)).type != blocks.OWN_CALL:
            yield self._opened(index, ToolCallBlock(call.tool_use_id, call.name, b""))
        elif kind == "image" and inside is not None:
            self._held[index] = held.HeldPicture(inside)
        else:
            self._held[index] = held.HeldOpaque(kind, inside)

    def _delta(self, payload: bytes) -> Iterator[Event]:
        found = _block_delta(payload)
        delta, index = found.delta, found.content_block_index
        if index in self._held:
            self._hold(index, payload)
        elif delta.text is not None:
            yield from self._ensure(index, TextBlock)
            if delta.text:
                yield Grown(index, delta.text)
        elif delta.tool_use is not None and self._open.get(index) is ToolCallBlock:
            if delta.tool_use.input:
                self._given.add(index)
                yield Grown(index, delta.tool_use.input)
        elif delta.citation is not NULL:
            yield from self._ensure(index, TextBlock)
            yield Cited(index, blocks.read_citation(delta.citation))
        elif (thought := delta.reasoning_content) is not None and thought.redacted_content is None:
            yield from self._ensure(index, ThinkingBlock)
            if thought.text:
                yield Grown(index, thought.text)
            if thought.signature is not None:
                yield Signed(index, thought.signature)
        elif index in self._open:
            self._refuse(f"a delta does not belong to the block {index}")
        else:
            is_thought = delta.reasoning_content is not None
            self._held[index] = held.HeldThought() if is_thought else held.HeldOpaque("", None)
            self._hold(index, payload)

    def _hold(self, index: int, payload: bytes) -> None:
        for kind, inside in _raw_delta(payload).delta.items():
            self._held[index].add(kind, inside)

    def _ensure(self, index: int, kind: type[TextBlock | ThinkingBlock]) -> Iterator[Event]:
        known = self._open.get(index)
        if known is None:
            yield self._opened(index, TextBlock("") if kind is TextBlock else ThinkingBlock(origin="converse"))
        elif known is not kind:
            self._refuse(f"a delta does not belong to the block {index}")

    def _opened(self, index: int, block: Block) -> Opened:
        self._open[index] = type(block)
        return Opened(index, block)

    def _close(self, index: int) -> Iterator[Event]:
        kept = self._held.pop(index, None)
        if kept is not None:
            yield Opened(index, kept.block())
            yield Closed(index)
        elif (kind := self._open.pop(index, None)) is not None:
            if kind is ToolCallBlock and index not in self._given:
                yield Grown(index, "{}")  # no input is how the format writes an empty one
            yield Closed(index)

    def _stop(self, payload: bytes) -> Iterator[Event]:
        for index in sorted({*self._open, *self._held}):
            yield from self._close(index)
        found = _message_stop(payload)
        self._stopped = stopped_by(found.stop_reason, found.additional_model_response_fields)

    def _refuse(self, why: str) -> NoReturn:
        raise unreadable("stream", why)
