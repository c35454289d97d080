"""Is a candidate worse by more than a margin? The test behind gates, with a stated rate of wrong answers.

Binary scores take Tango's score on counts divided by the design effect, against t with (clusters - 1) degrees of
freedom; other scores the cluster-robust t with two pseudo-clusters. Of the tests that were compared by simulation on
clustered and rare failures, these two kept their rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headworks.statistics.arrays import Clusters, Codes, Floats, Numbers
from headworks.statistics.estimates import Estimate, design_effect, mean_of
from headworks.statistics.observations import evened, within
from headworks.statistics.paired import difference_limits, paired_values
from headworks.statistics.quantiles import boundary, t_cdf, t_quantile


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """What the evidence says about "candidate - baseline > -margin", all in the unit of the scores."""

    difference: float
    """Candidate - baseline."""
    lower_bound: float
    """The true difference lies below it with probability `alpha` at most."""
    upper_bound: float
    """The true difference lies above it with probability `alpha` at most."""
    margin: float
    alpha: float
    p_value: float
    """Of "worse by the margin or more": small where the candidate is shown to be good enough."""
    p_value_worse: float
    """Of "not worse by the margin": small where the candidate is shown to be too bad."""
    n: int
    clusters: int

    @property
    def is_shown(self) -> bool:
        """Whether the candidate is shown to be good enough; wrong with probability `alpha` at most."""
        return self.p_value <= self.alpha

    @property
    def is_refuted(self) -> bool:
        """Whether the candidate is shown to be worse than the margin allows. Neither: inconclusive."""
        return self.p_value_worse <= self.alpha


def non_inferiority(
    baseline: Numbers,
    candidate: Numbers,
    margin: float,
    clusters: Clusters = None,
    *,
    alpha: float = 0.05,
    scale: float | None = 1.0,
    weights: Numbers | None = None,
) -> NonInferiority:
    """The test of "candidate - baseline > -margin" on the same examples, all of shape (n,); higher scores are better.

    A negative margin asks for an improvement by at least that much, 0 for any. Tango 1998 with Rao and Scott 1981 for
    scores of 0 and 1, else cluster-robust t with pseudo-clusters; `scale` and `weights` as in `paired_difference`. One
    cluster shows nothing: p is 1. InvalidRequest for no examples, NaN, unequal lengths, and a margin outside the scale.
    """
    within(alpha, 0, 0.5, "alpha")
    differences, codes = paired_values(baseline, candidate, clusters)
    limits, shares = difference_limits(scale), evened(weights, differences.size)
    if limits:
        within(margin, limits.low, limits.high, "margin")
    if limits is None or limits.high != 1 or not _is_binary(baseline, candidate):
        return verdict_of(mean_of(differences, codes, limits, is_cautious=True, shares=shares), margin, alpha)
    return _binary(differences, codes, shares, margin, alpha)


def verdict_of(estimate: Estimate, margin: float, alpha: float = 0.05) -> NonInferiority:
    """The same question put to an estimated difference, such as one that judgements have corrected."""
    bounds = estimate.lower_bound(alpha), estimate.upper_bound(alpha)
    p_values = estimate.p_value_above(-margin), estimate.p_value_below(-margin)
    return NonInferiority(estimate.value, *bounds, margin, alpha, *p_values, estimate.n, estimate.clusters)


def _binary(differences: Floats, codes: Codes, shares: Floats, margin: float, alpha: float) -> NonInferiority:
    n, groups, difference = differences.size, int(codes.max()) + 1, float((shares * differences).mean())
    if groups == 1:
        return NonInferiority(difference, -1.0, 1.0, margin, alpha, 1.0, 1.0, n, groups)
    effect = design_effect(differences, codes, shares)
    wins, losses = (float(shares[each].sum()) for each in (differences > 0, differences < 0))
    counts = (wins / effect, losses / effect, n / effect)
    score, critical, df = tango_score(*counts, -margin), t_quantile(1 - alpha, groups - 1), groups - 1
    low = boundary(lambda each: tango_score(*counts, each) > critical, -1.0, 1.0)
    high = boundary(lambda each: tango_score(*counts, each) > -critical, -1.0, 1.0)
    return NonInferiority(difference, low, high, margin, alpha, t_cdf(-score, df), t_cdf(score, df), n, groups)


def _is_binary(*scores: Numbers) -> bool:
    return all(bool(np.isin(each, (0, 1)).all()) for each in scores)


def tango_score(wins: float, losses: float, n: float, difference: float) -> float:
    """How many standard errors (wins - losses) / n lies above `difference`, if that is the truth (Tango 1998).

    The error is that of the most likely pair of rates with this difference, so it is 0 only for no difference
    at all, which scores 0. Counts may be fractions.
    """
    variance = n * tango_variance(wins, losses, n, difference)
    return (wins - losses - n * difference) / math.sqrt(variance) if variance > 0 else 0.0


def tango_variance(wins: float, losses: float, n: float, difference: float) -> float:
    """The variance of one example's difference, at the most likely rates whose difference is `difference`."""
    b = (2 * n - wins + losses) * difference - wins - losses
    c = -losses * difference * (1 - difference)
    root = math.sqrt(max(0.0, b * b - 8 * n * c))
    lost = (root - b) / (4 * n) if b <= 0 else -2 * c / (root + b)
    return 2 * lost + difference * (1 - difference)
