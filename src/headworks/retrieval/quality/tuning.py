"""Which share of keywords finds best, by golden queries: chosen on some, measured on others that had no part in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headworks.retrieval.quality.measures import NDCG
from headworks.retrieval.quality.report import CONFIDENCE, Measured
from headworks.statistics.paired import paired_difference

FOLDS = 5
FEWEST = 10
"""Unrelated queries: with fewer nothing is chosen."""
GRID = tuple(step / 10 for step in range(11))


@dataclass(frozen=True, slots=True)
class Tuned:
    """`weight` is best over all queries; `means` are nDCG by weight, `now` that of the settings as they are.

    `gain`, with its 95 % interval, is of weights chosen on four fifths of the queries and measured on the rest, over
    the settings as they are: what to expect of choosing so, not of the best that was found.
    """

    weight: float
    means: Mapping[float, float]
    now: float
    gain: float
    low: float
    high: float
    queries: int

    @property
    def is_better(self) -> bool:
        """Whether the gain can be told from chance."""
        return self.low > 0


def tuned(now: Sequence[Measured], by_weight: Mapping[float, Sequence[Measured]]) -> Tuned:
    """Choose a weight. All runs are over the same queries in the same order.

    Queries of one cluster are never parted. Raises ValueError for fewer than ten clusters.
    """
    clusters = [each.query.cluster or f"query {each.query.id}" for each in now]
    if len(set(clusters)) < FEWEST:
        raise ValueError(f"{len(set(clusters))} unrelated queries are too few to choose by; {FEWEST} are the least.")
    before = [each.values[NDCG] for each in now]
    values = {weight: [each.values[NDCG] for each in run] for weight, run in sorted(by_weight.items())}
    folds = _folds(clusters)
    held_out = list(before)
    for fold in range(FOLDS):
        inside = [place for place, each in enumerate(folds) if each != fold]
        chosen = _best(values, inside)
        for place, each in enumerate(folds):
            if each == fold:
                held_out[place] = values[chosen][place]
    estimate = paired_difference(before, held_out, clusters)
    interval = estimate.interval(CONFIDENCE)
    everything = list(range(len(before)))
    means = {weight: sum(run) / len(run) for weight, run in values.items()}
    return Tuned(
        _best(values, everything), means, sum(before) / len(before), estimate.value, interval.low, interval.high,
        len(before),
    )  # fmt: skip


def _folds(clusters: Sequence[str]) -> list[int]:
    """A fold for each query, the same at every run, as even as clusters allow."""
    order = sorted(set(clusters), key=lambda each: hashlib.sha256(each.encode()).digest())
    fold_of = {cluster: place % FOLDS for place, cluster in enumerate(order)}
    return [fold_of[each] for each in clusters]


def _best(values: Mapping[float, Sequence[float]], places: Sequence[int]) -> float:
    """The best weight over these queries; of equal ones the one nearest to the middle."""
    return max(values, key=lambda weight: (sum(values[weight][place] for place in places), -abs(weight - 0.5)))
