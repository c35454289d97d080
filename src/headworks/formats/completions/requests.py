"""A request in Completions, read into neutral words: one prompt, which is what the user says."""

from __future__ import annotations

import msgspec

from headworks.errors import InvalidRequest, Unmapped
from headworks.formats.chat.members import NO_RAW, Misread, Shape, is_null, starts
from headworks.formats.chat.requests import CAPS
from headworks.formats.neutral import Ext, Request, TextBlock, Turn

CAP = CAPS[0]
"""The cap on output."""


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    prompt: msgspec.Raw
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int | None = None
    user: str | None = None
    stream: bool | None = None
    stream_options: msgspec.Raw = NO_RAW


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


_REQUEST = Shape(_Request)
_stream_options = msgspec.json.Decoder(_StreamOptions).decode
_texts = msgspec.json.Decoder(list[str]).decode
_text = msgspec.json.Decoder(str).decode
_USUAL = {"echo": b"false", "best_of": b"1", "logit_bias": b"{}", "suffix": b'""'}
"""Members with the value that they have when they are not there."""


def read_request(body: bytes) -> Request:
    """Raises InvalidRequest that names the field, Unmapped for several prompts and for tokens."""
    try:
        if not body.isascii():
            body.decode()
        return _read(body)
    except Misread as error:
        raise error.as_request() from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not UTF-8: byte {error.start} can't be read.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.", next_step="Nest less deeply.") from None
    except msgspec.DecodeError as error:
        said = str(error).removeprefix("JSON is malformed: ").rstrip(".")
        raise InvalidRequest(f"The body is not valid JSON: {said}.", code="invalid_json") from None


def _read(body: bytes) -> Request:
    found, ext = _REQUEST.read(body)
    if found.max_tokens is not None and found.max_tokens < 1:
        raise Misread("must be a whole number from 1", f".{CAP}", "invalid_value")
    for name in _USUAL.keys() & ext.keys():
        if bytes(ext[name]) == _USUAL[name]:
            del ext[name]
    request = Request("completions", found.model, [Turn("user", [TextBlock(_prompt(found.prompt))])], ext=ext)
    request.max_output = found.max_tokens
    for name in ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"):
        setattr(request, name, getattr(found, name))
    request.stop = (found.stop,) if isinstance(found.stop, str) else found.stop or ()
    request.choices, request.end_user = found.n, found.user
    request.stream = found.stream is True
    request.wants_usage = _wants_usage(found.stream_options, ext)
    return request


def _prompt(raw: msgspec.Raw) -> str:
    if starts(raw, b'"'):
        return str(_text(raw))
    if not starts(raw, b"["):
        raise Misread("must be a string", ".prompt")
    try:
        texts = _texts(raw)
    except msgspec.ValidationError:
        raise _no_word("a prompt of token ids") from None
    if len(texts) != 1:
        raise _no_word("several prompts at once")
    return texts[0]


def _no_word(what: str) -> Unmapped:
    return Unmapped(
        f"The target's format has no word for {what}.",
        param="prompt",
        next_step="Send one text, or choose a target that speaks Completions itself.",
    )


def _wants_usage(raw: msgspec.Raw, ext: Ext) -> bool:
    if is_null(raw):
        return False
    try:
        wanted = _stream_options(raw).include_usage is True
    except msgspec.ValidationError as error:
        raise Misread.of(error).within(".stream_options") from None
    ext["~stream_options"] = raw
    return wanted
