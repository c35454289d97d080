"""Answers and errors of Gemini: what a response says, why it ended, what it cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from headworks.formats.gemini.citing import Sources
from headworks.formats.neutral import Failed, StopReason
from headworks.types.models import Usage

_FILTERED: Sequence[str] = (
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "ESCALATION",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
)
REASONS: Mapping[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "MALFORMED_FUNCTION_CALL": "malformed_tool_call",
    "UNEXPECTED_TOOL_CALL": "malformed_tool_call",
    **dict.fromkeys(_FILTERED, "content_filter"),
}
"""Every other word, known or not, is an error: OTHER, MALFORMED_RESPONSE, TOO_MANY_TOOL_CALLS, ….

CONTINUATION is a limit for one request, and only Google's own clients could go on from it.
"""


NOTHING = msgspec.Raw(b"null")


class _Counts(msgspec.Struct, gc=False, rename="camel"):
    modality: str = ""
    token_count: int = 0


class _Usage(msgspec.Struct, rename="camel"):
    """What was counted. The last five say what the others do, part by part, or nothing that has a price."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_Counts] | None = None
    candidates_tokens_details: list[_Counts] | None = None
    cache_tokens_details: msgspec.Raw = NOTHING
    tool_use_prompt_tokens_details: msgspec.Raw = NOTHING
    thoughts_tokens_details: msgspec.Raw = NOTHING
    traffic_type: msgspec.Raw = NOTHING
    service_tier: msgspec.Raw = NOTHING


class _Content(msgspec.Struct):
    parts: list[msgspec.Raw] | None = None
    role: str | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One answer of a response; we ask for one only. The last four are Google's own marks of the text."""

    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    citation_metadata: Sources | None = None
    grounding_metadata: msgspec.Raw = NOTHING
    url_context_metadata: msgspec.Raw = NOTHING
    avg_logprobs: msgspec.Raw = NOTHING
    logprobs_result: msgspec.Raw = NOTHING
    safety_ratings: msgspec.Raw = NOTHING
    token_count: msgspec.Raw = NOTHING


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None
    safety_ratings: msgspec.Raw = NOTHING


class Chunk(msgspec.Struct, rename="camel"):
    """A whole response, or one event of a stream: they have one shape. The last two say nothing of the answer."""

    candidates: list[Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    response_id: str | None = None
    model_version: str | None = None
    error: msgspec.Raw = NOTHING
    create_time: msgspec.Raw = NOTHING
    model_status: msgspec.Raw = NOTHING


def is_said(raw: msgspec.Raw) -> bool:
    """Whether a member is there and not null."""
    return bytes(raw) != b"null"


def usage_of(said: _Usage) -> Usage:
    """All inclusive: Google counts thoughts beside the answer, and results of its own tools beside the prompt."""
    is_counted = said.total_token_count is not None
    answer, thoughts = said.candidates_token_count, said.thoughts_token_count
    output = (answer or 0) + (thoughts or 0) if is_counted or answer is not None or thoughts is not None else None
    prompt = said.prompt_token_count
    return Usage(
        input_tokens=None if prompt is None else prompt + (said.tool_use_prompt_token_count or 0),
        output_tokens=output,
        cached_input_tokens=said.cached_content_token_count,
        reasoning_tokens=thoughts,
        audio_input_tokens=_audio(said.prompt_tokens_details),
        audio_output_tokens=_audio(said.candidates_tokens_details),
    )


def _audio(details: list[_Counts] | None) -> int | None:
    found = [each.token_count for each in details or () if each.modality == "AUDIO"]
    return sum(found) if found else None


class _Detail(msgspec.Struct, rename="camel"):
    kind: str = msgspec.field(default="", name="@type")
    retry_delay: str | None = None
    reason: str | None = None


class _Error(msgspec.Struct):
    code: int | None = None
    message: str = ""
    status: str = ""
    details: list[_Detail] | None = None


class _ErrorBody(msgspec.Struct):
    error: msgspec.Raw


_body = msgspec.json.Decoder(_ErrorBody | list[_ErrorBody]).decode
_error = msgspec.json.Decoder(_Error).decode
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d+)?)s")


def read_error(status: int, body: bytes) -> Failed | None:
    """See contract.Spoken. An answer of a stream that never began is a list of one."""
    try:
        found = _body(body)
        if isinstance(found, list):
            found = found[0]
        return failed(found.error, status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError):
        return None


def failed(raw: msgspec.Raw, status: int | None = None) -> Failed:
    """An `error` object, as a `google.rpc.Status`. Raises msgspec.DecodeError for anything else."""
    said = _error(raw)
    details = said.details or []
    delays = (_SECONDS.fullmatch(each.retry_delay) for each in details if each.retry_delay)
    return Failed(
        kind=said.status,
        message=said.message,
        code=next((each.reason for each in details if each.reason), None),
        status=said.code or status,
        retry_after_s=next((float(found[1]) for found in delays if found), None),
        raw=msgspec.Raw(bytes(raw)),
        origin="gemini",
    )
