"""Whether people, or a person and a judge, give the same verdicts more often than chance would."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from headworks.statistics.arrays import Floats
from headworks.statistics.observations import require, same_length, within
from headworks.statistics.proportions import wilson
from headworks.statistics.quantiles import normal_quantile

Level: TypeAlias = Literal["nominal", "ordinal", "interval"]
Unit: TypeAlias = Sequence[Hashable | None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kappa or alpha: 1 is full agreement, 0 what chance gives, below 0 less than that."""

    value: float
    low: float
    high: float
    n: int
    """Units that two or more have judged."""
    observed: float
    """Raw agreement: 1 - observed disagreement."""
    by_chance: float
    """What chance gives, with the same base rates."""


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable], confidence: float = 0.95) -> Agreement:
    """Cohen's kappa of two raters over the same units, both of shape (n,), unweighted (Cohen 1960).

    Interval after Fleiss, Cohen and Everitt 1969, and never narrower than Wilson's for the raw agreement. Where both
    say the same of every unit, there is nothing beyond chance to be seen: 0, from -1 to 1. InvalidRequest for no units,
    unequal lengths and missing verdicts.
    """
    within(confidence, 0, 1, "confidence")
    same_length("second", len(first), len(second))
    table = _table(first, second)
    n = len(first)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed, chance = float(np.trace(table)), float(rows @ columns)
    if chance > 1 - 1e-12:
        return Agreement(0.0, -1.0, 1.0, n, observed, chance)
    value = (observed - chance) / (1 - chance)
    reach = normal_quantile(0.5 + confidence / 2) * _kappa_error(table, value, chance) / math.sqrt(n)
    raw = wilson(observed * n, n, confidence)
    low = min(value - reach, (raw.low - chance) / (1 - chance))
    high = max(value + reach, (raw.high - chance) / (1 - chance))
    return Agreement(value, max(-1.0, low), min(1.0, high), n, observed, chance)


def _table(first: Sequence[Hashable], second: Sequence[Hashable]) -> Floats:
    """Shares of units by both verdicts, shape (verdicts, verdicts)."""
    require(first, "first", "Nobody has judged anything.", "Give one unit or more.")
    numbers: dict[Hashable, int] = {}
    pairs = [[numbers.setdefault(each, len(numbers)) for each in pair] for pair in zip(first, second, strict=True)]
    is_whole = all(each is not None and each == each for each in numbers)  # noqa: PLR0124 - NaN is not itself
    require(is_whole, "first", "A verdict is missing.", "Leave units out that only one has judged.")
    table = np.zeros((len(numbers), len(numbers)))
    np.add.at(table, tuple(np.asarray(pairs).T), 1.0)
    return table / len(first)


def _kappa_error(table: Floats, kappa: float, chance: float) -> float:
    """The standard deviation of kappa for one unit."""
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    same = float(np.diag(table) @ (1 - (rows + columns) * (1 - kappa)) ** 2)
    pulls = (columns[:, None] + rows[None, :]) ** 2 * table
    others = (1 - kappa) ** 2 * float(pulls.sum() - np.trace(pulls))
    spread = same + others - (kappa - chance * (1 - kappa)) ** 2
    return math.sqrt(max(0.0, spread)) / (1 - chance)


def krippendorff_alpha(
    units: Sequence[Unit], level: Level = "nominal", confidence: float = 0.95, *, draws: int = 1000, seed: int = 0
) -> Agreement:
    """Krippendorff's alpha over units with any number of raters each, None for missing verdicts (Krippendorff 2004).

    One row per unit. Verdicts are numbers where the level is ordinal or interval. Interval: units drawn again `draws`
    times, seeded, and never narrower than one that allows for as many wholly disputed units as could have been missed
    by chance. Where all say the same, 0 from -1 to 1. InvalidRequest where no unit has two verdicts, or there are more
    than 100 different verdicts.
    """
    within(confidence, 0, 1, "confidence")
    counts, values = _counts(units, level)
    distances = _distances(counts.sum(axis=0), values, level)
    own = np.einsum("uc,ck,uk->u", counts, distances, counts) / (counts.sum(axis=1) - 1)
    whole = _disagreement(own.sum(keepdims=True), counts.sum(axis=0, keepdims=True), distances)
    n, top = counts.shape[0], float(distances.max())
    observed, chance = float(whole[0, 0]), float(whole[1, 0])
    if chance <= 0:
        return Agreement(0.0, -1.0, 1.0, n, 1.0, 1.0)
    value = 1 - observed / chance
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    drawn = _disagreement(weights @ own, weights @ counts, distances)
    usable = drawn[1] > 0
    tail = (1 - confidence) / 2
    low, high = (float(each) for each in np.quantile(1 - drawn[0, usable] / drawn[1, usable], [tail, 1 - tail]))
    missed = -math.log(tail) * float(counts.sum()) / n
    doubtful = 1 - (observed * counts.sum() + missed * top) / (counts.sum() + missed) / chance
    low = max(-1.0, min(low, value, doubtful))
    return Agreement(value, low, min(1.0, max(high, value)), n, 1 - observed / top, 1 - chance / top)


def _counts(units: Sequence[Unit], level: Level) -> tuple[Floats, list[Hashable]]:
    """How often each verdict was given to each unit that has two or more, shape (units, verdicts)."""
    judged = [given for unit in units if len(given := [each for each in unit if each is not None]) >= 2]
    seen = dict.fromkeys(each for unit in judged for each in unit)
    is_number = all(isinstance(each, int | float) and math.isfinite(each) for each in seen)
    is_good = judged and len(seen) <= 100 and all(each == each for each in seen)  # noqa: PLR0124 - NaN is not itself
    message = f"{len(judged)} units have two verdicts, of {len(seen)} kinds."
    require(is_good, "units", message, "Give at least one unit with two verdicts, and at most 100 kinds: round scores.")
    message = f"Verdicts of the level `{level}` are numbers."
    require(level == "nominal" or is_number, "units", message, "Give their ranks.")
    values = list(seen) if level == "nominal" else sorted(seen, key=lambda each: float(str(each)))
    places = {each: place for place, each in enumerate(values)}
    counts = np.zeros((len(judged), len(values)))
    np.add.at(counts, tuple(np.array([(row, places[each]) for row, unit in enumerate(judged) for each in unit]).T), 1)
    return counts, values


def _distances(totals: Floats, values: list[Hashable], level: Level) -> Floats:
    """The squared distance of each two verdicts, shape (verdicts, verdicts)."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "interval":
        places = np.asarray([float(str(each)) for each in values])
    else:
        places = np.cumsum(totals) - totals / 2
    return np.asarray((places[:, None] - places[None, :]) ** 2)


def _disagreement(own: Floats, totals: Floats, distances: Floats) -> Floats:
    """Observed and expected disagreement of each draw, shape (2, draws)."""
    n = totals.sum(axis=1)
    expected = np.einsum("bc,ck,bk->b", totals, distances, totals) / np.maximum(n * (n - 1), 1)
    return np.stack([own / n, expected])
