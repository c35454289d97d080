"""What a scorer is made of: a *kind*, a row of the catalogue, which reads settings and gives a *measure*.

Packages add kinds under the entry-point group `headworks.scorer`, each a ScorerKind;
`headworks.testing.scorers.check_scorer` is the suite that every one has to pass.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import msgspec

from headworks.errors import DatabaseUnavailable, Forbidden, HeadworksError
from headworks.evaluation.contract import Scale, Scorer
from headworks.evaluation.digests import digest_of
from headworks.evaluation.judges.files import JudgeSpec
from headworks.evaluation.judges.judging import Judge
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score
from headworks.types.identity import Principal
from headworks.types.ids import Digest
from headworks.types.models import Models
from headworks.types.storable import storable

NO_ANSWER = "no_answer"
"""The release failed: what it did not say can't be scored."""
NO_REFERENCE = "no_reference"
"""The example does not say what the scorer compares with."""
NOT_JSON = "not_json"
"""The scorer looks into a JSON answer, and this is none, or has no such place."""
NOT_MEASURED = "not_measured"
"""Nobody told the number: no price is known, the provider counts no tokens, nothing was measured."""
SCORER_FAILED = "scorer_failed"
"""The scorer itself broke. A bug, or a model out of reach."""
NO_NUMBER = "not_a_number"
"""The scorer gave NaN or infinity."""
NO_GRADE = "not_a_grade"
"""The scorer gave a number that its scale does not have: 0.5 of what passes or fails, 8 of what lies from 0 to 1."""

_WANTED: Mapping[Scale, str] = {"binary": "neither 0 nor 1", "ordinal": "no grade from 0 to 1", "number": "not finite"}

Details = Mapping[str, Any] | None
"""What a score tells beside its number, as JSON."""


class Measure(ABC):
    """How one output is scored. Immutable; `settings` tells everything that shapes its scores, as JSON."""

    scores_failures: ClassVar[bool] = False
    """Whether an output that is an error is measured, too (what it cost), and not an error of the score as well."""

    @property
    def scale(self) -> Scale:
        """Passed and failed, unless said otherwise."""
        return "binary"

    @property
    def is_better_high(self) -> bool:
        """Unless said otherwise."""
        return True

    @property
    def is_judge(self) -> bool:
        """Whether a model decides."""
        return False

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """JSON, canonical: two measures with the same settings of one kind give the same scores."""

    @abstractmethod
    async def score(self, principal: Principal, example: Example, output: Output) -> Score:
        """The score, or one with an error. What is raised becomes an error as well."""


class PlainMeasure(Measure):
    """A measure that asks nobody: the same output has the same score, always."""

    async def score(self, principal: Principal, example: Example, output: Output) -> Score:
        """See Measure."""
        del principal
        return self.measure(example, output)

    @abstractmethod
    def measure(self, example: Example, output: Output) -> Score:
        """The score, or one with an error."""


class Libraries(Protocol):
    """Where other libraries' metrics run: scorers.interpreters."""

    async def score(
        self,
        library: str,
        task: Mapping[str, Any],
        answer: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]],
    ) -> Mapping[str, Any]:
        """`{"value", "reason"}` or `{"error", "reason"}`; `answer` is given what the metric asks of models."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What settings may refer to: models, the feature's files, its judges, and the scorers that stand beside.

    `files` are those of the feature's folder by their paths inside it. Without `models` and `libraries` a suite can be
    checked, but scorers that need them give errors.
    """

    models: Models | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    judges: Mapping[str, JudgeSpec] = field(default_factory=dict)
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    asked: dict[Digest, Judge] = field(default_factory=dict)
    libraries: Libraries | None = None

    def judge(self, spec: JudgeSpec) -> Judge:
        """One for all that asks the same: several criteria of a judge are one call."""
        return self.asked.setdefault(spec.digest, Judge(spec, self.models))


@dataclass(frozen=True, slots=True)
class ScorerKind:
    """A row of the catalogue. `read` takes what it knows of a section and complains with file and line."""

    name: str
    read: Callable[[Section, Surroundings], Measure]
    summary: str
    """One sentence for the reference page."""
    example: Mapping[str, Any] = field(default_factory=dict)
    """Settings that work as they stand, for the page and the suite."""
    version: int = 1
    """Raised when the same settings come to give other scores: it is in the digest."""


class MeasuredScorer:
    """A kind with its settings under the name of a metric: evaluation.contract.Scorer."""

    def __init__(self, name: str, kind: ScorerKind, measure: Measure) -> None:
        self.name = name
        self.kind = kind.name
        self.scale: Scale = measure.scale
        self.is_better_high = measure.is_better_high
        self.is_judge = measure.is_judge
        self.digest: Digest = digest_of(
            {"scorer": kind.name, "version": kind.version, "settings": dict(measure.settings)}
        )
        self.measure = measure

    async def score(self, principal: Principal, example: Example, output: Output) -> Score:
        """See Scorer. What concerns all calls is raised: DatabaseUnavailable, Forbidden."""
        if output.error_code is not None and not self.measure.scores_failures:
            return failed(NO_ANSWER, f"The release answered with the error `{output.error_code}`.")
        try:
            return self._sound(await self.measure.score(principal, example, output))
        except (DatabaseUnavailable, Forbidden):
            raise
        except HeadworksError as error:
            return failed(error.code, str(error))
        except Exception as error:  # noqa: BLE001 -- a scorer that breaks is a result: nothing is dropped
            return failed(SCORER_FAILED, f"`{self.name}` broke on it: {type(error).__name__}.")

    def _sound(self, score: Score) -> Score:
        """The score as it can be kept and counted: what is no number, or none of its scale, is an error."""
        msgspec.json.encode(dict(score.details))  # raises for what nothing could keep
        score = replace(score, label=storable(score.label), reason=storable(score.reason))
        if score.error_code is not None or self._has(score.value):
            return score
        is_number = math.isfinite(score.value)
        reason = f"The score {score.value:g} is {_WANTED[self.scale]}. {score.reason}".strip()
        return replace(score, value=math.nan, error_code=NO_GRADE if is_number else NO_NUMBER, reason=reason)

    def _has(self, value: float) -> bool:
        """Whether the scale has the number."""
        if self.scale == "binary":
            return value in {0.0, 1.0}
        return math.isfinite(value) if self.scale == "number" else 0 <= value <= 1


def passed(is_passed: bool, reason: str = "", details: Details = None) -> Score:  # noqa: FBT001 -- the score itself
    """1 or 0 with its word."""
    word = "pass" if is_passed else "fail"
    return Score(float(is_passed), word, "" if is_passed else reason, None, details or {})


def failed(code: str, reason: str) -> Score:
    """A score that is an error."""
    return Score(reason=reason, error_code=code)


def graded(value: float, least: float | None, reason: str = "", details: Details = None) -> Score:
    """A grade from 0 to 1 as it is, or 1 and 0 by whether it reaches `least`; NaN is an error, and never a 0."""
    if not math.isfinite(value):
        return failed(NO_NUMBER, f"The grade is {value:g}. {reason}".strip())
    grade = round(min(1.0, max(0.0, value)), 6)
    if least is None:
        return Score(grade, reason=reason, details=details or {})
    told = {"grade": grade, **(details or {})}
    return passed(grade >= least, reason or f"{grade:.3g} is less than {least:g}.", told)


def limited(value: float, limit: float | None, unit: str) -> Score:
    """A number as it is, or 1 and 0 by whether it stays within the limit."""
    if limit is None:
        return Score(value)
    return passed(value <= limit, f"{value:,.0f} {unit} are more than {limit:,.0f}.", {"value": value})
