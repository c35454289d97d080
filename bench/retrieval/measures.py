"""nDCG@10 as trec_eval counts it, and how sure a difference between two rankings is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

import numpy as np


def ndcg(ranked: Sequence[str], relevant: Mapping[str, int], depth: int = 10) -> float:
    """Gain is the judged grade, discount log2(rank + 1), the ideal is of all judgements of the query."""
    gained = sum(relevant.get(each, 0) / log2(rank + 1) for rank, each in enumerate(ranked[:depth], 1))
    ideal = sum(grade / log2(rank + 1) for rank, grade in enumerate(sorted(relevant.values(), reverse=True)[:depth], 1))
    return gained / ideal if ideal else 0.0


def paired_interval(first: Sequence[float], second: Sequence[float], seed: int = 7) -> tuple[float, float, float]:
    """Mean of second - first with its 95 % interval, by 10,000 resamples of the queries (percentile bootstrap)."""
    difference = np.asarray(second) - np.asarray(first)
    generator = np.random.default_rng(seed)
    means = difference[generator.integers(0, difference.size, (10_000, difference.size))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(difference.mean()), float(low), float(high)
