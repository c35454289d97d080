"""Reviewing a part with known probabilities, and what that part tells about the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headworks.errors import InvalidRequest
from headworks.statistics.estimates import SHARES, Estimate, Interval, standard_error
from headworks.statistics.observations import (
    Clusters,
    Floats,
    Numbers,
    cluster_codes,
    finite,
    same_length,
    sums,
    within,
)


def inclusion_probabilities(failure_probabilities: Numbers, budget: float, floor: float = 0.05) -> Floats:
    """With which probability to review each example, shape (n,), so that `budget` reviews are expected.

    In proportion to the uncertainty √(p(1 - p)) of what is expected, plus `floor`, so that each has a chance (Poisson
    sampling; Zrnic and Candès 2024). A budget of n or more: 1 for all.
    """
    expected = finite(failure_probabilities, "failure_probabilities")
    if expected.min() < 0 or expected.max() > 1 or not budget > 0:
        raise InvalidRequest(
            "A probability lies from 0 to 1, and a budget is above 0.",
            next_step="Give the expected failure probability of each example.",
            param="failure_probabilities",
        )
    weights = np.sqrt(expected * (1 - expected)) + within(floor, 0, 10, "floor")
    chances = np.zeros(expected.size)
    for _ in range(expected.size):
        free = chances < 1
        left = budget - np.count_nonzero(~free)
        if left <= 0 or not free.any():
            break
        chances[free] = np.minimum(1.0, left * weights[free] / weights[free].sum())
        if not (chances[free] >= 1).any():
            break
    return chances


def reviewed_mean(
    labels: Sequence[float | None],
    probabilities: Numbers,
    judged: Numbers | None = None,
    clusters: Clusters | None = None,
    *,
    limits: Interval = SHARES,
) -> Estimate:
    """The mean over all examples, from the reviewed ones and the probability with which each was to be reviewed.

    With a judge's scores it is AIPW (Robins, Rotnitzky and Zhao 1994), without them Horvitz and Thompson 1952: unbiased
    for any judge. All of shape (n,); `labels` are None where nobody reviewed. Cluster-robust error over examples, and
    two pseudo-residuals as in `judge_correction`; t with (reviewed clusters - 1) degrees of freedom. Fewer than two
    reviewed clusters: the interval is `limits`. InvalidRequest for a probability outside 0 to 1, and for NaN.
    """
    chances = finite(probabilities, "probabilities")
    n = chances.size
    same_length("labels", n, len(labels))
    finite([0.0, *(each for each in labels if each is not None)], "labels")
    if chances.min() <= 0 or chances.max() > 1:
        raise InvalidRequest(
            "An example could not have been reviewed, or with more than certainty.",
            next_step="Leave nothing without a chance; store the probability that was used.",
            param="probabilities",
        )
    expected = np.zeros(n) if judged is None else finite(judged, "judged")
    same_length("judged", n, expected.size)
    codes = cluster_codes(clusters, n)
    is_reviewed = np.fromiter((each is not None for each in labels), dtype=np.bool_, count=n)
    found = np.fromiter((0.0 if each is None else each for each in labels), dtype=np.float64, count=n)
    weights = np.where(is_reviewed, 1 / chances, 0.0)
    values = expected + weights * (found - expected)
    value = min(limits.high, max(limits.low, float(values.mean())))
    reviewed, groups = np.unique(codes[is_reviewed]).size, int(codes.max()) + 1
    if reviewed < 2:
        return Estimate(value, limits.reach, 0, int(is_reviewed.sum()), reviewed, limits)
    error = standard_error(sums(values - values.mean(), codes, groups), n)
    pseudo = limits.reach * float(weights.sum()) / reviewed / n
    return Estimate(
        value, float(np.hypot(error, np.sqrt(2) * pseudo)), reviewed - 1, int(is_reviewed.sum()), reviewed, limits
    )


def hajek_mean(
    labels: Sequence[float | None],
    probabilities: Numbers,
    clusters: Clusters | None = None,
    *,
    limits: Interval = SHARES,
) -> Estimate:
    """As `reviewed_mean` without a judge, as a weighted mean of what was reviewed (Hájek 1971).

    Nearly unbiased, and steadier where many labels are high; with few reviews prefer it to Horvitz and Thompson.
    """
    given = [each for each in labels if each is not None]
    if not given:
        return reviewed_mean(labels, probabilities, None, clusters, limits=limits)
    chances = finite(probabilities, "probabilities")
    same_length("labels", chances.size, len(labels))
    weights = np.asarray([1 / chance for each, chance in zip(labels, chances, strict=True) if each is not None])
    centre = float(np.average(finite(given, "labels"), weights=weights))
    shifted = [None if each is None else each - centre for each in labels]
    span = limits.high - limits.low
    error = reviewed_mean(shifted, chances, None, clusters, limits=Interval(-span, span))
    return Estimate(centre, error.standard_error, error.degrees_of_freedom, error.n, error.clusters, limits)
