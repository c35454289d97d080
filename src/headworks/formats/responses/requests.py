"""A request in Responses, read and written."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from headworks.errors import Unmapped
from headworks.formats.contract import Written
from headworks.formats.neutral import Ext, FormatName, OutputFormat, Request, TextBlock, Turn
from headworks.formats.responses.items import read_turns
from headworks.formats.responses.members import (
    MARK,
    NULL,
    UNREADABLE,
    Misread,
    Shape,
    encode,
    given,
    is_null,
    put_back,
    raw_of,
    rows_of,
    same,
    starts,
    text_of,
)
from headworks.formats.responses.options import read_reasoning, read_text, write_reasoning, write_text
from headworks.formats.responses.tools import choice_is_kept, read_choice, read_tools, write_choice, write_tools
from headworks.formats.responses.writing_items import ItemWriter

_INSTRUCTIONS = "~instructions"
"""On a turn: it stood in `instructions`. On a request: they were empty."""
_INPUT = "~input"
"""The input was a string (true), or not there (false)."""
_STATE = ("previous_response_id", "conversation", "prompt")
"""Members that stand in for an input."""
_LOGPROBS = b'"message.output_text.logprobs"'

CARRIED: dict[FormatName, frozenset[str]] = {
    "chat": frozenset(
        {
            "metadata",
            "moderation",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "safety_identifier",
            "store",
        }
    ),
}
"""Members of another format that mean the same here."""

_NAMES: dict[FormatName, dict[str, str]] = {
    "chat": {"choices": "n"},
    "completions": {"choices": "n"},
    "messages": {"stop": "stop_sequences"},
}
"""How the caller wrote what has another word with us."""


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    input: msgspec.Raw | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    tools: msgspec.Raw | UnsetType = UNSET
    tool_choice: msgspec.Raw | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    top_logprobs: int | UnsetType = UNSET
    text: msgspec.Raw | UnsetType = UNSET
    reasoning: msgspec.Raw | UnsetType = UNSET
    user: str | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
    stream: bool | UnsetType = UNSET


_request = Shape(_Request)


def read_request(body: bytes) -> Request:
    """A request in neutral words. Raises InvalidRequest that names the field."""
    try:
        if not body.isascii():
            body.decode()
        said, ext = _request.read(body)
        return _read(said, ext)
    except UnicodeDecodeError:
        raise Misread("is not UTF-8").as_request() from None
    except Misread as error:
        raise error.as_request() from None


def _read(said: _Request, ext: Ext) -> Request:
    request = Request(
        "responses",
        said.model,
        parallel_tool_calls=given(said.parallel_tool_calls),
        max_output=given(said.max_output_tokens),
        temperature=given(said.temperature),
        top_p=given(said.top_p),
        top_logprobs=given(said.top_logprobs),
        end_user=given(said.user),
        service_tier=given(said.service_tier),
        stream=said.stream is True,
        ext=ext,
    )
    if request.max_output is not None and request.max_output < 1:
        raise Misread("must be a whole number from 1", ".max_output_tokens", "invalid_value")
    if said.stream is False:
        ext["~stream"] = MARK
    if ext.get("background", NULL) == msgspec.Raw(b"false"):
        ext["~background"] = ext.pop("background")
    if _LOGPROBS in bytes(ext.get("include", b"")):
        request.logprobs = True
    _read_input(said, request)
    _read_tools(said, request)
    _read_options(said, request)
    return request


def _read_input(said: _Request, request: Request) -> None:
    if said.instructions is not UNSET:
        if said.instructions:
            request.turns.append(Turn("system", [TextBlock(said.instructions)], ext={_INSTRUCTIONS: MARK}))
        else:
            request.ext[_INSTRUCTIONS] = MARK
    if said.input is UNSET or is_null(said.input):
        if not any(name in request.ext and not is_null(request.ext[name]) for name in _STATE):
            raise Misread("is required", ".input", "missing_field")
        request.ext[_INPUT] = msgspec.Raw(b"false") if said.input is UNSET else NULL
    elif starts(said.input, b'"'):
        request.turns.append(Turn("user", [TextBlock(_decoded(said.input))]))
        request.ext[_INPUT] = MARK
    else:
        try:
            rows = rows_of(said.input)
        except UNREADABLE as error:
            raise Misread.of(error).within(".input") from None
        request.turns += read_turns(rows, ".input")


def _decoded(raw: msgspec.Raw) -> str:
    try:
        return text_of(raw)
    except UNREADABLE as error:
        raise Misread.of(error).within(".input") from None


def _read_tools(said: _Request, request: Request) -> None:
    if said.tools is not UNSET:
        if is_null(said.tools):
            request.ext["tools"] = said.tools
        else:
            request.tools = read_tools(said.tools)
            if not request.tools:
                request.ext["~tools"] = MARK
    raw = said.tool_choice
    if raw is UNSET:
        return
    if is_null(raw):
        request.ext["tool_choice"] = raw
        return
    try:
        request.tool_choice = read_choice(raw)
    except Misread as error:
        raise error.within(".tool_choice") from None
    if not choice_is_kept(raw, request.tool_choice, request.tools):
        request.ext["tool_choice" if request.tool_choice is None else "~tool_choice"] = raw


def _read_options(said: _Request, request: Request) -> None:
    for name, raw in (("text", said.text), ("reasoning", said.reasoning)):
        if raw is UNSET:
            continue
        if is_null(raw):
            request.ext[name] = raw
            continue
        try:
            if name == "text":
                request.output_format, request.verbosity, rest = read_text(raw)
            else:
                request.reasoning, rest = read_reasoning(raw)
        except Misread as error:
            raise error.within(f".{name}") from None
        request.ext |= rest
        if not rest and same(raw, {}):
            request.ext[f"~{name}"] = MARK


class _Body(msgspec.Struct, gc=False):
    input: msgspec.Raw | UnsetType = UNSET


_body = msgspec.json.Decoder(_Body).decode


def input_items(body: bytes) -> list[msgspec.Raw]:
    """The items of a request's input, a text as the message that it stands for. Raises InvalidRequest."""
    try:
        given_input = _body(body).input
        if given_input is UNSET or is_null(given_input):
            return []
        if starts(given_input, b'"'):
            part = {"type": "input_text", "text": text_of(given_input)}
            return [raw_of({"type": "message", "role": "user", "content": [part]})]
        return rows_of(given_input)
    except UNREADABLE as error:
        raise Misread.of(error).within(".input").as_request() from None


