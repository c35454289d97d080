"""Two releases on the same examples: the difference, what disagrees, and how much clusters take away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headworks.statistics.arrays import Clusters, Codes, Floats, Numbers
from headworks.statistics.estimates import Estimate, Interval, design_effect, mean_of, variance_bound
from headworks.statistics.observations import cluster_codes, evened, finite, require, same_length


def paired_difference(
    baseline: Numbers,
    candidate: Numbers,
    clusters: Clusters = None,
    *,
    scale: float | None = 1.0,
    weights: Numbers | None = None,
) -> Estimate:
    """The mean of candidate - baseline over the same examples, cluster-robust (Miller 2024, arXiv 2411.00640).

    All of shape (n,), in the same order. `scale` is the largest difference that one example can show (1 for scores
    from 0 to 1; None where nothing limits it). Weights, edge cases and errors as in `estimates.mean`.
    """
    differences, codes = paired_values(baseline, candidate, clusters)
    shares = evened(weights, differences.size)
    return mean_of(differences, codes, difference_limits(scale), is_cautious=False, shares=shares)


def paired_values(baseline: Numbers, candidate: Numbers, clusters: Clusters) -> tuple[Floats, Codes]:
    """Differences per example and numbered clusters, both of shape (n,), checked."""
    before, after = finite(baseline, "baseline"), finite(candidate, "candidate")
    same_length("candidate", before.size, after.size)
    return after - before, cluster_codes(clusters, before.size)


def difference_limits(scale: float | None) -> Interval | None:
    """From -scale to scale."""
    step = "Give the largest difference that one example can show."
    require(scale is None or 0 < scale < np.inf, "scale", f"`scale` is {scale}.", step)
    return None if scale is None else Interval(-scale, scale)


@dataclass(frozen=True, slots=True)
class Pairs:
    """How two releases differ on n examples: what the needed number of examples depends on."""

    n: int
    clusters: int
    wins: int
    """Examples on which the candidate scored higher."""
    losses: int
    """Examples on which the baseline scored higher."""
    variance: float
    """Of the difference per example."""
    design_effect: float
    """How many clustered examples tell as much as one independent one; at least 1."""
    scale: float
    """The largest difference that an example can show."""
    planned_variance: float
    """Of the difference per example, with which to plan: an upper bound (`estimates.variance_bound`)."""

    @property
    def cluster_size(self) -> float:
        """Examples per cluster."""
        return self.n / self.clusters

    @property
    def discordance(self) -> float:
        """The share of examples on which the two differ."""
        return (self.wins + self.losses) / self.n


def pairs(
    baseline: Numbers,
    candidate: Numbers,
    clusters: Clusters = None,
    *,
    scale: float | None = None,
    weights: Numbers | None = None,
) -> Pairs:
    """What differs between two releases on the same examples, all of shape (n,).

    `scale` and `weights` as in `paired_difference`; without a scale it is the largest difference that was seen.
    """
    differences, codes = paired_values(baseline, candidate, clusters)
    wins, losses = int(np.count_nonzero(differences > 0)), int(np.count_nonzero(differences < 0))
    shares, largest = evened(weights, differences.size), float(np.abs(differences).max()) if scale is None else scale
    effect, groups = design_effect(differences, codes, shares), int(codes.max()) + 1
    planned = variance_bound(differences, codes, largest, shares) / effect
    return Pairs(differences.size, groups, wins, losses, float(differences.var()), effect, largest, planned)
