"""Pass rates of independent examples: Wilson for showing, Clopper-Pearson for limits that must hold."""

from __future__ import annotations

import math

from headworks.statistics.estimates import Interval
from headworks.statistics.observations import require, within
from headworks.statistics.quantiles import beta_quantile, normal_quantile


def wilson(passes: float, n: float, confidence: float = 0.95) -> Interval:
    """The two-sided score interval of a pass rate (Wilson 1927).

    Counts may be fractions, such as counts divided by a design effect. No examples: 0 to 1.
    """
    _check_counts(passes, n)
    z = normal_quantile(0.5 + within(confidence, 0, 1, "confidence") / 2)
    if n == 0:
        return Interval(0.0, 1.0)
    rate, weight = passes / n, z * z / n
    centre = (rate + weight / 2) / (1 + weight)
    reach = z * math.sqrt(rate * (1 - rate) / n + weight / (4 * n)) / (1 + weight)
    low = 0.0 if passes == 0 else max(0.0, centre - reach)
    return Interval(low, 1.0 if passes == n else min(1.0, centre + reach))


def clopper_pearson(passes: float, n: float, confidence: float = 0.95) -> Interval:
    """The two-sided exact interval of a rate (Clopper and Pearson 1934): covers at least as often as it says."""
    alpha = (1 - within(confidence, 0, 1, "confidence")) / 2
    return Interval(exact_lower_bound(passes, n, alpha), exact_upper_bound(passes, n, alpha))


def exact_upper_bound(count: float, n: float, alpha: float = 0.05) -> float:
    """One-sided Clopper-Pearson: the rate lies above it with probability `alpha` at most. No examples: 1."""
    _check_counts(count, n)
    within(alpha, 0, 1, "alpha")
    return 1.0 if count == n else beta_quantile(1 - alpha, count + 1, n - count)


def exact_lower_bound(count: float, n: float, alpha: float = 0.05) -> float:
    """One-sided Clopper-Pearson: the rate lies below it with probability `alpha` at most. No examples: 0."""
    _check_counts(count, n)
    within(alpha, 0, 1, "alpha")
    return 0.0 if count == 0 else beta_quantile(alpha, count, n - count + 1)


def _check_counts(count: float, n: float) -> None:
    step = "Give a count from 0 to the number of examples."
    require(math.isfinite(n) and 0 <= count <= n, "n", f"{count} of {n} is no rate.", step)
