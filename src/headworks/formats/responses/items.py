"""Items of an input or an output, read as turns and blocks.

What the assistant said and did one after the other is one turn, however many items it took; so are the results of
tools that stand together. Each first block of an item remembers what else the item said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from headworks.formats.neutral import (
    Block,
    Ext,
    OpaqueBlock,
    Role,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)
from headworks.formats.responses.members import (
    EMPTY_SHAPE,
    ITEM_SHAPE,
    MARK,
    MORE_SHAPE,
    TEXT_SHAPE,
    UNREADABLE,
    UNTYPED_SHAPE,
    Misread,
    Shape,
    given,
    members_of,
    raw_of,
    rows_of,
    starts,
    text_of,
)
from headworks.formats.responses.parts import INPUT, OUTPUT, read_part
from headworks.formats.responses.thoughts import split_id, unpacked

LENGTHS_SHAPE = "~lengths"
"""Of a thought's parts, in characters, where there are several or none."""

_ROLES: frozenset[str] = frozenset(("system", "developer", "user", "assistant"))
_OF_CALLER = ("_output", "_response")
"""How the types of items end that answer the model."""


class _Kind(msgspec.Struct, gc=False):
    type: str | UnsetType = UNSET
    role: msgspec.Raw | UnsetType = UNSET


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Role
    content: msgspec.Raw
    type: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET


