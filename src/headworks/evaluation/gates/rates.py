"""`must_stay_below`: the rate of a bad thing, by the exact upper bound on what the clusters are worth. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from headworks.evaluation.contract import Result
from headworks.evaluation.experiments.comparing import Metric, by_example, cluster_of, value_of
from headworks.evaluation.gates.lines import Line, inconclusive
from headworks.evaluation.suites.gate_files import Below, Errors
from headworks.statistics.estimates import design_effect
from headworks.statistics.observations import cluster_codes, finite
from headworks.statistics.power import needed_clean_cases
from headworks.statistics.proportions import exact_lower_bound, exact_upper_bound

_RULE = "must_stay_below"


def below(line: Below, metric: Metric, results: Sequence[Result], errors: Errors, alpha: float) -> Line:
    """An example counts as bad if any of its repeats is not perfectly good; clusters count as what they are worth."""
    if metric.scale != "binary":
        return inconclusive(_RULE, line.metric, "Only what passes or fails has a rate.", "Use a binary scorer.")
    groups = list(by_example(results).values())
    bad = [
        float(any(value_of(each.scores.get(metric.name), metric, errors) < 1.0 for each in group)) for group in groups
    ]
    codes = cluster_codes([cluster_of(group[0].example) for group in groups], len(groups))
    effect = design_effect(finite(bad, "scores"), codes)
    n, failures = len(bad) / effect, sum(bad) / effect
    upper, lower = exact_upper_bound(failures, n, alpha), exact_lower_bound(failures, n, alpha)
    evidence = {"failures": int(sum(bad)), "n": len(bad), "clusters": int(codes.max()) + 1, "upper_bound": upper}
    evidence |= {"limit": line.limit, "alpha": alpha, "design_effect": effect}
    said = f"{int(sum(bad))} of {len(bad)} examples are bad: at most {upper:.2%}, and {line.limit:.2%} is allowed"
    if upper <= line.limit:
        return Line(_RULE, line.metric, "PASS", f"Shown: {said}.", evidence)
    if lower > line.limit:
        return Line(_RULE, line.metric, "FAIL", f"Too many: {said}.", evidence)
    needed = max(1, round((needed_clean_cases(line.limit, round(failures), alpha) - n) * effect))
    step = f"Add {needed} examples without a failure among them."
    return Line(_RULE, line.metric, "INCONCLUSIVE", f"Not shown yet: {said}.", evidence, needed=needed, next_step=step)
