"""An estimate with its uncertainty, and the mean of a score over examples that come in clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headworks.statistics.arrays import Clusters, Codes, Floats, Numbers
from headworks.statistics.observations import cluster_codes, evened, finite, require, sums, within
from headworks.statistics.quantiles import t_cdf, t_quantile


@dataclass(frozen=True, slots=True)
class Interval:
    """All values from `low` to `high`."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def reach(self) -> float:
        """What two scores from here can differ by; limits around 0 are those of differences already."""
        return self.high if self.low == -self.high else self.high - self.low


SHARES = Interval(0.0, 1.0)
"""Limits of scores from 0 to 1."""
DIFFERENCES = Interval(-1.0, 1.0)
"""Limits of what two such scores can differ by."""
_SURE = 0.524
"""How many standard errors a bound for planning lies above: the normal's 70 %."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean or a difference, in the unit of the scores, with what is known of its error."""

    value: float
    standard_error: float
    degrees_of_freedom: float
    """Of Student's t; 0 where nothing is known of the error: then every interval is `limits`."""
    n: int
    clusters: int
    limits: Interval
    """No bound lies outside: what the score can be at all."""

    def interval(self, confidence: float = 0.95) -> Interval:
        """The two-sided interval that covers the truth with this confidence."""
        return Interval(self.lower_bound((1 - confidence) / 2), self.upper_bound((1 - confidence) / 2))

    def lower_bound(self, alpha: float = 0.05) -> float:
        """One-sided: the truth lies below it with probability `alpha` at most."""
        return max(self.limits.low, self.value - self._reach(alpha))

    def upper_bound(self, alpha: float = 0.05) -> float:
        """One-sided: the truth lies above it with probability `alpha` at most."""
        return min(self.limits.high, self.value + self._reach(alpha))

    def p_value_above(self, threshold: float) -> float:
        """One-sided p of "the truth is not above the threshold": small where it is shown to be above."""
        return self._p_value(self.value - threshold)

    def p_value_below(self, threshold: float) -> float:
        """One-sided p of "the truth is not below the threshold": small where it is shown to be below."""
        return self._p_value(threshold - self.value)

    def _reach(self, alpha: float) -> float:
        within(alpha, 0, 1, "alpha")
        df = self.degrees_of_freedom
        return t_quantile(1 - alpha, df) * self.standard_error if df else math.inf

    def _p_value(self, distance: float) -> float:
        return t_cdf(-distance / self.standard_error, self.degrees_of_freedom) if self.degrees_of_freedom else 1.0


def mean(
    values: Numbers,
    clusters: Clusters = None,
    *,
    limits: Interval | None = SHARES,
    is_cautious: bool = False,
    weights: Numbers | None = None,
) -> Estimate:
    """The mean of a score, with the cluster-robust standard error and t with (clusters - 1) degrees of freedom.

    Miller 2024 (arXiv 2411.00640), appendix A. `values` and `clusters` have shape (n,), and so have `weights`: an
    example counts as so many that are wholly alike. `limits` are the lowest and the highest value that the score can
    take, None where there are none. Cautious: two more clusters are counted into the error, one at each end of what
    scores can differ by (after Bonett and Price 2012); without any spread in the values that is always done, so that no
    interval has width zero. One cluster: the interval is `limits`. InvalidRequest for no values, NaN, values outside
    `limits`, and one cluster without limits.
    """
    array = finite(values, "values")
    codes, shares = cluster_codes(clusters, array.size), evened(weights, array.size)
    return mean_of(array, codes, limits, is_cautious=is_cautious, shares=shares)


