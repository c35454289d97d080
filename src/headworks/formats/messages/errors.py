"""Errors as Anthropic says them: `{"type": "error", "error": {"type", "message"}, "request_id"}`."""

from __future__ import annotations

import msgspec

from headworks.errors import HeadworksError
from headworks.formats.neutral import Failed

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class _Error(msgspec.Struct, gc=False):
    type: str
    message: str = ""


class _Body(msgspec.Struct, gc=False):
    error: _Error | None = None
    type: str = "error"


_body = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode


def kind_of(status: int) -> str:
    """The `error.type` of a status."""
    known = _KINDS.get(status)
    if known is not None:
        return known
    return "invalid_request_error" if 400 <= status < 500 else "api_error"


def error_body(error: HeadworksError | Failed) -> bytes:
    """An error as a body, and as the data of an `error` event.

    Beside Anthropic's two members stand `param` and `code`, where there is something to say.
    """
    if isinstance(error, Failed):
        if error.origin == "messages" and error.raw is not None:
            return bytes(error.raw)
        return _written({"type": _kind_of_failure(error), "message": error.message, "code": error.code})
    told = {"type": kind_of(error.status), "message": str(error), "param": error.param, "code": error.code}
    return _written(told, error.headers.get("request-id"))


def read_error(status: int | None, body: bytes) -> Failed | None:
    """An error of Anthropic's; `status` None: it came inside a stream, and its kind tells. None: it is none."""
    try:
        found = _body(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    told = found.error
    if told is None or found.type != "error":
        return None
    known = status or _STATUSES.get(told.type, 500)
    return Failed(told.type, told.message, status=known, raw=msgspec.Raw(body), origin="messages")


def _kind_of_failure(error: Failed) -> str:
    if error.status is not None:
        return kind_of(error.status)
    return error.kind if error.kind in _STATUSES else "api_error"


def _written(told: dict[str, str | None], request_id: str | None = None) -> bytes:
    known = {name: value for name, value in told.items() if value is not None}
    return _encode({"type": "error", "error": known, "request_id": request_id})
