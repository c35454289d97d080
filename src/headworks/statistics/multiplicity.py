"""Several metrics in one verdict."""

from __future__ import annotations

from collections.abc import Sequence

from headworks.statistics.observations import require


def intersection_union(p_values: Sequence[float]) -> float:
    """The p of "at least one claim is false": all must be shown, and none needs a correction (Berger 1982)."""
    return max(_checked(p_values))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p values in the order given: those at most alpha may be claimed together (Holm 1979)."""
    ordered = sorted(enumerate(_checked(p_values)), key=lambda each: each[1])
    adjusted, highest = [0.0] * len(ordered), 0.0
    for rank, (place, p_value) in enumerate(ordered):
        highest = max(highest, min(1.0, p_value * (len(ordered) - rank)))
        adjusted[place] = highest
    return tuple(adjusted)


def _checked(p_values: Sequence[float]) -> Sequence[float]:
    are_good = p_values and all(0 <= each <= 1 for each in p_values)
    require(are_good, "p_values", "A p value lies from 0 to 1.", "Give at least one.")
    return p_values
