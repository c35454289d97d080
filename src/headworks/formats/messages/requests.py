"""A request in Messages, read into neutral words."""

from __future__ import annotations

from typing import Literal

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.messages import plain
from headworks.formats.messages.blocks import blocks_of, read_content, take_cache
from headworks.formats.messages.objects import (
    MARK,
    USUAL,
    Members,
    boolean,
    integer,
    invalid,
    is_null,
    is_object,
    number,
    rows,
    text,
    texts,
)
from headworks.formats.neutral import OutputFormat, Reasoning, Request, Role, Tool, ToolChoice, Turn

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_MODES: dict[str, Literal["auto", "none", "required", "named"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "named",
    "none": "none",
}
_CUSTOM = msgspec.Raw(b'"custom"')
_EMPTY = msgspec.Raw(b"[]")
_TIERS = {b'"auto"': "auto", b'"standard_only"': "default"}


class _Enabled(msgspec.Struct, tag="enabled", tag_field="type", forbid_unknown_fields=True, gc=False):
    budget_tokens: int
    display: Literal["summarized", "omitted"] | msgspec.UnsetType = msgspec.UNSET


class _Adaptive(msgspec.Struct, tag="adaptive", tag_field="type", forbid_unknown_fields=True, gc=False):
    display: Literal["summarized", "omitted"] | msgspec.UnsetType = msgspec.UNSET


class _Disabled(msgspec.Struct, tag="disabled", tag_field="type", forbid_unknown_fields=True, gc=False):
    pass


class _Schema(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["json_schema"]
    schema: msgspec.Raw


class _OutputConfig(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    effort: str | None = None
    format: _Schema | None = None


class _Metadata(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    user_id: str


class _Choice(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["auto", "any", "tool", "none"]
    name: str | msgspec.UnsetType = msgspec.UNSET
    disable_parallel_tool_use: bool | msgspec.UnsetType = msgspec.UNSET


class _Said(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message with nothing unusual about it."""

    role: Literal["user", "assistant"]
    content: str | list[msgspec.Raw]


class _PlainTool(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """As most tools are."""

    name: str
    input_schema: msgspec.Raw
    description: str | msgspec.UnsetType = msgspec.UNSET


_plain_tool = msgspec.json.Decoder(_PlainTool).decode
_thinking = msgspec.json.Decoder(_Enabled | _Adaptive | _Disabled).decode
_schema = msgspec.json.Decoder(_Schema).decode
_output_config = msgspec.json.Decoder(_OutputConfig).decode
_metadata = msgspec.json.Decoder(_Metadata).decode
_choice = msgspec.json.Decoder(_Choice).decode
_said = msgspec.json.Decoder(list[_Said]).decode


def read_request(body: bytes, *, counts: bool = False) -> Request:
    """Raises InvalidRequest that names the field. `counts`: a request to count its tokens, which asks for no output."""
    if not counts and (found := plain.read_request(body)) is not None:
        return found
    return read_carefully(body, counts=counts)


def read_carefully(body: bytes, *, counts: bool = False) -> Request:
    """As `read_request`, whatever stands there."""
    try:
        return _read(Members(body), counts=counts)
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.", next_step="Send a flatter document.") from None


def _read(members: Members, *, counts: bool) -> Request:
    request = Request("messages", members.need("model", text), wants_usage=True)
    request.turns = [*_system(members), *_messages(members)]
    request.max_output = members.take("max_tokens", integer) if counts else members.need("max_tokens", integer)
    if request.max_output is not None and request.max_output < 1:
        raise InvalidRequest("`max_tokens` must be a whole number from 1.", param="max_tokens", code="invalid_value")
    _read_settings(members, request)
    _read_tools(members, request)
    request.reasoning = _reasoning(members, request)
    request.ext = members.rest
    return request


def _read_settings(members: Members, request: Request) -> None:
    stream = members.take("stream", boolean)
    request.stream = stream is True
    if stream is False:
        members.rest[USUAL + "stream"] = msgspec.Raw(b"false")
    request.temperature = members.take("temperature", number)
    request.top_p = members.take("top_p", number)
    request.top_k = members.take("top_k", integer)
    stop = members.take("stop_sequences", texts)
    if stop is not None and not stop:
        members.rest[USUAL + "stop_sequences"] = _EMPTY
    request.stop = stop or ()
    about = members.try_take("metadata", _metadata)
    request.end_user = about.user_id if about else None
    tier = members.rest.get("service_tier")
    if tier is not None and bytes(tier) in _TIERS:
        del members.rest["service_tier"]
        request.service_tier = _TIERS[bytes(tier)]


def _system(members: Members) -> list[Turn]:
    raw = members.rest.get("system")
    if raw is None or is_null(raw):
        return []
    del members.rest["system"]
    blocks, mark = read_content(raw, "system")
    return [Turn("system", blocks, ext=mark)]


def _messages(members: Members) -> list[Turn]:
    raw = members.rest.pop("messages", None)
    if raw is None:
        raise InvalidRequest("`messages` is missing.", param="messages")
    try:
        said = _said(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _unusual_messages(raw)
    turns = []
    for index, message in enumerate(said):
        blocks, mark = blocks_of(message.content, f"messages[{index}].content")
        turns.append(Turn(message.role, blocks, ext=mark))
    return turns


def _unusual_messages(raw: msgspec.Raw) -> list[Turn]:
    try:
        each = rows(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid("messages", error) from None
    if each is None:
        raise InvalidRequest("`messages` must be a list.", param="messages")
    return [_message(Members(one, f"messages[{index}]")) for index, one in enumerate(each)]


def _message(members: Members) -> Turn:
    word = members.need("role", text)
    role = _ROLES.get(word)
    if role is None:
        at = members.place("role")
        raise InvalidRequest(f"`{at}` must be `user`, `assistant` or `system`, not `{word[:40]}`.", param=at)
    content = members.rest.pop("content", None)
    if content is None:
        raise InvalidRequest(f"`{members.place('content')}` is missing.", param=members.place("content"))
    blocks, mark = read_content(content, members.place("content"))
    members.rest.update(mark)
    if role == "system":
        members.rest["~inline"] = MARK
    return Turn(role, blocks, ext=members.rest)


def _read_tools(members: Members, request: Request) -> None:
    listed = members.take("tools", rows)
    if listed is not None and not listed:
        members.rest[USUAL + "tools"] = _EMPTY
    request.tools = [_tool(raw, f"tools[{index}]") for index, raw in enumerate(listed or ())]
    choice = members.try_take("tool_choice", _choice)
    if choice is None:
        return
    name = None if choice.name is msgspec.UNSET else choice.name
    if (name is None) == (choice.type == "tool"):
        raise InvalidRequest(
            "`tool_choice.name` goes with the type `tool`, and only with it.", param="tool_choice.name"
        )
    request.tool_choice = ToolChoice(_MODES[choice.type], name)
    if choice.disable_parallel_tool_use is not msgspec.UNSET:
        request.parallel_tool_calls = not choice.disable_parallel_tool_use


def _tool(raw: msgspec.Raw, at: str) -> Tool:
    try:
        found = _plain_tool(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return read_tool_carefully(raw, at)
    if not is_object(found.input_schema):
        return read_tool_carefully(raw, at)
    description = None if found.description is msgspec.UNSET else found.description
    return Tool(found.name, description, found.input_schema)


def read_tool_carefully(raw: msgspec.Raw, at: str) -> Tool:
    """One of `tools`, whatever stands there. Raises InvalidRequest."""
    members = Members(raw, at)
    kind = members.take("type", text)
    if kind == "custom":
        members.rest[USUAL + "type"] = _CUSTOM
    elif kind is not None:
        return Tool(members.take("name", text) or "", origin="messages", raw=raw)
    return Tool(
        members.need("name", text),
        description=members.take("description", text),
        parameters=msgspec.Raw(members.take_object("input_schema")),
        strict=members.take("strict", boolean),
        cache=take_cache(members),
        ext=members.rest,
    )


def _reasoning(members: Members, request: Request) -> Reasoning | None:
    effort = _output(members, request)
    asked = members.try_take("thinking", _thinking)
    if asked is None:
        return None if effort is None else Reasoning(effort=effort)
    if isinstance(asked, _Disabled):
        return Reasoning(effort=effort, enabled=False)
    shows = None if asked.display is msgspec.UNSET else asked.display == "summarized"
    if isinstance(asked, _Adaptive):
        return Reasoning(effort=effort, is_adaptive=True, shows_text=shows)
    return Reasoning(effort=effort, enabled=True, budget_tokens=asked.budget_tokens, shows_text=shows)


def _output(members: Members, request: Request) -> str | None:
    """Reads `output_config`, and `output_format` as it was called before; gives the effort."""
    raw = members.rest.get("output_config")
    config = members.try_take("output_config", _output_config)
    schema = config.format if config else None
    if raw is not None and config and (b"null" in bytes(raw) or (config.effort is None and schema is None)):
        members.rest[USUAL + "output_config"] = raw
    if schema is None and (schema := members.try_take("output_format", _schema)) is not None:
        members.rest["~output_format"] = MARK
    if schema is not None:
        request.output_format = OutputFormat("json_schema", schema=schema.schema)
    return config.effort if config else None
