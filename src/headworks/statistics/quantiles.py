"""The few distribution functions that everything here stands on, from scipy when the first of them is asked for."""

from __future__ import annotations

from collections.abc import Callable


def normal_quantile(probability: float) -> float:
    """The z below which a standard normal lies with this probability."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def normal_cdf(z: float) -> float:
    """The probability that a standard normal is at most z."""
    from scipy.special import ndtr

    return float(ndtr(z))


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """The t below which Student's t lies with this probability."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, probability))


def t_cdf(t: float, degrees_of_freedom: float) -> float:
    """The probability that Student's t is at most t."""
    from scipy.special import stdtr

    return float(stdtr(degrees_of_freedom, t))


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x below which a Beta(a, b) lies with this probability."""
    from scipy.special import betaincinv

    return float(betaincinv(a, b, probability))


def boundary(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """The value from `low` to `high` up to which `is_below` holds."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high
