"""What a gate looks at, and whether a metric of it can be looked at. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headworks.evaluation.contract import Result
from headworks.evaluation.experiments.comparing import Metric, Paired, by_example, paired
from headworks.evaluation.gates.correction import Labels, uncalibrated
from headworks.evaluation.gates.lines import Line, inconclusive
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


def unfit(rule: str, metric: str, spec: GateSpec, case: Case) -> Line | None:
    """Why a metric can't be looked at, if so."""
    known = case.metrics.get(metric)
    if known is None:
        names = ", ".join(sorted(case.metrics)) or "none"
        return inconclusive(rule, metric, "No scorer of the suite gives it.", f"The suite gives: {names}.")
    if known.is_judge and metric not in case.calibrated:
        known_labels = case.labels.get(metric) or Labels({}, {})
        digests = tuple(by_example(case.candidate))
        return uncalibrated(rule, metric, spec, digests, known_labels, has_base=case.base is not None)
    blocking = spec.errors == "block" or not known.is_bounded
    sides = (case.candidate,) if case.base is None else (case.candidate, case.base)
    errors = sum(each.scores.get(metric) is None or each.scores[metric].is_error for side in sides for each in side)
    if errors and blocking:
        step = "Find out why, and score them again: `headworks eval run … --retry-errors`."
        return inconclusive(rule, metric, f"{errors} scores are errors, and errors block.", step)
    return None


def pairs_of(metric: str, mode: str | None, spec: GateSpec, case: Case) -> Paired:
    """The metric on both sides; with `mode` only of examples that are there to show that failure mode."""
    found = paired(case.base or (), case.candidate, case.metrics[metric], spec.errors)
    return found if mode is None else found.only(lambda each: mode in each.failure_modes)
