"""A gate's verdict, from the results of a candidate and of the release it is compared with. Pure.

Each line of the gate says PASS, FAIL or INCONCLUSIVE with its evidence, and what to do next. All lines must pass, so
none needs a correction for the others (Berger 1982); claims of improvement are adjusted together (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headworks.evaluation.contract import Result, VerdictWord
from headworks.evaluation.experiments.comparing import (
    Metric,
    Paired,
    Spent,
    by_example,
    paired,
    slices,
    spent,
    value_of,
)
from headworks.evaluation.gates.correction import Labels, corrected, uncalibrated
from headworks.evaluation.gates.lines import Line, Wanted, inconclusive, number
from headworks.evaluation.gates.rates import below
from headworks.evaluation.suites.gate_files import Below, GateSpec, Improve, NotWorse, Perfect
from headworks.statistics.multiplicity import holm
from headworks.statistics.noninferiority import NonInferiority, non_inferiority
from headworks.statistics.paired import Pairs, pairs
from headworks.statistics.power import Goal, needed_examples, needed_for_difference

_ASKED_MORE = 1.05
"""The asymptotic n gives a little less than the power wanted, so a little more is asked for."""


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


@dataclass(frozen=True, slots=True)
class Judged:
    """What a gate says."""

    verdict: VerdictWord
    lines: tuple[Line, ...]

    @property
    def needed(self) -> int | None:
        """How many more examples or judgements would decide it, as far as that is known."""
        return max((each.needed for each in self.lines if each.needed), default=None)

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The judgements that are missing, each once."""
        return tuple(dict.fromkeys(wanted for each in self.lines for wanted in each.wanted))

    @property
    def waits(self) -> bool:
        """Whether it can be no PASS yet, as people have to judge first."""
        return any(each.waits for each in self.lines)

    @property
    def summary(self) -> str:
        """In one sentence, what decided."""
        deciding = [each for each in self.lines if each.verdict == self.verdict and each.blocks]
        if self.verdict == "PASS":
            return f"All {len(deciding)} lines are shown."
        return " ".join(f"{each.name}: {each.message}" for each in deciding[:3])


def judge(spec: GateSpec, case: Case) -> Judged:
    """The verdict: FAIL if any line fails, else INCONCLUSIVE if any is, else PASS."""
    lines = _incomplete(case) or _all_lines(spec, case)
    words = {each.verdict for each in lines if each.blocks}
    word: VerdictWord = "FAIL" if "FAIL" in words else "INCONCLUSIVE" if "INCONCLUSIVE" in words else "PASS"
    return Judged(word, tuple(lines))


def _incomplete(case: Case) -> list[Line]:
    found = len(case.candidate) if case.base is None else min(len(case.candidate), len(case.base))
    if case.expected == 0:
        return [inconclusive("dataset", "", "There is no example to judge by.", "Add examples to the dataset.")]
    if found < case.expected:
        missing = f"{case.expected - found} of {case.expected} answers are missing."
        return [inconclusive("answers", "", missing, "Let the experiments run to their end: `headworks eval resume`.")]
    return []


def _all_lines(spec: GateSpec, case: Case) -> list[Line]:
    lines = [_of_mode(_not_worse(each, spec, case), each.mode) for each in spec.not_worse]
    lines += [_below(each, spec, case) for each in spec.below]
    lines += [_perfect(each, spec, case) for each in spec.perfect]
    lines += _improve(spec, case)
    lines += _budgets(spec, case)
    lines += _slices(spec, case)
    return lines


def _of_mode(line: Line, mode: str | None) -> Line:
    """With the failure mode whose examples alone were looked at, as slices name theirs."""
    return line if mode is None else replace(line, metric=f"{line.metric} · {mode}")


def _unfit(rule: str, metric: str, spec: GateSpec, case: Case) -> Line | None:
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


def _pairs_of(metric: str, mode: str | None, spec: GateSpec, case: Case) -> Paired:
    found = paired(case.base or (), case.candidate, case.metrics[metric], spec.errors)
    return found if mode is None else found.only(lambda each: mode in each.failure_modes)


def _not_worse(line: NotWorse, spec: GateSpec, case: Case) -> Line:
    rule = "must_not_get_worse"
    if unfit := _unfit(rule, line.metric, spec, case):
        return unfit
    if case.base is None:
        return _nothing_live(rule, line.metric)
    found = _pairs_of(line.metric, line.mode, spec, case)
    if len(found.examples) < 2:
        return inconclusive(rule, line.metric, f"Only {len(found.examples)} examples show it.", "Add examples.")
    if line.min_human is not None:
        return corrected(line, spec, found, case.labels.get(line.metric), case.alpha)
    return _compared(line, found, case.alpha)


