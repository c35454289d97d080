"""A provider's whole answer, read for the little that matters: is it one, is it an error, what was counted."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from headworks.gateway.wire.sse import UsageObject
from headworks.types.models import Usage

Verdict = Literal["answer", "error", "nothing"]


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


def judge(body: bytes) -> tuple[Verdict, Usage | None]:
    """What a whole answer is, all of which must be JSON, and what it counts (None: nothing that we can read).

    Raises msgspec.DecodeError.
    """
    usage: Usage | None = None
    found: _Answer | _Uncounted
    try:
        found = _answer(body)
    except msgspec.ValidationError:
        found = _uncounted(body)
    else:
        if found.usage is not None:
            usage = found.usage.as_usage()
    if memoryview(found.choices).nbytes:
        return "answer", usage
    if memoryview(found.data).nbytes:
        # Nothing is said about output where there is none, and nothing is paid for it.
        return "answer", replace(usage, output_tokens=0) if usage else None
    return ("nothing" if bytes(found.error) in {b"", b"null"} else "error"), None
