"""Lines that look at the candidate alone: rates below a limit, what must be perfect, and budgets. Pure."""

from __future__ import annotations

from headworks.evaluation.contract import VerdictWord
from headworks.evaluation.experiments.comparing import Metric, Spent, by_example, cluster_of, spent, value_of
from headworks.evaluation.gates.case import Case, unfit
from headworks.evaluation.gates.lines import Line, inconclusive
from headworks.evaluation.suites.gate_files import Below, GateSpec, Perfect
from headworks.statistics.estimates import design_effect
from headworks.statistics.observations import cluster_codes, evened, finite
from headworks.statistics.power import needed_clean_cases
from headworks.statistics.proportions import exact_lower_bound, exact_upper_bound
from headworks.types.evaluation import Score


def below(line: Below, spec: GateSpec, case: Case) -> Line:
    """The rate of a bad thing, by the exact upper bound on what the clusters are worth.

    An example counts as bad if any of its repeats is not perfectly good.
    """
    rule, metric = "must_stay_below", case.metrics.get(line.metric)
    missing = unfit(rule, line.metric, spec, case)
    if missing is not None or metric is None:
        return missing or inconclusive(rule, line.metric, "No scorer of the suite gives it.", "")
    if metric.scale != "binary":
        return inconclusive(rule, line.metric, "Only what passes or fails has a rate.", "Use a binary scorer.")
    groups = list(by_example(case.candidate).values())
    bad = [
        float(any(value_of(each.scores.get(metric.name), metric, spec.errors) < 1.0 for each in group))
        for group in groups
    ]
    codes = cluster_codes([cluster_of(group[0].example) for group in groups], len(groups))
    shares = evened([group[0].example.weight for group in groups], len(groups))
    effect = design_effect(finite(bad, "scores"), codes, shares)
    n, failures = len(bad) / effect, min(float(shares @ bad), len(bad)) / effect
    upper, lower = exact_upper_bound(failures, n, case.alpha), exact_lower_bound(failures, n, case.alpha)
    evidence = {"failures": int(sum(bad)), "n": len(bad), "clusters": int(codes.max()) + 1, "upper_bound": upper}
    evidence |= {"limit": line.limit, "alpha": case.alpha, "design_effect": effect}
    said = f"{int(sum(bad))} of {len(bad)} examples are bad: at most {upper:.2%}, and {line.limit:.2%} is allowed"
    if upper <= line.limit:
        return Line(rule, line.metric, "PASS", f"Shown: {said}.", evidence)
    if lower > line.limit:
        return Line(rule, line.metric, "FAIL", f"Too many: {said}.", evidence)
    needed = max(1, round((needed_clean_cases(line.limit, round(failures), case.alpha) - n) * effect))
    step = f"Add {needed} examples without a failure among them."
    return Line(rule, line.metric, "INCONCLUSIVE", f"Not shown yet: {said}.", evidence, needed=needed, next_step=step)


def perfect(line: Perfect, spec: GateSpec, case: Case) -> Line:
    """Not one failure; a failure is told even where other scores are errors."""
    rule, known = "must_be_perfect", case.metrics.get(line.metric)
    missing = unfit(rule, line.metric, spec, case)
    if known is None or (known.is_judge and line.metric not in case.calibrated):
        return missing or inconclusive(rule, line.metric, "No scorer of the suite gives it.", "")
    if not known.is_bounded:
        return inconclusive(rule, line.metric, "It has no best value, so nothing is perfect.", "Give it a limit.")
    scored = [(each.example.id, each.scores.get(line.metric)) for each in case.candidate]
    failed = [name for name, score in scored if _fails(score, known)]
    if failed:
        said = f"{len(failed)} of {len(scored)} answers fail it: {', '.join(dict.fromkeys(failed[:5]))}."
        return Line(rule, line.metric, "FAIL", said, {"failures": len(failed), "answers": len(scored)})
    if missing is not None:
        return missing
    if errors := sum(score is None or score.is_error for _, score in scored):
        return Line(rule, line.metric, "FAIL", f"{errors} scores are errors, which count as failures.")
    return Line(rule, line.metric, "PASS", f"All {len(scored)} answers pass it.", {"failures": 0})


def _fails(score: Score | None, metric: Metric) -> bool:
    """Whether it is a score, and not a perfect one."""
    return score is not None and not score.is_error and metric.goodness(score.value) < 1.0


def budgets(spec: GateSpec, case: Case) -> list[Line]:
    """Mean cost and the 95th percentile of latency, as measured."""
    wanted, lines, now = spec.budgets, [], spent(case.candidate)
    if wanted.p95_ms is not None:
        said = f"{now.p95_ms:.0f} ms, of {wanted.p95_ms:.0f} ms."
        lines.append(_within("p95_ms", now.p95_ms, wanted.p95_ms, said))
    if wanted.cost_micro_usd is not None:
        lines.append(_cost(now, wanted.cost_micro_usd))
    if wanted.cost_share is not None and case.base is not None:
        before = spent(case.base).cost_micro_usd
        lines.append(_cost(now, None if before is None else before * (1 + wanted.cost_share)))
    return lines


def _cost(now: Spent, limit: float | None) -> Line:
    if now.cost_micro_usd is None or limit is None:
        return inconclusive("budgets", "cost_per_task", "The price of some answers is not known.", "Add prices.")
    said = f"${now.cost_micro_usd / 1e6:.6f} an answer, of ${limit / 1e6:.6f}."
    return _within("cost_per_task", now.cost_micro_usd, limit, said)


def _within(metric: str, value: float, limit: float, said: str) -> Line:
    word: VerdictWord = "PASS" if value <= limit else "FAIL"
    return Line("budgets", metric, word, said, {"value": value, "limit": limit})
