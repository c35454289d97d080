"""A whole answer and its events are the same thing: `collect` makes one of the other, `replay` the other of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from headworks.formats.neutral import (
    Answer,
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
from headworks.types.models import Usage


def merged(before: Usage, after: Usage) -> Usage:
    """What is known after a later count: its members where it has them."""
    said = {name: value for name in after.__struct_fields__ if (value := getattr(after, name)) is not None}
    return msgspec.structs.replace(before, **said)


def collect(events: Iterable[Event]) -> Answer | None:
    """The whole answer that these events tell; None if it never stops. `Failed` and `Aside` are the caller's to see."""
    started, stopped, usage = Started(), None, Usage()
    usage_ext: Ext = {}
    blocks: dict[int, Block] = {}
    pieces: dict[tuple[int, int | None], list[str]] = {}
    for event in events:
        match event:
            case Started():
                started = event
            case Opened():
                blocks[event.index] = msgspec.structs.replace(event.block)
            case Grown():
                pieces.setdefault((event.index, event.part), []).append(event.text)
            case Signed():
                _sign(blocks[event.index], event.signature)
            case Cited():
                block = blocks[event.index]
                if isinstance(block, TextBlock):
                    block.citations = (*block.citations, event.citation)
            case Counted():
                usage, usage_ext = merged(usage, event.usage), {**usage_ext, **event.ext}
            case Stopped():
                stopped = event
            case _:
                continue
    if stopped is None:
        return None
    for (index, part), texts in pieces.items():
        _grow(blocks[index], "".join(texts), part)
    return Answer(started, [blocks[index] for index in sorted(blocks)], stopped, usage, usage_ext)


def replay(answer: Answer) -> Iterator[Event]:
    """The events that tell this answer, each block in one piece."""
    yield answer.started
    for index, block in enumerate(answer.blocks):
        match block:
            case TextBlock():
                yield Opened(index, msgspec.structs.replace(block, text="", citations=()))
                if block.text:
                    yield Grown(index, block.text)
                for citation in block.citations:
                    yield Cited(index, citation)
            case ToolCallBlock():
                yield Opened(index, msgspec.structs.replace(block, arguments=b""))
                yield Grown(index, block.arguments.decode())
            case ThinkingBlock():
                yield Opened(index, msgspec.structs.replace(block, text="", signature=None, summary=()))
                for part, text in enumerate(block.summary):
                    yield Grown(index, text, part)
                if block.text:
                    yield Grown(index, block.text)
                if block.signature is not None:
                    yield Signed(index, block.signature)
            case _:
                yield Opened(index, block)
        yield Closed(index)
    yield Counted(answer.usage, answer.usage_ext)
    yield answer.stopped


def _grow(block: Block, text: str, part: int | None) -> None:
    if isinstance(block, ThinkingBlock) and part is not None:
        parts = [*block.summary, *[""] * (part + 1 - len(block.summary))]
        parts[part] += text
        block.summary = tuple(parts)
    elif isinstance(block, (TextBlock, ThinkingBlock)):
        block.text += text
    elif isinstance(block, ToolCallBlock):
        block.arguments += text.encode()


def _sign(block: Block, signature: str) -> None:
    if isinstance(block, (ThinkingBlock, ToolCallBlock)):
        block.signature = signature
