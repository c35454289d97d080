"""What the name of an answer says by itself: which release answered which example, or which trace it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from uuid import UUID

from headworks.errors import InvalidRequest, NotFound
from headworks.review.contract import Judgement
from headworks.types.ids import Digest

_ANSWER = re.compile(r"answer:(?P<release>sha256:[0-9a-f]{64}):(?P<example>sha256:[0-9a-f]{64}):(?P<repeat>\d{1,4})")
_TRACE = re.compile(r"trace:(?P<trace>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_OURS = ("trace:", "answer:")
"""What stands for answers of this server: names from elsewhere begin otherwise."""
_WHERE = (
    "`headworks judgements wanted` lists what is asked for, `headworks trace list` traces, and `headworks eval show ID "
    "--json` names an experiment's answers by `subject`."
)


@dataclass(frozen=True, slots=True)
class OfTrace:
    """A subject that is what a call answered."""

    subject: str
    trace: UUID


@dataclass(frozen=True, slots=True)
class OfExperiment:
    """A subject that is what a release answered to an example; `repeat` counts from 0."""

    subject: str
    release: Digest
    example: Digest
    repeat: int


def named(subject: str) -> OfTrace | OfExperiment | None:
    """What a subject stands for; None for one from elsewhere. Raises InvalidRequest for what only looks like ours."""
    if found := _ANSWER.fullmatch(subject):
        return OfExperiment(subject, Digest(found["release"]), Digest(found["example"]), int(found["repeat"]))
    if found := _TRACE.fullmatch(subject):
        return OfTrace(subject, UUID(found["trace"]))
    if subject.startswith(_OURS):
        raise InvalidRequest(
            f"`{subject[:200]}` is neither `trace:ID` nor `answer:RELEASE:EXAMPLE:REPEAT` with the digests of both.",
            next_step=_WHERE,
            param="subject",
        )
    return None


def no_answer(subject: str) -> NotFound:
    """The error for a subject of ours that stands for nothing."""
    next_step = f"Records of calls arrive within a second. {_WHERE}"
    return NotFound(f"There is no answer `{subject[:200]}`.", next_step=next_step, param="subject")


def placed(given: Judgement) -> Judgement:
    """The judgement with the release, example or trace that its subject names, so that it counts for whoever asks.

    Raises InvalidRequest where it says that it is of another.
    """
    meant = named(given.subject)
    if meant is None:
        return given
    if isinstance(meant, OfTrace):
        found = replace(given, trace=given.trace or meant.trace)
        is_same = found.trace == meant.trace
    else:
        found = replace(given, release=given.release or meant.release, example=given.example or meant.example)
        is_same = (found.release, found.example) == (meant.release, meant.example)
    if not is_same:
        raise InvalidRequest(
            f"`{given.subject[:200]}` is not an answer to what `release`, `example` or `trace` say.",
            next_step="Leave them out: the subject says it.",
            param="subject",
        )
    return found
