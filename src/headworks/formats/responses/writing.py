"""Neutral events as a caller's stream of Responses, with the whole life cycle of each item.

An item is finished when the next one begins, or the answer ends: only then is known whether it is complete. The last
event holds the whole response, which is also kept in `final`.
"""

from __future__ import annotations

import time

import msgspec

from headworks.errors import HeadworksError, Unmapped
from headworks.formats.answers import merged
from headworks.formats.neutral import (
    Block,
    Citation,
    Cited,
    Closed,
    Counted,
    Event,
    Ext,
    Failed,
    Grown,
    Opened,
    Request,
    Signed,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.responses.answers import unfinished
from headworks.formats.responses.citations import write_annotation
from headworks.formats.responses.endings import ending_of, error_of
from headworks.formats.responses.lifecycle import Item, Lines, Place, text_part
from headworks.formats.responses.members import encode
from headworks.formats.responses.outputs import (
    ID,
    echo_of,
    item_of,
    kind_of,
    message_item,
    new_item_id,
    new_response_id,
)
from headworks.formats.responses.usage import write_usage
from headworks.types.models import Usage

_TEXT_DELTA = b"response.output_text.delta"
_REFUSAL_DELTA = b"response.refusal.delta"
_THOUGHT_DELTA = b"response.reasoning_text.delta"
_CALL_DELTA = {
    "function_call": b"response.function_call_arguments.delta",
    "custom_tool_call": b"response.custom_tool_call_input.delta",
}


class ResponsesWriter:
    """One stream. See `formats.contract.Writer`."""

    def __init__(self, request: Request | None = None, *, response_id: str | None = None) -> None:
        """`request`: what the caller asked, to be echoed. `response_id`: the id that the answer is to have."""
        self.response_id = response_id or new_response_id()
        self.final: bytes | None = None
        """The whole response as JSON, once it has ended."""
        self._may_rename = response_id is None
        self._response = echo_of(request)
        self._response |= {"id": self.response_id, "object": "response", "model": request.model if request else ""}
        self._lines = Lines()
        self._places: dict[int, Place] = {}
        self._items: list[Item] = []
        self._output: dict[int, object] = {}
        self._usage = Usage()
        self._usage_ext: Ext = {}
        self._stopped: Stopped | None = None
        self._has_started = False

    def write(self, event: Event) -> bytes:
        """The bytes of one event, perhaps none. Raises Unmapped for what the format can't say."""
        match event:
            case Grown():  # first: there are most of them
                out = self._grow(self._places[event.index], event)
            case Started():
                out = self._start(event)
            case Opened():
                out = self._open(event)
            case Cited():
                out = self._cite(self._places[event.index], event.citation)
            case Stopped():
                out = self._stop(event)
            case Failed():
                out = self._error(event.message, event.code or event.kind, None, event.kind)
            case _:
                out = b""
                self._remember(event)
        return out

    def _remember(self, event: Event) -> None:
        """What is said with a later event."""
        match event:
            case Signed():
                self._sign(self._places[event.index].block, event.signature)
            case Closed():
                self._places[event.index].is_closed = True
            case Counted():
                self._usage, self._usage_ext = merged(self._usage, event.usage), {**self._usage_ext, **event.ext}
            case _:
                pass

    def end(self) -> bytes:
        """The event with the whole response."""
        stopped = self._stopped
        if stopped is None:
            raise RuntimeError("a stream of Responses ends only after a Stopped")
        status, details = ending_of(stopped.reason)
        self._response |= {
            "status": status,
            "incomplete_details": details,
            "completed_at": int(time.time()) if status == "completed" else None,
            "usage": write_usage(self._usage, self._usage_ext),
            "output": [self._output[item.index] for item in self._items],
        }
        if status == "failed":
            self._response["error"] = error_of(Failed(stopped.reason, unfinished(stopped)))
        if stopped.note is not None:
            self._response["headworks"] = stopped.note
        self.final = encode(self._response)
        return self._lines.event(f"response.{status}", {"response": msgspec.Raw(self.final)})

    def fail(self, error: HeadworksError) -> bytes:
        """An error as the last event. Clients know it by its type, or by a member `error`: both are there."""
        return self._error(str(error), error.code, error.param, error.kind)

    def _error(self, message: str, code: str, param: str | None, kind: str) -> bytes:
        said = {"code": code, "message": message, "param": param}
        return self._lines.event("error", {**said, "error": {"type": kind, **said}})

    def _start(self, started: Started) -> bytes:
        if self._has_started:
            return b""
        self._has_started = True
        if self._may_rename and started.id.startswith(ID):
            self.response_id = started.id
            self._response["id"] = started.id
        if started.model:
            self._response["model"] = started.model
        if started.created is not None:
            self._response["created_at"] = started.created
        response = {"response": {**self._response, "status": "in_progress", "output": []}}
        return self._lines.event("response.created", response) + self._lines.event("response.in_progress", response)

    def _open(self, opened: Opened) -> bytes:
        out = b"" if self._has_started else self._start(Started())
        block = msgspec.structs.replace(opened.block)
        kind = kind_of(block)
        last = self._items[-1] if self._items else None
        if kind == "message" and last is not None and last.kind == kind and not last.is_finished:
            item = last
        else:
            out += self._finish_closed()
            item = Item(len(self._items), new_item_id(kind), kind)
            self._items.append(item)
        place = self._places[opened.index] = Place(item, block)
        item.places.append(place)
        return out + self._begin(place)

    def _begin(self, place: Place) -> bytes:
        """What is known of a block when it opens."""
        item, block = place.item, place.block
        out = b""
        if isinstance(block, TextBlock):
            place.at = len(item.places) - 1
            if not item.is_announced:
                out = self._announce(item, message_item(item.id, [], "in_progress"))
            empty = {"type": "refusal", "refusal": ""} if block.is_refusal else text_part("", [])
            out += self._lines.event("response.content_part.added", {**place.where(), "part": empty})
            place.middle = b',"item_id":"%b","output_index":%d,"content_index":%d,%b"delta":' % (
                item.id.encode(),
                item.index,
                place.at,
                b"" if block.is_refusal else b'"logprobs":[],',
            )
            if block.text:
                block.text, text = "", block.text
                out += self._grow(place, Grown(0, text))
            for citation in block.citations:
                out += self._cite(place, citation)
        elif isinstance(block, ThinkingBlock):
            out = self._announce(item, {"id": item.id, "type": "reasoning", "summary": [], "status": "in_progress"})
            out += self._begin_thought(place, block)
        elif isinstance(block, ToolCallBlock):
            place.middle = b',"item_id":"%b","output_index":%d,"delta":' % (item.id.encode(), item.index)
            if block.arguments:
                place.texts = [block.arguments.decode()]
                out = self._announce_call(place) + self._lines.delta(_CALL_DELTA[item.kind], place, place.texts[0])
        else:
            out = self._announce(item, item_of(block, item.id, "in_progress"))
        return out

    def _begin_thought(self, place: Place, block: ThinkingBlock) -> bytes:
        item = place.item
        place.middle = b',"item_id":"%b","output_index":%d,"content_index":0,"delta":' % (item.id.encode(), item.index)
        text, summary = block.text, block.summary
        block.text, block.summary = "", ()
        out = b"".join(self._grow(place, Grown(0, each, part)) for part, each in enumerate(summary))
        return out + (self._grow(place, Grown(0, text)) if text else b"")

    def _announce(self, item: Item, value: object) -> bytes:
        item.is_announced = True
        return self._lines.event("response.output_item.added", {"output_index": item.index, "item": value})

    def _announce_call(self, place: Place) -> bytes:
        """A call is announced with its first argument: what its id holds may come after it has opened."""
        if place.item.is_announced:
            return b""
        empty = msgspec.structs.replace(place.block, arguments=b"")
        return self._announce(place.item, item_of(empty, place.item.id, "in_progress"))

    def _grow(self, place: Place, more: Grown) -> bytes:
        block = place.block
        if isinstance(block, TextBlock):
            place.texts.append(more.text)
            place.length += len(more.text)
            return self._lines.delta(_REFUSAL_DELTA if block.is_refusal else _TEXT_DELTA, place, more.text)
        if isinstance(block, ToolCallBlock):
            out = self._announce_call(place)
            place.texts.append(more.text)
            return out + self._lines.delta(_CALL_DELTA[place.item.kind], place, more.text)
        if not isinstance(block, ThinkingBlock):
            raise Unmapped(f"Responses has no word for more of `{place.item.kind}`.", param=place.item.kind)
        if more.part is not None:
            return self._grow_summary(place, more.part, more.text)
        out = b""
        if not place.texts:
            part = {"type": "reasoning_text", "text": ""}
            out = self._lines.event("response.content_part.added", {**place.where(), "part": part})
        place.texts.append(more.text)
        return out + self._lines.delta(_THOUGHT_DELTA, place, more.text)

    def _grow_summary(self, place: Place, part: int, text: str) -> bytes:
        out = b""
        while len(place.parts) <= part:
            begun = {**place.where_in_summary(len(place.parts)), "part": {"type": "summary_text", "text": ""}}
            place.parts.append([])
            out += self._lines.event("response.reasoning_summary_part.added", begun)
        place.parts[part].append(text)
        delta = {**place.where_in_summary(part), "delta": text}
        return out + self._lines.event("response.reasoning_summary_text.delta", delta)

    def _cite(self, place: Place, citation: Citation) -> bytes:
        annotation = write_annotation(citation, is_own=False, text_length=place.length)
        at = len(place.annotations)
        place.annotations.append(annotation)
        added = {**place.where(), "annotation_index": at, "annotation": annotation}
        return self._lines.event("response.output_text.annotation.added", added)

    @staticmethod
    def _sign(block: Block, signature: str) -> None:
        if isinstance(block, (ThinkingBlock, ToolCallBlock)):
            block.signature = signature

    def _stop(self, stopped: Stopped) -> bytes:
        self._stopped = stopped
        is_complete = ending_of(stopped.reason)[0] == "completed"
        out = b"" if self._has_started else self._start(Started())
        for item in self._items:
            if not item.is_finished:
                is_last = item is self._items[-1]
                out += self._finish(item, "completed" if is_complete or not is_last else "incomplete")
        return out

    def _finish_closed(self) -> bytes:
        """Ends the items of which nothing more can come."""
        ready = [item for item in self._items if not item.is_finished and all(each.is_closed for each in item.places)]
        return b"".join(self._finish(item, "completed") for item in ready)

    def _finish(self, item: Item, status: str) -> bytes:
        place = item.places[0]
        out = self._announce_call(place) if isinstance(place.block, ToolCallBlock) else b""
        done, self._output[item.index] = self._lines.finish(item, status)
        return out + done
