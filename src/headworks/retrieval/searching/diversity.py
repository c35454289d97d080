"""Not the same thing twice: at most so many passages of a document, and passages that are unlike those above them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def capped(items: Sequence[T], documents: Sequence[object], most: int) -> list[T]:
    """The items in their order, at most so many of each document."""
    seen: Counter[object] = Counter()
    kept: list[T] = []
    for item, document in zip(items, documents, strict=True):
        seen[document] += 1
        if seen[document] <= most:
            kept.append(item)
    return kept


def spread(scores: Sequence[float], words: Sequence[Mapping[str, int]], share: float, k: int) -> list[int]:
    """The places of `k` items by maximal marginal relevance (Carbonell and Goldstein 1998), best first.

    Each next one is best by `share` · its score - (1 - share) · its likeness to the most similar one above; scores and
    likeness (the cosine of word counts) lie between 0 and 1. With a share of 1 it is the order of the scores.
    """
    lengths = [math.sqrt(sum(count * count for count in each.values())) for each in words]
    left = list(range(len(scores)))
    likeness = [0.0] * len(scores)
    chosen: list[int] = []
    while left and len(chosen) < k:
        best = max(left, key=lambda place: (share * scores[place] - (1 - share) * likeness[place], -place))
        left.remove(best)
        chosen.append(best)
        for place in left:
            likeness[place] = max(likeness[place], _cosine(words, lengths, best, place))
    return chosen


def _cosine(words: Sequence[Mapping[str, int]], lengths: Sequence[float], one: int, other: int) -> float:
    if not lengths[one] or not lengths[other]:
        return 0.0
    few, many = sorted((words[one], words[other]), key=len)
    return sum(count * many.get(word, 0) for word, count in few.items()) / (lengths[one] * lengths[other])
