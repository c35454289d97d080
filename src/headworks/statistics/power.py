"""How many examples, or judgements, a question needs; and what a given number of them can show."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

from headworks.statistics.judge_correction import Corrected
from headworks.statistics.noninferiority import tango_variance
from headworks.statistics.observations import require, within
from headworks.statistics.proportions import exact_upper_bound
from headworks.statistics.quantiles import boundary, normal_cdf, normal_quantile, t_quantile

_MOST = 2**60
"""Nobody has so many."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be shown: a candidate that truly differs by `difference` is not worse by `margin` or more."""

    margin: float
    difference: float = 0.0
    alpha: float = 0.05
    power: float = 0.8
    """How often it is to be shown when it is so."""

    @property
    def gap(self) -> float:
        """From the margin to the truth; InvalidRequest where the truth does not lie above."""
        message = f"No number of examples shows a difference of {self.difference:g} to be above {-self.margin:g}."
        step = "Allow a larger margin, or expect a better candidate."
        require(self.margin + self.difference > 0, "margin", message, step)
        return self.margin + self.difference


def needed_examples(discordance: float, goal: Goal, design_effect: float = 1.0, cluster_size: float = 1.0) -> int:
    """Examples that reach the goal, for scores of 0 and 1 of both releases on the same examples.

    `discordance` is the share of examples on which the two differ; `paired.Pairs` has all three. Tango's variance at
    the margin, the true one beside it, and t for the clusters that so many examples make. InvalidRequest where no
    number would do.
    """
    at_margin, at_truth = _deviations(discordance, goal)
    critical, n = normal_quantile(1 - goal.alpha), 0.0
    for _ in range(8):
        n = ((critical * at_margin + normal_quantile(goal.power) * at_truth) / goal.gap) ** 2 * max(1.0, design_effect)
        critical = t_quantile(1 - goal.alpha, max(2.0, n / cluster_size - 1))
    return max(2, math.ceil(n), math.ceil(2 * cluster_size))


def power_of_examples(
    n: int, discordance: float, goal: Goal, design_effect: float = 1.0, cluster_size: float = 1.0
) -> float:
    """The probability that n examples show what `needed_examples` asks for."""
    at_margin, at_truth = _deviations(discordance, goal)
    if n < 2 * cluster_size:
        return 0.0
    critical = t_quantile(1 - goal.alpha, n / cluster_size - 1)
    surplus = goal.gap * math.sqrt(n / max(1.0, design_effect)) - critical * at_margin
    return normal_cdf(surplus / at_truth) if at_truth > 0 else float(surplus > 0)


def certifiable_margin(n: int, discordance: float, design_effect: float = 1.0, cluster_size: float = 1.0) -> float:
    """The smallest margin for which n examples suffice when the two are truly equal; 1 where none does."""
    return boundary(lambda each: needed_examples(discordance, Goal(each), design_effect, cluster_size) > n, 0.0, 1.0)


def needed_for_difference(
    variance: float, goal: Goal, design_effect: float = 1.0, cluster_size: float = 1.0, scale: float = 1.0
) -> int:
    """As `needed_examples`, for scores of any kind: `variance` is that of one example's difference (Miller 2024).

    `scale` is the largest difference that an example can show; the test counts two more clusters that show it.
    """
    return _needed(goal, lambda n: variance * design_effect / n, cluster_size, scale**2 * design_effect)


def needed_judgements(pilot: Corrected, examples: int, goal: Goal) -> int:
    """Human judgements with which a judge-corrected difference reaches the goal, of so many examples.

    More than there are examples: so many examples, all of them judged by people.
    """
    size, pseudo = pilot.estimate.n / pilot.estimate.clusters, pilot.estimate.limits.reach**2 * pilot.design_effect
    return _needed(goal, lambda n: pilot.variance(n, examples), size, pseudo)


def _needed(goal: Goal, variance: Callable[[float], float], size: float, pseudo: float) -> int:
    """The n with which the cluster-robust t passes: `variance` is that of n's mean, `pseudo` of a pseudo-cluster."""

    def is_too_few(n: float) -> bool:
        error = math.sqrt(n**2 * variance(n) + 2 * size * pseudo) / (n + 2 * size)
        critical, truth = t_quantile(1 - goal.alpha, n / size - 1), math.sqrt(variance(n))
        return critical * error + normal_quantile(goal.power) * truth > goal.gap

    return _enough(is_too_few, math.ceil(2 * size))


def needed_beside(seen: float, kept: Callable[[float], float], goal: Goal, needed: Callable[[Goal], int]) -> int:
    """What `needed` says for the next equal release, compared with the same answers of the live one as a pilot was.

    `seen` is the pilot's difference. If it is below 0 without a reason, half of it is expected to be luck of the live
    release, which stays where its answers do: `kept(n)` is the part of it among n.
    """

    def is_too_few(n: float) -> bool:
        luck = min(0.0, seen) / 2 * min(1.0, kept(n))
        return goal.margin + luck <= 0 or needed(replace(goal, difference=luck)) > n

    return _enough(is_too_few, 2)


def _enough(is_too_few: Callable[[float], bool], least: int) -> int:
    high = least
    while high < _MOST and is_too_few(high):
        high *= 2
    return least + bisect_left(range(least, high), 1, key=lambda n: not is_too_few(n))


def needed_clean_cases(limit: float, failures: int = 0, alpha: float = 0.05) -> int:
    """Independent cases, with so many failures among them, that show a failure rate of at most `limit`.

    By the exact upper bound: 299 without a failure show at most 1 %.
    """
    highest = (failures + 1) / within(limit, 0, 1, "limit") * 2 * -math.log(alpha) + failures + 2
    return math.ceil(
        boundary(lambda n: exact_upper_bound(failures, max(n, failures), alpha) > limit, failures, highest) - 1e-6
    )


def _deviations(discordance: float, goal: Goal) -> tuple[float, float]:
    """The standard deviation of one example's difference at the margin, and at the truth."""
    difference = goal.difference
    message = f"A discordance of {discordance:g} does not go with a difference of {difference:g}."
    step = "The share of differing examples lies between the size of the difference and 1."
    require(abs(difference) <= discordance <= 1 and -1 < goal.margin < 1, "discordance", message, step)
    wins, losses = (discordance + difference) / 2, (discordance - difference) / 2
    truth = math.sqrt(max(0.0, discordance - difference**2))
    return math.sqrt(tango_variance(wins, losses, 1.0, -goal.margin)), truth
