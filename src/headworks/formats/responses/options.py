"""`text` and `reasoning` of a request: what the output is to look like, and how much to think."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from headworks.formats.neutral import Ext, OutputFormat, Reasoning
from headworks.formats.responses.members import Misread, Shape, given, put_back, starts, taken_from, under

_LEAST_MEDIUM, _LEAST_HIGH = 4_096, 16_384
"""Thinking tokens from which on an effort has its name: the budgets that Anthropic's own guide pairs with them."""


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    format: msgspec.Raw | UnsetType = UNSET
    verbosity: str | UnsetType = UNSET


class _Format(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    name: str | UnsetType = UNSET
    schema: msgspec.Raw | UnsetType = UNSET
    strict: bool | UnsetType = UNSET
    description: str | UnsetType = UNSET


class _Reasoning(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    effort: str | UnsetType = UNSET
    summary: str | UnsetType = UNSET


_text, _format, _reasoning = Shape(_Text), Shape(_Format), Shape(_Reasoning)
_Kind = Literal["text", "json", "json_schema"]
_KINDS: dict[str, _Kind] = {"text": "text", "json_object": "json", "json_schema": "json_schema"}
_WORDS = {kind: word for word, kind in _KINDS.items()}


def read_text(raw: msgspec.Raw) -> tuple[OutputFormat | None, str | None, Ext]:
    """The format of the output, how many words it may make, and the rest. Raises Misread."""
    said, rest = _text.read(raw)
    ext = under("text", rest)
    if said.format is UNSET:
        return None, given(said.verbosity), ext
    if not starts(said.format, b"{"):
        if not starts(said.format, b"n"):
            raise Misread("must be an object", ".format")
        return None, given(said.verbosity), ext | {"text.format": said.format}
    try:
        found, inner = _format.read(said.format)
    except Misread as error:
        raise error.within(".format") from None
    kind = _KINDS.get(found.type)
    if kind is None:
        return None, given(said.verbosity), ext | {"text.format": said.format}
    schema = given(found.schema)
    if kind == "json_schema" and (schema is None or not starts(schema, b"{")):
        raise Misread("must be an object", ".format.schema")
    output = OutputFormat(kind, given(found.name), schema, given(found.strict), given(found.description))
    return output, given(said.verbosity), ext | under("text.format", inner)


def write_text(output: OutputFormat | None, verbosity: str | None, ext: Ext) -> dict[str, object]:
    """`text` of a request; `ext` is empty for another format's."""
    written: dict[str, object] = {}
    inner = taken_from(ext, "text.format")
    if output is not None:
        members = {
            "name": output.name,
            "schema": output.schema,
            "strict": output.strict,
            "description": output.description,
        }
        said = {name: value for name, value in members.items() if value is not None}
        written["format"] = put_back({"type": _WORDS[output.kind], **said}, inner)
    if verbosity is not None:
        written["verbosity"] = verbosity
    rest = {name: raw for name, raw in taken_from(ext, "text").items() if not name.startswith("format.")}
    return put_back(written, rest)


def read_reasoning(raw: msgspec.Raw) -> tuple[Reasoning, Ext]:
    """How much to think, and the rest. Raises Misread."""
    said, rest = _reasoning.read(raw)
    return Reasoning(effort=given(said.effort), summary=given(said.summary)), under("reasoning", rest)


def write_reasoning(reasoning: Reasoning, ext: Ext) -> dict[str, object]:
    """`reasoning` of a request: a budget of another format becomes the effort that is paired with it."""
    written: dict[str, object] = {}
    effort = reasoning.effort
    if effort is None and reasoning.enabled is False:
        effort = "none"
    elif effort is None and reasoning.budget_tokens is not None:
        effort = _effort_of(reasoning.budget_tokens)
    if effort is not None:
        written["effort"] = effort
    if reasoning.summary is not None:
        written["summary"] = reasoning.summary
    elif reasoning.shows_text and effort != "none":
        written["summary"] = "auto"
    return put_back(written, taken_from(ext, "reasoning"))


def _effort_of(budget_tokens: int) -> str:
    if budget_tokens >= _LEAST_HIGH:
        return "high"
    return "medium" if budget_tokens >= _LEAST_MEDIUM else "low"
