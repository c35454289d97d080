"""What a run over golden queries says: means with intervals, two configurations paired, slices by tag, the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headworks.retrieval.quality.golden import GoldenQuery
from headworks.retrieval.quality.measures import HIT_RATE, MEASURES, NDCG, first_relevant, measure
from headworks.retrieval.quality.ranking import Ranked
from headworks.statistics.estimates import mean
from headworks.statistics.paired import paired_difference, pairs
from headworks.statistics.proportions import wilson

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Measured:
    """One query with what one configuration found, and what that is worth. `rank`: of the first relevant, or None."""

    query: GoldenQuery
    ranked: Ranked
    values: dict[str, float]
    rank: int | None


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over queries with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of first - second over the same queries with its 95 % interval, and for how many each was better."""

    mean: float
    low: float
    high: float
    better: int
    worse: int
    same: int


@dataclass(frozen=True, slots=True)
class Slice:
    """The queries of one tag, or all: a mean per measure and configuration, and the differences where there are two."""

    queries: int
    means: tuple[dict[str, Mean], ...]
    differences: dict[str, Difference]


def measured(query: GoldenQuery, ranked: Ranked, k: int) -> Measured:
    """What a ranking is worth at a cut-off of `k` places."""
    return Measured(query, ranked, measure(ranked.names, ranked.grades, k), first_relevant(ranked.names, ranked.grades))


def summarise(runs: Sequence[Sequence[Measured]]) -> Slice:
    """One or two runs over the same queries, in the same order. Nothing is left out of a mean."""
    clusters = _clusters(runs[0])
    means = tuple({name: _mean(name, _values(run, name), clusters) for name in MEASURES} for run in runs)
    differences = (
        {name: _difference(_values(runs[0], name), _values(runs[1], name), clusters) for name in MEASURES}
        if len(runs) > 1
        else {}
    )
    return Slice(len(runs[0]), means, differences)


def by_tag(runs: Sequence[Sequence[Measured]]) -> dict[str, Slice]:
    """A slice for each tag, by name. A query is in the slice of each of its tags."""
    tags = sorted({tag for each in runs[0] for tag in each.query.tags})
    return {tag: summarise([[each for each in run if tag in each.query.tags] for run in runs]) for tag in tags}


def worst(runs: Sequence[Sequence[Measured]], most: int) -> list[tuple[Measured, ...]]:
    """The queries that the first configuration serves worst by nDCG, what the second has of each beside it.

    Those for which everything was found at the top are not among them; equal ones stand in the file's order.
    """
    rows = sorted(zip(*runs, strict=True), key=lambda row: (row[0].values[NDCG], row[0].rank is not None))
    return [row for row in rows if row[0].values[NDCG] < 1][:most]


def _values(run: Sequence[Measured], name: str) -> list[float]:
    return [each.values[name] for each in run]


def _clusters(run: Sequence[Measured]) -> list[str] | None:
    """Names of clusters; None where every query is one of its own."""
    if not any(each.query.cluster for each in run):
        return None
    return [f"cluster {each.query.cluster}" if each.query.cluster else f"query {each.query.id}" for each in run]


def _mean(name: str, values: Sequence[float], clusters: Sequence[str] | None) -> Mean:
    """By t over clusters of queries; a hit rate of unrelated queries by Wilson, which is better for few of them."""
    estimate = mean(values, clusters)
    is_rate = name == HIT_RATE and clusters is None
    interval = wilson(sum(values), len(values), CONFIDENCE) if is_rate else estimate.interval(CONFIDENCE)
    return Mean(estimate.value, interval.low, interval.high)


def _difference(first: Sequence[float], second: Sequence[float], clusters: Sequence[str] | None) -> Difference:
    estimate, counted = paired_difference(second, first, clusters), pairs(second, first)
    interval = estimate.interval(CONFIDENCE)
    same = counted.n - counted.wins - counted.losses
    return Difference(estimate.value, interval.low, interval.high, counted.wins, counted.losses, same)
