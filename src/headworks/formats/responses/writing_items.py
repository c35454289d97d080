"""Turns and blocks as items: as they were read, where they come from this format, else as OpenAI's types want them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from headworks.errors import Unmapped
from headworks.formats.hints import HINTS
from headworks.formats.neutral import (
    Block,
    Ext,
    FormatName,
    OpaqueBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)
from headworks.formats.responses.items import LENGTHS_SHAPE
from headworks.formats.responses.members import (
    EMPTY_SHAPE,
    ITEM_SHAPE,
    MORE_SHAPE,
    TEXT_SHAPE,
    UNTYPED_SHAPE,
    is_null,
    members_of,
    put_back,
    taken_from,
)
from headworks.formats.responses.parts import INPUT, OUTPUT, PartWriter, unmapped

_lengths_of = msgspec.json.Decoder(list[int]).decode


class ItemWriter:
    """Items of one request, or one answer, that was read from `origin`. `left_out` gathers hints without a word."""

    def __init__(self, origin: FormatName | None, left_out: set[str]) -> None:
        self.origin = origin
        self.left_out = left_out
        self._is_own = origin == "responses"
        self._parts = PartWriter(is_own=self._is_own, left_out=left_out)

    def turns(self, turns: Iterable[Turn]) -> list[object]:
        """The items of an input. Raises Unmapped."""
        items: list[object] = []
        for turn in turns:
            if turn.name is not None:
                self.left_out.add("name")
            if not self._is_own:
                self.check(turn.ext)
            items += self.blocks(turn.blocks) if turn.role == "assistant" else self._given(turn)
        return items

    def check(self, ext: Ext) -> None:
        """Members of another format, none of which can be said: hints are named, others refused. Raises Unmapped."""
        for name, raw in ext.items():
            if name.startswith("~") or is_null(raw):
                continue
            if name not in HINTS.get(self.origin or "responses", ()):
                raise Unmapped(f"Responses has no word for `{name}`.", param=name)
            self.left_out.add(name)

    def _given(self, turn: Turn) -> Iterator[object]:
        """What somebody else than the model said: results of tools are items of their own."""
        said: list[Block] = []
        for block in turn.blocks:
            if isinstance(block, ToolResultBlock):
                yield from self._spoken(turn, said)
                said = []
                yield self._result(block)
            elif isinstance(block, OpaqueBlock) and self._is_own and ITEM_SHAPE not in turn.ext:
                yield block.raw
            else:
                said.append(block)
        yield from self._spoken(turn, said)

    def _spoken(self, turn: Turn, blocks: list[Block]) -> Iterator[object]:
        if not blocks and (not self._is_own or ITEM_SHAPE not in turn.ext):
            return
        item: dict[str, object] = {"type": "message", "role": turn.role}
        if TEXT_SHAPE in turn.ext and len(blocks) == 1 and isinstance(blocks[0], TextBlock):
            item["content"] = blocks[0].text
        else:
            item["content"] = [self._part(each, INPUT) for each in blocks]
        yield self._restored(item, turn.ext)

    def _part(self, block: Block, usual: str) -> object:
        if not self._is_own and not isinstance(block, OpaqueBlock):
            self.check(block.ext)
        return self._parts.write(block, usual)

    def _restored(self, item: dict[str, object], ext: Ext) -> dict[str, object]:
        """The item with what it said of itself."""
        if not self._is_own:
            return item
        if ITEM_SHAPE in ext:
            item |= members_of(ext[ITEM_SHAPE])
        if UNTYPED_SHAPE in ext:
            del item["type"]
        return put_back(item, ext)

    def blocks(self, blocks: Sequence[Block]) -> list[object]:
        """What the assistant said and did, in order. Raises Unmapped."""
        items: list[object] = []
        message: list[object] = []
        for block in blocks:
            match block:
                case TextBlock() if not self._is_own or (ITEM_SHAPE not in block.ext and MORE_SHAPE not in block.ext):
                    items.append(self._said(block))
                case ToolCallBlock():
                    items.append(self._call(block))
                case ThinkingBlock():
                    items += self._thought(block)
                case OpaqueBlock() if block.origin == "responses":
                    items.append(block.raw)
                case OpaqueBlock() | ToolResultBlock():
                    raise unmapped(block)
                case _ if self._is_own and ITEM_SHAPE in block.ext:
                    message = [self._parts.write(block, OUTPUT)]
                    items.append(self._message(block, message))
                case _ if self._is_own and MORE_SHAPE in block.ext:
                    message.append(self._parts.write(block, OUTPUT))
                case _:
                    raise unmapped(block)
        return items

    def _said(self, block: TextBlock) -> object:
        """An earlier text of the assistant that is no item of this format: there it has neither id nor parts."""
        self.check({} if self._is_own else block.ext)
        lost = {"citations": block.citations, "refusal": block.is_refusal, "cache_control": block.cache}
        self.left_out.update(name for name, value in lost.items() if value)
        return {"type": "message", "role": "assistant", "content": block.text}

    def _message(self, block: Block, parts: list[object]) -> dict[str, object]:
        ext: Ext = {} if isinstance(block, OpaqueBlock) else block.ext
        content: object = parts
        if EMPTY_SHAPE in ext:
            content = []
        elif TEXT_SHAPE in ext and isinstance(block, TextBlock):
            content = block.text
        item: dict[str, object] = {"type": "message", "role": "assistant", "content": content}
        shapes = {name: ext[name] for name in (ITEM_SHAPE, UNTYPED_SHAPE) if name in ext}
        return self._restored(item, shapes | taken_from(ext, "message"))

    def _call(self, block: ToolCallBlock) -> object:
        if block.signature is not None:
            self.left_out.add("signature")
        if not self._is_own:
            self.check(block.ext)
            self._lose_cache(block)
        kind, given = ("custom_tool_call", "input") if block.is_custom else ("function_call", "arguments")
        item: dict[str, object] = {"type": kind, "call_id": block.id, "name": block.name}
        item[given] = block.arguments.decode()
        return self._restored(item, block.ext)

    def _result(self, block: ToolResultBlock) -> object:
        kind = "custom_tool_call_output" if block.is_custom else "function_call_output"
        item: dict[str, object] = {"type": kind, "call_id": block.id, "output": self._output(block)}
        if self._is_own:
            if block.name is not None:
                item["name"] = block.name
            return self._restored(item, block.ext)
        self.check(block.ext)
        self._lose_cache(block)
        if block.is_error:
            self.left_out.add("is_error")
        return item

    def _output(self, block: ToolResultBlock) -> object:
        content = block.content
        only = content[0] if len(content) == 1 else None
        if self._is_own and TEXT_SHAPE not in block.ext:
            return [self._part(each, INPUT) for each in content]
        if isinstance(only, TextBlock) and only.cache is None:
            if not self._is_own:
                self.check(only.ext)
            return only.text
        return [self._part(each, INPUT) for each in content]

    def _thought(self, block: ThinkingBlock) -> Iterator[object]:
        if block.origin != "responses":
            self.left_out.add("thinking" if self.origin == "messages" else "reasoning")
        else:
            yield self._restored(own_thought(block), block.ext)

    def _lose_cache(self, block: ToolCallBlock | ToolResultBlock) -> None:
        if block.cache is not None:
            self.left_out.add("cache_control")


def own_thought(block: ThinkingBlock) -> dict[str, object]:
    """A reasoning item of this format, as it was."""
    item: dict[str, object] = {"type": "reasoning"}
    if block.id is not None:
        item["id"] = block.id
    item["summary"] = [{"type": "summary_text", "text": each} for each in block.summary]
    lengths = _lengths_of(block.ext[LENGTHS_SHAPE]) if LENGTHS_SHAPE in block.ext else [len(block.text)]
    if block.text or LENGTHS_SHAPE in block.ext:
        item["content"] = [{"type": "reasoning_text", "text": each} for each in _cut(block.text, lengths)]
    if block.signature is not None:
        item["encrypted_content"] = block.signature
    return item


def _cut(text: str, lengths: list[int]) -> Iterator[str]:
    at = 0
    for length in lengths:
        yield text[at : at + length]
        at += length
