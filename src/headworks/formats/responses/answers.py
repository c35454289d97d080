"""A whole answer: judged as bytes, read into neutral words, written from them."""

from __future__ import annotations

import time

import msgspec

from headworks.errors import UpstreamError
from headworks.formats.contract import Verdict
from headworks.formats.neutral import Answer, Block, Failed, Request, Started, Stopped, TextBlock, ToolCallBlock
from headworks.formats.responses.endings import Details, ending_of, error_of, failed_of, stop_reason
from headworks.formats.responses.items import read_blocks
from headworks.formats.responses.members import NULL, UNREADABLE, Misread, encode, is_null, members_of, put_back
from headworks.formats.responses.outputs import (
    ID,
    echo_of,
    item_of,
    kind_of,
    message_item,
    new_item_id,
    new_response_id,
    text_part,
)
from headworks.formats.responses.usage import read_usage, write_usage
from headworks.formats.responses.writing_items import ItemWriter
from headworks.formats.sse import data_of
from headworks.formats.unmapped import noted
from headworks.types.models import Usage

DONE = frozenset(("completed", "incomplete"))
"""Statuses of an answer that has ended."""


class _Judged(msgspec.Struct, gc=False):
    output: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    service_tier: msgspec.Raw = msgspec.Raw()
    status: str | None = None


class _Named(msgspec.Struct, gc=False):
    id: str | None = None
    response: _Inner | None = None


class _Inner(msgspec.Struct, gc=False):
    id: str | None = None


class _Response(msgspec.Struct):
    output: list[msgspec.Raw]
    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    error: msgspec.Raw = NULL
    incomplete_details: msgspec.Raw = NULL
    usage: msgspec.Raw = NULL
    service_tier: msgspec.Raw = NULL


_KNOWN = frozenset(("created_at", "error", "id", "incomplete_details", "model", "object", "status"))
"""Members that our words say; those beside them go into the bag under their own names."""
_LONGEST_NOTHING = 64
_judged = msgspec.json.Decoder(_Judged).decode
_named = msgspec.json.Decoder(_Named).decode
_details = msgspec.json.Decoder(Details | None).decode
_response = msgspec.json.Decoder(_Response).decode


def judge(body: bytes) -> Verdict:
    """What a whole answer is. One that runs in the background is an answer without a count. Raises DecodeError."""
    said = _judged(body)
    usage = read_usage(said.usage, said.service_tier)
    if not is_null(said.error) or said.status == "failed":
        return Verdict("error", usage)
    return Verdict("answer" if _holds(said.output, said.status) else "nothing", usage)


def _holds(output: msgspec.Raw, status: str | None) -> bool:
    """Whether anything is there; of a response that is not complete, that may be still to come, or cut away."""
    size = len(output)
    if not size or size > _LONGEST_NOTHING:
        return size > 0
    said = bytes(output).strip()
    return said != b"null" and (bool(said.strip(b"[] \t\r\n")) or status not in {None, "completed"})


def response_id(body_or_event: bytes) -> str | None:
    """The id of a response, from its JSON or from an event that holds it. None where there is none."""
    text = body_or_event if body_or_event.lstrip()[:1] == b"{" else data_of(body_or_event)
    try:
        said = _named(text)
    except UNREADABLE:
        return None
    return said.response.id if said.response is not None else said.id


def read_answer(body: bytes) -> Answer:
    """A whole answer. Raises UpstreamError: it has failed, has not ended, or is no answer of this format."""
    try:
        said, members = _response(body), members_of(body)
        blocks = read_blocks(said.output, ".output")
    except UNREADABLE as error:
        raise Misread.of(error).as_answer() from None
    except Misread as error:
        raise error.as_answer() from None
    if said.status == "failed":
        failed = failed_of(said.error)
        raise UpstreamError(f"The provider's response has failed: {failed.message}", code=failed.code)
    if said.status not in {*DONE, None}:
        raise UpstreamError(f"The provider's response has not ended: it is `{said.status}`.")
    del members["output"]
    counted = {"~usage": members.pop("usage")} if "usage" in members else {}
    ext = {f"~{name}" if name in _KNOWN else name: raw for name, raw in members.items()}
    created = None if said.created_at is None else int(said.created_at)
    started = Started(said.id or "", said.model or "", created, ext, "responses")
    usage = read_usage(said.usage, said.service_tier) or Usage()
    return noted("responses", Answer(started, blocks, _stopped(said, blocks), usage, counted))


def _stopped(said: _Response, blocks: list[Block]) -> Stopped:
    try:
        details = _details(said.incomplete_details)
    except msgspec.DecodeError:
        details = None
    calls = any(isinstance(block, ToolCallBlock) for block in blocks)
    return Stopped(*stop_reason(said.status or "completed", details, calls_tools=calls))


def write_answer(answer: Answer, request: Request | None = None) -> bytes:
    """The JSON form; what the caller asked is echoed where the request is given. Raises Unmapped."""
    if answer.started.origin == "responses":
        return _written_back(answer)
    status, details = ending_of(answer.stopped.reason)
    response = echo_of(request)
    started = answer.started
    if started.created is not None:
        response["created_at"] = started.created
    response |= {
        "id": started.id if started.id.startswith(ID) else new_response_id(),
        "object": "response",
        "status": status,
        "completed_at": int(time.time()) if status == "completed" else None,
        "incomplete_details": details,
        "model": started.model or (request.model if request is not None else ""),
        "output": output_of(answer.blocks, is_complete=status == "completed"),
        "usage": write_usage(answer.usage, answer.usage_ext),
    }
    if status == "failed":
        response["error"] = error_of(Failed(answer.stopped.reason, unfinished(answer.stopped)))
    if answer.stopped.note is not None:
        response["headworks"] = answer.stopped.note
    return encode(response)


def unfinished(stopped: Stopped) -> str:
    """Why an answer with such an end is none."""
    return f"The provider ended its answer with `{stopped.word or stopped.reason}`."


def output_of(blocks: list[Block], *, is_complete: bool) -> list[object]:
    """The output items: texts that follow one another are parts of one message. Raises Unmapped."""
    items: list[object] = []
    parts: list[object] | None = None
    for at, block in enumerate(blocks):
        status = "completed" if is_complete or at + 1 < len(blocks) else "incomplete"
        if isinstance(block, TextBlock):
            if parts is None:
                parts = []
                items.append(message_item(new_item_id("message"), parts, status))
            elif isinstance(items[-1], dict):
                items[-1]["status"] = status
            parts.append(text_part(block))
        else:
            parts = None
            items.append(item_of(block, new_item_id(kind_of(block)), status))
    return items


def _written_back(answer: Answer) -> bytes:
    """An answer of this very format, as it was."""
    ext = answer.started.ext
    response: dict[str, object] = put_back({}, ext)
    response |= {name[1:]: raw for name, raw in ext.items() if name.startswith("~")}
    response |= {name: word for name, word in (("id", answer.started.id), ("model", answer.started.model)) if word}
    response["output"] = ItemWriter("responses", set()).blocks(answer.blocks)
    if "~usage" in answer.usage_ext or answer.usage != Usage():
        response["usage"] = write_usage(answer.usage, answer.usage_ext)
        if response["usage"] is None and "~usage" in answer.usage_ext:
            response["usage"] = answer.usage_ext["~usage"]
    return encode(response)