class _Call(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    call_id: str
    name: str
    arguments: str
    id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET


class _Custom(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    call_id: str
    name: str
    input: str
    id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET


class _Output(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    output: msgspec.Raw
    call_id: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    text: str


class _Thought(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    summary: list[_Part]
    id: str | UnsetType = UNSET
    content: list[_Part] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET
    status: str | UnsetType = UNSET


class _Own(msgspec.Struct, gc=False):
    id: str | UnsetType
    status: str | UnsetType


_NO_SHAPE: Ext = {ITEM_SHAPE: msgspec.Raw(b"{}")}
_kind = msgspec.json.Decoder(_Kind).decode
_message, _call, _custom = Shape(_Message), Shape(_Call), Shape(_Custom)
_output, _thought = Shape(_Output), Shape(_Thought)


def read_turns(rows: Sequence[msgspec.Raw], at: str) -> list[Turn]:
    """The items of an input. Raises Misread."""
    turns: list[Turn] = []
    for number, raw in enumerate(rows):
        try:
            turn = _turn_of(raw, _READERS)
        except Misread as error:
            raise error.within(f"{at}[{number}]") from None
        last = turns[-1] if turns else None
        if last is not None and _belongs(last, turn):
            last.blocks += turn.blocks
        else:
            turns.append(turn)
    return turns


def read_blocks(rows: Sequence[msgspec.Raw], at: str) -> list[Block]:
    """The items of a provider's output, in which nothing is packed that we packed. Raises Misread."""
    blocks: list[Block] = []
    for number, raw in enumerate(rows):
        try:
            blocks += _turn_of(raw, _OUTPUT_READERS).blocks
        except Misread as error:
            raise error.within(f"{at}[{number}]") from None
    return blocks


def _belongs(last: Turn, turn: Turn) -> bool:
    """Whether an item goes on with the turn before it. A message of a user is a turn of its own."""
    if turn.role == "assistant":
        return last.role == "assistant"
    return last.role == "user" and all(_is_result(each) for each in (last, turn))


def _is_result(turn: Turn) -> bool:
    return not turn.ext and bool(turn.blocks) and isinstance(turn.blocks[0], (ToolResultBlock, OpaqueBlock))


def _turn_of(raw: msgspec.Raw, readers: Readers) -> Turn:
    """One item as a turn."""
    try:
        said = _kind(raw)
    except UNREADABLE as error:
        raise Misread.of(error) from None
    if said.type == "message" or (said.type is UNSET and said.role is not UNSET):
        return _read_message(raw)
    if said.type is UNSET:
        raise Misread("is required", ".type", "missing_field")
    kind = said.type
    read = readers.get(kind, _keep)
    return Turn("user" if kind.endswith(_OF_CALLER) else "assistant", [read(raw)])


def _keep(raw: msgspec.Raw) -> Block:
    return OpaqueBlock("responses", text_of(members_of(raw)["type"]), raw)


def _read_message(raw: msgspec.Raw) -> Turn:
    said, ext = _message.read(raw)
    usual = OUTPUT if said.role == "assistant" else INPUT
    blocks: list[Block]
    if starts(said.content, b'"'):
        blocks = [TextBlock(text_of(said.content))]
        ext[TEXT_SHAPE] = MARK
    else:
        blocks = _read_parts(said.content, usual, ".content")
    if said.type is UNSET:
        ext[UNTYPED_SHAPE] = MARK
    shape = _shape_of(said.id, said.status) or _NO_SHAPE
    if said.role != "assistant":
        return Turn(said.role, blocks, ext=ext | shape)
    opaque = next((each for each in blocks if isinstance(each, OpaqueBlock)), None)
    if opaque is not None:
        return Turn("assistant", [OpaqueBlock("responses", opaque.kind, raw)])
    if not blocks:
        blocks = [TextBlock("")]
        ext[EMPTY_SHAPE] = MARK
    _mark(blocks, _named(ext, "message") | shape)
    return Turn("assistant", blocks)


def _mark(blocks: list[Block], shape: Ext) -> None:
    """Remembers with its blocks where a message of the assistant began, and what it said besides."""
    for at, block in enumerate(blocks):
        if not isinstance(block, OpaqueBlock):
            block.ext = {**block.ext, MORE_SHAPE: MARK} if at else {**block.ext, **shape}


def _named(ext: Ext, of: str) -> Ext:
    """An item's other members, so that they don't meet those of its first part."""
    return {name if name.startswith("~") else f"{of}.{name}": raw for name, raw in ext.items()}


def _read_parts(raw: msgspec.Raw, usual: str, at: str) -> list[Block]:
    try:
        rows = rows_of(raw)
    except UNREADABLE as error:
        raise Misread.of(error).within(at) from None
    blocks: list[Block] = []
    for number, each in enumerate(rows):
        try:
            blocks.append(read_part(each, usual))
        except Misread as error:
            raise error.within(f"{at}[{number}]") from None
    return blocks


def _shape_of(id_: str | UnsetType, status: str | UnsetType) -> Ext:
    """What an item says of itself and no model hears."""
    if id_ is UNSET and status is UNSET:
        return {}
    return {ITEM_SHAPE: raw_of(_Own(id_, status))}


def _read_call(raw: msgspec.Raw) -> ToolCallBlock:
    said, ext = _call.read(raw)
    shape = _shape_of(said.id, said.status)
    return ToolCallBlock(said.call_id, said.name, said.arguments.encode(), ext=ext | shape)


def _read_custom(raw: msgspec.Raw) -> ToolCallBlock:
    said, ext = _custom.read(raw)
    shape = _shape_of(said.id, said.status)
    return ToolCallBlock(said.call_id, said.name, said.input.encode(), is_custom=True, ext=ext | shape)


def _returned(read: Callable[[msgspec.Raw], ToolCallBlock]) -> Callable[[msgspec.Raw], Block]:
    """The same for a call that the caller gives back: its id may hold a signature."""

    def read_returned(raw: msgspec.Raw) -> Block:
        block = read(raw)
        block.id, block.signature = split_id(block.id)
        return block

    return read_returned


def _read_result(raw: msgspec.Raw) -> Block:
    said, ext = _output.read(raw)
    if said.call_id is UNSET:
        return _keep(raw)
    ext |= _shape_of(said.id, said.status)
    if starts(said.output, b'"'):
        ext[TEXT_SHAPE] = MARK
        content: list[Block] = [TextBlock(text_of(said.output))]
    else:
        content = _read_parts(said.output, INPUT, ".output")
    is_custom = said.type != "function_call_output"
    own_id, _ = split_id(said.call_id)
    return ToolResultBlock(own_id, tuple(content), given(said.name), is_custom=is_custom, ext=ext)


def _read_returned_thought(raw: msgspec.Raw) -> Block:
    """A thought that the caller gives back: perhaps one of another format."""
    block = _read_thought(raw)
    if isinstance(block, ThinkingBlock) and block.signature is not None:
        return unpacked(block.signature) or block
    return block


def _read_thought(raw: msgspec.Raw) -> Block:
    said, ext = _thought.read(raw)
    encrypted = given(said.encrypted_content)
    ext |= _shape_of(UNSET, said.status)
    parts = given(said.content)
    if parts is not None and len(parts) != 1:
        ext[LENGTHS_SHAPE] = raw_of([len(each.text) for each in parts])
    elif parts is not None and not parts[0].text:
        ext[LENGTHS_SHAPE] = raw_of([0])
    wrong = [each.type for each in said.summary if each.type != "summary_text"]
    wrong += [each.type for each in parts or () if each.type != "reasoning_text"]
    if wrong:
        return OpaqueBlock("responses", "reasoning", raw)
    text = "".join(each.text for each in parts or ())
    summary = tuple(each.text for each in said.summary)
    return ThinkingBlock(text, encrypted, id=given(said.id), summary=summary, origin="responses", ext=ext)


Readers = Mapping[str, Callable[[msgspec.Raw], Block]]
_READERS: Readers = {
    "function_call": _returned(_read_call),
    "custom_tool_call": _returned(_read_custom),
    "function_call_output": _read_result,
    "custom_tool_call_output": _read_result,
    "reasoning": _read_returned_thought,
}
_OUTPUT_READERS: Readers = {
    **_READERS,
    "function_call": _read_call,
    "custom_tool_call": _read_custom,
    "reasoning": _read_thought,
}
