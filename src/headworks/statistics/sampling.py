"""Reviewing a part with known probabilities, and what that part tells about the whole."""

from __future__ import annotations

import math

import numpy as np

from headworks.statistics.arrays import Clusters, Floats, Labels, Numbers
from headworks.statistics.estimates import SHARES, Estimate, Interval, standard_error
from headworks.statistics.observations import cluster_codes, finite, labelled, require, same_length, sums, within


def inclusion_probabilities(failure_probabilities: Numbers, budget: float, floor: float = 0.05) -> Floats:
    """With which probability to review each example, shape (n,), so that `budget` reviews are expected.

    In proportion to the uncertainty √(p(1 - p)) of what is expected, plus `floor`, so that each has a chance (Poisson
    sampling; Zrnic and Candès 2024). A budget of n or more: 1 for all.
    """
    expected = finite(failure_probabilities, "failure_probabilities")
    is_good = expected.min() >= 0 and expected.max() <= 1 and budget > 0
    message = "A probability lies from 0 to 1, and a budget is above 0."
    require(is_good, "failure_probabilities", message, "Give the expected failure probability of each example.")
    weights = np.sqrt(expected * (1 - expected)) + within(floor, 0, 10, "floor")
    chances = np.zeros(expected.size)
    while (chances < 1).any() and (left := budget - np.count_nonzero(chances == 1)) > 0:
        free = chances < 1
        chances[free] = np.minimum(1.0, left * weights[free] / weights[free].sum())
        if not (chances[free] == 1).any():
            break
    return chances


def reviewed_mean(
    labels: Labels,
    probabilities: Numbers,
    judged: Numbers | None = None,
    clusters: Clusters = None,
    limits: Interval = SHARES,
) -> Estimate:
    """The mean over all examples, from the reviewed ones and the probability with which each was to be reviewed.

    With a judge's scores it is AIPW (Robins, Rotnitzky and Zhao 1994), without them Horvitz and Thompson 1952: unbiased
    for any judge. All of shape (n,); `labels` are None where nobody reviewed. Cluster-robust error over examples, and
    two pseudo-residuals as in `judge_correction`; t with (reviewed clusters - 1) degrees of freedom. Fewer than two
    reviewed clusters: the interval is `limits`. InvalidRequest for no reviews, NaN, and
    probabilities outside 0 to 1.
    """
    chances = finite(probabilities, "probabilities")
    n = chances.size
    same_length("labels", n, len(labels))
    message = "An example could not have been reviewed, or with more than certainty."
    is_good = chances.min() > 0 and chances.max() <= 1
    require(is_good, "probabilities", message, "Leave nothing without a chance; store the probability that was used.")
    expected = np.zeros(n) if judged is None else finite(judged, "judged")
    same_length("judged", n, expected.size)
    codes = cluster_codes(clusters, n)
    is_reviewed, found = labelled(labels)
    values = expected.copy()
    values[is_reviewed] += (found - expected[is_reviewed]) / chances[is_reviewed]
    value = min(limits.high, max(limits.low, float(values.mean())))
    reviewed, groups = np.unique(codes[is_reviewed]).size, int(codes.max()) + 1
    if reviewed < 2:
        return Estimate(value, limits.reach, 0, found.size, reviewed, limits)
    error = standard_error(sums(values - values.mean(), codes, groups), n)
    pseudo = limits.reach * float((1 / chances[is_reviewed]).sum()) / reviewed / n
    return Estimate(value, math.hypot(error, math.sqrt(2) * pseudo), reviewed - 1, found.size, reviewed, limits)
