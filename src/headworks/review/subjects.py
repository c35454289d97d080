"""What the name of an answer says by itself: which release answered which example, or which trace it is."""

from __future__ import annotations

import re
from dataclasses import replace
from uuid import UUID

from headworks.errors import InvalidRequest
from headworks.review.contract import Judgement

ANSWER = re.compile(r"answer:(?P<release>sha256:[0-9a-f]{64}):(?P<example>sha256:[0-9a-f]{64}):(?P<repeat>\d{1,4})")
"""One answer of an experiment."""
TRACE = re.compile(r"trace:(?P<trace>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def placed(given: Judgement) -> Judgement:
    """The judgement with the release, example or trace that its subject names, so that it counts for whoever asks.

    Raises InvalidRequest where it says that it is of another.
    """
    if named := ANSWER.fullmatch(given.subject):
        found = replace(given, release=given.release or named["release"], example=given.example or named["example"])
        is_same = (found.release, found.example) == (named["release"], named["example"])
    elif named := TRACE.fullmatch(given.subject):
        found = replace(given, trace=given.trace or UUID(named["trace"]))
        is_same = found.trace == UUID(named["trace"])
    else:
        return given
    if not is_same:
        raise InvalidRequest(
            f"`{given.subject[:200]}` is not an answer to what `release`, `example` or `trace` say.",
            next_step="Leave them out: the subject says it.",
            param="subject",
        )
    return found
