"""What most requests and answers are: texts, calls of tools, a few settings. Read and written at once.

Each function gives what the long way gives, or None where there is anything that has to be looked at there.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Literal

import msgspec

from headworks.formats.messages.objects import USUAL, is_object
from headworks.formats.messages.saying import arguments_of
from headworks.formats.messages.stops import read_stop, write_stop
from headworks.formats.messages.usage import read_usage
from headworks.formats.neutral import Answer, Block, Request, Started, TextBlock, ToolCallBlock, Turn
from headworks.formats.plain_turns import only_text
from headworks.formats.strict import strict
from headworks.formats.unmapped import note_bag
from headworks.types.models import Usage

_NO_RAW = msgspec.Raw()
_DIRECT = msgspec.Raw(b'{"type":"direct"}')
_FALSE = msgspec.Raw(b"false")
_BEYOND_TEXT = (
    "tool_choice", "seed", "presence_penalty", "frequency_penalty", "choices", "logprobs", "top_logprobs",
    "output_format", "reasoning", "verbosity", "service_tier",
)  # fmt: skip
_beyond_text = attrgetter(*_BEYOND_TEXT)
_NOTHING = (None,) * len(_BEYOND_TEXT)
_encode = msgspec.json.Encoder().encode


class _Said(msgspec.Struct, gc=False):
    role: Literal["user", "assistant", "system", "developer"]
    content: str


class _SaidInTurn(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: str


class _User(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    user_id: str


class _Asked(msgspec.Struct, gc=False):
    model: str
    max_tokens: int
    messages: list[_SaidInTurn]
    system: str | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] | None = None
    metadata: _User | None = None


class _Asking(msgspec.Struct, gc=False, omit_defaults=True):
    model: str
    max_tokens: int
    messages: list[_Said]
    stream: bool = False
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] = ()
    metadata: _User | None = None
    system: str | None = None


class _Direct(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    type: Literal["direct"]


class _Text(msgspec.Struct, gc=False, tag="text", tag_field="type", forbid_unknown_fields=True):
    text: str


class _Call(msgspec.Struct, gc=False, tag="tool_use", tag_field="type", forbid_unknown_fields=True):
    id: str
    name: str
    input: msgspec.Raw
    caller: _Direct | msgspec.UnsetType = msgspec.UNSET


class _Answered(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[_Text | _Call]
    stop_reason: str
    stop_sequence: str | None
    usage: msgspec.Raw
    stop_details: msgspec.Raw = _NO_RAW
    container: msgspec.Raw = _NO_RAW


class _Lifetimes(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class _Details(msgspec.Struct, gc=False):
    thinking_tokens: int


class _Counts(msgspec.Struct, gc=False, omit_defaults=True):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Lifetimes | None = None
    output_tokens_details: _Details | None = None


class _Answering(msgspec.Struct, gc=False):
    id: str
    model: str
    content: list[_Text | _Call]
    stop_reason: str
    stop_sequence: str | None
    usage: _Counts
    type: str = "message"
    role: str = "assistant"


_asked = msgspec.json.Decoder(strict(_Asked)).decode
_answered = msgspec.json.Decoder(_Answered).decode


def read_request(body: bytes) -> Request | None:
    """A conversation of texts."""
    try:
        asked = _asked(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if asked.max_tokens < 1:
        return None
    turns = [Turn(each.role, [TextBlock(each.content)]) for each in asked.messages]
    if asked.system is not None:
        turns.insert(0, Turn("system", [TextBlock(asked.system)]))
    request = Request(
        "messages",
        asked.model,
        turns,
        max_output=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        stop=asked.stop_sequences or (),
        end_user=asked.metadata.user_id if asked.metadata else None,
        stream=asked.stream is True,
        wants_usage=True,
    )
    if asked.stream is False:
        request.ext[USUAL + "stream"] = _FALSE
    if asked.stop_sequences is not None and not asked.stop_sequences:
        request.ext[USUAL + "stop_sequences"] = msgspec.Raw(b"[]")
    return request


def write_request(request: Request, default_max_output: int) -> bytes | None:
    """The same of another format's."""
    if request.tools or request.origin == "messages" or _beyond_text(request) != _NOTHING:
        return None
    if request.temperature is not None and request.temperature > 1:
        return None
    for name in request.ext:
        if name[0:1] != "~":
            return None
    said = _said(request.turns)
    if said is None:
        return None
    system = said.pop(0).content if said[0].role in {"system", "developer"} else None
    if not said:
        return None
    cap, user = request.max_output, request.end_user
    return _encode(
        _Asking(
            request.model,
            default_max_output if cap is None else cap,
            said,
            request.stream,
            request.temperature,
            request.top_p,
            request.top_k,
            request.stop,
            None if user is None else _User(user),
            system,
        )
    )


def _said(turns: list[Turn]) -> list[_Said] | None:
    """Each turn as one text; None where one is not, or follows another one of its role."""
    found: list[_Said] = []
    before = None
    for turn in turns:
        role = turn.role
        if role == before or (found and role in {"system", "developer"}) or (text := only_text(turn)) is None:
            return None
        found.append(_Said(role, text))
        before = role
    return found or None


def read_answer(body: bytes) -> Answer | None:
    """Texts and calls."""
    try:
        answered = _answered(body)
        counts, usage_ext = read_usage(answered.usage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    note_bag("messages", usage_ext, "usage")
    blocks: list[Block] = []
    for each in answered.content:
        if type(each) is _Text:
            blocks.append(TextBlock(each.text))
        elif isinstance(each, _Call):
            if not is_object(each.input):
                return None
            call = ToolCallBlock(each.id, each.name, bytes(each.input))
            if each.caller is not msgspec.UNSET:
                call.ext[USUAL + "caller"] = _DIRECT
            blocks.append(call)
    stopped = read_stop(answered.stop_reason, answered.stop_sequence, {})
    if answered.stop_details is not _NO_RAW:
        stopped.ext["stop_details"] = answered.stop_details
    if answered.container is not _NO_RAW:
        stopped.ext["container"] = answered.container
    started = Started(answered.id, answered.model, origin="messages")
    return Answer(started, blocks, stopped, counts.as_usage(), usage_ext)


def write_answer(answer: Answer) -> bytes | None:
    """The same of another format's."""
    started = answer.started
    if started.origin == "messages" or answer.stopped.note is not None:
        return None
    word = write_stop(answer.stopped, is_own=False, is_refused=False)
    content: list[_Text | _Call] = []
    for block in answer.blocks:
        if type(block) is TextBlock:
            if block.citations or block.is_refusal or block.ext:
                return None
            content.append(_Text(block.text))
        elif type(block) is ToolCallBlock and not block.is_custom:
            content.append(_Call(block.id, block.name, arguments_of(block.arguments)))
        else:
            return None
    return _encode(_Answering(started.id, started.model, content, word, answer.stopped.sequence, _counts(answer.usage)))


def _counts(usage: Usage) -> _Counts:
    """See usage.usage_members: what nobody counted is 0."""
    cached, five, hour = usage.cached_input_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    written = None if five is None and hour is None else (five or 0) + (hour or 0)
    counts = _Counts(
        max(0, (usage.input_tokens or 0) - (cached or 0) - (written or 0)), usage.output_tokens or 0, cached, written
    )
    if hour is not None:
        counts.cache_creation = _Lifetimes(five or 0, hour)
    if usage.reasoning_tokens is not None:
        counts.output_tokens_details = _Details(usage.reasoning_tokens)
    return counts
