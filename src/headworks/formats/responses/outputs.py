"""The output items of an answer that another format gave, and the response object around them.

All that `openai.types.responses.Response` and Open Responses require is there; what the caller asked is echoed.
"""

from __future__ import annotations

import time

import msgspec

from headworks.formats.neutral import (
    Block,
    ImageBlock,
    OpaqueBlock,
    Request,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.responses.citations import as_raw
from headworks.formats.responses.members import UNREADABLE, decode
from headworks.formats.responses.options import write_reasoning, write_text
from headworks.formats.responses.parts import unmapped
from headworks.formats.responses.requests import instructions_of, written_options
from headworks.formats.responses.thoughts import call_id, packed
from headworks.formats.responses.tools import write_tools
from headworks.types.ids import new_id

ID = "resp_"
_PREFIXES = {"message": "msg_", "reasoning": "rs_", "function_call": "fc_", "custom_tool_call": "ctc_"}
_ECHOED = (
    "background",
    "max_tool_calls",
    "metadata",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "truncation",
)
_UNSAID: dict[str, object] = {
    "error": None,
    "incomplete_details": None,
    "completed_at": None,
    "instructions": None,
    "background": False,
    "frequency_penalty": 0.0,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
    "user": None,
}


def new_response_id() -> str:
    """An id that is ours."""
    return ID + new_id().hex


def new_item_id(kind: str) -> str:
    """An id for an output item of this type."""
    return _PREFIXES.get(kind, "item_") + new_id().hex


def echo_of(request: Request | None) -> dict[str, object]:
    """What a response says of its request: what was asked, and the defaults of the rest."""
    said: dict[str, object] = dict(_UNSAID)
    said["created_at"] = int(time.time())
    if request is None:
        return said
    is_own = request.origin == "responses"
    said |= written_options(request, set())
    said["tools"] = [_echoed(tool) for tool in write_tools(request.tools, request.origin, set())]
    said["instructions"] = instructions_of(request)
    reasoning = write_reasoning(request.reasoning, request.ext if is_own else {}) if request.reasoning else {}
    said["reasoning"] = {"effort": None, "summary": None} | reasoning
    said["text"] = {"format": {"type": "text"}} | write_text(request.output_format, request.verbosity, {})
    if is_own:
        echoed = {name: _value(request.ext[name]) for name in _ECHOED if name in request.ext}
        said |= {name: value for name, value in echoed.items() if value is not None}
    return said


def _echoed(tool: object) -> object:
    """A function is echoed with all of its members."""
    if isinstance(tool, dict) and tool["type"] == "function":
        return {"description": None, "parameters": None, "strict": None} | tool
    return tool


def _value(raw: msgspec.Raw) -> object:
    try:
        return decode(raw)
    except UNREADABLE:
        return None


def kind_of(block: Block) -> str:
    """The type of the item that this block is, or is a part of. Raises Unmapped."""
    match block:
        case TextBlock():
            return "message"
        case ThinkingBlock():
            return "reasoning"
        case ToolCallBlock():
            return "custom_tool_call" if block.is_custom else "function_call"
        case ImageBlock() if block.source.data is not None:
            return "image_generation_call"
        case OpaqueBlock() if block.origin == "responses":
            return block.kind
        case _:
            raise unmapped(block)


def message_item(item_id: str, parts: list[object], status: str) -> dict[str, object]:
    """A message of the assistant."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": parts}


def text_part(block: TextBlock) -> dict[str, object]:
    """A text or a refusal, as a part of a message."""
    if block.is_refusal:
        return {"type": "refusal", "refusal": block.text}
    size = len(block.text)
    cited = [as_raw(each, is_own=False, text_length=size) for each in block.citations]
    return {"type": "output_text", "annotations": cited, "logprobs": [], "text": block.text}


def item_of(block: Block, item_id: str, status: str) -> object:
    """A block that is an item by itself. Raises Unmapped."""
    match block:
        case ThinkingBlock():
            return _reasoning_item(block, item_id, status)
        case ToolCallBlock():
            given = "input" if block.is_custom else "arguments"
            return {
                "id": item_id,
                "type": kind_of(block),
                "status": status,
                "call_id": call_id(block),
                "name": block.name,
                given: block.arguments.decode(),
            }
        case ImageBlock():
            written = {"id": item_id, "type": kind_of(block), "status": "completed", "result": block.source.data}
            form = (block.source.media_type or "").partition("/")[2]
            return written | ({"output_format": form} if form in {"png", "webp", "jpeg", "gif"} else {})
        case OpaqueBlock() if block.origin == "responses":
            return block.raw
        case _:
            raise unmapped(block)


def _reasoning_item(block: ThinkingBlock, item_id: str, status: str) -> dict[str, object]:
    summary = [{"type": "summary_text", "text": each} for each in block.summary]
    item: dict[str, object] = {"id": item_id, "type": "reasoning", "summary": summary, "status": status}
    if block.text:
        item["content"] = [{"type": "reasoning_text", "text": block.text}]
    encrypted = packed(block)
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    return item