def following(request: Request, items: Sequence[msgspec.Raw]) -> Request:
    """The same request with what was said before, in place of the id of the response that it follows.

    `instructions` are the request's own: those of an earlier response don't hold for the next. Raises InvalidRequest.
    """
    try:
        before = read_turns(items, ".previous_response_id")
    except Misread as error:
        raise error.as_request() from None
    own = 1 if instructions_of(request) is not None else 0
    ext = {name: raw for name, raw in request.ext.items() if name not in {"previous_response_id", _INPUT}}
    turns = [*request.turns[:own], *before, *request.turns[own:]]
    return msgspec.structs.replace(request, turns=turns, ext=ext)


def write_request(request: Request) -> Written:
    """The body of a request for a provider. Raises Unmapped that names what can't be said."""
    left_out: set[str] = set()
    body: dict[str, object] = {"model": request.model}
    is_own = request.origin == "responses"
    ext = request.ext if is_own else {}
    if not is_own:
        body |= _foreign(request, left_out)
    body |= written_input(request, ItemWriter(request.origin, left_out))
    body |= written_options(request, left_out)
    if request.stream or "~stream" in ext:
        body["stream"] = request.stream
    if is_own:
        body |= {name: raw for name, raw in ext.items() if not name.startswith(("~", "text.", "reasoning."))}
        if "~background" in ext:
            body["background"] = ext["~background"]
    return Written(encode(body), tuple(sorted(left_out)))


