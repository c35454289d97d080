"""Answers and errors of Converse: why one ended, what it cost, what went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from headworks.errors import UpstreamError
from headworks.formats.neutral import Ext, Failed, Stopped, StopReason
from headworks.formats.unmapped import note_bag
from headworks.types.models import Usage

_REASONS: Mapping[str, StopReason] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_tool_use": "malformed_tool_call",
    "malformed_model_output": "error",
    "model_context_window_exceeded": "context_window",
    # Claude's own, should they come through
    "refusal": "refusal",
    "pause_turn": "pause",
}
"""Every other word is an error, never a good end."""

_STATUSES: Mapping[str, int] = {
    "validationexception": 400,
    "accessdeniedexception": 403,
    "resourcenotfoundexception": 404,
    "modeltimeoutexception": 408,
    "modelerrorexception": 424,
    "modelstreamerrorexception": 424,
    "throttlingexception": 429,
    "modelnotreadyexception": 429,
    "servicequotaexceededexception": 400,
    "internalserverexception": 500,
    "serviceunavailableexception": 503,
}
_TOO_LONG = re.compile(
    r"input is too long|prompt is too long|maximum context|context (length|window)|too many (input |total )?tokens",
    re.IGNORECASE,
)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _CacheDetail(msgspec.Struct, gc=False, rename="camel"):
    ttl: str = ""
    input_tokens: int = 0


class _TokenUsage(msgspec.Struct, gc=False, rename="camel"):
    """What was counted; input without what the prompt cache has read or written."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] | None = None


class _Error(msgspec.Struct, gc=False):
    message: str | None = None
    capital: str | None = msgspec.field(default=None, name="Message")
    type: str | None = msgspec.field(default=None, name="__type")
    original_status: int | None = msgspec.field(default=None, name="originalStatusCode")


_COUNTED = (
    *("inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails"),
    *("cacheReadInputTokenCount", "cacheWriteInputTokenCount"),  # the same under an older name
)

NULL = msgspec.Raw(b"null")

_encode = msgspec.json.Encoder().encode
_usage = msgspec.json.Decoder(_TokenUsage).decode
_error = msgspec.json.Decoder(_Error).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


class ServedIn(msgspec.Struct, gc=False):
    """The service tier that a call was served in."""

    type: str | None = None


def usage_of(raw: msgspec.Raw, tier: ServedIn | None = None) -> tuple[Usage, Ext]:
    """All inclusive, as everywhere here, and what else was counted. Raises msgspec.DecodeError."""
    rest = {name: value for name, value in rest_of(raw, _COUNTED).items() if bytes(value) != b"{}"}
    usage = msgspec.structs.replace(_inclusive(_usage(raw)), service_tier=tier.type if tier else None)
    note_bag("converse", rest, "usage")
    return usage, {"usage": msgspec.Raw(_encode(rest))} if rest else {}


def _inclusive(counted: _TokenUsage) -> Usage:
    read, written = counted.cache_read_input_tokens, counted.cache_write_input_tokens
    hour = None
    if counted.cache_details:
        by_ttl = {"1h": 0}
        for each in counted.cache_details:
            by_ttl[each.ttl] = by_ttl.get(each.ttl, 0) + each.input_tokens
        hour = by_ttl["1h"]
        written = sum(by_ttl.values()) if written is None else written
    total = None if counted.input_tokens is None else counted.input_tokens + (read or 0) + (written or 0)
    return Usage(
        input_tokens=total,
        output_tokens=counted.output_tokens,
        cached_input_tokens=read,
        cache_write_tokens=None if written is None else max(0, written - (hour or 0)),
        cache_write_1h_tokens=hour,
    )


def stopped_by(word: str, extra: msgspec.Raw) -> Stopped:
    """The end that a word means; `extra` are the fields of the model's own answer that were asked for, or null."""
    if bytes(extra) == b"null":
        return Stopped(_REASONS.get(word, "error"), word)
    sequence = None
    try:
        found = _members(extra).get("stop_sequence")
        sequence = _text(found) if found is not None else None
    except UNREADABLE:
        pass  # another field, or null: no sequence was met
    return Stopped(_REASONS.get(word, "error"), word, sequence, {"additionalModelResponseFields": extra})


def rest_of(raw: bytes | msgspec.Raw, known: Iterable[str]) -> Ext:
    """The members of an object that have no word of ours; padding (`p`) is none."""
    skipped = {*known, "p"}
    return {name: value for name, value in _members(raw).items() if name not in skipped}


def read_error(status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> Failed | None:
    """An error of Amazon's: its kind stands in the header `x-amzn-errortype`, or in the body's `__type`."""
    try:
        said = _error(body)
    except UNREADABLE:
        return None
    named = {name.lower(): value for name, value in headers}
    kind = named.get(b"x-amzn-errortype", b"").decode("latin-1") or said.type or ""
    message = said.message if said.message is not None else said.capital
    if message is None and not kind:
        return None
    return _failed(kind.partition(":")[0].rpartition("#")[2], message or "", status, body, _wait(named))


def read_exception(kind: str, payload: bytes) -> Failed:
    """An error inside a stream: a frame whose name is its kind."""
    try:
        said = _error(payload)
    except UNREADABLE:
        said = _Error()
    status = said.original_status or _STATUSES.get(kind.lower(), 500)
    return _failed(kind, said.message or said.capital or "", status, payload, None)


def unreadable(what: Literal["answer", "stream"], why: object) -> UpstreamError:
    """The error for bytes that are no Converse."""
    return UpstreamError(
        f"The provider's {what} can't be read as Bedrock's Converse: {str(why)[:200].rstrip('.')}.",
        next_step="Try again, or check that the target is Amazon Bedrock.",
        code="upstream_not_an_answer",
    )


def _failed(kind: str, message: str, status: int, body: bytes, retry_after_s: float | None) -> Failed:
    is_too_long = status == 400 and _TOO_LONG.search(message)
    code = "context_length_exceeded" if is_too_long else None  # Bedrock says it only in prose
    return Failed(
        kind,
        message,
        code=code,
        status=status,
        retry_after_s=retry_after_s,
        raw=_raw(body),
        origin="converse",
    )


def _raw(body: bytes) -> msgspec.Raw | None:
    try:
        _members(body)
    except UNREADABLE:
        return None
    return msgspec.Raw(body)


def _wait(headers: Mapping[bytes, bytes]) -> float | None:
    try:
        waited = float(headers.get(b"retry-after", b""))
    except ValueError:
        return None
    return waited if 0 <= waited < float("inf") else None
