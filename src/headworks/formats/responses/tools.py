"""Tools, and which of them the model is to use."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from headworks.errors import Unmapped
from headworks.formats.hints import HINTS
from headworks.formats.neutral import FormatName, Tool, ToolChoice
from headworks.formats.responses.members import (
    UNREADABLE,
    Misread,
    Shape,
    given,
    is_null,
    members_of,
    put_back,
    rows_of,
    same,
    starts,
    text_of,
)

_GRAMMAR = "grammar"
_WORDS: dict[str, ToolChoice] = {
    "auto": ToolChoice("auto"),
    "none": ToolChoice("none"),
    "required": ToolChoice("required"),
}


class _Function(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    name: str
    parameters: msgspec.Raw | UnsetType = UNSET
    strict: bool | UnsetType = UNSET
    description: str | UnsetType = UNSET


class _Custom(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    name: str
    description: str | UnsetType = UNSET


class _Named(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    name: str


class _Allowed(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    mode: str
    tools: list[_Named]


_function, _custom = Shape(_Function), Shape(_Custom)
_named = msgspec.json.Decoder(_Named).decode
_allowed = msgspec.json.Decoder(_Allowed).decode


def read_tools(raw: msgspec.Raw) -> list[Tool]:
    """The tools of a request. Raises Misread."""
    try:
        rows = rows_of(raw)
    except UNREADABLE as error:
        raise Misread.of(error).within(".tools") from None
    tools: list[Tool] = []
    for number, each in enumerate(rows):
        try:
            tools.append(_read_tool(each))
        except Misread as error:
            raise error.within(f".tools[{number}]") from None
    return tools


def _read_tool(raw: msgspec.Raw) -> Tool:
    try:
        members = members_of(raw)
        if "type" not in members:
            raise Misread("is required", ".type", "missing_field")
        kind = text_of(members["type"])
    except UNREADABLE as error:
        raise Misread.of(error) from None
    if kind == "function":
        said, ext = _function.read(raw)
        parameters = given(said.parameters)
        if parameters is not None and is_null(parameters):
            ext["parameters"], parameters = parameters, None
        elif parameters is not None and not starts(parameters, b"{"):
            raise Misread("must be an object", ".parameters")
        return Tool(said.name, given(said.description), parameters, given(said.strict), ext=ext)
    if kind == "custom":
        custom, ext = _custom.read(raw)
        return Tool(custom.name, given(custom.description), is_custom=True, ext=ext)
    return Tool(kind, origin="responses", raw=raw)


def write_tools(tools: list[Tool], origin: FormatName, left_out: set[str]) -> list[object]:
    """The tools as this format has them. Raises Unmapped."""
    return [_write_tool(tool, f"tools[{number}]", origin, left_out) for number, tool in enumerate(tools)]


def _write_tool(tool: Tool, at: str, origin: FormatName, left_out: set[str]) -> object:
    if tool.raw is not None:
        if tool.origin != "responses":
            raise Unmapped(f"`{tool.name}` is a tool that only its own provider runs.", param=at)
        return tool.raw
    written: dict[str, object] = {"type": "custom" if tool.is_custom else "function", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.parameters is not None:
        written["parameters"] = tool.parameters
    if tool.strict is not None:
        written["strict"] = tool.strict
    if origin == "responses":
        return put_back(written, tool.ext)
    if tool.cache is not None:
        left_out.add(f"{at}.cache_control")
    _complete(written, tool, at, origin, left_out)
    return written


def _complete(written: dict[str, object], tool: Tool, at: str, origin: FormatName, left_out: set[str]) -> None:
    """What this format wants of another's tool, and what else was said of that."""
    if not tool.is_custom:
        # Both must be said here, and what is strict when nothing is said differs between the formats.
        written.setdefault("parameters", {"type": "object", "properties": {}})
        written.setdefault("strict", False)
    for name, raw in tool.ext.items():
        if name.startswith("~") or is_null(raw):
            continue
        if tool.is_custom and name == "format":
            written[name] = _flat(raw)
        elif name in HINTS.get(origin, ()):
            left_out.add(f"{at}.{name}")
        else:
            raise Unmapped(f"Responses has no word for `{name}` of a tool.", param=f"{at}.{name}")


def _flat(raw: msgspec.Raw) -> object:
    """The format of a custom tool's input: Chat nests the members of a grammar once more."""
    try:
        members = members_of(raw)
        inner = members_of(members[_GRAMMAR])
    except (KeyError, *UNREADABLE):
        return raw
    return {"type": _GRAMMAR, **inner}


def read_choice(raw: msgspec.Raw) -> ToolChoice | None:
    """Which tool is to be used; None where only this format knows the word. Raises Misread for what is no choice."""
    try:
        if starts(raw, b'"'):
            choice = _WORDS.get(text_of(raw))
            if choice is None:
                raise Misread("must be `auto`, `none`, `required` or an object", code="invalid_value")
            return choice
        members = members_of(raw)
    except UNREADABLE as error:
        raise Misread.of(error) from None
    choice = None
    try:
        kind = text_of(members.get("type", b"null"))
        if kind in {"function", "custom"}:
            choice = ToolChoice("named", _named(raw).name)
        elif kind == "allowed_tools":
            said = _allowed(raw)
            names = tuple(each.name for each in said.tools)
            choice = ToolChoice("allowed", names=names, is_required=said.mode == "required")
    except UNREADABLE:
        return None
    return choice


def write_choice(choice: ToolChoice, tools: list[Tool]) -> object:
    """The choice as this format has it."""
    custom = {tool.name for tool in tools if tool.is_custom}
    match choice.mode:
        case "named":
            return {"type": "custom" if choice.name in custom else "function", "name": choice.name}
        case "allowed":
            named = [{"type": "custom" if name in custom else "function", "name": name} for name in choice.names]
            return {"type": "allowed_tools", "mode": "required" if choice.is_required else "auto", "tools": named}
        case _:
            return choice.mode


def choice_is_kept(raw: msgspec.Raw, choice: ToolChoice | None, tools: list[Tool]) -> bool:
    """Whether our words write the choice as it was."""
    return choice is not None and same(raw, write_choice(choice, tools))
