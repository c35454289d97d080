"""What comes in: lists of numbers and cluster names, checked once. Nothing is dropped, and NaN is refused."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from headworks.errors import InvalidRequest
from headworks.statistics.arrays import Clusters, Codes, Floats, Labels, Mask, Numbers


def require(holds: object, param: str, message: str, next_step: str) -> None:
    """InvalidRequest about `param` unless the condition holds."""
    if not holds:
        raise InvalidRequest(message, next_step=next_step, param=param)


def finite(values: Numbers, name: str) -> Floats:
    """One or more finite numbers as an array; InvalidRequest for none, for NaN and for infinity."""
    array = np.asarray(values, dtype=np.float64)
    require(array.ndim == 1 and array.size, name, f"`{name}` holds no values.", "Give at least one value, in one row.")
    wrong = array.size - np.count_nonzero(np.isfinite(array))
    step = "Count what has no score as a failure, or score it again; it is never left out."
    require(not wrong, name, f"{wrong} of {array.size} values of `{name}` are no finite numbers.", step)
    return array


def labelled(labels: Labels) -> tuple[Mask, Floats]:
    """Where there are labels, and the labels there, finite and at least one."""
    given = finite([each for each in labels if each is not None], "labels")
    return np.fromiter((each is not None for each in labels), dtype=np.bool_, count=len(labels)), given


def same_length(name: str, expected: int, found: int) -> None:
    """InvalidRequest unless both are equal."""
    message = f"`{name}` has {found} values where {expected} are needed."
    require(found == expected, name, message, "Give one value for each example, in the same order.")


def within(value: float, low: float, high: float, name: str) -> float:
    """The value, if it lies strictly between `low` and `high`; else InvalidRequest."""
    require(low < value < high, name, f"`{name}` is {value}.", f"It must lie between {low:g} and {high:g}.")
    return value


def evened(weights: Numbers | None, n: int) -> Floats:
    """Weights as they are given, so that they average 1; ones for None."""
    if weights is None:
        return np.ones(n)
    array = finite(weights, "weights")
    same_length("weights", n, array.size)
    require(array.min() > 0, "weights", "A weight is not above 0.", "Leave out what is not to count.")
    return np.asarray(array * (n / array.sum()))


def cluster_codes(clusters: Clusters, n: int) -> Codes:
    """Clusters numbered from 0 in order of appearance, shape (n,)."""
    if clusters is None:
        return np.arange(n)
    same_length("clusters", n, len(clusters))
    numbers: dict[Hashable, int] = {}
    codes = np.fromiter((numbers.setdefault(each, len(numbers)) for each in clusters), dtype=np.int64, count=n)
    step = "Name the cluster of each example, or of none."
    require(None not in numbers, "clusters", "An example has no cluster.", step)
    return codes


def sums(values: Floats, codes: Codes, groups: int) -> Floats:
    """The sum of the values of each cluster, shape (groups,)."""
    return np.asarray(np.bincount(codes, weights=values, minlength=groups), dtype=np.float64)
