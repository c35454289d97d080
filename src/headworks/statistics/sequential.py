"""Tests that may be looked at after every request, and stopped at any time: for canaries and A/B."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headworks.statistics.arrays import Floats
from headworks.statistics.estimates import DIFFERENCES, Interval
from headworks.statistics.observations import require, within


@dataclass(frozen=True, slots=True)
class EProcess:
    """Evidence that the second arm fails more often than the first (Turner, Ly and Grünwald 2021).

    Each block of requests is bet on with the failure rates of the blocks before it, against the pooled rate, and only
    while the second arm looks worse. If it is not worse, the evidence ever reaches 1/alpha with probability `alpha` at
    most, whenever and however often one looks.
    """

    failures: tuple[int, int] = (0, 0)
    """Of the first and of the second arm."""
    requests: tuple[int, int] = (0, 0)
    log_evidence: float = 0.0
    log_highest: float = 0.0
    """Its highest value so far, which is what counts."""

    def after(self, failures: tuple[int, int], requests: tuple[int, int]) -> EProcess:
        """The process one block later. The sizes of blocks may not depend on how their requests went.

        InvalidRequest for counts that are none.
        """
        are_counts = all(0 <= failed <= n for failed, n in zip(failures, requests, strict=True))
        message = f"{failures} failures of {requests} requests are no counts."
        require(are_counts, "failures", message, "Give failures from 0 to the number of requests, for both arms.")
        evidence = self.log_evidence + float(block_log_evidence(self.failures, self.requests, failures, requests))
        failed = (self.failures[0] + failures[0], self.failures[1] + failures[1])
        seen = (self.requests[0] + requests[0], self.requests[1] + requests[1])
        return EProcess(failed, seen, evidence, max(self.log_highest, evidence))

    @property
    def p_value(self) -> float:
        """Valid at any time: 1 over the highest evidence."""
        return math.exp(-self.log_highest)

    def is_alarm(self, alpha: float = 0.05) -> bool:
        """Whether the second arm is shown to fail more often."""
        return self.log_highest >= -math.log(within(alpha, 0, 1, "alpha"))


Counts = tuple[int, int] | tuple[Floats, Floats]
_PRIOR = (0.5, 5.0)
"""Failures and requests that are imagined beforehand; it moves how soon harm is seen, never the error rate."""


def block_log_evidence(seen: Counts, seen_of: Counts, failures: Counts, requests: Counts) -> Floats:
    """The logarithm of what one block multiplies the evidence by, from the counts of both arms before it and in it.

    Counts may be arrays of one shape, for many processes at once.
    """
    first, second = ((np.asarray(seen[arm]) + _PRIOR[0]) / (np.asarray(seen_of[arm]) + _PRIOR[1]) for arm in (0, 1))
    n = (np.asarray(requests[0]), np.asarray(requests[1]))
    pooled = (n[0] * first + n[1] * second) / np.maximum(n[0] + n[1], 1)
    bets = np.float64(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for rate, failed, of in zip((first, second), failures, n, strict=True):
            bets = bets + np.asarray(failed) * np.log(rate / pooled)
            bets = bets + (of - np.asarray(failed)) * np.log((1 - rate) / (1 - pooled))
    return np.where((second > first) & (n[0] > 0) & (n[1] > 0), bets, 0.0)


def confidence_sequence(
    value: float, deviation: float, n: int, *, alpha: float = 0.05, best_at: int = 500, scale: float = 1.0
) -> Interval:
    """An interval for a mean that covers the truth at all times at once (Waudby-Smith et al. 2021, asymptotic).

    From the mean, standard deviation and number of the values so far; narrowest, for what it is, around `best_at`
    values. Two values at the ends of what one can differ by (`scale`) count into the deviation. No values: ± scale.
    """
    within(alpha, 0, 1, "alpha")
    if n < 1 or not (math.isfinite(value) and math.isfinite(deviation)):
        return Interval(-scale, scale)
    spread = math.sqrt((n * deviation**2 + scale**2 / 2) / (n + 1))
    rho = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / best_at
    grown = n * rho + 1
    reach = spread * math.sqrt(2 * grown / (n * n * rho) * math.log(math.sqrt(grown) / alpha))
    return Interval(value - reach, value + reach)


def difference_sequence(
    means: tuple[float, float], deviations: tuple[float, float], n: tuple[int, int], *, alpha: float = 0.05
) -> Interval:
    """A confidence sequence for second arm - first arm, of independent arms whose scores lie from 0 to 1."""
    if min(n) < 1:
        return DIFFERENCES
    variances = [(each**2 * size + 0.5) / (size + 1) / size for each, size in zip(deviations, n, strict=True)]
    return confidence_sequence(means[1] - means[0], math.sqrt(sum(n) * sum(variances)), sum(n), alpha=alpha)
