"""What most requests and answers are: texts, calls of tools, a few settings. Written at once, from other formats.

Each function gives what the long way gives, or None where there is anything that has to be looked at there.
"""

from __future__ import annotations

import time
from operator import attrgetter
from uuid import uuid4

import msgspec

from headworks.formats.chat.words import write_finish
from headworks.formats.neutral import Answer, Block, Request, TextBlock, ToolCallBlock, Turn
from headworks.formats.plain_turns import only_text
from headworks.types.models import Usage

_BEYOND_TEXT = (
    "tool_choice", "parallel_tool_calls", "choices", "logprobs", "top_logprobs", "top_k", "output_format", "reasoning",
    "verbosity", "service_tier",
)  # fmt: skip
_beyond_text = attrgetter(*_BEYOND_TEXT)
_NOTHING = (None,) * len(_BEYOND_TEXT)
_encode = msgspec.json.Encoder().encode


class _Said(msgspec.Struct, gc=False):
    role: str
    content: str


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool = True


class _Asking(msgspec.Struct, gc=False, omit_defaults=True):
    model: str
    messages: list[_Said]
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] = ()
    user: str | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: str


class _Call(msgspec.Struct, gc=False):
    id: str
    function: _Function
    type: str = "function"


class _Message(msgspec.Struct, gc=False):
    content: str | None
    tool_calls: list[_Call] | msgspec.UnsetType = msgspec.UNSET
    role: str = "assistant"
    refusal: None = None
    annotations: tuple[()] = ()


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str
    index: int = 0
    logprobs: None = None


class _PromptDetails(msgspec.Struct, gc=False, omit_defaults=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    audio_tokens: int | None = None


class _OutputDetails(msgspec.Struct, gc=False, omit_defaults=True):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _Counts(msgspec.Struct, gc=False, omit_defaults=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


class _Answering(msgspec.Struct, gc=False):
    id: str
    created: int
    model: str
    choices: tuple[_Choice]
    usage: _Counts | None
    object: str = "chat.completion"


_ASKS_USAGE = _StreamOptions()


def write_request(request: Request, cap: str) -> bytes | None:
    """A conversation of texts. `cap`: the name of the cap on output."""
    if request.tools or request.origin == "chat" or _beyond_text(request) != _NOTHING:
        return None
    for name in request.ext:
        if name[0:1] != "~":
            return None
    said = _said(request.turns)
    if said is None:
        return None
    is_newer = cap == "max_completion_tokens"
    asking = _Asking(
        request.model,
        said,
        request.max_output if is_newer else None,
        None if is_newer else request.max_output,
        request.temperature,
        request.top_p,
        request.seed,
        request.presence_penalty,
        request.frequency_penalty,
        request.stop,
        request.end_user,
    )
    if request.stream:
        asking.stream = True
        if request.wants_usage or request.origin != "completions":
            asking.stream_options = _ASKS_USAGE
    return _encode(asking)


def _said(turns: list[Turn]) -> list[_Said] | None:
    """Each turn as one text; None where one is not."""
    found: list[_Said] = []
    for turn in turns:
        if (text := only_text(turn)) is None:
            return None
        found.append(_Said(turn.role, text))
    return found


def write_answer(answer: Answer) -> bytes | None:
    """Texts and calls, for who speaks of tools."""
    started = answer.started
    if started.origin == "chat" or answer.stopped.note is not None:
        return None
    message = _message(answer.blocks)
    if message is None:
        return None
    return _encode(
        _Answering(
            started.id or f"chatcmpl-{uuid4().hex}",
            started.created if started.created is not None else int(time.time()),
            started.model,
            (_Choice(message, write_finish(answer.stopped, is_own=False)),),
            _counts(answer.usage),
        )
    )


def _message(blocks: list[Block]) -> _Message | None:
    texts: list[str] = []
    calls: list[_Call] = []
    for block in blocks:
        if type(block) is TextBlock and not (block.citations or block.is_refusal):
            texts.append(block.text)
        elif type(block) is ToolCallBlock and not (
            block.is_custom or block.signature is not None or "~function_call" in block.ext
        ):
            calls.append(_Call(block.id, _Function(block.name, block.arguments.decode())))
        else:
            return None
    message = _Message("".join(texts) or None)
    if calls:
        message.tool_calls = calls
    return message


def _counts(usage: Usage) -> _Counts | None:
    """See usage.write_usage."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    prompt, output = usage.input_tokens or 0, usage.output_tokens or 0
    counts = _Counts(prompt, output, prompt + output)
    cached, written, for_an_hour = usage.cached_input_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    if for_an_hour is not None:
        written = (written or 0) + for_an_hour
    if cached is not None or written is not None or usage.audio_input_tokens is not None:
        counts.prompt_tokens_details = _PromptDetails(cached, written, for_an_hour, usage.audio_input_tokens)
    if usage.reasoning_tokens is not None or usage.audio_output_tokens is not None:
        counts.completion_tokens_details = _OutputDetails(usage.reasoning_tokens, usage.audio_output_tokens)
    return counts
