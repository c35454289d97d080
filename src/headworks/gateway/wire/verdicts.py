"""Whole answers that only pass through, looked at for three things: is it one, is it an error, what was counted."""

from __future__ import annotations

import msgspec

from headworks.formats.chat.errors import is_error
from headworks.formats.contract import Verdict
from headworks.types.models import Usage


class _Tokens(msgspec.Struct, gc=False):
    """`usage` as Jina, vLLM, Together and Mistral write it, `tokens` as Cohere does."""

    prompt_tokens: float | None = None
    input_tokens: float | None = None
    total_tokens: float | None = None


class _Billed(msgspec.Struct, gc=False):
    search_units: float | None = None
    input_tokens: float | None = None


class _Meta(msgspec.Struct, gc=False):
    billed_units: _Billed | None = None
    tokens: _Tokens | None = None


class _Answer(msgspec.Struct, gc=False):
    results: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    detail: msgspec.Raw = msgspec.Raw()


class _Counts(msgspec.Struct, gc=False):
    usage: _Tokens | None = None
    meta: _Meta | None = None


_answer = msgspec.json.Decoder(_Answer).decode
_counts = msgspec.json.Decoder(_Counts).decode


def judge_results(body: bytes) -> Verdict:
    """Of reranking and moderation. `results` is an answer, and so is `data` (Fireworks).

    An error is OpenAI's `error`, or `message` (Cohere) or `detail` (Jina). Raises msgspec.DecodeError.
    """
    found = _answer(body)
    if bytes(found.results) or bytes(found.data):
        return Verdict("answer", _usage(body))
    says = bytes(found.message) or bytes(found.detail)
    return Verdict("error" if is_error(found.error) or says else "nothing")


def _usage(body: bytes) -> Usage | None:
    """What is counted, None: nothing that we can read. All of it is input: nothing is generated."""
    try:
        found = _counts(body)
    except msgspec.ValidationError:
        return None
    meta = found.meta or _Meta()
    billed = meta.billed_units or _Billed()
    counted = found.usage or meta.tokens or _Tokens()
    tokens = next(
        (
            round(each)
            for each in (
                counted.prompt_tokens,
                counted.input_tokens,
                counted.total_tokens,
                billed.input_tokens,
            )
            if each is not None
        ),
        None,
    )
    calls = None if billed.search_units is None else round(billed.search_units)
    if tokens is None and calls is None:
        return None
    return Usage(tokens, None if tokens is None else 0, calls=calls)
