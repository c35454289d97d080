"""How many examples, or judgements, a question needs; and what a given number of them can show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from headworks.statistics.noninferiority import tango_variance
from headworks.statistics.observations import require, within
from headworks.statistics.proportions import exact_upper_bound
from headworks.statistics.quantiles import boundary, normal_cdf, normal_quantile, t_quantile


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

    @property
    def reach(self) -> float:
        """How many standard errors the gap must measure."""
        return normal_quantile(1 - within(self.alpha, 0, 0.5, "alpha")) + normal_quantile(self.power)


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


def needed_for_difference(variance: float, goal: Goal, design_effect: float = 1.0) -> int:
    """As `needed_examples`, for scores of any kind: `variance` is that of one example's difference (Miller 2024)."""
    return max(2, math.ceil((goal.reach / goal.gap) ** 2 * variance * max(1.0, design_effect)))


def needed_judgements(residual_variance: float, judge_error: float, goal: Goal) -> int | None:
    """Human judgements with which a judge-corrected difference reaches the goal.

    `residual_variance` is what the judge leaves unexplained of one example, `judge_error` the standard error of the
    judge's own part (`judge_correction.Corrected` has both). None where that error alone is too large: the judge must
    score more examples first.
    """
    left = (goal.gap / goal.reach) ** 2 - judge_error**2
    return max(2, math.ceil(residual_variance / left)) if left > 0 else None


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
