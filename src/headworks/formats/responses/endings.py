"""How an answer ended: `status`, `incomplete_details` and `error` of a response, and errors of the API."""

from __future__ import annotations

import msgspec

from headworks.errors import HeadworksError, Unmapped
from headworks.formats.neutral import Failed, StopReason
from headworks.formats.responses.members import UNREADABLE, encode, is_null

_INCOMPLETE: dict[str, StopReason] = {
    "max_output_tokens": "length",
    "max_messages": "length",
    "content_filter": "content_filter",
    "steered": "pause",
}
_DETAILS: dict[StopReason, str] = {
    "length": "max_output_tokens",
    "context_window": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
FAILING: frozenset[StopReason] = frozenset(("malformed_tool_call", "error"))
"""Ends that are none: the response has failed."""

_STATUSES = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "vector_store_timeout": 504,
}
_CODES = frozenset(
    {
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "misalignment_policy_violation",
        "vector_store_timeout",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)
"""All that `error.code` of a response may be."""


class Details(msgspec.Struct, gc=False):
    """`incomplete_details`."""

    reason: str | None = None


class ErrorObject(msgspec.Struct, gc=False):
    """An error of the API, or of a response."""

    message: str
    type: str | None = None
    code: str | int | None = None
    param: str | None = None

    def as_failed(self, status: int | None, raw: msgspec.Raw | None) -> Failed:
        """In neutral words; a status that nobody said is known from the code: one that we don't know is no caller's."""
        code = None if self.code is None else str(self.code)
        if status is None and code is not None:
            is_callers = code in _CODES or self.type == "invalid_request_error"
            status = _STATUSES.get(code, 400 if is_callers else 500)
        return Failed(
            self.type or code or "server_error", self.message, code, status or 500, raw=raw, origin="responses"
        )


class _Body(msgspec.Struct, gc=False):
    error: ErrorObject


_body = msgspec.json.Decoder(_Body).decode
_error = msgspec.json.Decoder(ErrorObject).decode


def stop_reason(status: str | None, details: Details | None, *, calls_tools: bool) -> tuple[StopReason, str]:
    """Why it ended, and the format's own word for it."""
    if status == "completed":
        return ("tool_calls" if calls_tools else "stop"), "completed"
    word = (details.reason if details is not None else None) or "incomplete"
    return _INCOMPLETE.get(word, "error"), word


def ending_of(reason: StopReason) -> tuple[str, dict[str, str] | None]:
    """`status` and `incomplete_details` of an end. Raises Unmapped for a pause, which the caller could not end."""
    if reason == "pause":
        raise Unmapped(
            "Responses has no word for an answer that the provider wants to go on with later.", param="pause"
        )
    if reason in FAILING:
        return "failed", None
    detail = _DETAILS.get(reason)
    return ("completed", None) if detail is None else ("incomplete", {"reason": detail})


def error_of(failed: Failed) -> dict[str, str]:
    """`error` of a response that has failed: of the codes that it may have."""
    code = failed.code or failed.kind
    if code not in _CODES:
        code = "rate_limit_exceeded" if failed.status == 429 else "server_error"
    return {"code": code, "message": failed.message}


def read_error(status: int, body: bytes) -> Failed | None:
    """An error body in OpenAI's shape, None for anything else."""
    try:
        return _body(body).error.as_failed(status, msgspec.Raw(body))
    except UNREADABLE:
        return None


def failed_of(error: msgspec.Raw) -> Failed:
    """`error` of a response, which may say nothing."""
    if is_null(error):
        return Failed(
            "server_error", "The provider says that the response has failed, and not why.", origin="responses"
        )
    try:
        return _error(error).as_failed(None, error)
    except UNREADABLE:
        return Failed("server_error", bytes(error).decode(errors="replace")[:500], raw=error, origin="responses")


def error_body(error: HeadworksError | Failed) -> bytes:
    """An error as OpenAI's JSON body: the provider's own words where it speaks this format."""
    if isinstance(error, HeadworksError):
        return encode(error.as_openai())
    if error.raw is not None and error.origin == "responses":
        try:
            _body(error.raw)
        except UNREADABLE:
            pass
        else:
            return bytes(error.raw)
    return encode({"error": {"message": error.message, "type": error.kind, "param": None, "code": error.code}})
