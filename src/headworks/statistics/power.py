"""How many examples, or judgements, a question needs; and what a given number of them can show."""

from __future__ import annotations

import math

from headworks.errors import InvalidRequest
from headworks.statistics.noninferiority import tango_variance
from headworks.statistics.observations import within
from headworks.statistics.proportions import exact_upper_bound
from headworks.statistics.quantiles import normal_cdf, normal_quantile, t_quantile


def needed_examples(
    discordance: float,
    margin: float,
    *,
    difference: float = 0.0,
    design_effect: float = 1.0,
    cluster_size: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """Examples with which a candidate that truly differs by `difference` is shown not to be worse by `margin`.

    For scores of 0 and 1 on the same examples, `discordance` being the share of examples on which the two differ;
    Tango's variance at the margin, the true one beside it, and t for the clusters that so many examples make.
    InvalidRequest where no number would do: a difference of -margin or less.
    """
    gap = _gap(margin, difference)
    at_margin, at_truth = _deviations(discordance, margin, difference)
    critical, n = normal_quantile(1 - alpha), 0.0
    for _ in range(8):
        n = ((critical * at_margin + normal_quantile(power) * at_truth) / gap) ** 2 * max(1.0, design_effect)
        critical = t_quantile(1 - alpha, max(2.0, n / cluster_size - 1))
    return max(2, math.ceil(n), math.ceil(2 * cluster_size))


def power_of_examples(
    n: int,
    discordance: float,
    margin: float,
    *,
    difference: float = 0.0,
    design_effect: float = 1.0,
    cluster_size: float = 1.0,
    alpha: float = 0.05,
) -> float:
    """The probability that n examples show what `needed_examples` asks for."""
    at_margin, at_truth = _deviations(discordance, margin, difference)
    groups = n / cluster_size
    if groups < 2:
        return 0.0
    root = math.sqrt(n / max(1.0, design_effect))
    surplus = (margin + difference) * root - t_quantile(1 - alpha, groups - 1) * at_margin
    return normal_cdf(surplus / at_truth) if at_truth > 0 else float(surplus > 0)


def certifiable_margin(
    n: int, discordance: float, *, design_effect: float = 1.0, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest margin for which n examples suffice when the two are truly equal; 1 where none does."""
    low, high = 0.0, 1.0
    for _ in range(30):
        margin = (low + high) / 2
        if needed_examples(discordance, margin, design_effect=design_effect, alpha=alpha, power=power) > n:
            low = margin
        else:
            high = margin
    return high


def needed_for_difference(
    variance: float,
    margin: float,
    *,
    difference: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
    design_effect: float = 1.0,
) -> int:
    """As `needed_examples`, for scores of any kind: `variance` is that of one example's difference (Miller 2024)."""
    gap = _gap(margin, difference)
    reach = normal_quantile(1 - alpha) + normal_quantile(power)
    return max(2, math.ceil(reach**2 * variance / gap**2 * max(1.0, design_effect)))


def needed_judgements(
    residual_variance: float,
    judge_error: float,
    margin: float,
    *,
    difference: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int | None:
    """Human judgements with which a judge-corrected difference is shown not to be worse by `margin`.

    `residual_variance` is what the judge leaves unexplained of one example, `judge_error` the standard error of the
    judge's own part (`judge_correction.Corrected` has both). None where that error alone is too large: the judge must
    score more examples first.
    """
    gap = _gap(margin, difference)
    reach = normal_quantile(1 - alpha) + normal_quantile(power)
    left = (gap / reach) ** 2 - judge_error**2
    return max(2, math.ceil(residual_variance / left)) if left > 0 else None


def needed_clean_cases(limit: float, *, failures: int = 0, alpha: float = 0.05) -> int:
    """Independent cases, with so many failures among them, that show a failure rate of at most `limit`.

    By the exact upper bound: 299 without a failure show at most 1 %.
    """
    within(limit, 0, 1, "limit")
    low, high = failures, failures + 1
    while exact_upper_bound(failures, high, alpha) > limit:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exact_upper_bound(failures, middle, alpha) > limit else (low, middle)
    return high


def _gap(margin: float, difference: float) -> float:
    if margin + difference <= 0:
        raise InvalidRequest(
            f"No number of examples shows a difference of {difference:g} to be above {-margin:g}.",
            next_step="Allow a larger margin, or expect a better candidate.",
            param="margin",
        )
    return margin + difference


def _deviations(discordance: float, margin: float, difference: float) -> tuple[float, float]:
    """The standard deviation of one example's difference at the margin, and at the truth."""
    if not (abs(difference) <= discordance <= 1 and -1 < margin < 1):
        raise InvalidRequest(
            f"A discordance of {discordance:g} does not go with a difference of {difference:g}.",
            next_step="The share of differing examples lies between the size of the difference and 1.",
            param="discordance",
        )
    wins, losses = (discordance + difference) / 2, (discordance - difference) / 2
    truth = math.sqrt(max(0.0, discordance - difference**2))
    return math.sqrt(tango_variance(wins, losses, 1.0, -margin)), truth
