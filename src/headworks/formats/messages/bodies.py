"""A request's body in Messages, written from neutral words: its own as it was, another format's as far as it can be."""

from __future__ import annotations

from typing import Any

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.contract import Written
from headworks.formats.messages import plain
from headworks.formats.messages.contents import cache_control, write_blocks, write_content
from headworks.formats.messages.pen import Pen
from headworks.formats.messages.thinking import write_thinking
from headworks.formats.messages.translation import check, is_said
from headworks.formats.neutral import Request, Tool, ToolChoice, Turn

DEFAULT_MAX_OUTPUT = 4096
_CHOICES = {"auto": "auto", "required": "any", "named": "tool", "none": "none"}
_TIERS = {"auto": "auto", "default": "standard_only"}
_NO_PARAMETERS = {"type": "object", "properties": {}}
_encode = msgspec.json.Encoder().encode


def write_request(request: Request, *, default_max_output: int = DEFAULT_MAX_OUTPUT, counts: bool = False) -> Written:
    """See contract.Spoken. Anthropic wants `max_tokens`: `default_max_output` where the caller gave none.

    `counts`: for a request to count tokens, which has neither an output nor a stream.
    """
    if not counts and (said := plain.write_request(request, default_max_output)) is not None:
        return Written(said)
    return write_carefully(request, default_max_output=default_max_output, counts=counts)


def write_carefully(request: Request, *, default_max_output: int = DEFAULT_MAX_OUTPUT, counts: bool = False) -> Written:
    """As `write_request`, whatever it says."""
    pen = Pen(request.origin)
    if not pen.is_own:
        check(pen, request)
    body: dict[str, Any] = {"model": request.model}
    if not counts:
        body["max_tokens"] = default_max_output if request.max_output is None else request.max_output
        _write_settings(request, body)
    _write_turns(pen, request, body)
    _write_tools(pen, request, body)
    _write_output(pen, request, body)
    if pen.is_own:
        pen.bag(body, request.ext, "")
    return Written(_encode(body), tuple(pen.left_out))


def _write_settings(request: Request, body: dict[str, Any]) -> None:
    if request.stream:
        body["stream"] = True
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.end_user is not None:
        body["metadata"] = {"user_id": request.end_user}
    if request.service_tier in _TIERS:
        body["service_tier"] = _TIERS[request.service_tier]


def _write_turns(pen: Pen, request: Request, body: dict[str, Any]) -> None:
    turns = request.turns
    count = _leading(turns)
    if count == 1 and pen.is_own:
        body["system"] = write_content(pen, turns[0].blocks, turns[0].ext, "system")
    elif count:
        _write_system(pen, turns[:count], body)
    if pen.is_own:
        body["messages"] = [_own(pen, turn, f"messages[{index}]") for index, turn in enumerate(turns[count:])]
    else:
        body["messages"] = _merged(pen, turns, count)


def _leading(turns: list[Turn]) -> int:
    """How many turns at the beginning are the system's, and belong in front of the conversation."""
    for index, turn in enumerate(turns):
        if turn.role not in {"system", "developer"} or "~inline" in turn.ext:
            return index
    return len(turns)


def _write_system(pen: Pen, turns: list[Turn], body: dict[str, Any]) -> None:
    blocks: list[object] = []
    for index, turn in enumerate(turns):
        at = _place(pen, turns, index)
        for block in write_blocks(pen, turn.blocks, f"{at}.content"):
            if not (isinstance(block, dict) and block["type"] == "text"):
                pen.refuse(f"{at}.content", "a system prompt is text")
            blocks.append(block)
        if turn.name is not None:
            pen.leave_out(f"{at}.name")
        pen.bag({}, turn.ext, at)
    if blocks:
        body["system"] = _alone(blocks)


def _own(pen: Pen, turn: Turn, at: str) -> dict[str, object]:
    role = "system" if turn.role == "developer" else turn.role
    said: dict[str, object] = {"role": role, "content": write_content(pen, turn.blocks, turn.ext, f"{at}.content")}
    return pen.bag(said, turn.ext, at)


