"""Lines that compare a candidate with its base: not worse, better, and not worse in any part of the examples. Pure."""

from __future__ import annotations

from dataclasses import replace

from headworks.evaluation.contract import VerdictWord
from headworks.evaluation.experiments.comparing import Metric, Paired, slices
from headworks.evaluation.gates.case import Case, broken_judge, pairs_of, unfit
from headworks.evaluation.gates.correction import Levels, corrected
from headworks.evaluation.gates.lines import Line, inconclusive, number
from headworks.evaluation.suites.gate_files import GateSpec, Improve, NotWorse, Slices
from headworks.statistics.multiplicity import holm
from headworks.statistics.noninferiority import NonInferiority, non_inferiority
from headworks.statistics.paired import Pairs, pairs
from headworks.statistics.power import Goal, needed_beside, needed_examples, needed_for_difference

_NOT_WORSE, _IMPROVE = "must_not_get_worse", "must_improve"


def not_worse(line: NotWorse, spec: GateSpec, case: Case) -> Line:
    """Whether the candidate is shown to be worse by less than the margin."""
    return _of_mode(_not_worse(line, spec, case), line.mode)


def _not_worse(line: NotWorse, spec: GateSpec, case: Case) -> Line:
    known = case.metrics.get(line.metric)
    if known is not None and known.is_judge and line.min_human is None:
        step = "Add `judge: {correct: ppi, min_human: 100}` to the line: people judge so many answers of both releases."
        return inconclusive(_NOT_WORSE, line.metric, "A judge decides it, and nothing corrects its errors.", step)
    missing = unfit(_NOT_WORSE, line.metric, spec, case)
    if missing is not None:
        return missing
    if case.base is None:
        return _nothing_live(_NOT_WORSE, line.metric)
    found = pairs_of(line.metric, line.mode, spec, case)
    if len(found.examples) < 2:
        return inconclusive(_NOT_WORSE, line.metric, f"Only {len(found.examples)} examples show it.", "Add examples.")
    if line.min_human is not None:
        broken = _uncorrectable(line, found) or broken_judge(_NOT_WORSE, found.metric, case)
        levels = Levels(case.alpha, case.next_alpha)
        return broken or corrected(line, spec, found, case.labels.get(line.metric), levels)
    return _compared(line, found, case)


def _uncorrectable(line: NotWorse, found: Paired) -> Line | None:
    """Why people can't correct it, if so."""
    if not found.metric.is_bounded:
        step = "Leave `judge:` away: what is measured needs no correction."
        return inconclusive(_NOT_WORSE, line.metric, "People judge from 0 to 1, and nothing limits this metric.", step)
    if len(set(found.weights)) > 1:
        step = "Give all examples one weight."
        return inconclusive(_NOT_WORSE, line.metric, "Examples of several weights can't be corrected yet.", step)
    return None


def _compared(line: NotWorse, found: Paired, case: Case) -> Line:
    rule, clusters, reach = _NOT_WORSE, found.clusters(line.cluster), found.metric.reach
    if len(set(clusters)) == 1:
        step = "Add examples of other documents, patients or templates."
        return inconclusive(rule, line.metric, "All examples are of one cluster, which shows nothing.", step)
    if reach is not None and line.margin >= reach:
        return inconclusive(rule, line.metric, f"A margin of {line.margin:g} allows anything.", "Lower it.")
    test = _test(found, line.margin, clusters, case.alpha)
    scale = _scale(found, line.margin)
    known = pairs(found.base, found.candidate, clusters, scale=scale, weights=found.weights)
    return _tested(rule, found.metric, test, known, case.next_alpha or case.alpha)


def _test(found: Paired, margin: float, clusters: list[str], alpha: float) -> NonInferiority:
    sides, scale = (found.base, found.candidate), _scale(found, abs(margin))
    return non_inferiority(*sides, margin, clusters, alpha=alpha, scale=scale, weights=found.weights)


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


def _tested(rule: str, metric: Metric, test: NonInferiority, known: Pairs, next_alpha: float) -> Line:
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
    needed = needed_in_all(test, known, next_alpha, is_binary=metric.scale == "binary")
    if needed is None:
        step = "It looks worse than the margin allows: look at the examples that broke before you add any."
        return Line(rule, metric.name, "INCONCLUSIVE", f"Not shown: {said}.", evidence, next_step=step)
    more = max(1, needed - test.n)
    step = f"Add {more} examples ({needed} in all): then the next equal release passes 8 times of 10."
    return Line(rule, metric.name, "INCONCLUSIVE", f"Not shown yet: {said}.", evidence, needed=more, next_step=step)


