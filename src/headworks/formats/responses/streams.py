"""A provider's stream of Responses, read as neutral events.

Deltas are passed on as they come; what an item says when it is done fills in whatever no delta has told. Events of
tools that the provider runs are asides: such an item is told whole, when it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from headworks.errors import UpstreamTruncated
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
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.responses.citations import read_annotation
from headworks.formats.responses.endings import Details, ErrorObject, failed_of, stop_reason
from headworks.formats.responses.items import read_blocks
from headworks.formats.responses.members import UNREADABLE, Misread, is_null, members_of
from headworks.formats.responses.usage import read_usage, usage_shape
from headworks.formats.sse import Framer, data_of, split
from headworks.formats.unmapped import note, note_bag


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    output_index: int = 0
    content_index: int = -1
    summary_index: int = 0
    delta: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()
    part: msgspec.Raw = msgspec.Raw()
    annotation: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    message: str | None = None
    code: str | None = None
    param: str | None = None


class _Response(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""
    created_at: float | None = None
    status: str | None = None
    incomplete_details: Details | None = None
    error: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    service_tier: msgspec.Raw = msgspec.Raw()
    output: list[msgspec.Raw] | None = None


class _Item(msgspec.Struct, gc=False):
    type: str = ""
    id: str | None = None
    call_id: str = ""
    name: str = ""


class _Part(msgspec.Struct, gc=False):
    type: str = ""


_event = msgspec.json.Decoder(_Event).decode
_response = msgspec.json.Decoder(_Response).decode
_item = msgspec.json.Decoder(_Item).decode
_part = msgspec.json.Decoder(_Part).decode
_WORDS = frozenset((*_Response.__struct_fields__, "object"))
_text = msgspec.json.Decoder(str).decode

_WHOLE = -1
"""In place of the index of a part: the item is one block."""
_SILENT = frozenset(
    {
        "response.queued",
        "response.content_part.done",
        "response.custom_tool_call_input.done",
        "response.function_call_arguments.done",
        "response.output_text.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.done",
        "response.reasoning_text.done",
        "response.refusal.done",
    }
)
"""Events that say nothing which the end of their item does not say."""
_OF_TOOLS = ("_call", "list_tools", "compaction")
"""In the types of events about items that are told whole when they are done."""


class _Open(msgspec.Struct):
    """A block that was opened, or whose place is kept: what has been told of it, in characters."""

    index: int
    told: int = 0
    parts: list[int] = []
    cited: int = 0
    is_known: bool = True
    is_closed: bool = False


class ResponsesReader:
    """One stream. See `formats.contract.Reader`."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._open: dict[tuple[int, int], _Open] = {}
        self._events: list[Event] = []
        self._has_started = False
        self._has_ended = False
        self._calls_tools = False
        self._takers: dict[str, Callable[[_Event], None]] = {
            "response.created": self._start,
            "response.in_progress": self._start,
            "response.output_item.added": self._add_item,
            "response.content_part.added": self._add_part,
            "response.output_text.delta": self._grow_text,
            "response.refusal.delta": self._grow_refusal,
            "response.output_text.annotation.added": self._cite,
            "response.function_call_arguments.delta": self._grow_whole,
            "response.custom_tool_call_input.delta": self._grow_whole,
            "response.reasoning_text.delta": self._grow_whole,
            "response.reasoning_summary_text.delta": self._grow_summary,
            "response.output_item.done": self._finish_item,
            "response.completed": self._finish,
            "response.incomplete": self._finish,
            "response.failed": self._fail,
            "error": self._report,
        }

    def feed(self, data: bytes) -> Sequence[Event]:
        """The events that are complete now. Raises UpstreamError for what is no event of the format."""
        whole = self._framer.whole(data)
        if not whole:
            return ()
        self._events = []
        for event in split(whole):
            text = data_of(event)
            if text and text != b"[DONE]" and not self._has_ended:
                self._take(text)
        return self._events

    def end(self) -> Sequence[Event]:
        """The connection has ended in order. Raises UpstreamTruncated if the answer has not."""
        if not self._has_ended:
            raise UpstreamTruncated("The provider's stream ended before `response.completed`.")
        return ()

    @property
    def lacks_only_its_count(self) -> bool:
        """See contract.Reader: the count is in the event that ends it."""
        return False

    def _take(self, text: bytes) -> None:
        try:
            event = _event(text)
            taker = self._takers.get(event.type)
            if taker is not None:
                taker(event)
            elif event.type not in _SILENT:
                if not any(word in event.type for word in _OF_TOOLS):
                    note("responses", event.type)
                self._events.append(Aside("responses", event.type, msgspec.Raw(text)))
        except UNREADABLE as error:
            raise Misread.of(error).as_answer() from None
        except Misread as error:
            raise error.as_answer() from None

    def _start(self, event: _Event) -> None:
        if not self._has_started:
            said = _response(event.response)
            self._has_started = True
            created = None if said.created_at is None else int(said.created_at)
            self._events.append(Started(said.id, said.model, created))

    def _add_item(self, event: _Event) -> None:
        said = _item(event.item)
        key = event.output_index, _WHOLE
        if said.type == "message" or key in self._open:
            return
        block: Block | None = None
        if said.type == "reasoning":
            block = ThinkingBlock(id=said.id, origin="responses")
        elif said.type in {"function_call", "custom_tool_call"}:
            block = ToolCallBlock(said.call_id, said.name, b"", is_custom=said.type == "custom_tool_call")
        self._place(key, block)

    def _place(self, key: tuple[int, int], block: Block | None) -> _Open:
        """Begins a block, or keeps its place in the order of the answer."""
        place = self._open[key] = _Open(len(self._open), is_known=block is not None)
        if block is not None:
            self._calls_tools = self._calls_tools or isinstance(block, ToolCallBlock)
            self._events.append(Opened(place.index, block))
        return place

    def _add_part(self, event: _Event) -> None:
        kind = _part(event.part).type
        key = event.output_index, event.content_index
        if kind in {"output_text", "refusal"} and key not in self._open:
            self._place(key, TextBlock("", is_refusal=kind == "refusal"))

    def _grow_text(self, event: _Event) -> None:
        key = event.output_index, event.content_index
        self._grow(self._open.get(key) or self._place(key, TextBlock("")), _text(event.delta))

    def _grow_refusal(self, event: _Event) -> None:
        key = event.output_index, event.content_index
        self._grow(self._open.get(key) or self._place(key, TextBlock("", is_refusal=True)), _text(event.delta))

    def _grow_whole(self, event: _Event) -> None:
        place = self._open.get((event.output_index, _WHOLE))
        if place is not None and place.is_known:
            self._grow(place, _text(event.delta))

    def _grow(self, place: _Open, text: str) -> None:
        if text and not place.is_closed:
            place.told += len(text)
            self._events.append(Grown(place.index, text))

    def _grow_summary(self, event: _Event) -> None:
        place = self._open.get((event.output_index, _WHOLE))
        if place is not None and place.is_known:
            # A part that was passed over would leave a gap that grows with the number that the provider writes.
            part = min(event.summary_index, len(place.parts))
            self._grow_part(place, max(part, 0), _text(event.delta))

    def _grow_part(self, place: _Open, part: int, text: str) -> None:
        if place.is_closed:
            return
        if part == len(place.parts):
            place.parts = [*place.parts, 0]
        place.parts[part] += len(text)
        self._events.append(Grown(place.index, text, part))

    def _cite(self, event: _Event) -> None:
        place = self._open.get((event.output_index, event.content_index))
        if place is not None and not is_null(event.annotation) and not place.is_closed:
            place.cited += 1
            self._events.append(Cited(place.index, read_annotation(event.annotation)))

    def _finish_item(self, event: _Event) -> None:
        self._complete(event.output_index, event.item)

    def _complete(self, at: int, raw: msgspec.Raw) -> None:
        """Tells what no delta has told of an item, and ends its blocks."""
        blocks = read_blocks([raw], ".item")
        for each in blocks:
            note_bag("responses", getattr(each, "ext", {}), "content")
        is_message = _item(raw).type == "message"
        for number, block in enumerate(blocks):
            key = at, number if is_message and not isinstance(block, OpaqueBlock) else _WHOLE
            place = self._open.get(key)
            if place is None or not place.is_known:
                place = self._begin(key, block, place)
            if not place.is_closed:
                self._tell_rest(place, block)
                self._close(place)

    def _begin(self, key: tuple[int, int], block: Block, kept: _Open | None) -> _Open:
        """A block that nothing was told of until its item was done."""
        match block:
            case TextBlock():
                opened: Block = TextBlock("", is_refusal=block.is_refusal)
            case ThinkingBlock():
                opened = ThinkingBlock(id=block.id, origin=block.origin)
            case ToolCallBlock():
                opened = ToolCallBlock(block.id, block.name, b"", block.is_custom)
            case _:
                opened = block
        if kept is None:
            return self._place(key, opened)
        kept.is_known = True
        self._events.append(Opened(kept.index, opened))
        return kept

    def _tell_rest(self, place: _Open, block: Block) -> None:
        match block:
            case TextBlock():
                self._grow(place, block.text[place.told :])
                self._events += [Cited(place.index, each) for each in block.citations[place.cited :]]
            case ToolCallBlock():
                self._grow(place, block.arguments.decode()[place.told :])
            case ThinkingBlock():
                for part, text in enumerate(block.summary):
                    told = place.parts[part] if part < len(place.parts) else 0
                    if part >= len(place.parts) or told < len(text):
                        self._grow_part(place, part, text[told:])
                self._grow(place, block.text[place.told :])
                if block.signature is not None:
                    self._events.append(Signed(place.index, block.signature))
            case _:
                pass

    def _close(self, place: _Open) -> None:
        place.is_closed = True
        self._events.append(Closed(place.index))

    def _finish(self, event: _Event) -> None:
        self._start(event)
        said = _response(event.response)
        note_bag("responses", {name: raw for name, raw in members_of(event.response).items() if name not in _WORDS})
        if not self._open:
            for at, raw in enumerate(said.output or ()):
                self._complete(at, raw)
        for place in self._open.values():
            if place.is_known and not place.is_closed:
                self._close(place)
        self._count(said)
        status = event.type.removeprefix("response.")
        reason, word = stop_reason(status, said.incomplete_details, calls_tools=self._calls_tools)
        self._events.append(Stopped(reason, word))
        self._has_ended = True

    def _count(self, said: _Response) -> None:
        usage = read_usage(said.usage, said.service_tier)
        if usage is not None:
            self._events.append(Counted(usage, usage_shape(said.usage)))

    def _fail(self, event: _Event) -> None:
        said = _response(event.response)
        self._count(said)
        self._events.append(failed_of(said.error))
        self._has_ended = True

    def _report(self, event: _Event) -> None:
        """The event is an error itself, or holds one, as OpenAI sends it."""
        failed = failed_of(event.error)
        if is_null(event.error) and event.message is not None:
            failed = ErrorObject(event.message, None, event.code, event.param).as_failed(None, None)
        self._events.append(failed)
        self._has_ended = True
