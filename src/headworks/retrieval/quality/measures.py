"""What a ranking is worth, as trec_eval counts it (`ndcg_cut`, `recall`, `recip_rank`, `success`).

A ranking is a sequence of names, best first; judgements are grades by name. Grade 0 and less is judged, and not
relevant; what has no grade counts as not relevant. A name that comes again takes a place and gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log2

NDCG, RECALL, MRR, HIT_RATE = "ndcg", "recall", "mrr", "hit_rate"
MEASURES = (NDCG, RECALL, MRR, HIT_RATE)


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Normalised discounted cumulative gain of the best `k`, 0 to 1: trec_eval's `ndcg_cut_k`.

    The gain is the grade itself, the discount log2(rank + 1) (Järvelin and Kekäläinen 2002, as trec_eval has it); the
    ideal is that of all judgements of the query, best grade first.
    """
    ideal = _discounted(sorted(grades.values(), reverse=True)[:k])
    return _discounted(_gains(ranked, grades, k)) / ideal if ideal else 0.0


def recall(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """The share of what is relevant that is among the best `k`: trec_eval's `recall_k`."""
    relevant = _relevant(grades)
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """1 / the rank of the first relevant name among the best `k`, 0 without one: trec_eval's `recip_rank`, cut at k."""
    rank = first_relevant(ranked[:k], grades)
    return 1 / rank if rank else 0.0


def hit(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """1 when anything relevant is among the best `k`, else 0: trec_eval's `success_k`; its mean is the hit rate."""
    return float(first_relevant(ranked[:k], grades) is not None)


def first_relevant(ranked: Sequence[str], grades: Mapping[str, int]) -> int | None:
    """The rank, from 1, of the first relevant name; None when there is none."""
    return next((rank for rank, name in enumerate(ranked, 1) if grades.get(name, 0) > 0), None)


def measure(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> dict[str, float]:
    """All measures of one query, each 0 to 1, by their names in `MEASURES`.

    Raises ValueError for a cut-off below 1 and for judgements of which none is relevant: nothing could be found.
    """
    if k < 1:
        raise ValueError(f"The cut-off is {k}, not at least 1.")
    if not _relevant(grades):
        raise ValueError("Nothing is judged relevant.")
    return {
        NDCG: ndcg(ranked, grades, k),
        RECALL: recall(ranked, grades, k),
        MRR: reciprocal_rank(ranked, grades, k),
        HIT_RATE: hit(ranked, grades, k),
    }


def _relevant(grades: Mapping[str, int]) -> set[str]:
    return {name for name, grade in grades.items() if grade > 0}


def _gains(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> list[int]:
    seen: set[str] = set()
    gains = []
    for name in ranked[:k]:
        gains.append(0 if name in seen else grades.get(name, 0))
        seen.add(name)
    return gains


def _discounted(gains: Iterable[int]) -> float:
    return sum(max(0, gain) / log2(rank + 1) for rank, gain in enumerate(gains, 1))
