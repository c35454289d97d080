"""Errors in OpenAI's shape: `{"error": {message, type, param, code}}`, all four keys there."""

from __future__ import annotations

import msgspec

from headworks.errors import HeadworksError, UpstreamRejected
from headworks.formats.chat.members import NO_RAW, starts
from headworks.formats.neutral import Failed

_NO_ERROR = frozenset((b"", b"null", b"false", b'""', b"{}"))


class _Error(msgspec.Struct, gc=False):
    message: msgspec.Raw = NO_RAW
    type: msgspec.Raw = NO_RAW
    code: msgspec.Raw = NO_RAW


class _Body(msgspec.Struct, gc=False):
    """OpenAI's, or the flat one of older vLLM (`object` is `error`)."""

    error: msgspec.Raw = NO_RAW
    object: msgspec.Raw = NO_RAW


_body = msgspec.json.Decoder(_Body).decode
_error = msgspec.json.Decoder(_Error).decode


def is_error(raw: msgspec.Raw) -> bool:
    """Whether an `error` member reports one."""
    return bytes(raw) not in _NO_ERROR


def read_error(status: int | None, body: bytes) -> Failed | None:
    """An error body, None for anything else."""
    try:
        found = _body(body)
        if is_error(found.error):
            return failed(found.error, status, body)
        if bytes(found.object) == b'"error"':
            return failed(msgspec.Raw(body), status, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None


def failed(error: msgspec.Raw, status: int | None, body: bytes | msgspec.Raw) -> Failed:
    """What the value of `error` says; `body` is the JSON that holds it, kept as it is."""
    kind = message = ""
    code: str | None = None
    if starts(error, b"{"):
        said = _error(error)
        kind, message, code = _text(said.type) or "", _text(said.message) or "", _text(said.code)
    else:
        message = _text(error) or ""
    if status is None and code is not None and code.isdigit() and 400 <= int(code[:4]) < 600:
        status = int(code)
    return Failed(kind or "api_error", message, code, status, raw=msgspec.Raw(bytes(body)), origin="chat")


def error_body(error: HeadworksError | Failed) -> bytes:
    """The JSON body: a provider's own words where they are in this format."""
    if isinstance(error, Failed):
        if error.origin == "chat" and error.raw is not None:
            return bytes(error.raw)
        said = {"message": error.message, "type": error.kind, "param": None, "code": error.code}
        return msgspec.json.encode({"error": said})
    if isinstance(error, UpstreamRejected) and error.body:
        return _rejected(error)
    return msgspec.json.encode(error.as_openai())


def error_event(error: HeadworksError | Failed) -> bytes:
    """The same as an event of a stream."""
    return b"data: " + b" ".join(error_body(error).splitlines()) + b"\n\n"


def _rejected(error: UpstreamRejected) -> bytes:
    """The provider's body if it is in this format, else what it says in ours."""
    found = read_error(error.status, error.body)
    return error.body if found is not None else msgspec.json.encode(error.as_openai())


def _text(raw: msgspec.Raw) -> str | None:
    """A string, or a number as text."""
    if starts(raw, b'"'):
        return str(msgspec.json.decode(raw, type=str))
    text = bytes(raw).decode()
    return text if text and text[0] in "-0123456789" else None