def _place(pen: Pen, turns: list[Turn], index: int) -> str:
    """Where a turn stands in the caller's request: the `instructions` of Responses stand before all others."""
    before = 1 if "~instructions" in turns[0].ext else 0
    return "instructions" if index < before else f"{pen.field('turns')}[{index - before}]"


def _merged(pen: Pen, turns: list[Turn], count: int) -> list[dict[str, object]]:
    """The conversation with turns of one role after another made one, as Anthropic reads them anyway."""
    groups: list[tuple[str, list[object]]] = []
    for index in range(count, len(turns)):
        turn, place = turns[index], _place(pen, turns, index)
        if turn.role in {"system", "developer"}:
            pen.refuse(place, "instructions in the middle of a conversation are not taken by all of its models")
        if turn.name is not None:
            pen.leave_out(f"{place}.name")
        pen.bag({}, turn.ext, place)
        written = write_blocks(pen, turn.blocks, f"{place}.content")
        if not written:
            pen.leave_out(place)  # an empty message
        elif groups and groups[-1][0] == turn.role:
            groups[-1][1].extend(written)
        else:
            groups.append((turn.role, written))
    if not groups:
        pen.refuse(pen.field("turns"), "there is no message in it")
    return [{"role": role, "content": _alone(blocks)} for role, blocks in groups]


def _alone(blocks: list[object]) -> object:
    """The text of a single plain text block, else the list."""
    only = blocks[0] if len(blocks) == 1 else None
    if isinstance(only, dict) and only.keys() == {"type", "text"}:
        return only["text"]
    return blocks


def _write_tools(pen: Pen, request: Request, body: dict[str, Any]) -> None:
    if request.tools:
        body["tools"] = [_tool(pen, tool, f"tools[{index}]") for index, tool in enumerate(request.tools)]
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None and parallel is False and request.tools:
        choice = ToolChoice("auto")
    if choice is None or not (request.tools or pen.is_own):
        return
    said: dict[str, Any] = {"type": _CHOICES[choice.mode]}
    if choice.mode == "named":
        said["name"] = choice.name
    if parallel is not None and (pen.is_own or choice.mode != "none"):
        said["disable_parallel_tool_use"] = not parallel
    body["tool_choice"] = said


def _tool(pen: Pen, tool: Tool, at: str) -> object:
    if tool.origin is not None:
        if tool.origin != "messages" or tool.raw is None:
            pen.refuse(at, "only its own provider can run this tool")
        return tool.raw
    if tool.is_custom:
        pen.refuse(at, "its tools take JSON arguments")
    said: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    is_given = tool.parameters is not None if pen.is_own else is_said(tool.parameters)
    said["input_schema"] = tool.parameters if is_given else _NO_PARAMETERS
    if tool.strict is not None:
        said["strict"] = tool.strict
    if tool.cache is not None:
        said["cache_control"] = cache_control(tool.cache)
    return pen.bag(said, tool.ext, at)


def _write_output(pen: Pen, request: Request, body: dict[str, Any]) -> None:
    """Thinking, effort and the schema of the answer."""
    thinking = write_thinking(pen, request, body.get("max_tokens"))
    config: dict[str, Any] = {}
    if "thinking" in thinking:
        body["thinking"] = thinking["thinking"]
    if "effort" in thinking:
        config["effort"] = thinking["effort"]
    wanted = request.output_format
    if wanted is not None and wanted.kind == "json_schema":
        schema = {"type": "json_schema", "schema": _schema(pen, request)}
        if "~output_format" in request.ext:
            body["output_format"] = schema
        else:
            config["format"] = schema
    if config:
        body["output_config"] = config


def _schema(pen: Pen, request: Request) -> msgspec.Raw:
    wanted, at = request.output_format, pen.field("output_format")
    if wanted is None or wanted.schema is None:
        raise InvalidRequest(f"`{at}` has no schema.", param=at)
    for name in ("name", "description"):
        if not pen.is_own and getattr(wanted, name):
            pen.leave_out(f"{at}.{name}")
    return wanted.schema
