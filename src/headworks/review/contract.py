"""The words of review: what a person says of one answer, and what people are asked to judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

Verdict = Literal["pass", "fail", "unsure", "first", "second", "tie"]
"""Of one answer, or of two beside each other: which is better."""
Kind = Literal["opinion", "adjudication"]
IMPORTED = "import:"
"""What the names of raters from elsewhere begin with, so that nobody is taken for a principal."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person says of one answer.

    `subject` names the answer: `trace:…`, `answer:RELEASE:EXAMPLE:REPEAT` of an experiment, or as its source does.
    `metric` is what is judged of it, such as `task_success`. `severity` is what the mistake can do: 1 costs time, 2
    delays or costs money, 3 harms. `criteria` are verdicts on single criteria of a rubric. `evidence` is the span of
    the answer or the record that shows it, word for word.
    """

    subject: str
    metric: str
    verdict: Verdict
    failure_modes: tuple[str, ...] = ()
    severity: int | None = None
    critique: str = ""
    suggested_fix: str = ""
    knowledge: str = ""
    evidence: str = ""
    criteria: Mapping[str, Verdict] = field(default_factory=dict)
    release: str | None = None
    dataset: str | None = None
    example: str | None = None
    trace: UUID | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A judgement as it is kept. `is_blind`: given when its rater could not have read another's."""

    id: UUID
    judgement: Judgement
    kind: Kind
    is_blind: bool
    rater: str
    """The principal's name, or the one that an import gives."""
    replaces: UUID | None
    made_at: datetime
    is_erased: bool = False
    """Whether what was written was erased: the verdict stays."""
    is_withheld: bool = False
    """Whether what was written is left out, since its reader may not read what the answer rests on."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A judgement that was just given. Not `is_counted`: its rater made or proposed what a gate asks it for."""

    id: UUID
    is_counted: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something that people are asked to judge, by a gate or a sample. `judged` counts raters whose word counts."""

    id: UUID
    queue: str
    metric: str
    subject: str
    release: str | None
    dataset: str | None
    example: str | None
    trace_id: UUID | None
    chance: float | None
    reason: str
    made_at: datetime
    judged: int
    is_mine: bool
    """Whether the caller has judged it."""
