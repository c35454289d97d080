"""Events of Responses as bytes, numbered, and what an output item says when it is done."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headworks.formats.neutral import Block, TextBlock, ThinkingBlock, ToolCallBlock
from headworks.formats.responses.members import encode
from headworks.formats.responses.outputs import item_of, message_item


class Place(msgspec.Struct):
    """A block of the answer in its item."""

    item: Item
    block: Block
    at: int = 0
    """The index of its part."""
    texts: list[str] = []
    length: int = 0
    """Characters so far."""
    parts: list[list[str]] = []
    """Of a thought's summary."""
    annotations: list[object] = []
    is_closed: bool = False
    middle: bytes = b""
    """What stands between the number and the text of each delta."""

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self.texts)

    def where(self) -> dict[str, object]:
        """Its part's coordinates."""
        return {"item_id": self.item.id, "output_index": self.item.index, "content_index": self.at}

    def where_in_summary(self, part: int) -> dict[str, object]:
        """The coordinates of a part of its summary."""
        return {"item_id": self.item.id, "output_index": self.item.index, "summary_index": part}


class Item(msgspec.Struct):
    """An output item."""

    index: int
    id: str
    kind: str
    places: list[Place] = []
    is_announced: bool = False
    is_finished: bool = False


class Lines:
    """Writes the events of one stream."""

    def __init__(self) -> None:
        self._number = -1

    def event(self, kind: str, members: Mapping[str, object]) -> bytes:
        """One event."""
        self._number += 1
        body = encode({"type": kind, "sequence_number": self._number, **members})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), body)

    def delta(self, kind: bytes, place: Place, text: str) -> bytes:
        """One event of the kind that there are most of."""
        self._number += 1
        line = b'event: %b\ndata: {"type":"%b","sequence_number":%d%b%b}\n\n'
        return line % (kind, kind, self._number, place.middle, encode(text))

    def finish(self, item: Item, status: str) -> tuple[bytes, object]:
        """The events that end an item, and the item."""
        item.is_finished = True
        if item.kind == "message":
            parts: list[object] = []
            out = b"".join(self._finish_part(place, parts) for place in item.places)
            value: object = message_item(item.id, parts, status)
        else:
            out = self._finish_whole(item.places[0])
            value = item_of(item.places[0].block, item.id, status)
        return out + self.event("response.output_item.done", {"output_index": item.index, "item": value}), value

    def _finish_part(self, place: Place, parts: list[object]) -> bytes:
        text, where = place.text, place.where()
        if isinstance(place.block, TextBlock) and place.block.is_refusal:
            part: dict[str, object] = {"type": "refusal", "refusal": text}
            out = self.event("response.refusal.done", {**where, "refusal": text})
        else:
            part = text_part(text, place.annotations)
            out = self.event("response.output_text.done", {**where, "text": text, "logprobs": []})
        parts.append(part)
        return out + self.event("response.content_part.done", {**where, "part": part})

    def _finish_whole(self, place: Place) -> bytes:
        block, item = place.block, place.item
        if isinstance(block, ThinkingBlock):
            block.text, block.summary = place.text, tuple("".join(each) for each in place.parts)
            return self._finish_thought(place, block)
        if not isinstance(block, ToolCallBlock):
            return b""
        block.arguments = place.text.encode()
        member = "input" if block.is_custom else "arguments"
        kind = "custom_tool_call_input" if block.is_custom else "function_call_arguments"
        done = {"item_id": item.id, "output_index": item.index, member: place.text}
        return self.event(f"response.{kind}.done", done)

    def _finish_thought(self, place: Place, block: ThinkingBlock) -> bytes:
        out = b""
        for at, text in enumerate(block.summary):
            where = place.where_in_summary(at)
            part = {"type": "summary_text", "text": text}
            out += self.event("response.reasoning_summary_text.done", {**where, "text": text})
            out += self.event("response.reasoning_summary_part.done", {**where, "part": part})
        if block.text:
            part = {"type": "reasoning_text", "text": block.text}
            out += self.event("response.reasoning_text.done", {**place.where(), "text": block.text})
            out += self.event("response.content_part.done", {**place.where(), "part": part})
        return out


def text_part(text: str, annotations: list[object]) -> dict[str, object]:
    """An `output_text`."""
    return {"type": "output_text", "annotations": annotations, "logprobs": [], "text": text}
