"""Content blocks as an answer has them, whole or as they open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from headworks.errors import Unmapped, UpstreamError
from headworks.formats.messages import thoughts
from headworks.formats.messages.citations import write_citation
from headworks.formats.messages.objects import restore
from headworks.formats.neutral import Block, Ext, OpaqueBlock, TextBlock, ThinkingBlock, ToolCallBlock

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def say(block: Block, *, is_own: bool) -> object:
    """One block of an answer. `is_own`: it was read from Messages. Raises Unmapped."""
    writer = _WRITERS.get(type(block))
    if writer is None:
        raise Unmapped(
            f"An answer in Anthropic's Messages has no block for a {type(block).__name__}.",
            param="content",
            next_step="Ask in the format of the model's provider.",
        )
    return writer(block, is_own)


def _bag(said: dict[str, object], ext: Ext, is_own: bool) -> dict[str, object]:  # noqa: FBT001 -- private
    return restore(said, ext) if is_own and ext else said


def _text(block: TextBlock, is_own: bool) -> object:  # noqa: FBT001 -- private
    said: dict[str, Any] = {"type": "text", "text": block.text}
    if block.citations or "~empty" in block.ext:
        said["citations"] = [write_citation(each, is_own=is_own) for each in block.citations]
    return _bag(said, block.ext, is_own)


def _call(block: ToolCallBlock, is_own: bool) -> object:  # noqa: FBT001 -- private
    if block.is_custom:
        raise Unmapped("An answer in Anthropic's Messages has no call of a custom tool.", param="tools")
    said: dict[str, Any] = {
        "type": "tool_use",
        "id": block.id,
        "name": block.name,
        "input": arguments_of(block.arguments),
    }
    return _bag(said, block.ext, is_own)


def arguments_of(arguments: bytes) -> msgspec.Raw:
    """The text of an object; UpstreamError for what is none."""
    text = arguments.strip()
    if not text:
        return msgspec.Raw(b"{}")
    try:
        _members(text)
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError(
            "The model's arguments for a tool are no JSON object, as Anthropic's Messages wants them.",
            next_step="Try again; a larger max_tokens helps where they were cut off.",
        ) from None
    return msgspec.Raw(text)


def _thinking(block: ThinkingBlock, is_own: bool) -> object:  # noqa: FBT001 -- private
    if block.redacted is not None and block.origin == "messages":
        return _bag({"type": "redacted_thinking", "data": block.redacted}, block.ext, is_own)
    text, signature = block.text or "\n\n".join(block.summary), thoughts.packed(block, block.signature)
    if not text and signature and block.origin != "messages":
        return {"type": "redacted_thinking", "data": signature}
    return _bag({"type": "thinking", "thinking": text, "signature": signature}, block.ext, is_own)


def _opaque(block: OpaqueBlock, _: bool) -> object:  # noqa: FBT001 -- private
    if block.origin == "messages":
        return block.raw
    raise Unmapped(
        f"An answer in Anthropic's Messages has no block for a `{block.kind[:60]}`.",
        param="content",
        next_step="Ask in the format of the model's provider.",
    )


_WRITERS: dict[type[Block], Callable[[Any, bool], object]] = {
    TextBlock: _text,
    ToolCallBlock: _call,
    ThinkingBlock: _thinking,
    OpaqueBlock: _opaque,
}
