"""Tools, the choice among them, and the form of the output: read, and written."""

from __future__ import annotations

from typing import Literal

import msgspec

from headworks.formats.chat.members import NO_RAW, Misread, Shape, is_null, kind_of, starts, under
from headworks.formats.chat.parts import read_cache, write_cache
from headworks.formats.chat.saying import Saying, put_back
from headworks.formats.neutral import Ext, OutputFormat, Tool, ToolChoice


class _Function(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = NO_RAW
    strict: bool | None = None


class _PlainFunction(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str
    parameters: msgspec.Raw
    description: str | msgspec.UnsetType = msgspec.UNSET
    strict: bool | msgspec.UnsetType = msgspec.UNSET


class _PlainTool(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """As most tools are."""

    type: Literal["function"]
    function: _PlainFunction


class _Custom(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    function: msgspec.Raw = NO_RAW
    custom: msgspec.Raw = NO_RAW
    cache_control: msgspec.Raw = NO_RAW


class _Named(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str


class _Allowed(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    function: _Named | None = None
    custom: _Named | None = None


class _AllowedTools(msgspec.Struct, forbid_unknown_fields=True):
    mode: str
    tools: list[_Allowed]


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    function: _Named | None = None
    custom: _Named | None = None
    allowed_tools: _AllowedTools | None = None


class _Schema(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    schema: msgspec.Raw = NO_RAW
    strict: bool | None = None
    description: str | None = None


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    json_schema: _Schema | None = None


class _Syntax(msgspec.Struct, forbid_unknown_fields=True):
    """A custom tool's `format` as Responses has it."""

    type: str
    syntax: str
    definition: str


_TOOL, _FUNCTION, _CUSTOM = Shape(_Tool), Shape(_Function), Shape(_Custom)
_plain = msgspec.json.Decoder(_PlainTool).decode
_choice = msgspec.json.Decoder(_Choice).decode
_named = msgspec.json.Decoder(_Named).decode
_format = msgspec.json.Decoder(_Format).decode
_text = msgspec.json.Decoder(str).decode
_MODES = {"auto": ToolChoice("auto"), "none": ToolChoice("none"), "required": ToolChoice("required")}
_KINDS = {"text": OutputFormat("text"), "json_object": OutputFormat("json")}


def read_tools(raws: list[msgspec.Raw]) -> list[Tool]:
    """`tools`. Raises Misread."""
    found: list[Tool] = []
    for at, raw in enumerate(raws):
        try:
            found.append(_read_tool(raw))
        except Misread as error:
            raise error.within(f"tools[{at}]") from None
    return found


def read_functions(raws: list[msgspec.Raw]) -> list[Tool]:
    """The older `functions`. Raises Misread."""
    found: list[Tool] = []
    for at, raw in enumerate(raws):
        try:
            found.append(_read_function(raw, {}, ""))
        except Misread as error:
            raise error.within(f"functions[{at}]") from None
    return found


def _read_tool(raw: msgspec.Raw) -> Tool:
    try:
        function = _plain(raw).function
    except msgspec.ValidationError:
        return read_tool_carefully(raw)
    if not starts(function.parameters, b"{"):
        return read_tool_carefully(raw)
    description = None if function.description is msgspec.UNSET else function.description
    return Tool(
        function.name,
        description,
        function.parameters,
        None if function.strict is msgspec.UNSET else function.strict,
    )


def read_tool_carefully(raw: msgspec.Raw) -> Tool:
    """One of `tools`, whatever stands there. Raises Misread."""
    kind = kind_of(raw)
    if kind not in {"function", "custom"}:
        return Tool(kind, origin="chat", raw=raw)
    tool, ext = _TOOL.read(raw)
    cache = read_cache(tool.cache_control, ext)
    inner = tool.function if kind == "function" else tool.custom
    if not starts(inner, b"{"):
        raise Misread("must be an object" if len(inner) else "is required", f".{kind}")
    try:
        if kind == "function":
            found = _read_function(inner, ext, "function")
        else:
            custom, rest = _CUSTOM.read(inner)
            found = Tool(custom.name, custom.description, is_custom=True, ext=ext | under("custom", rest))
    except Misread as error:
        raise error.within(f".{kind}") from None
    found.cache = cache
    return found


def _read_function(raw: msgspec.Raw, ext: Ext, name: str) -> Tool:
    function, rest = _FUNCTION.read(raw)
    if len(function.parameters) and not starts(function.parameters, b"{"):
        raise Misread("must be an object", ".parameters")
    parameters = function.parameters if len(function.parameters) else None
    return Tool(
        function.name,
        function.description,
        parameters,
        function.strict,
        ext=ext | (under(name, rest) if name else rest),
    )


def write_tools(tools: list[Tool], saying: Saying) -> list[object]:
    """`tools`. Raises Unmapped for one that only another provider can run."""
    return [_write_tool(tool, saying, f"tools[{at}]") for at, tool in enumerate(tools)]


def write_functions(tools: list[Tool]) -> list[object]:
    """The older `functions`, in their own format."""
    found: list[object] = []
    for tool in tools:
        function = _write_function(tool)
        put_back(function, tool.ext)
        found.append(function)
    return found


def _write_tool(tool: Tool, saying: Saying, at: str) -> object:
    if tool.raw is not None:
        if tool.origin != "chat":
            raise saying.refused(at, f"`{tool.name}` is run by another provider")
        return tool.raw
    ext = tool.ext
    found: dict[str, object]
    if tool.is_custom:
        custom: dict[str, object] = {"name": tool.name}
        if tool.description is not None:
            custom["description"] = tool.description
        if not saying.is_own and "format" in ext:
            custom["format"] = _grammar(ext["format"])
            ext = {name: raw for name, raw in ext.items() if name != "format"}
        found = {"type": "custom", "custom": custom}
    else:
        found = {"type": "function", "function": _write_function(tool)}
    if tool.cache is not None:
        if saying.is_own or "cache_control" in saying.accepts:
            found["cache_control"] = write_cache(tool.cache)
        else:
            saying.leave_out("cache_control")
    saying.bag(found, ext, at)
    return found


def _write_function(tool: Tool) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


def _grammar(form: msgspec.Raw) -> object:
    """A custom tool's `format`: what Responses says flat stands one level deeper here."""
    try:
        syntax = msgspec.json.decode(form, type=_Syntax)
    except msgspec.ValidationError:
        return form
    return {"type": syntax.type, "grammar": {"definition": syntax.definition, "syntax": syntax.syntax}}


def read_choice(raw: msgspec.Raw, name: str) -> ToolChoice | None:
    """`tool_choice` or `function_call`; None for a form that we don't know. Raises Misread."""
    if starts(raw, b'"'):
        mode = _MODES.get(_text(raw))
        if mode is None:
            raise Misread("must be `auto`, `none`, `required`, or an object", f".{name}", "invalid_value")
        return mode
    if not starts(raw, b"{"):
        raise Misread("must be a string or an object", f".{name}")
    try:
        if name == "function_call":
            return ToolChoice("named", _named(raw).name)
        return _choice_of(_choice(raw))
    except msgspec.ValidationError:
        return None


def _choice_of(choice: _Choice) -> ToolChoice | None:
    match choice:
        case _Choice("function", _Named(name), None, None) | _Choice("custom", None, _Named(name), None):
            return ToolChoice("named", name)
        case _Choice("allowed_tools", None, None, _AllowedTools("auto" | "required" as mode, tools)):
            names = [each.function or each.custom for each in tools]
            if all(each.type in {"function", "custom"} for each in tools):
                allowed = tuple(each.name for each in names if each is not None)
                if len(allowed) == len(tools):
                    return ToolChoice("allowed", names=allowed, is_required=mode == "required")
    return None


def write_choice(choice: ToolChoice, tools: list[Tool]) -> object:
    """`tool_choice`."""
    if choice.mode == "named":
        return _named_tool(choice.name or "", tools)
    if choice.mode == "allowed":
        mode = "required" if choice.is_required else "auto"
        names = [_named_tool(name, tools) for name in choice.names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": names}}
    return choice.mode


def _named_tool(name: str, tools: list[Tool]) -> dict[str, object]:
    kind = "custom" if any(tool.is_custom and tool.name == name for tool in tools) else "function"
    return {"type": kind, kind: {"name": name}}


def read_format(raw: msgspec.Raw) -> OutputFormat | None:
    """`response_format`; None for a form that we don't know. Raises Misread."""
    if not starts(raw, b"{"):
        raise Misread("must be an object", ".response_format")
    try:
        found = _format(raw)
    except msgspec.ValidationError:
        _check_kind(raw)
        return None
    if found.type == "json_schema" and found.json_schema is not None:
        schema = found.json_schema
        inner = schema.schema if not is_null(schema.schema) else None
        return OutputFormat("json_schema", schema.name, inner, schema.strict, schema.description)
    return _KINDS.get(found.type) if found.json_schema is None else None


def _check_kind(raw: msgspec.Raw) -> None:
    """Raises Misread for one that can't be any."""
    try:
        kind_of(raw)
    except Misread as error:
        raise error.within(".response_format") from None


def write_format(form: OutputFormat) -> dict[str, object]:
    """`response_format`."""
    if form.kind != "json_schema":
        return {"type": "text" if form.kind == "text" else "json_object"}
    schema: dict[str, object] = {"name": form.name or "output"}
    said = {"description": form.description, "schema": form.schema, "strict": form.strict}
    schema |= {name: value for name, value in said.items() if value is not None}
    return {"type": "json_schema", "json_schema": schema}
