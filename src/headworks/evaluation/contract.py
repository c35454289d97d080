"""What the parts of evaluation are to each other, and what others see of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from headworks.types.evaluation import Example, Output, Score
from headworks.types.identity import Principal
from headworks.types.ids import Digest

VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE"]
Scale = Literal["binary", "ordinal", "number"]
"""Of a score: 0 or 1; a grade between 0 and 1; any number (seconds, micro-dollars)."""


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """An immutable dataset: its digest is over the canonical JSON of its examples, sorted by id."""

    name: str
    digest: Digest
    examples: tuple[Example, ...]
    erased: int = 0
    """Examples that it had when it was made, and that were erased since: its digest still counts them."""


class Scorer(Protocol):
    """Scores one output. Implementations: one file each in `scorers/`, a row in its catalogue."""

    name: str
    """The metric that it gives."""
    scale: Scale
    is_better_high: bool
    digest: Digest
    """Over everything that shapes its scores: settings, and for a judge its whole bundle."""
    is_judge: bool
    """Whether a model decides: then it must be calibrated before a gate may rest on it."""

    async def score(self, principal: Principal, example: Example, output: Output) -> Score:
        """Never raises for what is wrong with one output: that is a Score with an error."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """One repeat of one example in an experiment, with its scores by the names of the scorers."""

    example: Example
    example_digest: Digest
    repeat: int
    output: Output
    scores: dict[str, Score]


@dataclass(frozen=True, slots=True)
class HumanLabels:
    """What people say of a release's answers, by example: 0 to 1, higher is better.

    `left_out`: how many judgements are by people whose own does not count here.
    """

    values: Mapping[Digest, float]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer for people who judge it; `criteria` are what the metric's judge is asked, by name.

    `is_readable`: who asks may, in this very moment, read all documents that it rests on; else it is not for them.
    """

    feature: str
    example: Example
    output: Output
    criteria: Mapping[str, str]
    is_readable: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What an erasure took: rows by table, the digests of examples, and the subjects of answers that went alone."""

    rows: Mapping[str, int]
    examples: tuple[Digest, ...]
    answers: tuple[str, ...]


def subject_of(release: Digest, example: Digest, repeat: int = 0) -> str:
    """How a judgement names one answer of an experiment."""
    return f"answer:{release}:{example}:{repeat}"
