"""A provider's stream in Messages as neutral events."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from headworks.errors import InvalidRequest, UpstreamError, UpstreamTruncated
from headworks.formats import sse
from headworks.formats.messages.answers import read_start, unreadable
from headworks.formats.messages.blocks import read_block
from headworks.formats.messages.citations import read_citation
from headworks.formats.messages.errors import read_error
from headworks.formats.messages.objects import Members, is_null, text
from headworks.formats.messages.stops import read_stop
from headworks.formats.messages.usage import UsageObject, read_usage
from headworks.formats.neutral import (
    Aside,
    Block,
    Cited,
    Closed,
    Counted,
    Event,
    Grown,
    OpaqueBlock,
    Opened,
    Signed,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.unmapped import Reading, note, note_bag

BESIDE = "~+"
"""Before the name of a member that stood beside the `delta` of a `message_delta`."""


class _TextDelta(msgspec.Struct, tag="text_delta", tag_field="type", gc=False):
    text: str


class _InputDelta(msgspec.Struct, tag="input_json_delta", tag_field="type", gc=False):
    partial_json: str


class _ThinkingDelta(msgspec.Struct, tag="thinking_delta", tag_field="type", gc=False):
    thinking: str


class _SignatureDelta(msgspec.Struct, tag="signature_delta", tag_field="type", gc=False):
    signature: str


class _CitationDelta(msgspec.Struct, tag="citations_delta", tag_field="type", gc=False):
    citation: msgspec.Raw


_Delta = _TextDelta | _InputDelta | _ThinkingDelta | _SignatureDelta | _CitationDelta


class _Start(msgspec.Struct, tag="message_start", tag_field="type", gc=False):
    message: msgspec.Raw


class _BlockStart(msgspec.Struct, tag="content_block_start", tag_field="type", gc=False):
    index: int
    content_block: msgspec.Raw


class _BlockDelta(msgspec.Struct, tag="content_block_delta", tag_field="type", gc=False):
    index: int
    delta: _Delta


class _BlockStop(msgspec.Struct, tag="content_block_stop", tag_field="type", gc=False):
    index: int


class _Stop(msgspec.Struct, tag="message_stop", tag_field="type", gc=False):
    pass


class _Kind(msgspec.Struct, gc=False):
    type: str


_Known = _Start | _BlockStart | _BlockDelta | _BlockStop | _Stop
_reading: Reading[_Known] = Reading("messages", _Known)
_event: Callable[[bytes], _Known] = _reading.exact
_kind = msgspec.json.Decoder(_Kind).decode
_USUAL = frozenset(
    ("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_stop")
)


class MessagesReader:
    """See contract.Reader."""

    __slots__ = ("_counts", "_framer", "_has_ended", "_input", "_open")

    def __init__(self) -> None:
        self._framer = sse.Framer()
        self._open: dict[int, Block] = {}
        self._input: dict[int, list[str]] = {}
        self._counts = UsageObject()
        self._has_ended = False

    def feed(self, data: bytes) -> Sequence[Event]:
        """See contract.Reader."""
        events: list[Event] = []
        self.feed_into(data, events)
        return events

    def feed_into(self, data: bytes, events: list[Event]) -> None:
        """As `feed`, into a list that keeps what comes before something that can't be read."""
        try:
            for said in sse.payloads(self._framer.whole(data)):
                self._take(said, events)
        except (InvalidRequest, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None

    def end(self) -> Sequence[Event]:
        """See contract.Reader."""
        if not self._has_ended:
            raise UpstreamTruncated(
                "The provider's stream ended before the answer did.", next_step="What came is not the whole; ask again."
            )
        return ()

    @property
    def lacks_only_its_count(self) -> bool:
        """See contract.Reader: the count is in the event that ends it."""
        return False

    def _take(self, data: bytes, events: list[Event]) -> None:
        try:
            event = _event(data)
        except msgspec.ValidationError:
            known = self._read_other(data, events)
            if known is None:
                return
            event = known
        if not isinstance(event, _BlockDelta):
            events.extend(self._read(event))
        elif isinstance(event.delta, _TextDelta) and type(self._open.get(event.index)) is TextBlock:
            events.append(Grown(event.index, event.delta.text))  # as most are
        else:
            events.extend(self._delta(event.index, event.delta))

    def _read(self, event: _Start | _BlockStart | _BlockStop | _Stop) -> Sequence[Event]:
        match event:
            case _BlockStart():
                return self._opened(event.index, event.content_block)
            case _BlockStop():
                return self._closed(event.index)
            case _Start():
                return self._started(event.message)
            case _:
                return ()

    def _read_other(self, data: bytes, events: list[Event]) -> _Known | None:
        """What is no event of the usual ones, or, given back, one of them that says more than it usually does."""
        kind = _kind(data).type
        if kind == "message_delta":
            events.extend(self._ended(Members(data)))
        elif kind == "error":
            failed = read_error(None, data)
            if failed is None:
                raise UpstreamError("The provider's stream holds an error that can't be read.")
            self._has_ended = True
            events.append(failed)
        elif kind in _USUAL:
            return _carefully(kind, data)
        else:
            if kind != "ping":
                note("messages", kind)
            events.append(Aside("messages", kind, msgspec.Raw(data)))
        return None

    def _started(self, raw: msgspec.Raw) -> Sequence[Event]:
        members = Members(raw, "message")
        started = read_start(members)
        counts = members.rest.pop("usage", None)
        for name in ("type", "content", "stop_reason", "stop_sequence"):
            members.rest.pop(name, None)
        started.ext = members.rest
        note_bag("messages", started.ext)
        return (started, *self._counted(counts, is_first=True))

    def _counted(self, raw: msgspec.Raw | None, *, is_first: bool = False) -> Sequence[Event]:
        if raw is None or is_null(raw):
            return ()
        counts, ext = read_usage(raw)
        note_bag("messages", ext, "usage")
        self._counts = self._counts.merged(counts)
        # The first count is made before there is any output.
        return (Counted(msgspec.structs.replace(self._counts.as_usage(), is_estimated=is_first), ext),)

    def _opened(self, index: int, raw: msgspec.Raw) -> Sequence[Event]:
        if index in self._open:
            raise UpstreamError(f"The provider's stream opens the block {index} twice.", next_step="Try again.")
        block = read_block(raw, f"content[{index}]")
        if isinstance(block, ToolCallBlock) and block.arguments.strip() == b"{}":
            block.arguments = b""
        if isinstance(block, ThinkingBlock) and block.redacted is None and not block.signature:
            block.signature, block.origin = None, "messages"
        self._open[index] = block
        self._input[index] = []
        if ext := getattr(block, "ext", None):
            note_bag("messages", ext, "content")
        return () if isinstance(block, OpaqueBlock) else (Opened(index, block),)

    def _delta(self, index: int, delta: _Delta) -> Sequence[Event]:
        block = self._open.get(index)
        match delta, block:
            case _TextDelta(), TextBlock():
                return (Grown(index, delta.text),)
            case _InputDelta(), ToolCallBlock():
                self._input[index].append(delta.partial_json)
                return (Grown(index, delta.partial_json),) if delta.partial_json else ()
            case _InputDelta(), OpaqueBlock():
                self._input[index].append(delta.partial_json)
                return ()
            case _ThinkingDelta(), ThinkingBlock():
                return (Grown(index, delta.thinking),)
            case _SignatureDelta(), ThinkingBlock():
                return (Signed(index, delta.signature),)
            case _CitationDelta(), TextBlock():
                return (Cited(index, read_citation(delta.citation, "citation")),)
        raise UpstreamError(f"The provider's stream adds to the block {index} what does not belong there.")

    def _closed(self, index: int) -> Sequence[Event]:
        block = self._open.get(index)
        if block is None or index not in self._input:
            raise UpstreamError(f"The provider's stream closes the block {index}, which is not open.")
        given = "".join(self._input.pop(index))
        if isinstance(block, OpaqueBlock):
            return (Opened(index, _with_input(block, given)), Closed(index))
        if isinstance(block, ToolCallBlock) and not block.arguments and not given:
            return (Grown(index, "{}"), Closed(index))
        return (Closed(index),)

    def _ended(self, members: Members) -> Sequence[Event]:
        counted = self._counted(members.rest.pop("usage", None))
        delta = Members(members.rest.pop("delta", msgspec.Raw(b"{}")), "delta")
        word = delta.take("stop_reason", text)
        if word is None:
            return counted
        sequence = delta.take("stop_sequence", text)
        for name in ("stop_sequence", "type"):
            delta.rest.pop(name, None)
            members.rest.pop(name, None)
        self._has_ended = True
        note_bag("messages", delta.rest)
        note_bag("messages", members.rest, "message_delta")
        beside = {BESIDE + name: raw for name, raw in members.rest.items()}
        return (*counted, read_stop(word, sequence, {**delta.rest, **beside}))


def _carefully(kind: str, data: bytes) -> _Known:
    try:
        return _reading.carefully(data)
    except msgspec.ValidationError:
        raise UpstreamError(
            f"The provider's stream holds a `{kind}` that can't be read.", next_step="Try again."
        ) from None


def _with_input(block: OpaqueBlock, given: str) -> OpaqueBlock:
    """A block that only Messages has, with the input that came after its opening."""
    if not given:
        return block
    msgspec.json.decode(given)
    members = Members(block.raw).rest
    members["input"] = msgspec.Raw(given.encode())
    return OpaqueBlock(block.origin, block.kind, msgspec.Raw(msgspec.json.encode(members)))