def written_input(request: Request, items: ItemWriter) -> dict[str, object]:
    """`instructions` and `input`. Raises Unmapped."""
    ext = request.ext if request.origin == "responses" else {}
    turns = request.turns
    body: dict[str, object] = {}
    instructions = instructions_of(request)
    if instructions is not None:
        body["instructions"] = instructions
        turns = turns[1:]
    elif _INSTRUCTIONS in ext:
        body["instructions"] = ""
    shape = ext.get(_INPUT)
    if shape is None or turns:
        first = turns[0].blocks[0] if len(turns) == 1 and len(turns[0].blocks) == 1 else None
        body["input"] = first.text if shape == MARK and isinstance(first, TextBlock) else items.turns(turns)
    elif shape == NULL:
        body["input"] = None
    return body


def instructions_of(request: Request) -> str | None:
    """What stands, or would stand, in `instructions`."""
    if not request.turns or request.turns[0].role != "system":
        return None
    first = request.turns[0]
    if request.origin == "responses" and _INSTRUCTIONS not in first.ext:
        return None
    block = first.blocks[0] if len(first.blocks) == 1 else None
    if not isinstance(block, TextBlock) or block.cache is not None or block.ext or block.citations:
        return None
    return block.text if request.origin == "responses" or not (first.ext or first.name) else None


def written_options(request: Request, left_out: set[str]) -> dict[str, object]:
    """The members that have words. Raises Unmapped."""
    is_own = request.origin == "responses"
    ext = request.ext if is_own else {}
    body: dict[str, object] = {}
    if request.tools or "~tools" in ext:
        body["tools"] = write_tools(request.tools, request.origin, left_out)
    choice = request.tool_choice
    if choice is not None:
        kept = ext.get("~tool_choice")
        is_kept = kept is not None and read_choice(kept) == choice
        body["tool_choice"] = kept if is_kept else write_choice(choice, request.tools)
    output = request.output_format if is_own else _named_format(request.output_format)
    text = write_text(output, request.verbosity, ext)
    if text or "~text" in ext:
        body["text"] = text
    if request.reasoning is not None:
        reasoning = write_reasoning(request.reasoning, ext)
        if reasoning or is_own:
            body["reasoning"] = reasoning
    plain = {
        "parallel_tool_calls": request.parallel_tool_calls,
        "max_output_tokens": request.max_output,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_logprobs": request.top_logprobs,
        "user": request.end_user,
        "service_tier": request.service_tier,
    }
    return body | {name: value for name, value in plain.items() if value is not None}


def _foreign(request: Request, left_out: set[str]) -> dict[str, object]:
    """What another format's request says besides; raises Unmapped for what Responses can't say."""
    names = _NAMES.get(request.origin, {})
    unsaid: dict[str, object] = {
        "top_k": request.top_k,
        "stop": request.stop,
        "seed": request.seed is not None,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "choices": request.choices is not None and request.choices != 1,
        "logprobs": request.logprobs,
    }
    for name, value in unsaid.items():
        if value:
            caller_wrote = names.get(name, name)
            raise Unmapped(f"Responses has no word for `{caller_wrote}`.", param=caller_wrote)
    carried = CARRIED.get(request.origin, frozenset())
    ItemWriter(request.origin, left_out).check({name: request.ext[name] for name in request.ext.keys() - carried})
    # Elsewhere nothing is stored unless it is asked for, so here it has to be said; what was thought must then be given
    # back by the caller, who needs it encrypted.
    body: dict[str, object] = {"store": False}
    if request.reasoning is not None and request.reasoning.enabled is not False and request.reasoning.effort != "none":
        body["include"] = ["reasoning.encrypted_content"]
    same_here = {name: raw for name, raw in request.ext.items() if name in carried and not is_null(raw)}
    return put_back(body, same_here)


def _named_format(output: OutputFormat | None) -> OutputFormat | None:
    """OpenAI wants a name for each schema."""
    if output is None or output.kind != "json_schema" or output.name:
        return output
    return msgspec.structs.replace(output, name="answer")