def _compared(line: NotWorse, found: Paired, alpha: float) -> Line:
    rule, clusters, reach = "must_not_get_worse", found.clusters(line.cluster), found.metric.reach
    if len(set(clusters)) == 1:
        step = "Add examples of other documents, patients or templates."
        return inconclusive(rule, line.metric, "All examples are of one cluster, which shows nothing.", step)
    if reach is not None and line.margin >= reach:
        return inconclusive(rule, line.metric, f"A margin of {line.margin:g} allows anything.", "Lower it.")
    test = non_inferiority(
        found.base, found.candidate, line.margin, clusters, alpha=alpha, scale=_scale(found, line.margin)
    )
    return _tested(rule, found.metric, test, pairs(found.base, found.candidate, clusters))


def _scale(found: Paired, margin: float) -> float | None:
    """The largest difference that one example can show; where nothing limits it and nothing differs, what was seen."""
    if found.metric.reach is not None:
        return found.metric.reach
    if found.base != found.candidate:
        return None
    return max(2 * margin, *(abs(each) for each in found.base)) or 1.0


def _nothing_live(rule: str, metric: str) -> Line:
    """Before the first release there is nothing that could get worse."""
    return Line(rule, metric, "PASS", "Nothing is live yet that it could be worse than.")


def _tested(rule: str, metric: Metric, test: NonInferiority, known: Pairs) -> Line:
    evidence = {
        "difference": test.difference,
        "lower_bound": test.lower_bound,
        "upper_bound": test.upper_bound,
        "margin": test.margin,
        "alpha": test.alpha,
        "p_value": test.p_value,
        "n": test.n,
        "clusters": test.clusters,
        "wins": known.wins,
        "losses": known.losses,
        "design_effect": known.design_effect,
    }
    said = f"{number(test.difference)} (at least {number(test.lower_bound)}) against a margin of {test.margin:g}"
    if test.is_shown:
        return Line(rule, metric.name, "PASS", f"Shown: {said}.", evidence)
    if test.is_refuted:
        step = "Look at the examples that broke: `headworks eval compare`."
        return Line(rule, metric.name, "FAIL", f"Worse than allowed: {said}.", evidence, next_step=step)
    needed = _needed(metric, test, known)
    if needed is None:
        step = "It looks worse than the margin allows: look at the examples that broke before you add any."
        return Line(rule, metric.name, "INCONCLUSIVE", f"Not shown: {said}.", evidence, next_step=step)
    more = max(1, needed - test.n)
    step = f"Add {more} examples ({needed} in all): then an equal release passes 8 times of 10."
    return Line(rule, metric.name, "INCONCLUSIVE", f"Not shown yet: {said}.", evidence, needed=more, next_step=step)


def _needed(metric: Metric, test: NonInferiority, known: Pairs) -> int | None:
    """Examples in all: for an equal release, or for one that truly differs as this one seems to."""
    for truth in (0.0, min(0.0, test.difference)):
        goal = Goal(test.margin, truth, test.alpha)
        if test.margin + truth <= 0:
            return None
        discordance = max(known.discordance, abs(truth))
        if metric.scale == "binary":
            asked = needed_examples(discordance, goal, known.design_effect, known.cluster_size)
        else:
            asked = needed_for_difference(known.variance, goal, known.design_effect)
        asked = int(asked * _ASKED_MORE) + 1
        if asked > test.n:
            return asked
    return None


def _below(line: Below, spec: GateSpec, case: Case) -> Line:
    return _unfit("must_stay_below", line.metric, spec, case) or below(
        line, case.metrics[line.metric], case.candidate, spec.errors, case.alpha
    )


def _perfect(line: Perfect, spec: GateSpec, case: Case) -> Line:
    rule = "must_be_perfect"
    known = case.metrics.get(line.metric)
    if known is None or (known.is_judge and line.metric not in case.calibrated):
        return _unfit(rule, line.metric, spec, case) or Line(rule, line.metric, "PASS", "")
    if not known.is_bounded:
        return inconclusive(rule, line.metric, "It has no best value, so nothing is perfect.", "Give it a limit.")
    failed = [
        each
        for each in case.candidate
        if (score := each.scores.get(line.metric)) is not None
        and not score.is_error
        and value_of(score, known, spec.errors) < 1.0
    ]
    if failed:
        names = ", ".join(dict.fromkeys(each.example.id for each in failed[:5]))
        said = f"{len(failed)} of {len(case.candidate)} answers fail it: {names}."
        return Line(rule, line.metric, "FAIL", said, {"failures": len(failed), "answers": len(case.candidate)})
    if unfit := _unfit(rule, line.metric, spec, case):
        return unfit
    errors = sum(case_score is None or case_score.is_error for case_score in _scores(case, line.metric))
    if errors:
        return Line(rule, line.metric, "FAIL", f"{errors} scores are errors, which count as failures.")
    return Line(rule, line.metric, "PASS", f"All {len(case.candidate)} answers pass it.", {"failures": 0})


def _scores(case: Case, metric: str) -> list[Any]:
    return [each.scores.get(metric) for each in case.candidate]


