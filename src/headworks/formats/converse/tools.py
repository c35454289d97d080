"""Tools, and how they are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from headworks.formats.converse.contents import cache_point
from headworks.formats.converse.pen import Pen
from headworks.formats.messages.translation import is_said
from headworks.formats.neutral import Request, Tool, ToolCallBlock, ToolChoice, ToolResultBlock

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NO_PARAMETERS = {"type": "object", "properties": {}}
_CLAUDES_CHOICES = {"auto": "auto", "required": "any", "named": "tool", "allowed": "auto"}


def write_tools(pen: Pen, request: Request) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """`toolConfig`, and what stands beside it among the model's own fields. Raises Unmapped."""
    choice = request.tool_choice or ToolChoice("auto")
    if choice.mode in {"required", "named", "allowed"} and not request.tools:
        pen.refuse("tool_choice", "there are no tools")
    if choice.mode == "none":
        if request.tools and _has_called(request):
            pen.refuse("tool_choice", "a conversation that has called tools may go on calling them")
        if request.tools:
            pen.leave_out("tools")
        return None, {}
    tools = _written(pen, request.tools, choice)
    if not tools:
        return None, {}
    config: dict[str, Any] = {"tools": tools}
    if request.parallel_tool_calls is False:
        return config, {"tool_choice": _one_at_a_time(pen, choice)}
    if choice.mode == "named":
        config["toolChoice"] = {"tool": {"name": choice.name}}
    elif choice.mode == "required" or choice.is_required:
        config["toolChoice"] = {"any": {}}
    return config, {}


def _written(pen: Pen, tools: Sequence[Tool], choice: ToolChoice) -> list[object]:
    written: list[object] = []
    for index, tool in enumerate(tools):
        if choice.mode == "allowed" and tool.name not in choice.names:
            continue
        written.append(_tool(pen, tool, f"tools[{index}]"))
        if tool.cache is not None:
            written.append(cache_point(tool.cache))
    if choice.mode == "allowed" and not written:
        pen.refuse("tool_choice", "none of the tools is allowed")
    return written


def _tool(pen: Pen, tool: Tool, at: str) -> object:
    if tool.origin is not None:
        if tool.origin != "converse" or tool.raw is None:
            pen.refuse(at, "only its own provider can run this tool")
        return tool.raw
    if tool.is_custom:
        pen.refuse(at, "its tools take JSON arguments")
    if not _NAME.fullmatch(tool.name):
        pen.refuse(f"{at}.name", "a name has up to 64 letters, digits, `_` and `-`")
    said: dict[str, Any] = {"name": tool.name}
    if tool.description:
        said["description"] = tool.description
    said["inputSchema"] = {"json": tool.parameters if is_said(tool.parameters) else _NO_PARAMETERS}
    if tool.strict:
        said["strict"] = True
    pen.bag(said, tool.ext, at)
    return {"toolSpec": said}


def _one_at_a_time(pen: Pen, choice: ToolChoice) -> dict[str, object]:
    """Claude's own switch, which has to stand with the whole choice: Converse has none."""
    if not pen.is_claude:
        pen.refuse(pen.field("parallel_tool_calls"), "this model may always call several tools at once")
    said: dict[str, object] = {"type": "any" if choice.is_required else _CLAUDES_CHOICES[choice.mode]}
    if choice.mode == "named":
        said["name"] = choice.name
    return {**said, "disable_parallel_tool_use": True}


def _has_called(request: Request) -> bool:
    return any(isinstance(block, ToolCallBlock | ToolResultBlock) for turn in request.turns for block in turn.blocks)
