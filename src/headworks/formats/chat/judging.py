"""A whole answer in its own format, read for the little that matters: is it one, is it an error, what was counted."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from headworks.formats.chat.errors import is_error
from headworks.formats.chat.usage import UsageObject, in_tier
from headworks.formats.contract import Verdict
from headworks.types.models import Usage


class _Judged(msgspec.Struct, gc=False):
    choices: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    usage: UsageObject | None = None
    service_tier: msgspec.Raw = msgspec.Raw()


class _Uncounted(msgspec.Struct, gc=False):
    """The same with a `usage` of a shape that we don't know."""

    choices: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_LONGEST_NOTHING = 64
_judged = msgspec.json.Decoder(_Judged).decode
_uncounted = msgspec.json.Decoder(_Uncounted).decode


def judge(body: bytes) -> Verdict:
    """What a whole answer is, all of which must be JSON, and what it counts (None: nothing that we can read).

    `choices` is an answer, and so is `data` (embeddings), but not without one in it. Raises msgspec.DecodeError.
    """
    usage: Usage | None = None
    found: _Judged | _Uncounted
    try:
        found = _judged(body)
    except msgspec.ValidationError:
        found = _uncounted(body)
    else:
        if found.usage is not None:
            usage = in_tier(found.usage.as_usage(), found.service_tier)
    if _holds(found.choices):
        return Verdict("answer", usage)
    if _holds(found.data):
        # Nothing is said about output where there is none, and nothing is paid for it.
        return Verdict("answer", replace(usage, output_tokens=0) if usage else None)
    return Verdict("error" if is_error(found.error) else "nothing", usage)


def _holds(rows: msgspec.Raw) -> bool:
    """Whether a list has anything in it; what is long enough is not looked at."""
    size = len(rows)
    return size > _LONGEST_NOTHING or (size > 0 and bytes(rows).strip(b"[] \t\r\n") not in {b"", b"null"})
