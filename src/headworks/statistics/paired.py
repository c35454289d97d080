"""Two releases on the same examples: the difference, what disagrees, and how much clusters take away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headworks.errors import InvalidRequest
from headworks.statistics.estimates import Estimate, Interval, design_effect, mean_of
from headworks.statistics.observations import (
    Clusters,
    Codes,
    Floats,
    Numbers,
    cluster_codes,
    finite,
    is_binary,
    same_length,
)
from headworks.statistics.quantiles import binomial_cdf


def paired_difference(
    baseline: Numbers,
    candidate: Numbers,
    clusters: Clusters | None = None,
    *,
    scale: float | None = 1.0,
    is_cautious: bool = False,
) -> Estimate:
    """The mean of candidate - baseline over the same examples, cluster-robust (Miller 2024, arXiv 2411.00640).

    All of shape (n,), in the same order. `scale` is the largest difference that one example can show (1 for scores
    from 0 to 1; None where nothing limits it). Cautious, edge cases and errors as in `estimates.mean`.
    """
    differences, codes = paired_values(baseline, candidate, clusters)
    return mean_of(differences, codes, difference_limits(scale), is_cautious=is_cautious)


def paired_values(baseline: Numbers, candidate: Numbers, clusters: Clusters | None) -> tuple[Floats, Codes]:
    """Differences per example and numbered clusters, both of shape (n,), checked."""
    before, after = finite(baseline, "baseline"), finite(candidate, "candidate")
    same_length("candidate", before.size, after.size)
    return after - before, cluster_codes(clusters, before.size)


def difference_limits(scale: float | None) -> Interval | None:
    """From -scale to scale."""
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise InvalidRequest(
            f"`scale` is {scale}.", next_step="Give the largest difference that one example can show.", param="scale"
        )
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
    is_binary: bool
    """Whether every score was 0 or 1."""

    @property
    def discordance(self) -> float:
        """The share of examples on which the two differ."""
        return (self.wins + self.losses) / self.n


def pairs(baseline: Numbers, candidate: Numbers, clusters: Clusters | None = None) -> Pairs:
    """What differs between two releases on the same examples, all of shape (n,)."""
    differences, codes = paired_values(baseline, candidate, clusters)
    groups = int(codes.max()) + 1
    return Pairs(
        n=differences.size,
        clusters=groups,
        wins=int(np.count_nonzero(differences > 0)),
        losses=int(np.count_nonzero(differences < 0)),
        variance=float(differences.var()),
        design_effect=design_effect(differences, codes),
        is_binary=is_binary(np.asarray(baseline), np.asarray(candidate)),
    )


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact p of "wins and losses are equally likely" (McNemar 1947), for independent examples."""
    if wins < 0 or losses < 0:
        raise InvalidRequest("Wins and losses are counts.", next_step="Give numbers from 0.", param="wins")
    if wins == losses:
        return 1.0
    return min(1.0, 2 * binomial_cdf(min(wins, losses), wins + losses, 0.5))
