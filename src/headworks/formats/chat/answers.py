"""A whole answer in Chat Completions: read into neutral words, written from them; `judging` looks at its bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Literal
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from headworks.errors import Unmapped, UpstreamError
from headworks.formats.chat import plain
from headworks.formats.chat.calls import FUNCTION_CALL, read_call, read_function_call
from headworks.formats.chat.members import NO_RAW, NULL, Misread, Shape, is_null, starts
from headworks.formats.chat.messages import MESSAGE, Message, assistant_blocks
from headworks.formats.chat.parts import read_part, write_part
from headworks.formats.chat.saying import MARK, Saying, put_back
from headworks.formats.chat.turns import assistant_message
from headworks.formats.chat.usage import in_tier, read_usage, write_usage
from headworks.formats.chat.words import read_finish, write_finish
from headworks.formats.neutral import (
    Answer,
    AudioBlock,
    Block,
    Ext,
    ImageBlock,
    Request,
    Source,
    Started,
    Stopped,
    TextBlock,
    ToolCallBlock,
)
from headworks.formats.unmapped import note_bag, noted

OF_MESSAGE = "message."
"""Before the name of a message's member in the bag of a `Stopped`; a name without it is the choice's."""


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    choices: list[msgspec.Raw]
    id: str = ""
    object: str | None = None
    created: int | None = None
    model: str = ""
    usage: msgspec.Raw = NO_RAW


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    message: msgspec.Raw
    finish_reason: str | None = None
    index: int | None = None


class _Audio(msgspec.Struct, forbid_unknown_fields=True):
    id: str | None = None
    data: str | None = None


class _PlainMessage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["assistant"]
    content: str | msgspec.UnsetType | None = msgspec.UNSET
    refusal: msgspec.UnsetType | None = msgspec.UNSET
    annotations: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=0)] | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


class _PlainChoice(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    index: int
    message: _PlainMessage
    finish_reason: str
    logprobs: msgspec.UnsetType | None = msgspec.UNSET


class _Plain(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Most answers are like this: read at once."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[_PlainChoice]
    usage: msgspec.Raw
    service_tier: msgspec.Raw = NO_RAW
    system_fingerprint: msgspec.Raw = NO_RAW


_CONTENT, _REFUSAL = f"{OF_MESSAGE}content", f"{OF_MESSAGE}refusal"
_NO_ANNOTATIONS, _NO_CALLS = f"~{OF_MESSAGE}annotations", f"~{OF_MESSAGE}tool_calls"
_plain = msgspec.json.Decoder(_Plain).decode
_ANSWER, _CHOICE, _AUDIO = Shape(_Answer), Shape(_Choice), Shape(_Audio)
_OBJECT = "chat.completion"


def read_answer(body: bytes) -> Answer:
    """Raises UpstreamError for what is no answer, Unmapped for several at once."""
    return _judged(_read, body)


def read_carefully(body: bytes) -> Answer:
    """As `read_answer`, whatever stands there."""
    return _judged(_read_unusual, body)


def _judged(read: Callable[[bytes], Answer], body: bytes) -> Answer:
    try:
        return read(body)
    except Misread as error:
        raise error.as_answer() from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Misread(f"can't be read: {error}").as_answer() from None


def _read(body: bytes) -> Answer:
    try:
        found = _plain(body)
    except msgspec.ValidationError:
        return _read_unusual(body)
    usage, usage_ext = read_usage(found.usage)
    if len(found.choices) != 1 or found.choices[0].index or usage.input_tokens is None:
        return _read_unusual(body)
    if usage_ext:
        note_bag("chat", usage_ext, "usage")
    choice = found.choices[0]
    message = choice.message
    blocks: list[Block] = [TextBlock(message.content)] if message.content else []
    if message.tool_calls:
        blocks += [_read_call(raw, at, found.id) for at, raw in enumerate(message.tool_calls)]
    started = Started(found.id, found.model, found.created, origin="chat")
    if found.system_fingerprint is not NO_RAW:
        started.ext["system_fingerprint"] = found.system_fingerprint
    if found.service_tier is not NO_RAW:
        started.ext["service_tier"] = found.service_tier
        usage = in_tier(usage, found.service_tier)
    word = choice.finish_reason
    return Answer(started, blocks, Stopped(read_finish(word), word, None, _as_written(choice)), usage, usage_ext)


def _as_written(choice: _PlainChoice) -> Ext:
    """What a choice says with null, or with nothing in a list."""
    message = choice.message
    ext: Ext = {}
    if choice.logprobs is None:
        ext["logprobs"] = NULL
    if not message.content:
        if message.content is None:
            ext[_CONTENT] = NULL
        elif message.content == "":
            ext[f"~{_CONTENT}"] = msgspec.Raw(b'""')
    if message.refusal is None:
        ext[_REFUSAL] = NULL
    if message.annotations is not msgspec.UNSET:
        ext[_NO_ANNOTATIONS] = MARK
    if message.tool_calls is not msgspec.UNSET and not message.tool_calls:
        ext[_NO_CALLS] = MARK
    return ext


def _read_call(raw: msgspec.Raw, at: int, answer_id: str) -> ToolCallBlock:
    try:
        call = read_call(raw)
    except Misread as error:
        raise error.within(f".tool_calls[{at}]") from None
    if not call.id:
        call.id = made_id(answer_id, at)
        call.ext["~id"] = MARK
    return call


def _read_unusual(body: bytes) -> Answer:
    found, ext = _ANSWER.read(body)
    if not found.choices:
        raise Misread("is empty", ".choices")
    if len(found.choices) > 1:
        raise one_choice()
    if found.object != _OBJECT:
        ext["~object"] = msgspec.Raw(msgspec.json.encode(found.object))
    usage, usage_ext = read_usage(found.usage)
    usage = in_tier(usage, ext.get("service_tier", NULL))
    try:
        blocks, stopped = _read_choice(found.choices[0], found.id)
    except Misread as error:
        raise error.within(".choices[0]") from None
    if not len(found.usage):
        usage_ext["~usage"] = msgspec.Raw(b"")
    answer = Answer(Started(found.id, found.model, found.created, ext, "chat"), blocks, stopped, usage, usage_ext)
    return noted("chat", answer, "choices")


def one_choice() -> Unmapped:
    """Several answers at once have no word in other formats."""
    return Unmapped(
        "Several choices can't be translated into another format.",
        param="n",
        next_step="Ask for one, or choose a target that speaks Chat Completions itself.",
    )


def _read_choice(raw: msgspec.Raw, answer_id: str) -> tuple[list[Block], Stopped]:
    choice, ext = _CHOICE.read(raw)
    try:
        message, message_ext = MESSAGE.read(choice.message)
        blocks = _read_message(message, message_ext, answer_id)
    except Misread as error:
        raise error.within(".message") from None
    word = choice.finish_reason
    if word is None:
        raise Misread("is required: the answer is not whole", ".finish_reason")
    ext |= {
        f"~{OF_MESSAGE}{name[1:]}" if name[0] == "~" else OF_MESSAGE + name: each
        for name, each in message_ext.items()
        if name
    }
    return blocks, Stopped(read_finish(word), word, sequence_in(ext), ext)


def _read_message(message: Message, ext: Ext, answer_id: str) -> list[Block]:
    if message.role != "assistant":
        raise Misread("must be `assistant`", ".role")
    blocks = assistant_blocks(message, ext)
    blocks += _read_images(ext)
    blocks += _read_audio(message)
    blocks += _read_calls(message, ext, answer_id)
    return blocks


def sequence_in(ext: Ext) -> str | None:
    """The stop sequence that was met, as vLLM and SGLang say it beside the finish reason."""
    for name in ("stop_reason", "matched_stop"):
        if name in ext and starts(ext[name], b'"'):
            return str(msgspec.json.decode(ext[name], type=str))
    return None


def _read_images(ext: Ext) -> list[Block]:
    """Pictures that the model made, as OpenRouter has them."""
    raw = ext.get("images", NULL)
    if is_null(raw):
        return []
    if not starts(raw, b"["):
        raise Misread("must be a list", ".images")
    entries = msgspec.json.decode(raw, type=list[msgspec.Raw])
    found = [read_part(each) for each in entries]
    if not entries or not all(isinstance(each, ImageBlock) for each in found):
        return []
    del ext["images"]
    return found


def _read_audio(message: Message) -> list[Block]:
    if is_null(message.audio):
        return []
    try:
        audio, rest = _AUDIO.read(message.audio)
    except Misread as error:
        raise error.within(".audio") from None
    return [AudioBlock(Source(data=audio.data, file_id=audio.id), ext=rest)]


def _read_calls(message: Message, ext: Ext, answer_id: str) -> list[Block]:
    calls: list[Block] = [_read_call(raw, at, answer_id) for at, raw in enumerate(message.tool_calls or ())]
    if message.tool_calls is not None and not message.tool_calls:
        ext["~tool_calls"] = MARK
    if not is_null(message.function_call):
        calls.append(read_function_call(message.function_call, made_id(answer_id, len(calls))))
    return calls


def made_id(answer_id: str, at: int) -> str:
    """An id for a call whose provider gives none: its result has to be bound to something."""
    return f"call_{''.join(each for each in answer_id if each.isalnum())}_{at}"


def write_answer(answer: Answer, request: Request | None = None) -> bytes:
    """The JSON form. `request`: which this answers, for callers who still speak of functions.

    Raises Unmapped for what has no word, UpstreamError for an end that is none.
    """
    if not speaks_of_functions(request) and (said := plain.write_answer(answer)) is not None:
        return said
    return write_carefully(answer, request)


def write_carefully(answer: Answer, request: Request | None = None) -> bytes:
    """As `write_answer`, whatever it says."""
    started, stopped = answer.started, answer.stopped
    saying = Saying(started.origin, is_answer=True)
    own = stopped.ext if saying.is_own else {}
    blocks = with_function_call(answer.blocks) if speaks_of_functions(request) else answer.blocks
    message = _message(blocks, own, saying)
    word = write_finish(stopped, is_own=saying.is_own)
    choice: dict[str, object] = {"index": 0, "message": message, "logprobs": None, "finish_reason": word}
    if saying.is_own:
        del choice["logprobs"]
        put_back(choice, {name: raw for name, raw in own.items() if not name.startswith(OF_MESSAGE)})
    elif "function_call" in message:
        choice["finish_reason"] = "function_call" if word == "tool_calls" else word
    usage_ext = answer.usage_ext if saying.is_own else {}
    body = head(started, _OBJECT)
    body["choices"] = [choice]
    if usage_ext.get("~usage") is None or len(usage_ext["~usage"]):
        body["usage"] = write_usage(answer.usage, usage_ext)
    if saying.is_own:
        _put_back_head(body, started.ext)
    if stopped.note is not None:
        body["headworks"] = stopped.note
    return msgspec.json.encode(body)


def _message(blocks: list[Block], own: Ext, saying: Saying) -> dict[str, object]:
    images = [block for block in blocks if isinstance(block, ImageBlock)]
    ext = {name.replace(OF_MESSAGE, "", 1): raw for name, raw in own.items() if OF_MESSAGE in name[:9]}
    said: list[Block] = [block for block in blocks if not isinstance(block, ImageBlock)]
    message = assistant_message(said, ext, saying, "content")
    if images:
        message["images"] = [write_part(block, saying, "content") for block in images]
    if not saying.is_own:
        return {"refusal": None, "annotations": [], **message}
    saying.bag(message, ext, "")
    return message


def _put_back_head(body: dict[str, object], ext: Ext) -> None:
    if "~object" in ext:
        written = ext["~object"]
        if is_null(written):
            del body["object"]
        else:
            body["object"] = written
    put_back(body, ext)


def head(started: Started, kind: str) -> dict[str, object]:
    """What stands before the choices."""
    created = started.created if started.created is not None else int(time.time())
    return {"id": started.id or f"chatcmpl-{uuid4().hex}", "object": kind, "created": created, "model": started.model}


def speaks_of_functions(request: Request | None) -> bool:
    """Whether the caller offered `functions`, and so waits for a `function_call`."""
    return request is not None and request.origin == "chat" and "~functions" in request.ext


def with_function_call(blocks: list[Block]) -> list[Block]:
    """The one call in the older form. Raises UpstreamError for several, which it can't hold."""
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    if len(calls) > 1:
        raise several_calls()
    return [replace(each, ext={FUNCTION_CALL: MARK}) if isinstance(each, ToolCallBlock) else each for each in blocks]


def several_calls() -> UpstreamError:
    """The older form has room for one call."""
    return UpstreamError(
        "The model called several functions at once, and `function_call` can name one.",
        next_step="Offer `tools` instead of `functions`.",
        code="several_function_calls",
    )
