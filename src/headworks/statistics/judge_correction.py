"""The mean that human judges would give, from many judged examples and few human judgements (prediction-powered).

PPI++ by Angelopoulos, Duchi and Zrnic 2023 (arXiv 2311.01453), with three changes for few judgements: the judge's
weight for a judgement is tuned without the cluster that it lies in (cross-fitted), t in place of the normal, and two
pseudo-residuals at the ends of what a score can differ by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headworks.statistics.arrays import Clusters, Codes, Floats, Labels, Mask, Numbers
from headworks.statistics.estimates import DIFFERENCES, Estimate, Interval, design_effect, mean_of, variance_bound
from headworks.statistics.observations import cluster_codes, finite, labelled, same_length, sums


@dataclass(frozen=True, slots=True)
class Corrected:
    """A mean corrected by human judgements."""

    estimate: Estimate
    """`n` and `clusters` count the human judgements, from which its degrees of freedom come."""
    judged: int
    """Examples that the judge alone has scored."""
    weight: float
    """How much the judge counts: 0 not at all, 1 like a human."""
    gain: float
    """How many judgements each one is worth with this judge; about 1 where the judge tells nothing."""
    design_effect: float
    """How many clustered judgements tell as much as one independent one; at least 1."""
    residual_variance: float
    """What the judge leaves unexplained of one example, design effect included: an upper bound, to plan with."""
    explained_variance: float
    """What it explains, design effect included: only more examples lower its part, more judgements do not."""

    def variance(self, n: float, examples: int) -> float:
        """Of the mean corrected by n judgements of so many examples, to plan with.

        As of a regression estimate from two samples (Cochran 1977, 12.6). Where n is more, there are n examples.
        """
        return self.residual_variance / n + self.explained_variance / max(n, examples)


@dataclass(frozen=True, slots=True)
class _Sample:
    """Examples in the order given; `labels` belong to those where `is_labelled`, n of them in `groups` clusters."""

    judged: Floats
    is_labelled: Mask
    labels: Floats
    codes: Codes

    @property
    def own_codes(self) -> Codes:
        """The clusters of the labelled examples, numbered from 0 without gaps."""
        return np.unique(self.codes[self.is_labelled], return_inverse=True)[1].astype(np.int64)


def corrected_mean(
    judged: Numbers,
    labels: Labels,
    clusters: Clusters = None,
    *,
    limits: Interval = DIFFERENCES,
    weight: float | None = None,
    is_cautious: bool = True,
) -> Corrected:
    """The mean that humans would give to all examples, of which they have judged a random part.

    `judged` is the judge's score of each example and `labels` the human's, None where there is none, both of shape
    (n,) and of one unit; for two releases each is candidate - baseline. `limits` are what a human score can be at
    least and at most. A given `weight` is used as it is; without caution there are no pseudo-residuals.
    InvalidRequest for no human judgement, NaN, or unequal lengths.
    """
    sample = _sample(judged, labels, clusters)
    own = sample.own_codes
    plain = mean_of(sample.labels, own, limits, is_cautious=is_cautious)
    rest = sample.judged[~sample.is_labelled]
    weights = _cross_fitted_weights(sample) if weight is None else np.full(sample.labels.size, weight)
    if rest.size < 2 or plain.clusters == 1 or not np.any(weights):
        return Corrected(plain, rest.size, 0.0, 1.0, *_planned(sample.labels, own, limits), 0.0)
    values = sample.labels - weights * (sample.judged[sample.is_labelled] - rest.mean())
    average = float(weights.mean())
    pseudo = limits.reach if is_cautious or float(np.ptp(values)) <= 1e-12 * limits.reach else 0.0
    error, judge_error = _errors(sample, values, average * (rest - rest.mean()), pseudo)
    value = min(limits.high, max(limits.low, float(values.mean())))
    estimate = Estimate(value, error, plain.clusters - 1, plain.n, plain.clusters, limits)
    gain = (plain.standard_error / error) ** 2
    explained = (judge_error * (1 + values.size / rest.size)) ** 2 * rest.size  # at the weight that most examples give
    return Corrected(estimate, rest.size, average, gain, *_planned(values, own, limits), explained)


def _planned(values: Floats, codes: Codes, limits: Interval) -> tuple[float, float]:
    """Design effect and variance of what is averaged over the judgements."""
    return design_effect(values, codes), variance_bound(values, codes, limits.reach)


def _sample(judged: Numbers, labels: Labels, clusters: Clusters) -> _Sample:
    scores = finite(judged, "judged")
    same_length("labels", scores.size, len(labels))
    return _Sample(scores, *labelled(labels), cluster_codes(clusters, scores.size))


def _cross_fitted_weights(sample: _Sample) -> Floats:
    """For each labelled example cov(label, judged) / ((1 + n/N) var(judged)), within 0 to 1, without its cluster."""
    codes, judged = sample.codes[sample.is_labelled], sample.judged[sample.is_labelled]
    n, groups = judged.size, int(sample.codes.max()) + 1
    rest = sample.judged.size - n
    if rest == 0:
        return np.zeros(n)
    centre = sample.judged - sample.judged.mean()
    f, y = centre[sample.is_labelled], sample.labels - sample.labels.mean()

    def without(values: Floats, where: Codes) -> Floats:
        totals = sums(values, where, groups)
        return np.asarray(totals.sum() - totals)

    count, all_count = without(np.ones(n), codes), without(np.ones(centre.size), sample.codes)
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = without(y * f, codes) / count - without(y, codes) * without(f, codes) / count**2
        spread = without(centre**2, sample.codes) / all_count - (without(centre, sample.codes) / all_count) ** 2
        tuned = covariance / ((1 + n / rest) * spread)
    usable = (count >= 2) & (spread > 1e-12)
    return np.asarray(np.where(usable, np.clip(tuned, 0, 1), 0.0)[codes])


def _errors(sample: _Sample, values: Floats, judge_part: Floats, pseudo: float) -> tuple[float, float]:
    """The standard error of the whole, and of the judge's part; a cluster may lie in both."""
    groups, n = int(sample.codes.max()) + 1, values.size
    own = int(sample.own_codes.max()) + 1
    size = n / own if pseudo else 0.0
    factor = own / (own - 1) if not pseudo else (own + 2) / (own + 1)
    pseudo *= math.sqrt(n / own * design_effect(values, sample.own_codes))
    human = sums(values - values.mean(), sample.codes[sample.is_labelled], groups) / (n + 2 * size)
    squares = factor * (float(human @ human) + 2 * (pseudo / (n + 2 * size)) ** 2)
    where = sample.codes[~sample.is_labelled]
    others = np.unique(where).size
    judge = sums(judge_part, where, groups) / judge_part.size
    other_factor = others / (others - 1) if others > 1 else 1.0
    judge_squares = other_factor * float(judge @ judge)
    shared = 2 * math.sqrt(factor * other_factor) * float(human @ judge)
    return math.sqrt(max(squares + judge_squares + shared, squares * 0.25)), math.sqrt(judge_squares)
