"""A provider's whole answer, read for the little that matters: is it one, is it an error, what was counted."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from headworks.gateway.wire.sse import UsageObject
from headworks.types.models import Usage


class _Answer(msgspec.Struct, gc=False):
    choices: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    usage: UsageObject | None = None


class _Uncounted(msgspec.Struct, gc=False):
    """The same with a `usage` of a shape that we don't know."""

    choices: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_answer = msgspec.json.Decoder(_Answer).decode
_uncounted = msgspec.json.Decoder(_Uncounted).decode


class Judged(msgspec.Struct, frozen=True, gc=False):
    """What an answer is. `usage` None: not counted, or not so that we can read it."""

    is_answer: bool
    is_error: bool
    usage: Usage | None = None


def judge(body: bytes) -> Judged:
    """Read a whole answer, all of which must be JSON. Raises msgspec.DecodeError."""
    found: _Answer | _Uncounted
    usage = None
    try:
        found = _answer(body)
    except msgspec.ValidationError:
        found = _uncounted(body)
    else:
        usage = found.usage.as_usage() if found.usage is not None else None
    if memoryview(found.choices).nbytes:
        return Judged(is_answer=True, is_error=False, usage=usage)
    if memoryview(found.data).nbytes:
        # Nothing is said about output where there is none, and nothing is paid for it.
        return Judged(is_answer=True, is_error=False, usage=replace(usage, output_tokens=0) if usage else None)
    return Judged(is_answer=False, is_error=bytes(found.error) not in {b"", b"null"})
