"""What comes in: lists of numbers and cluster names, checked once. Nothing is dropped, and NaN is refused."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from headworks.errors import InvalidRequest

Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = Sequence[float] | Floats
Clusters: TypeAlias = Sequence[Hashable] | npt.NDArray[np.generic]


def finite(values: Numbers, name: str) -> Floats:
    """One or more finite numbers as an array; InvalidRequest for none, for NaN and for infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InvalidRequest(f"`{name}` holds no values.", next_step="Give at least one value, in one row.", param=name)
    wrong = int(array.size - np.count_nonzero(np.isfinite(array)))
    if wrong:
        raise InvalidRequest(
            f"{wrong} of {array.size} values of `{name}` are no finite numbers.",
            next_step="Count what has no score as a failure, or score it again; it is never left out.",
            param=name,
        )
    return array


def is_binary(*arrays: Floats) -> bool:
    """Whether all values are 0 or 1."""
    return all(bool(np.all((array == 0) | (array == 1))) for array in arrays)


def same_length(name: str, expected: int, found: int) -> None:
    """InvalidRequest unless both are equal."""
    if found != expected:
        raise InvalidRequest(
            f"`{name}` has {found} values where {expected} are needed.",
            next_step="Give one value for each example, in the same order.",
            param=name,
        )


def within(value: float, low: float, high: float, name: str) -> float:
    """The value, if it lies strictly between `low` and `high`; else InvalidRequest."""
    if not (math.isfinite(value) and low < value < high):
        raise InvalidRequest(
            f"`{name}` is {value}.", next_step=f"It must lie between {low:g} and {high:g}, both excluded.", param=name
        )
    return value


def cluster_codes(clusters: Clusters | None, n: int) -> Codes:
    """Clusters numbered from 0 in order of appearance, shape (n,); None: each example is one of its own."""
    if clusters is None:
        return np.arange(n)
    same_length("clusters", n, len(clusters))
    numbers: dict[Hashable, int] = {}
    codes = np.fromiter((numbers.setdefault(each, len(numbers)) for each in clusters), dtype=np.int64, count=n)
    if None in numbers:
        raise InvalidRequest(
            "An example has no cluster.", next_step="Name the cluster of each example, or of none.", param="clusters"
        )
    return codes


def sums(values: Floats, codes: Codes, groups: int) -> Floats:
    """The sum of the values of each cluster, shape (groups,)."""
    return np.asarray(np.bincount(codes, weights=values, minlength=groups), dtype=np.float64)
