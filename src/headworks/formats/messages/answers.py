"""A whole answer in Messages: judged as bytes, read, and written."""

from __future__ import annotations

from typing import Any

import msgspec

from headworks.errors import InvalidRequest, UpstreamError
from headworks.formats.contract import Verdict
from headworks.formats.messages import plain
from headworks.formats.messages.blocks import read_block
from headworks.formats.messages.objects import Members, is_null, rows, text
from headworks.formats.messages.saying import say
from headworks.formats.messages.stops import read_stop, stop_members
from headworks.formats.messages.usage import UsageObject, read_usage, usage_members
from headworks.formats.neutral import Answer, Block, Ext, Started, Stopped, TextBlock
from headworks.formats.unmapped import noted
from headworks.types.models import Usage

_STOP_MEMBERS = ("stop_details", "container")
_encode = msgspec.json.Encoder().encode


class _Judged(msgspec.Struct, gc=False):
    type: str = ""
    usage: UsageObject | None = None
    input_tokens: int | None = None
    stop_reason: str | None = None


class _Uncounted(msgspec.Struct, gc=False):
    type: str = ""
    stop_reason: str | None = None


_judged = msgspec.json.Decoder(_Judged).decode
_uncounted = msgspec.json.Decoder(_Uncounted).decode


def judge(body: bytes) -> Verdict:
    """See contract.Native. A message that has no end is none. A count of tokens is an answer too: of no output."""
    usage: Usage | None = None
    found: _Judged | _Uncounted
    try:
        found = _judged(body)
    except msgspec.ValidationError:
        found = _uncounted(body)
    else:
        usage = found.usage.as_usage() if found.usage else None
        if found.input_tokens is not None and not found.type:
            return Verdict("answer", Usage(input_tokens=0, output_tokens=0))
    if found.type == "message" and found.stop_reason is not None:
        return Verdict("answer", usage)
    return Verdict("error" if found.type == "error" else "nothing", usage)


def read_answer(body: bytes) -> Answer:
    """See contract.Spoken."""
    return plain.read_answer(body) or read_carefully(body)


def read_carefully(body: bytes) -> Answer:
    """As `read_answer`, whatever stands there."""
    try:
        return _read(Members(body))
    except (InvalidRequest, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable(error) from None


def unreadable(error: Exception) -> UpstreamError:
    """What a provider sent is no answer of this format."""
    said = error.message if isinstance(error, InvalidRequest) else type(error).__name__
    return UpstreamError(f"The provider's answer is none in Anthropic's Messages: {said}", next_step="Try again.")


def _read(members: Members) -> Answer:
    if members.take("type", text) != "message":
        raise InvalidRequest("`type` is not `message`.")
    started = read_start(members)
    listed = members.need("content", rows)
    blocks = [read_block(raw, f"content[{index}]") for index, raw in enumerate(listed)]
    stopped = _read_stop(members)
    raw = members.rest.pop("usage", None)
    counts, usage_ext = (UsageObject(), {}) if raw is None or is_null(raw) else read_usage(raw)
    started.ext = members.rest
    return noted("messages", Answer(started, blocks, stopped, counts.as_usage(), usage_ext))


def read_start(members: Members) -> Started:
    """Who answers; what else stood there is the caller's to keep."""
    if members.rest.get("role") is not None and bytes(members.rest["role"]) == b'"assistant"':
        del members.rest["role"]
    return Started(members.need("id", text), members.take("model", text) or "", origin="messages")


def _read_stop(members: Members) -> Stopped:
    word = members.take("stop_reason", text)
    if word is None:
        raise InvalidRequest("`stop_reason` is missing: the answer has no end.")
    beside: Ext = {name: members.rest.pop(name) for name in _STOP_MEMBERS if name in members.rest}
    was_there = "stop_sequence" in members.rest
    sequence = members.take("stop_sequence", text)
    members.rest.pop("stop_sequence", None)
    if not was_there:
        beside["~absent"] = msgspec.Raw(b'"stop_sequence"')
    return read_stop(word, sequence, beside)


def write_answer(answer: Answer) -> bytes:
    """See contract.Heard."""
    return plain.write_answer(answer) or write_carefully(answer)


def write_carefully(answer: Answer) -> bytes:
    """As `write_answer`, whatever it says."""
    is_own = answer.started.origin == "messages"
    stop = stop_members(answer.stopped, is_own=is_own, is_refused=is_refused(answer.blocks))
    body: dict[str, Any] = {
        **message_head(answer.started),
        "content": [say(block, is_own=is_own) for block in answer.blocks],
        **stop,
        "usage": write_usage(answer.usage, answer.usage_ext, is_own=is_own),
    }
    if "~absent" in body:
        del body["~absent"], body["stop_sequence"]
    if answer.stopped.note is not None:
        body["headworks"] = answer.stopped.note
    return _encode(body | answer.started.ext if is_own else body)


def message_head(started: Started) -> dict[str, Any]:
    """The members of a message that are known before its content."""
    return {"id": started.id, "type": "message", "role": "assistant", "model": started.model}


def write_usage(usage: Usage, ext: Ext, *, is_own: bool) -> dict[str, Any]:
    """A message's `usage`: what nobody counted is 0, as Anthropic's clients want numbers there."""
    said = {"input_tokens": 0, "output_tokens": 0, **usage_members(usage)}
    return said | ext if is_own else said


def is_refused(blocks: list[Block]) -> bool:
    """Whether the model has said in so many words that it will not answer."""
    return any(isinstance(block, TextBlock) and block.is_refusal for block in blocks)
