from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.fusion import fuse

scores = st.floats(-5, 50, allow_nan=False)
candidates = st.lists(st.tuples(st.integers(0, 10**9), scores, scores), max_size=20, unique_by=lambda each: each[0])


def test_both_legs_count_the_same_after_each_is_moved_to_zero_and_one() -> None:
    found = fuse([1, 2, 3], [10.0, 0.0, 5.0], [0.2, 0.6, 0.4])
    assert [(each.chunk, each.score) for each in found] == [
        (2, pytest.approx(0.5)),
        (3, pytest.approx(0.5)),
        (1, pytest.approx(0.5)),
    ]


def test_a_chunk_that_leads_both_legs_has_the_score_one() -> None:
    found = fuse([7, 8], [3.0, 1.0], [0.9, 0.1])
    assert (found[0].chunk, found[0].score) == (7, 1.0)
    assert (found[0].lexical, found[0].dense) == (3.0, 0.9)


def test_without_vectors_keywords_decide_alone() -> None:
    found = fuse([1, 2], [1.0, 4.0], None)
    assert [(each.chunk, each.score, each.dense) for each in found] == [(2, 1.0, None), (1, 0.0, None)]


def test_without_keywords_vectors_decide_alone() -> None:
    assert [each.chunk for each in fuse([1, 2], None, [0.1, 0.3])] == [2, 1]


def test_a_candidate_whose_vector_is_still_being_made_is_ranked_by_its_words() -> None:
    found = fuse([1, 2, 3, 4], [10.0, 6.0, 0.0, 4.0], [None, 0.9, 0.1, 0.5])
    assert [(each.chunk, each.score, each.dense) for each in found] == [
        (1, 1.0, None),
        (2, pytest.approx(0.8), 0.9),
        (4, pytest.approx(0.45), 0.5),
        (3, 0.0, 0.1),
    ]


def test_a_leg_that_says_the_same_of_all_leaves_the_order_to_the_other() -> None:
    assert [each.chunk for each in fuse([1, 2, 3], [0.0, 0.0, 0.0], [0.1, 0.9, 0.5])] == [2, 3, 1]
    assert [each.chunk for each in fuse([1, 2], [5.0, 5.0], [0.3, 0.4])] == [2, 1]


def test_a_single_candidate_that_both_legs_found_has_the_score_one() -> None:
    assert fuse([4], [2.5], [0.7])[0].score == 1.0
    assert fuse([4], [0.0], [0.7])[0].score == 0.5


def test_no_candidates_give_no_results() -> None:
    assert fuse([], [], []) == []
    assert fuse([], None, None) == []


@pytest.mark.parametrize(
    ("lexical", "dense", "weight"),
    [([1.0], [1.0, 2.0], 0.5), ([1.0, 2.0], [1.0], 0.5), ([1.0, math.nan], None, 0.5), ([1.0, 2.0], None, 1.5)],
)
def test_what_makes_no_sense_is_refused(lexical: list[float], dense: list[float] | None, weight: float) -> None:
    with pytest.raises(ValueError, match=r"leg|finite"):
        fuse([1, 2], lexical, dense, dense_weight=weight)


@given(candidates, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_candidates(
    rows: list[tuple[int, float, float]], random: object
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined] -- hypothesis types it as object
    one = fuse([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    other = fuse([r[0] for r in shuffled], [r[1] for r in shuffled], [r[2] for r in shuffled])
    assert one == other


@given(candidates)
def test_scores_fall_and_stay_between_zero_and_one(rows: list[tuple[int, float, float]]) -> None:
    found = fuse([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    assert sorted(each.chunk for each in found) == sorted(r[0] for r in rows)
    assert all(0 <= each.score <= 1 + 1e-9 for each in found)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


@given(candidates)
def test_what_is_better_on_both_legs_is_ranked_before(rows: list[tuple[int, float, float]]) -> None:
    found = fuse([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    place = {each.chunk: number for number, each in enumerate(found)}
    for chunk, lexical, dense in rows:
        for other, less, lower in rows:
            if lexical > less and dense > lower:
                assert place[chunk] < place[other]
