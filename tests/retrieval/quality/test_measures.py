from __future__ import annotations

import json
from math import log2
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.quality.measures import (
    MEASURES,
    first_relevant,
    hit,
    measure,
    ndcg,
    recall,
    reciprocal_rank,
)

RECORDED = json.loads((Path(__file__).parent / "recorded_by_trec_eval.json").read_text())
"""Rankings and judgements made by chance, with what trec_eval (pytrec_eval-terrier 0.5.11) says of them.

`recip_rank` has no cut-off there: it is of the first k.
"""

names = st.sampled_from([f"d{number}" for number in range(12)])
rankings = st.lists(names, unique=True, max_size=12)
judgements = st.dictionaries(names, st.integers(-1, 4), max_size=12).filter(
    lambda grades: any(grade > 0 for grade in grades.values())
)
cuts = st.integers(1, 15)


@pytest.mark.parametrize("case", RECORDED, ids=[str(number) for number in range(len(RECORDED))])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_each_measure_is_what_trec_eval_says(case: dict[str, Any], k: int) -> None:
    found = measure(case["ranked"], case["grades"], k)
    assert found == pytest.approx(case["expected"][str(k)], abs=1e-8)


def test_a_worked_example() -> None:
    grades = {"a": 3, "b": 2, "c": 1, "d": 0}
    ranked = ["x", "b", "d", "a"]
    gained = 2 / log2(3) + 3 / log2(5)
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert ndcg(ranked, grades, 10) == pytest.approx(gained / ideal)
    assert recall(ranked, grades, 10) == pytest.approx(2 / 3)
    assert recall(ranked, grades, 2) == pytest.approx(1 / 3)
    assert reciprocal_rank(ranked, grades, 10) == 0.5
    assert reciprocal_rank(ranked, grades, 1) == 0
    assert hit(ranked, grades, 1) == 0
    assert hit(ranked, grades, 2) == 1
    assert first_relevant(ranked, grades) == 2
    assert first_relevant(["x", "d"], grades) is None


def test_a_name_that_comes_again_takes_a_place_and_gains_nothing() -> None:
    grades = {"a": 1, "b": 1}
    assert ndcg(["a", "a", "b"], grades, 3) == ndcg(["a", "x", "b"], grades, 3)
    assert recall(["a", "a"], grades, 2) == 0.5


@pytest.mark.parametrize("grades", [{}, {"a": 0}, {"a": -1}])
def test_without_anything_relevant_nothing_is_measured(grades: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Nothing is judged relevant"):
        measure(["a"], grades, 10)
    assert ndcg(["a"], grades, 10) == recall(["a"], grades, 10) == 0


def test_a_cut_off_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="not at least 1"):
        measure(["a"], {"a": 1}, 0)


@given(rankings, judgements, cuts)
def test_every_measure_lies_between_nothing_and_all(ranked: list[str], grades: dict[str, int], k: int) -> None:
    found = measure(ranked, grades, k)
    assert tuple(found) == MEASURES
    assert all(0 <= value <= 1 + 1e-12 for value in found.values())
    assert (found["hit_rate"] > 0) == (found["recall"] > 0) == (found["mrr"] > 0) == (found["ndcg"] > 0)


@given(judgements, st.randoms(use_true_random=False))
def test_the_ideal_ranking_has_all_of_everything(grades: dict[str, int], chance: Any) -> None:
    shuffled = list(grades)
    chance.shuffle(shuffled)
    ideal = sorted(shuffled, key=lambda name: -grades[name])
    assert measure(ideal, grades, 12) == pytest.approx({"ndcg": 1, "recall": 1, "mrr": 1, "hit_rate": 1})


@given(rankings, judgements, cuts)
def test_more_places_never_lose_recall_or_a_hit(ranked: list[str], grades: dict[str, int], k: int) -> None:
    less, more = measure(ranked, grades, k), measure(ranked, grades, k + 1)
    assert all(less[name] <= more[name] for name in ("recall", "mrr", "hit_rate"))


@given(rankings.filter(lambda each: len(each) > 1), judgements, st.data())
def test_a_better_document_moved_up_never_lowers_a_measure(
    ranked: list[str], grades: dict[str, int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(ranked) - 2))
    first, second = ranked[place], ranked[place + 1]
    if max(0, grades.get(first, 0)) > max(0, grades.get(second, 0)):
        first, second = second, first
    worse = [*ranked[:place], first, second, *ranked[place + 2 :]]
    better = [*ranked[:place], second, first, *ranked[place + 2 :]]
    for k in (1, 3, 10):
        low, high = measure(worse, grades, k), measure(better, grades, k)
        assert all(low[name] <= high[name] + 1e-12 for name in MEASURES)
