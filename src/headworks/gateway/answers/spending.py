"""What an answer counts that came to nothing: it was worked on, and is paid for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from headworks.errors import UpstreamError
from headworks.formats import answers
from headworks.formats.contract import Spoken, Verdict
from headworks.formats.converse.answers import usage_of
from headworks.formats.neutral import Counted, Event
from headworks.gateway.recording import Record
from headworks.types.models import Usage

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What bytes raise that are no JSON, or are nested so deep that nobody can have meant it."""


class _Counts(msgspec.Struct, gc=False):
    usage: msgspec.Raw = msgspec.Raw()


def counted_in(spoken: Spoken, body: bytes) -> Usage | None:
    """What a whole body counts that is no answer of its format, as far as it can be read."""
    judge: Callable[[bytes], Verdict] | None = getattr(spoken, "judge", None)
    with suppress(UpstreamError, *UNREADABLE):
        body.decode()
        if judge is not None:
            return judge(body).usage
        if spoken.name == "converse":
            return usage_of(msgspec.json.decode(body, type=_Counts).usage)[0]
        # Gemini, whose answers are streams of one event.
        return _last(spoken.reader().feed(b"data: %b\n\n" % b" ".join(body.splitlines())))
    return None


def keep_count(usage: Usage | None, record: Record, *, is_last: bool) -> None:
    """Settle the count of a stream that failed before it had said anything; not `is_last`: no more than is known."""
    if usage is not None:
        record.settle(usage if is_last else msgspec.structs.replace(usage, is_estimated=True), is_last=is_last)


def keep_told(events: Iterable[Event], record: Record) -> None:
    """The same for one that was read."""
    keep_count(_last(events), record, is_last=False)


def _last(events: Iterable[Event]) -> Usage | None:
    counts = [event.usage for event in events if isinstance(event, Counted)]
    return functools.reduce(answers.merged, counts) if counts else None