def _improve(spec: GateSpec, case: Case) -> list[Line]:
    rule, lines, tests = "must_improve", [], []
    for each in spec.improve:
        unfit = _unfit(rule, each.metric, spec, case)
        if unfit is None and case.base is None:
            unfit = _nothing_live(rule, each.metric)
        if unfit is None:
            test = _improvement(each, spec, case)
            if test is not None:
                tests.append((each, test))
                continue
            unfit = inconclusive(rule, each.metric, "Too few examples, or one cluster, show it.", "Add examples.")
        lines.append(unfit)
    adjusted = holm([test.p_value for _, test in tests]) if tests else ()
    improved = [(_improved(each, test, p), each.mode) for (each, test), p in zip(tests, adjusted, strict=True)]
    return lines + [_of_mode(line, mode) for line, mode in improved]


def _improvement(line: Improve, spec: GateSpec, case: Case) -> NonInferiority | None:
    found = _pairs_of(line.metric, line.mode, spec, case)
    clusters, reach = found.clusters(), found.metric.reach
    if len(set(clusters)) < 2 or (reach is not None and line.min_delta >= reach):
        return None
    scale = _scale(found, line.min_delta)
    return non_inferiority(found.base, found.candidate, -line.min_delta, clusters, alpha=case.alpha, scale=scale)


def _improved(line: Improve, test: NonInferiority, p_value: float) -> Line:
    evidence = {"difference": test.difference, "lower_bound": test.lower_bound, "upper_bound": test.upper_bound}
    evidence |= {"margin": test.margin, "p_value": p_value, "alpha": test.alpha, "n": test.n, "clusters": test.clusters}
    said = f"{number(test.difference)} where more than {number(line.min_delta)} is asked (p {p_value:.3f})"
    if p_value <= test.alpha:
        return Line("must_improve", line.metric, "PASS", f"Shown: {said}.", evidence)
    word: VerdictWord = "FAIL" if test.is_refuted else "INCONCLUSIVE"
    step = "" if word == "FAIL" else "Add examples, or claim less."
    return Line("must_improve", line.metric, word, f"Not shown: {said}.", evidence, next_step=step)


def _budgets(spec: GateSpec, case: Case) -> list[Line]:
    budgets, lines, now = spec.budgets, [], spent(case.candidate)
    if budgets.p95_ms is not None:
        word: VerdictWord = "PASS" if now.p95_ms <= budgets.p95_ms else "FAIL"
        said = f"{now.p95_ms:.0f} ms, of {budgets.p95_ms:.0f} ms."
        lines.append(Line("budgets", "p95_ms", word, said, {"value": now.p95_ms, "limit": budgets.p95_ms}))
    limit: float | None = budgets.cost_micro_usd
    if budgets.cost_share is not None and case.base is not None:
        before = spent(case.base).cost_micro_usd
        limit = None if before is None else before * (1 + budgets.cost_share)
    if limit is not None or (budgets.cost_share is not None and case.base is not None):
        lines.append(_cost(now, limit))
    return lines


def _cost(now: Spent, limit: float | None) -> Line:
    if now.cost_micro_usd is None or limit is None:
        return inconclusive("budgets", "cost_per_task", "The price of some answers is not known.", "Add prices.")
    word: VerdictWord = "PASS" if now.cost_micro_usd <= limit else "FAIL"
    said = f"${now.cost_micro_usd / 1e6:.6f} an answer, of ${limit / 1e6:.6f}."
    return Line("budgets", "cost_per_task", word, said, {"value": now.cost_micro_usd, "limit": limit})


def _slices(spec: GateSpec, case: Case) -> list[Line]:
    """Parts that are shown to be worse, tested together (Holm), so that many parts raise no alarm."""
    if spec.slices is None or case.base is None or not spec.not_worse:
        return []
    wanted, metric = spec.slices, spec.not_worse[0].metric
    if _unfit("slices", metric, spec, case) is not None:
        return []
    tests = []
    for value, part in slices(_pairs_of(metric, None, spec, case), wanted.by).items():
        reach = part.metric.reach
        if len(part.examples) >= wanted.min_n and (reach is None or wanted.margin < reach):
            clusters = part.clusters(spec.not_worse[0].cluster)
            if len(set(clusters)) > 1:
                scale = _scale(part, wanted.margin)
                test = non_inferiority(
                    part.base, part.candidate, wanted.margin, clusters, alpha=case.alpha, scale=scale
                )
                tests.append((value, test))
    adjusted = holm([test.p_value_worse for _, test in tests]) if tests else ()
    lines = []
    for (value, test), p_value in zip(tests, adjusted, strict=True):
        word: VerdictWord = "FAIL" if p_value <= case.alpha else "PASS"
        shown = "shown" if word == "FAIL" else "not shown"
        said = f"{number(test.difference)} over {test.n} examples: {shown} to be worse than {number(-wanted.margin)}."
        evidence = {"difference": test.difference, "lower_bound": test.lower_bound, "upper_bound": test.upper_bound}
        evidence |= {"margin": wanted.margin, "n": test.n, "clusters": test.clusters, "p_value_worse": p_value}
        blocks = wanted.action == "block"
        lines.append(Line("slices", f"{metric} · {wanted.by}={value}", word, said, evidence, blocks=blocks))
    return lines
