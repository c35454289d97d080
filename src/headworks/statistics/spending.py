"""Several looks at growing evidence: how much of the error rate each may spend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headworks.statistics.arrays import Floats
from headworks.statistics.observations import require, within
from headworks.statistics.quantiles import boundary, normal_cdf, normal_quantile


@dataclass(frozen=True, slots=True)
class Look:
    """One of the declared looks."""

    fraction: float
    """Of the evidence that the last look will have."""
    spent: float
    """The error rate that is spent when this look is over."""
    alpha: float
    """The level at which to test at this look, one-sided."""
    critical: float
    """The same as a normal quantile."""


def obrien_fleming(looks: Sequence[float] | int, alpha: float = 0.05) -> tuple[Look, ...]:
    """The one-sided level of each look, so that all looks together err with probability `alpha` at most.

    Spending function of Lan and DeMets 1983 after O'Brien and Fleming 1979: 2 - 2 Φ(z(1 - alpha/2) / √fraction), by
    numerical integration. `looks` are the fractions of the evidence, growing to 1, or a number of equal ones. Each look
    tests all evidence so far; looks at the same examples again depend on each other more, and err less.
    InvalidRequest for fractions that do not grow to 1, for steps below 0.01, and for more than 50 looks.
    """
    fractions = _fractions(looks)
    z = normal_quantile(1 - within(alpha, 0, 0.5, "alpha") / 2)
    spent = [2 * normal_cdf(-z / math.sqrt(fraction)) for fraction in fractions]
    walk, found = _Walk(), []
    for fraction, before, total in zip(fractions, [0.0, *spent], spent, strict=False):
        critical = walk.advance(fraction, total - before) / math.sqrt(fraction)
        found.append(Look(fraction, total, normal_cdf(-critical), critical))
    return tuple(found)


def _fractions(looks: Sequence[float] | int) -> list[float]:
    given = [(each + 1) / looks for each in range(looks)] if isinstance(looks, int) else list(looks)
    grows = all(after - before > 0.0099 for before, after in zip([0.0, *given], given, strict=False))
    message = "Looks are fractions of the evidence that grow to 1, by 0.01 or more each, at most 50 of them."
    step = "Declare for example 0.5 and 1, or a number of equal looks."
    require(0 < len(given) <= 50 and grows and math.isclose(given[-1], 1), "looks", message, step)
    return given


class _Walk:
    """Brownian motion that is still below all bounds (Armitage, McPherson and Rowe 1969), as a density on a grid."""

    _DEPTH = 8.0
    _POINTS = 1201

    def __init__(self) -> None:
        self._time = 0.0
        self._grid: Floats = np.zeros(1)
        self._mass: Floats = np.ones(1)

    def advance(self, time: float, wanted: float) -> float:
        """The bound at this time that is crossed with the probability wanted; the walk goes on below it."""
        from scipy.special import ndtr

        step = math.sqrt(time - self._time)
        bound = boundary(
            lambda each: float(self._mass @ ndtr((self._grid - each) / step)) > wanted, -self._DEPTH, self._DEPTH * 2
        )
        points = np.linspace(-self._DEPTH, bound, self._POINTS)
        width = np.full(self._POINTS, points[1] - points[0])
        width[[0, -1]] /= 2
        distances = (points[:, None] - self._grid[None, :]) / step
        density = np.exp(-(distances**2) / 2) @ self._mass / (step * math.sqrt(2 * math.pi))
        self._time, self._grid, self._mass = time, points, density * width
        return bound