def needed_in_all(test: NonInferiority, known: Pairs, alpha: float, *, is_binary: bool) -> int | None:
    """Examples in all at that level: for the next release if it is equal, or else if it differs as this one seems to.

    None where it seems to be worse than allowed.
    """

    def needed(goal: Goal) -> int:
        size, effect = known.cluster_size, known.design_effect
        if not is_binary:
            return needed_for_difference(known.planned_variance, goal, effect, size, known.scale)
        discordance = known.planned_variance + goal.difference**2
        return needed_examples(min(1.0, max(discordance, abs(goal.difference))), goal, effect, size)

    goal = Goal(test.margin, alpha=alpha)
    equal = needed_beside(test.difference, lambda n: test.n / n, goal, needed)
    if equal > test.n:
        return equal
    if test.margin + test.difference <= 0:
        return None
    return max(test.n + 1, needed(replace(goal, difference=min(0.0, test.difference))))


def improve(spec: GateSpec, case: Case) -> list[Line]:
    """Claims of being better, adjusted together (Holm)."""
    lines: list[Line] = []
    tests: list[tuple[Improve, NonInferiority]] = []
    for each in spec.improve:
        missing = unfit(_IMPROVE, each.metric, spec, case)
        if missing is None and case.base is None:
            missing = _nothing_live(_IMPROVE, each.metric)
        test = _improvement(each, spec, case) if missing is None else None
        if test is not None:
            tests.append((each, test))
            continue
        few = inconclusive(_IMPROVE, each.metric, "Too few examples, or one cluster, show it.", "Add examples.")
        lines.append(missing or few)
    adjusted = holm([test.p_value for _, test in tests]) if tests else ()
    judged = zip(tests, adjusted, strict=True)
    return lines + [_of_mode(_improved(each, test, p_value), each.mode) for (each, test), p_value in judged]


def _improvement(line: Improve, spec: GateSpec, case: Case) -> NonInferiority | None:
    found = pairs_of(line.metric, line.mode, spec, case)
    clusters, reach = found.clusters(), found.metric.reach
    if len(set(clusters)) < 2 or (reach is not None and line.min_delta >= reach):
        return None
    return _test(found, -line.min_delta, clusters, case.alpha)


def _improved(line: Improve, test: NonInferiority, p_value: float) -> Line:
    evidence = {"difference": test.difference, "lower_bound": test.lower_bound, "upper_bound": test.upper_bound}
    evidence |= {"margin": test.margin, "p_value": p_value, "alpha": test.alpha, "n": test.n, "clusters": test.clusters}
    said = f"{number(test.difference)} where more than {number(line.min_delta)} is asked (p {p_value:.3f})"
    if p_value <= test.alpha:
        return Line(_IMPROVE, line.metric, "PASS", f"Shown: {said}.", evidence)
    word: VerdictWord = "FAIL" if test.is_refuted else "INCONCLUSIVE"
    step = "" if word == "FAIL" else "Add examples, or claim less."
    return Line(_IMPROVE, line.metric, word, f"Not shown: {said}.", evidence, next_step=step)


def sliced(spec: GateSpec, case: Case) -> list[Line]:
    """Parts that are shown to be worse, tested together (Holm), so that many parts raise no alarm."""
    if spec.slices is None or case.base is None or not spec.not_worse:
        return []
    wanted, first = spec.slices, spec.not_worse[0]
    if unfit("slices", first.metric, spec, case) is not None:
        return []
    parts = slices(pairs_of(first.metric, None, spec, case), wanted.by)
    found = [(value, _part(part, first, wanted, case.alpha)) for value, part in parts.items()]
    tests = [(value, test) for value, test in found if test is not None]
    adjusted = holm([test.p_value_worse for _, test in tests]) if tests else ()
    judged = zip(tests, adjusted, strict=True)
    return [_slice(f"{first.metric} · {wanted.by}={value}", test, p_value, wanted) for (value, test), p_value in judged]


def _part(part: Paired, line: NotWorse, wanted: Slices, alpha: float) -> NonInferiority | None:
    """The test of one part; None where it is too small, of one cluster, or the margin allows anything."""
    reach, clusters = part.metric.reach, part.clusters(line.cluster)
    if len(part.examples) < wanted.min_n or len(set(clusters)) < 2 or (reach is not None and wanted.margin >= reach):
        return None
    return _test(part, wanted.margin, clusters, alpha)


def _slice(name: str, test: NonInferiority, p_value: float, wanted: Slices) -> Line:
    word: VerdictWord = "FAIL" if p_value <= test.alpha else "PASS"
    shown = "shown" if word == "FAIL" else "not shown"
    said = f"{number(test.difference)} over {test.n} examples: {shown} to be worse than {number(-wanted.margin)}."
    evidence = {"difference": test.difference, "lower_bound": test.lower_bound, "upper_bound": test.upper_bound}
    evidence |= {"margin": wanted.margin, "n": test.n, "clusters": test.clusters, "p_value_worse": p_value}
    return Line("slices", name, word, said, evidence, blocks=wanted.action == "block")


def _of_mode(line: Line, mode: str | None) -> Line:
    """With the failure mode whose examples alone were looked at, as slices name theirs."""
    return line if mode is None else replace(line, metric=f"{line.metric} · {mode}")
