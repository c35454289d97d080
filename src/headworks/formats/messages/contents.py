"""Content blocks as they are written into a request."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from headworks.formats.messages import thoughts
from headworks.formats.messages.blocks import is_plain
from headworks.formats.messages.citations import write_citation
from headworks.formats.messages.pen import Pen
from headworks.formats.neutral import (
    AudioBlock,
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

_PICTURES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
_PDF = "application/pdf"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def write_content(pen: Pen, blocks: Sequence[Block], mark: Ext, at: str) -> object:
    """A text where one says it all, else a list."""
    first = blocks[0] if len(blocks) == 1 else None
    if first is not None and is_plain(first) and "~list" not in mark:
        return first.text
    return write_blocks(pen, blocks, at)


def write_blocks(pen: Pen, blocks: Iterable[Block], at: str) -> list[object]:
    """A list, without thoughts that Anthropic can't read."""
    written = (write_block(pen, block, f"{at}[{index}]") for index, block in enumerate(blocks))
    return [block for block in written if block is not None]


def write_block(pen: Pen, block: Block, at: str) -> object | None:
    """One block; None: it was left out. Raises Unmapped."""
    return _WRITERS[type(block)](pen, block, at)


def cache_control(cache: Cache) -> dict[str, str]:
    """The prompt-cache marker."""
    return {"type": "ephemeral"} if cache.lifetime is None else {"type": "ephemeral", "ttl": cache.lifetime}


def _opaque(pen: Pen, block: OpaqueBlock, at: str) -> object:
    if block.origin != "messages":
        pen.refuse(at, f"a `{block.kind[:60]}` is not known outside of its own format")
    return block.raw


def _audio(pen: Pen, _: AudioBlock, at: str) -> object:
    return pen.refuse(at, "it takes no sound")


def _text(pen: Pen, block: TextBlock, at: str) -> object | None:
    if not block.text and not pen.is_own:
        return None  # Anthropic takes no empty text, and it says nothing
    said: dict[str, Any] = {"type": "text", "text": block.text}
    if pen.is_own and (block.citations or "~empty" in block.ext):
        said["citations"] = [write_citation(each, is_own=True) for each in block.citations]
    elif block.citations:
        pen.leave_out(f"{at}.annotations")  # a claim in a past answer stands without its proof
    return _finished(pen, said, block, at)


def _call(pen: Pen, block: ToolCallBlock, at: str) -> object:
    identifier = block.id
    if block.is_custom:
        pen.refuse(at, "the call of a custom tool has no JSON arguments")
    if not pen.is_own:
        identifier = thoughts.plain_id(block.id)
        _require_object(pen, block.arguments, at)
    given = msgspec.Raw(block.arguments.strip() or b"{}")
    return _finished(pen, {"type": "tool_use", "id": identifier, "name": block.name, "input": given}, block, at)


def _require_object(pen: Pen, arguments: bytes, at: str) -> None:
    try:
        _members(arguments.strip() or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pen.refuse(f"{at}.arguments", "the arguments of this call are no JSON object")


def _result(pen: Pen, block: ToolResultBlock, at: str) -> object:
    identifier = block.id if pen.is_own else thoughts.plain_id(block.id)
    said: dict[str, Any] = {"type": "tool_result", "tool_use_id": identifier}
    if block.content or "~empty" in block.ext:
        said["content"] = write_content(pen, block.content, block.ext, f"{at}.content")
    if block.is_error is not None:
        said["is_error"] = block.is_error
    return _finished(pen, said, block, at)


def _thinking(pen: Pen, block: ThinkingBlock, at: str) -> object | None:
    if block.origin != "messages":
        pen.leave_out(at)
        return None
    if block.redacted is not None:
        return _finished(pen, {"type": "redacted_thinking", "data": block.redacted}, block, at)
    said = {"type": "thinking", "thinking": block.text, "signature": block.signature or ""}
    return _finished(pen, said, block, at)


def _image(pen: Pen, block: ImageBlock, at: str) -> object:
    if block.detail not in {None, "auto"}:
        pen.leave_out(f"{at}.detail")
    source = _without_data_url(block.source)
    if not pen.is_own and source.data is not None and source.media_type not in _PICTURES:
        pen.refuse(at, f"it takes JPEG, PNG, GIF and WebP pictures, not `{source.media_type}`")
    return _finished(pen, {"type": "image", "source": _source(pen, source, at)}, block, at)


def _file(pen: Pen, block: FileBlock, at: str) -> object:
    source = _without_data_url(block.source)
    if block.text is not None:
        where: object = {"type": "text", "media_type": "text/plain", "data": block.text}
    elif not pen.is_own and source.data is not None and source.media_type != _PDF:
        where = _decoded(pen, source, at)
    else:
        where = _source(pen, source, at)
    said: dict[str, Any] = {"type": "document", "source": where}
    if block.name is not None:
        said["title"] = block.name
    if block.context is not None:
        said["context"] = block.context
    if block.wants_citations is not None:
        said["citations"] = {"enabled": block.wants_citations}
    return _finished(pen, said, block, at)


def _source(pen: Pen, source: Source, at: str) -> dict[str, str | None]:
    if source.data is not None:
        return {"type": "base64", "media_type": source.media_type, "data": source.data}
    if source.url is not None:
        return {"type": "url", "url": source.url}
    if source.file_id is None or not pen.is_own:
        pen.refuse(f"{at}.file_id", "the file lies with another provider")
    return {"type": "file", "file_id": source.file_id}


def _decoded(pen: Pen, source: Source, at: str) -> dict[str, str]:
    """A text file in base64 as the text that it is."""
    kind = source.media_type or ""
    if not kind.startswith("text/"):
        pen.refuse(at, f"documents are PDF or text, not `{kind[:60]}`")
    try:
        said = base64.b64decode(source.data or "", validate=True).decode()
    except (binascii.Error, ValueError):
        pen.refuse(at, "the text of this file is not UTF-8 in base64")
    return {"type": "text", "media_type": "text/plain", "data": said}


def _without_data_url(source: Source) -> Source:
    url = source.url
    if url is None or not url.startswith("data:"):
        return source
    head, _, data = url[len("data:") :].partition(",")
    kind, _, coding = head.partition(";")
    return Source(media_type=kind, data=data) if coding == "base64" else source


def _finished(pen: Pen, said: dict[str, Any], block: Any, at: str) -> object:  # noqa: ANN401 -- any kind of block
    if isinstance(block, ThinkingBlock):
        return pen.bag(said, block.ext, at)
    if block.cache is not None:
        said["cache_control"] = cache_control(block.cache)
    return pen.bag(said, block.ext, at) if block.ext else said


_WRITERS: dict[type[Block], Callable[[Pen, Any, str], object | None]] = {
    TextBlock: _text,
    ToolCallBlock: _call,
    ToolResultBlock: _result,
    ThinkingBlock: _thinking,
    ImageBlock: _image,
    FileBlock: _file,
    AudioBlock: _audio,
    OpaqueBlock: _opaque,
}
