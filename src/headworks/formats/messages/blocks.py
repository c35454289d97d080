"""Content blocks as they are read: in requests, in answers, and inside the results of tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeGuard

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.messages import thoughts
from headworks.formats.messages.citations import read_citation
from headworks.formats.messages.objects import MARK, USUAL, Members, boolean, is_object, rows, text, text_or_rows
from headworks.formats.neutral import (
    Block,
    Cache,
    Ext,
    FileBlock,
    ImageBlock,
    OpaqueBlock,
    Source,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
)


class _Ephemeral(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | msgspec.UnsetType = msgspec.UNSET


class _Base64(msgspec.Struct, tag="base64", tag_field="type", forbid_unknown_fields=True, gc=False):
    media_type: str
    data: str


class _Url(msgspec.Struct, tag="url", tag_field="type", forbid_unknown_fields=True, gc=False):
    url: str


class _File(msgspec.Struct, tag="file", tag_field="type", forbid_unknown_fields=True, gc=False):
    file_id: str


class _PlainText(msgspec.Struct, tag="text", tag_field="type", forbid_unknown_fields=True, gc=False):
    media_type: Literal["text/plain"]
    data: str


class _Direct(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["direct"]


class _Switch(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    enabled: bool


class _UsualText(msgspec.Struct, tag="text", tag_field="type", forbid_unknown_fields=True, gc=False):
    text: str
    cache_control: _Ephemeral | msgspec.UnsetType = msgspec.UNSET


class _UsualCall(msgspec.Struct, tag="tool_use", tag_field="type", forbid_unknown_fields=True, gc=False):
    id: str
    name: str
    input: msgspec.Raw
    cache_control: _Ephemeral | msgspec.UnsetType = msgspec.UNSET


class _UsualResult(msgspec.Struct, tag="tool_result", tag_field="type", forbid_unknown_fields=True, gc=False):
    tool_use_id: str
    content: str
    is_error: bool | msgspec.UnsetType = msgspec.UNSET
    cache_control: _Ephemeral | msgspec.UnsetType = msgspec.UNSET


_usual = msgspec.json.Decoder(_UsualText | _UsualCall | _UsualResult).decode
_ephemeral = msgspec.json.Decoder(_Ephemeral).decode
_DIRECT = msgspec.Raw(b'{"type":"direct"}')

_direct = msgspec.json.Decoder(_Direct).decode
_switch = msgspec.json.Decoder(_Switch).decode
_picture = msgspec.json.Decoder(_Base64 | _Url | _File).decode
_document = msgspec.json.Decoder(_Base64 | _Url | _File | _PlainText).decode


def read_content(raw: msgspec.Raw, at: str) -> tuple[list[Block], Ext]:
    """A text or a list of blocks, and the mark that tells a list of one plain text from that text."""
    try:
        content = text_or_rows(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        content = None
    if content is None:
        raise InvalidRequest(f"`{at}` must be a text or a list of blocks.", param=at)
    return blocks_of(content, at)


def blocks_of(content: str | list[msgspec.Raw], at: str) -> tuple[list[Block], Ext]:
    """As `read_content`, of what was decoded already."""
    if isinstance(content, str):
        return [TextBlock(content)], {}
    blocks = [read_block(raw, f"{at}[{index}]") for index, raw in enumerate(content)]
    return blocks, ({"~list": MARK} if len(blocks) == 1 and is_plain(blocks[0]) else {})


def is_plain(block: Block) -> TypeGuard[TextBlock]:
    """Whether it is a text and nothing besides, which may be written without a list around it."""
    return isinstance(block, TextBlock) and not (block.citations or block.cache or block.ext)


def read_block(raw: msgspec.Raw, at: str) -> Block:
    """One block; of a kind that no other format has, or with a source that we don't know, as it stands."""
    try:
        found = _usual(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return read_block_carefully(raw, at)
    marker = found.cache_control
    cache = None if marker is msgspec.UNSET else Cache(None if marker.ttl is msgspec.UNSET else marker.ttl)
    if isinstance(found, _UsualText):
        return TextBlock(found.text, cache=cache)
    if isinstance(found, _UsualResult):
        is_error = None if found.is_error is msgspec.UNSET else found.is_error
        return ToolResultBlock(found.tool_use_id, (TextBlock(found.content),), is_error=is_error, cache=cache)
    if not is_object(found.input):
        return read_block_carefully(raw, at)
    return ToolCallBlock(found.id, found.name, bytes(found.input), cache=cache)


def read_block_carefully(raw: msgspec.Raw, at: str) -> Block:
    """As `read_block`, whatever stands there."""
    members = Members(raw, at)
    kind = members.need("type", text)
    reader = _READERS.get(kind)
    block = reader(members) if reader else None
    return OpaqueBlock("messages", kind, raw) if block is None else block


def take_cache(members: Members) -> Cache | None:
    """The prompt-cache marker, if it is one that we know."""
    found = members.try_take("cache_control", _ephemeral)
    if found is None:
        return None
    return Cache(None if found.ttl is msgspec.UNSET else found.ttl)


def _text(members: Members) -> Block:
    said = members.need("text", text)
    if not members.rest:
        return TextBlock(said)
    cache = take_cache(members)
    listed = members.take("citations", rows)
    if listed is not None and not listed:
        members.rest["~empty"] = MARK
    at = members.place("citations")
    found = tuple(read_citation(raw, f"{at}[{index}]") for index, raw in enumerate(listed or ()))
    return TextBlock(said, citations=found, cache=cache, ext=members.rest)


def _image(members: Members) -> Block | None:
    source = members.try_take("source", _picture)
    if source is None:
        _require_source(members)
        return None
    return ImageBlock(_source(source), cache=take_cache(members), ext=members.rest)


def _file(members: Members) -> Block | None:
    source = members.try_take("source", _document)
    if source is None:
        _require_source(members)
        return None
    said = source.data if isinstance(source, _PlainText) else None
    switch = members.try_take("citations", _switch)
    return FileBlock(
        _source(source),
        name=members.take("title", text),
        text=said,
        context=members.take("context", text),
        wants_citations=switch.enabled if switch else None,
        cache=take_cache(members),
        ext=members.rest,
    )


def _require_source(members: Members) -> None:
    members.take_object("source")


def _source(found: _Base64 | _Url | _File | _PlainText) -> Source:
    match found:
        case _Base64():
            return Source(media_type=found.media_type, data=found.data)
        case _Url():
            return Source(url=found.url)
        case _File():
            return Source(file_id=found.file_id)
        case _:
            return Source(media_type=found.media_type)


def _call(members: Members) -> Block:
    if members.try_take("caller", _direct) is not None:
        members.rest[USUAL + "caller"] = _DIRECT
    return ToolCallBlock(
        members.need("id", text),
        members.need("name", text),
        members.take_object("input"),
        cache=take_cache(members),
        ext=members.rest,
    )


def _result(members: Members) -> Block:
    identifier = members.need("tool_use_id", text)
    content = members.take("content", text_or_rows)
    blocks: list[Block] = []
    if content is not None:
        blocks, mark = blocks_of(content, members.place("content"))
        members.rest.update({"~empty": MARK} if not blocks else mark)
    return ToolResultBlock(
        identifier,
        tuple(blocks),
        is_error=members.take("is_error", boolean),
        cache=take_cache(members),
        ext=members.rest,
    )


def _thinking(members: Members) -> Block:
    block = thoughts.unpacked(members.need("thinking", text), members.need("signature", text))
    block.ext = members.rest
    return block


def _redacted(members: Members) -> Block:
    block = thoughts.unpacked("", members.need("data", text))
    if block.origin == "messages" or block.origin is None:
        block = ThinkingBlock(redacted=block.signature, origin="messages")
    block.ext = members.rest
    return block


_READERS: dict[str, Callable[[Members], Block | None]] = {
    "text": _text,
    "image": _image,
    "document": _file,
    "tool_use": _call,
    "tool_result": _result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}