def mean_of(
    array: Floats, codes: Codes, limits: Interval | None, *, is_cautious: bool, shares: Floats | None = None
) -> Estimate:
    """`mean`, of what is already checked and numbered; `shares` are weights that average 1."""
    n, groups = array.size, int(codes.max()) + 1
    weights = np.ones(n) if shares is None else shares
    value = float(np.clip((weights * array).mean(), array.min(), array.max()))  # rounding may lead it out
    known = limits or Interval(-math.inf, math.inf)
    _check_limits(array, known, groups)
    if groups == 1:
        return Estimate(value, known.reach, 0, n, 1, known)
    totals = sums(weights * (array - value), codes, groups)
    scale = known.reach if limits else float(np.max(np.abs(array)))
    is_flat = float(np.max(np.abs(totals))) <= 1e-12 * n * max(scale, 1.0)
    pseudo = scale * math.sqrt(n / groups * design_effect(array, codes, shares)) if is_cautious or is_flat else None
    error = standard_error(totals, n, pseudo)
    return Estimate(value, error, groups - 1, n, groups, known)


def _check_limits(array: Floats, limits: Interval, groups: int) -> None:
    low, high = float(array.min()), float(array.max())
    message = f"Scores from {low:g} to {high:g} lie outside {limits.low:g} to {limits.high:g}."
    require(low in limits and high in limits, "limits", message, "Say what the score can be at least and at most.")
    message = "All examples are of one cluster, and nothing limits the score, so nothing is known of its error."
    is_known = groups > 1 or math.isfinite(limits.reach)
    require(is_known, "clusters", message, "Add examples of other clusters (documents, users).")


def standard_error(totals: Floats, n: int, pseudo: float | None = None) -> float:
    """The error of a mean of n values from the sums of each cluster's deviations, shape (clusters,).

    With `pseudo`, two more clusters of mean size, whose sums deviate by +pseudo and -pseudo.
    """
    groups, squares = totals.size, float(totals @ totals)
    if pseudo is None:
        return math.sqrt(groups / (groups - 1) * squares) / n
    return math.sqrt((groups + 2) / (groups + 1) * (squares + 2 * pseudo**2)) / (n + 2 * n / groups)


def design_effect(values: Floats, codes: Codes, shares: Floats | None = None) -> float:
    """The variance of the mean in these clusters over that of independent values, at least 1 (Rao and Scott 1981).

    Where the values do not differ, or all are of one cluster, nothing tells how alike those of a cluster are: they
    count as wholly alike, and the effect is the mean size of the cluster that an example lies in. `shares` are weights
    that average 1; what they cost is in it, too (Kish 1965).
    """
    n, groups = values.size, int(codes.max()) + 1
    weights = np.ones(n) if shares is None else shares
    if groups == n and np.ptp(weights) == 0:
        return 1.0
    deviations = values - (weights * values).mean()
    independent = float(weights @ deviations**2) / max(n - 1, 1) / n
    if groups == 1 or independent <= 1e-18:
        sizes = sums(weights, codes, groups)
        return float(sizes @ sizes) / n
    return max(1.0, standard_error(sums(weights * deviations, codes, groups), n) ** 2 / independent)


def variance_bound(values: Floats, codes: Codes, scale: float, shares: Floats | None = None) -> float:
    """What the variance of one value is at most, times the design effect: an upper bound, 70 % sure.

    For planning from a pilot (Browne 1995): its own variance is too low as often as too high, and then asks for too
    few examples. The few clusters whose sums are far off carry the variance; their number, (sum of squares)² / sum of
    fourth powers, is bounded as a Poisson count by its score. Where nothing differs, a cluster may be `scale` off.
    """
    n, groups = values.size, int(codes.max()) + 1
    weights, effect = np.ones(n) if shares is None else shares, design_effect(values, codes, shares)
    deviations = values - (weights * values).mean()
    squares = sums(weights * deviations, codes, groups) ** 2
    if squares.max() <= 1e-18 * n:
        return _SURE**2 * scale**2 * effect / groups
    count = float(squares.sum() ** 2 / (squares @ squares))
    bound = count + _SURE**2 / 2 + _SURE * math.sqrt(count + _SURE**2 / 4)
    return float(weights @ deviations**2) / n * effect * bound / count
