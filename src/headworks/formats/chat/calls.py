"""Calls of tools in a message: `tool_calls`, and the older `function_call`; read, and written."""

from __future__ import annotations

import msgspec

from headworks.formats.chat.members import NO_RAW, Misread, S, Shape, given_back, starts, under
from headworks.formats.chat.saying import MARK
from headworks.formats.neutral import Ext, ToolCallBlock


class _Function(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str
    arguments: str = ""


class _Custom(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str
    input: str = ""


class _Google(msgspec.Struct, gc=False):
    thought_signature: str | None = None


class _ExtraContent(msgspec.Struct):
    google: _Google | None = None


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    id: str = ""
    type: str | None = None
    function: msgspec.Raw = NO_RAW
    custom: msgspec.Raw = NO_RAW
    extra_content: msgspec.Raw = NO_RAW
    index: msgspec.Raw = NO_RAW


_CALL, _FUNCTION, _CUSTOM = Shape(_Call), Shape(_Function), Shape(_Custom)
_extra = msgspec.json.Decoder(_ExtraContent).decode
FUNCTION_CALL = "~function_call"
"""Marks a call that was, or is to be, written as the older `function_call`."""


def read_call(raw: msgspec.Raw) -> ToolCallBlock:
    """One entry of `tool_calls`. Raises Misread."""
    call, ext = _CALL.read(raw)
    if call.type is None:
        ext["~type"] = MARK
    if len(call.index):
        ext["~index"] = call.index  # clients that collect a stream leave it in
    signature = signature_in(call.extra_content)
    if len(call.extra_content):
        ext["~extra_content" if signature is not None else "extra_content"] = call.extra_content
    try:
        if call.type in {None, "function"}:
            function, rest = _part(_FUNCTION, call.function, "function")
            ext |= under("function", rest)
            return ToolCallBlock(call.id, function.name, function.arguments.encode(), signature=signature, ext=ext)
        if call.type == "custom":
            custom, rest = _part(_CUSTOM, call.custom, "custom")
            ext |= under("custom", rest)
            return ToolCallBlock(
                call.id, custom.name, custom.input.encode(), is_custom=True, signature=signature, ext=ext
            )
    except UnicodeEncodeError:
        raise Misread("has half a surrogate pair", ".function.arguments", "invalid_value") from None
    raise Misread("must be `function` or `custom`", ".type", "invalid_value")


def read_function_call(raw: msgspec.Raw, made_id: str) -> ToolCallBlock:
    """The older form, which has no id: `made_id` binds its result to it. Raises Misread."""
    function, rest = _part(_FUNCTION, raw, "function_call")
    rest = under("~function_call", rest)
    return ToolCallBlock(made_id, function.name, function.arguments.encode(), ext={FUNCTION_CALL: MARK, **rest})


def signature_in(extra_content: msgspec.Raw) -> str | None:
    """Gemini's signature of a thought, where Google's own face of this format puts it."""
    if not starts(extra_content, b"{"):
        return None
    try:
        google = _extra(extra_content).google
    except msgspec.ValidationError:
        return None
    return google.thought_signature if google is not None else None


def write_call(call: ToolCallBlock) -> dict[str, object]:
    """One entry of `tool_calls`, without what has no word."""
    text = call.arguments.decode()
    found: dict[str, object] = {"id": call.id, "type": "custom" if call.is_custom else "function"}
    if call.is_custom:
        found["custom"] = {"name": call.name, "input": text}
    else:
        found["function"] = {"name": call.name, "arguments": text}
    if call.signature is not None:
        found["extra_content"] = {"google": {"thought_signature": call.signature}}
    return found


def as_it_was_written(found: dict[str, object], ext: Ext) -> None:
    """Put back how the same format had written it."""
    for name in ("type", "id"):
        if f"~{name}" in ext:
            del found[name]
    for name in ("index", "extra_content"):
        if f"~{name}" in ext:
            found[name] = ext[f"~{name}"]


def write_function_call(call: ToolCallBlock) -> dict[str, object]:
    """The older form."""
    prefix = f"{FUNCTION_CALL}."
    rest = {given_back(name.removeprefix(prefix)): raw for name, raw in call.ext.items() if name.startswith(prefix)}
    return {"name": call.name, "arguments": call.arguments.decode(), **rest}


def _part(shape: Shape[S], raw: msgspec.Raw, name: str) -> tuple[S, Ext]:
    if not starts(raw, b"{"):
        raise Misread("must be an object" if len(raw) else "is required", f".{name}")
    try:
        return shape.read(raw)
    except Misread as error:
        raise error.within(f".{name}") from None
