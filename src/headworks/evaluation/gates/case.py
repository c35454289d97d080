"""What a gate looks at, and whether a metric of it can be looked at. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headworks.evaluation.contract import Result
from headworks.evaluation.experiments.comparing import Metric, Paired, by_example, errors_of, paired
from headworks.evaluation.gates.correction import Labels, uncalibrated
from headworks.evaluation.gates.lines import Line, inconclusive
from headworks.evaluation.scorers.contract import NO_ANSWER
from headworks.evaluation.suites.gate_files import GateSpec


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a gate looks at. `expected`: how many answers there would be without any missing."""

    candidate: Sequence[Result]
    base: Sequence[Result] | None
    metrics: Mapping[str, Metric]
    expected: int
    alpha: float
    """The level of this look."""
    calibrated: frozenset[str] = frozenset()
    """Judges' metrics that may decide."""
    labels: Mapping[str, Labels] = field(default_factory=dict)
    """What humans said, by metric."""
    why_missing: str = ""
    """Why answers are missing, if they are."""
    next_alpha: float | None = None
    """The level of the next look at this release; None: there is none."""

    @property
    def has_two_sides(self) -> bool:
        """Whether two releases are compared: the live one may be looked at beside itself."""
        return self.base is not None and self.base is not self.candidate

    def errors(self, metric: Metric) -> tuple[dict[str, int], int]:
        """How many scores are errors, by code, and how many scores there are."""
        scored = [*self.candidate, *((self.has_two_sides and self.base) or ())]
        return errors_of(scored, metric), len(scored)


def unfit(rule: str, metric: str, spec: GateSpec, case: Case) -> Line | None:
    """Why a metric can't be looked at, if so."""
    known = case.metrics.get(metric)
    if known is None:
        names = ", ".join(sorted(case.metrics)) or "none"
        return inconclusive(rule, metric, "No scorer of the suite gives it.", f"The suite gives: {names}.")
    if known.is_judge and metric not in case.calibrated:
        if (broken := broken_judge(rule, known, case)) is not None:
            return broken
        known_labels = case.labels.get(metric) or Labels({}, {})
        digests = tuple(by_example(case.candidate))
        return uncalibrated(rule, metric, spec, digests, known_labels, has_base=case.has_two_sides)
    blocking = spec.errors == "block" or not known.is_bounded
    errors, _ = case.errors(known)
    if errors and blocking:
        step = "Find out why, and score them again: `headworks eval run … --retry-errors`."
        said = f"{sum(errors.values())} scores are errors, and errors block: {_told(errors)}."
        return inconclusive(rule, metric, said, step)
    return None


def broken_judge(rule: str, metric: Metric, case: Case) -> Line | None:
    """Why people can't help a judge, if so: where most of its scores are errors, they have nothing to be put beside."""
    errors, scores = case.errors(metric)
    if 2 * sum(errors.values()) <= scores:
        return None
    what = "the release" if next(iter(errors)) == NO_ANSWER else "the judge"
    said = f"{sum(errors.values())} of its judge's {scores} scores are errors: {_told(errors)}."
    step = f"Mend {what} first, then ask again with `--retry-errors`: only a judge that gives verdicts needs people."
    return inconclusive(rule, metric.name, said, step)


def _told(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {code}" for code, count in errors.items())


def pairs_of(metric: str, mode: str | None, spec: GateSpec, case: Case) -> Paired:
    """The metric on both sides; with `mode` only of examples that are there to show that failure mode."""
    found = paired(case.base or (), case.candidate, case.metrics[metric], spec.errors)
    return found if mode is None else found.only(lambda each: mode in each.failure_modes)
