"""Content blocks as they are written into a request; cache markers stand behind them as blocks of their own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.converse import media
from headworks.formats.converse.pen import Pen
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    Cache,
    FileBlock,
    ImageBlock,
    OpaqueBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
)

_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_document = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def write_blocks(pen: Pen, blocks: Iterable[Block], at: str) -> list[object]:
    """All that can be sent: without empty texts, which Bedrock refuses, and without thoughts that it can't read."""
    written: list[object] = []
    for index, block in enumerate(blocks):
        place = f"{at}[{index}]"
        said = _WRITERS[type(block)](pen, block, place)
        if said is not None:
            written.append(said)
        if isinstance(block, ThinkingBlock | OpaqueBlock):
            continue
        pen.bag({}, block.ext, place)
        if block.cache is not None and written:
            written.append(cache_point(block.cache))
    return written


def cache_point(cache: Cache) -> dict[str, object]:
    """A prompt-cache marker."""
    point = {"type": "default"} if cache.lifetime is None else {"type": "default", "ttl": cache.lifetime}
    return {"cachePoint": point}


def call_id(given: str) -> str:
    """An id of a call that Bedrock takes; the same for a call and its result."""
    if _ID.fullmatch(given):
        return given
    return "tooluse_" + hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _text(pen: Pen, block: TextBlock, at: str) -> object | None:
    if block.citations:
        pen.leave_out(f"{at}.annotations")  # a claim in a past answer stands without its proof
    if block.text.strip():
        return {"text": block.text}
    if block.text:
        pen.leave_out(at)
    return None


def _image(pen: Pen, block: ImageBlock, at: str) -> object:
    return {"image": media.image(pen, block, at)}


def _audio(pen: Pen, block: AudioBlock, at: str) -> object:
    return {"audio": media.audio(pen, block, at)}


def _file(pen: Pen, block: FileBlock, at: str) -> object:
    return {"document": media.document(pen, block, at)}


def _call(pen: Pen, block: ToolCallBlock, at: str) -> object:
    if block.is_custom:
        pen.refuse(at, "the call of a custom tool has no JSON arguments")
    if block.signature is not None:
        pen.leave_out(f"{at}.signature")  # of a model that is not asked here
    given = block.arguments.strip() or b"{}"
    try:
        _document(given)
        msgspec.json.decode(given)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(
            f"`{at}.arguments`, of a past call, are no JSON object.", param=f"{at}.arguments"
        ) from None
    return {"toolUse": {"toolUseId": call_id(block.id), "name": block.name, "input": msgspec.Raw(given)}}


def _result(pen: Pen, block: ToolResultBlock, at: str) -> object:
    if block.is_custom:
        pen.refuse(at, "it has no custom tools")
    said: dict[str, Any] = {"toolUseId": call_id(block.id), "content": _result_content(pen, block, f"{at}.content")}
    if block.is_error is not None:
        said["status"] = "error" if block.is_error else "success"
    return {"toolResult": said}


def _result_content(pen: Pen, block: ToolResultBlock, at: str) -> list[object]:
    written: list[object] = []
    for index, part in enumerate(block.content):
        place = f"{at}[{index}]"
        if isinstance(part, TextBlock):
            written.append({"text": part.text})
        elif isinstance(part, ImageBlock | FileBlock):
            written.append(_WRITERS[type(part)](pen, part, place))
        else:
            pen.refuse(place, "the result of a tool is text, pictures and documents")
        pen.bag({}, part.ext, place)
        if part.cache is not None:
            pen.leave_out(f"{place}.cache_control")
    return written or [{"text": ""}]


def _thinking(pen: Pen, block: ThinkingBlock, at: str) -> object | None:
    """Thoughts that Bedrock gave, or Claude elsewhere: they go back as they came, any other is no use to the model."""
    if block.origin == "converse" and block.redacted is not None:
        return {"reasoningContent": {"redactedContent": block.redacted}}
    if block.origin == "messages" and block.redacted is not None:
        return {"reasoningContent": {"redactedContent": base64.b64encode(block.redacted.encode()).decode()}}
    if block.origin in {"converse", "messages"} and block.text:
        said = {"text": block.text, "signature": block.signature} if block.signature else {"text": block.text}
        return {"reasoningContent": {"reasoningText": said}}
    pen.leave_out(at)
    return None


def _opaque(pen: Pen, block: OpaqueBlock, at: str) -> object:
    if block.origin != "converse":
        pen.refuse(at, f"a `{block.kind[:60]}` is not known outside of its own format")
    return block.raw


_WRITERS: dict[type[Block], Callable[[Pen, Any, str], object | None]] = {
    TextBlock: _text,
    ImageBlock: _image,
    AudioBlock: _audio,
    FileBlock: _file,
    ToolCallBlock: _call,
    ToolResultBlock: _result,
    ThinkingBlock: _thinking,
    OpaqueBlock: _opaque,
}
