"""Failures of an attempt, told apart: what a provider said, in whichever of their many ways, as one word.

A status alone does not tell: a used-up quota is a 429 like a full minute, a prompt that is too long a 400 like a
misspelt field, and an error inside a stream comes under a 200. So what is read first is the words: those that stand for
one thing only, then phrases of messages, then words that the status can't contradict; the status is asked last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from headworks.errors import (
    HeadworksError,
    InvalidRequest,
    ModelMissing,
    OutputInvalid,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamTruncated,
)
from headworks.formats.neutral import Failed
from headworks.gateway.failover.words import FIRM, LOOSE, OF_THE_CALLER, PHRASES, USED_UP, WHERE, Said
from headworks.types.failing import FailureClass

_UNTOLD = UpstreamError.status
"""What an error inside a 200 is given as its status: it says nothing."""
_OF_STATUS: Mapping[int, FailureClass] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "no_model",
    405: "no_model",  # an address that is not the provider's
    408: "timeout",
    409: "server_error",
    410: "no_model",
    413: "context_window",
    424: "server_error",  # Bedrock: the model failed, not the request
    425: "server_error",
    429: "rate_limit",
    498: "rate_limit",  # Groq: no capacity left in the flex tier
    504: "timeout",
    522: "timeout",
    524: "timeout",
}
_OF_OURS: Mapping[str, FailureClass] = {
    "upstream_unauthorized": "auth",
    "upstream_not_an_answer": "invalid_answer",
    "malformed_tool_call": "invalid_answer",
}
_OF_KIND: tuple[tuple[type[HeadworksError], FailureClass], ...] = (
    (UpstreamTimeout, "timeout"),
    (UpstreamTruncated, "invalid_answer"),
    (ModelMissing, "no_model"),
    (InvalidRequest, "unfit"),
)
_NOT_FOUND = 404
_TOO_MANY = 429
_FIRST_ERROR, _LAST_ERROR, _FIRST_OF_SERVER = 400, 599, 500


def classify(error: HeadworksError) -> FailureClass | None:
    """What kind of failure of an attempt an error is; None: it is none, and must be given to the caller.

    `UpstreamRejected.failure` goes before the body where it was set: a body that we translated has lost the words.
    """
    if isinstance(error, OutputInvalid):
        return None  # the model was asked twice; another target would be a third time
    if isinstance(error, UpstreamRejected):
        if error.failure is not None:
            return cast("FailureClass", error.failure)
        return failure_of_body(error.status, error.body, error.headers)
    for kind, failure in _OF_KIND:
        if isinstance(error, kind):
            return failure
    return _OF_OURS.get(error.code) or _of_status(error.status) if isinstance(error, UpstreamError) else None


def failure_of_body(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> FailureClass:
    """What a provider's error is, by its status, its body in the provider's own format, and its headers."""
    said = Said()
    for name, value in (headers or {}).items():
        if name.lower() == "x-amzn-errortype":
            said.word(value)
    said.read_json(body)
    return _decided(status, said)


def failure_of(failed: Failed, status: int = _UNTOLD) -> FailureClass:
    """What an error is that a codec has read: for errors that go on to the caller in another format."""
    said = Said()
    for word in (failed.kind, failed.code):
        if word:
            said.word(word)
    said.texts.append(failed.message)
    if failed.raw is not None:
        said.read_json(failed.raw)
    return _decided(failed.status or status, said)


def _decided(status: int, said: Said) -> FailureClass:
    words, text = said.words, said.text
    found = _first(FIRM, words) or _phrase(status, text) or _first(LOOSE, words)
    if found is not None:
        return found
    if status == _UNTOLD:
        status = next((number for number in said.numbers if _FIRST_ERROR <= number <= _LAST_ERROR), status)
        if status == _UNTOLD and words & OF_THE_CALLER:
            return "caller"
    if status == _NOT_FOUND and words & OF_THE_CALLER:
        return "caller"  # something that the request names, like a stored response; a model has words of its own
    return _of_status(status)


def _first(table: Mapping[FailureClass, frozenset[str]], words: set[str]) -> FailureClass | None:
    return next((failure for failure, known in table.items() if not known.isdisjoint(words)), None)


def _phrase(status: int, text: str) -> FailureClass | None:
    if not text:
        return None
    if status == _TOO_MANY:
        return "quota" if USED_UP.search(text) else None
    for failure, pattern in PHRASES:
        if status in WHERE.get(failure, (status,)) and pattern.search(text):
            return failure
    return None


def _of_status(status: int) -> FailureClass:
    found = _OF_STATUS.get(status)
    if found is not None:
        return found
    return "caller" if _FIRST_ERROR <= status < _FIRST_OF_SERVER else "server_error"
