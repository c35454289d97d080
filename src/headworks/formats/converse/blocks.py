"""Content blocks of an answer, whole."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headworks.formats.converse.answers import unreadable
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    Citation,
    ImageBlock,
    OpaqueBlock,
    Source,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.unmapped import Reading

OWN_CALL = "server_tool_use"
"""The type of a call that Bedrock runs itself: no tool of the caller's."""


class _Text(msgspec.Struct, gc=False):
    text: str = ""


class Bytes(msgspec.Struct, gc=False):
    """Where the bytes stand, in base64."""

    bytes: str | None = None


class Media(msgspec.Struct, gc=False):
    """The inside of a picture or a sound."""

    format: str
    source: Bytes = msgspec.field(default_factory=Bytes)
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Call(msgspec.Struct, rename="camel", gc=False):
    tool_use_id: str
    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")
    type: str | None = None


class _ReasoningText(msgspec.Struct, gc=False):
    text: str = ""
    signature: str | None = None


class _Reasoning(msgspec.Struct, rename="camel", gc=False):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _Web(msgspec.Struct, gc=False):
    url: str = ""
    domain: str | None = None


class _Characters(msgspec.Struct, rename="camel", gc=False):
    document_index: int | None = None
    start: int | None = None
    end: int | None = None


class _Location(msgspec.Struct, rename="camel", gc=False):
    web: _Web | None = None
    document_char: _Characters | None = None
    document_page: _Characters | None = None
    document_chunk: _Characters | None = None


class _Citation(msgspec.Struct, rename="camel", gc=False):
    title: str | None = None
    source: str | None = None
    source_content: list[_Text] | None = None
    location: _Location | None = None


class _Cited(msgspec.Struct, gc=False):
    content: list[_Text] | None = None
    citations: list[msgspec.Raw] | None = None


_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
read_media = msgspec.json.Decoder(Media).decode
_call: Reading[_Call] = Reading("converse", _Call, "content.toolUse")
reasoning: Reading[_Reasoning] = Reading("converse", _Reasoning, "content.reasoningContent")
_citation: Reading[_Citation] = Reading("converse", _Citation, "content.citations")
_cited: Reading[_Cited] = Reading("converse", _Cited, "content.citationsContent")


def read_block(raw: msgspec.Raw) -> Block:
    """One block; of a kind that has no word of ours, as it stands. Raises msgspec.DecodeError, UpstreamError."""
    kind, inside = next(iter(_members(raw).items()), ("", raw))
    if not kind:
        raise unreadable("answer", "a block of its content is empty")
    reader = _READERS.get(kind)
    block = reader(inside) if reader else None
    return OpaqueBlock("converse", kind, raw) if block is None else block


def _read_text(raw: msgspec.Raw) -> Block:
    return TextBlock(_text(raw))


def _read_call(raw: msgspec.Raw) -> Block | None:
    found = _call(raw)
    return None if found.type == OWN_CALL else ToolCallBlock(found.tool_use_id, found.name, bytes(found.input))


def _read_thought(raw: msgspec.Raw) -> Block | None:
    found = reasoning(raw)
    if found.redacted_content is not None:
        return ThinkingBlock(redacted=found.redacted_content, origin="converse")
    said = found.reasoning_text
    return None if said is None else ThinkingBlock(said.text, said.signature, origin="converse")


def _read_cited(raw: msgspec.Raw) -> Block:
    found = _cited(raw)
    citations = tuple(read_citation(each) for each in found.citations or ())
    return TextBlock("".join(each.text for each in found.content or ()), citations=citations)


def _read_image(raw: msgspec.Raw) -> Block | None:
    return made("image", read_media(raw))


def _read_audio(raw: msgspec.Raw) -> Block | None:
    return made("audio", read_media(raw))


_READERS: dict[str, Callable[[msgspec.Raw], Block | None]] = {
    "text": _read_text,
    "toolUse": _read_call,
    "reasoningContent": _read_thought,
    "citationsContent": _read_cited,
    "image": _read_image,
    "audio": _read_audio,
}


def read_citation(raw: msgspec.Raw) -> Citation:
    """A citation of a document that was sent, or of the web. What stood there is kept beside the words."""
    found = _citation(raw)
    where = found.location or _Location()
    characters = where.document_char or _Characters()
    document = where.document_char or where.document_page or where.document_chunk or _Characters()
    kinds = [name for name in where.__struct_fields__ if getattr(where, name) is not None]
    return Citation(
        quote="".join(each.text for each in found.source_content or ()),
        title=found.title or "",
        url=where.web.url if where.web else "",
        document=found.source,
        document_index=document.document_index,
        document_start=characters.start,
        document_end=characters.end,
        kind=kinds[0] if kinds else "",
        ext={"~citation": raw},
    )


def made(kind: str, media: Media) -> Block | None:
    """A picture or a sound; None where its bytes are not there."""
    if media.source.bytes is None or media.error is not msgspec.UNSET:
        return None
    source = Source(media_type=f"{kind}/{media.format}", data=media.source.bytes)
    return ImageBlock(source) if kind == "image" else AudioBlock(source, encoding=media.format)
