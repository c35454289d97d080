from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headworks.retrieval.quality.golden import GoldenQuery, Target
from headworks.retrieval.quality.measures import MEASURES, NDCG
from headworks.retrieval.quality.ranking import Ranked
from headworks.retrieval.quality.report import Measured, by_tag, measured, summarise, worst


def one(number: int, value: float, *tags: str, cluster: str | None = None) -> Measured:
    query = GoldenQuery(f"q{number}", "text", (Target("a"),), tags, None, number, cluster)
    return Measured(query, Ranked((), {}, ()), dict.fromkeys(MEASURES, value), 1 if value else None)


def run(*values: float, cluster: str | None = None) -> list[Measured]:
    return [one(number, value, cluster=cluster and f"{cluster}{number // 4}") for number, value in enumerate(values)]


def test_a_mean_has_the_interval_of_student() -> None:
    values = [0.2, 0.5, 0.9, 0.4, 0.7, 0.6]
    found = summarise([run(*values)]).means[0][NDCG]
    low, high = stats.t.interval(0.95, 5, loc=found.mean, scale=stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((0.55, low, high))


def test_a_difference_is_paired_query_by_query() -> None:
    first, second = [0.2, 0.5, 0.9, 0.4], [0.1, 0.5, 0.6, 0.5]
    found = summarise([run(*first), run(*second)]).differences[NDCG]
    gaps = [a - b for a, b in zip(first, second, strict=True)]
    low, high = stats.t.interval(0.95, 3, loc=sum(gaps) / 4, scale=stats.sem(gaps))
    assert (found.mean, found.low, found.high) == pytest.approx((0.075, low, high))
    assert (found.better, found.worse, found.same) == (2, 1, 1)


def test_a_hit_rate_of_all_is_still_in_doubt() -> None:
    found = summarise([run(*[1.0] * 20)]).means[0]["hit_rate"]
    wilson = stats.binomtest(20, 20).proportion_ci(0.95, "wilson")
    assert (found.mean, found.low, found.high) == pytest.approx((1, wilson.low, wilson.high))
    assert summarise([run(*[1.0] * 20)]).means[0][NDCG].low < 1


def test_variants_of_one_question_tell_less_than_as_many_questions() -> None:
    values = [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5]
    alone, together = (summarise([run(*values, cluster=each)]).means[0][NDCG] for each in (None, "c"))
    assert alone.mean == together.mean
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_a_single_query_tells_nothing_of_others() -> None:
    found = summarise([run(0.4), run(0.2)])
    assert (found.means[0][NDCG].low, found.means[0][NDCG].high) == (0, 1)
    assert (found.differences[NDCG].low, found.differences[NDCG].high) == (-1, 1)


def test_a_query_counts_in_the_slice_of_each_of_its_tags() -> None:
    both = [
        [one(1, 1.0, "a", "b"), one(2, 0.0, "b"), one(3, 0.5)],
        [one(1, 0.5, "a", "b"), one(2, 0.0, "b"), one(3, 0)],
    ]
    found = by_tag(both)
    assert list(found) == ["a", "b"]
    assert (found["b"].queries, found["b"].means[0][NDCG].mean, found["b"].means[1][NDCG].mean) == (2, 0.5, 0.25)
    assert found["a"].differences[NDCG].mean == 0.5


def test_the_worst_come_first_and_perfect_ones_not_at_all() -> None:
    first = [one(1, 0.5), one(2, 1.0), one(3, 0.0), one(4, 0.5)]
    second = [one(1, 0.1), one(2, 0.0), one(3, 0.2), one(4, 0.3)]
    assert [row[0].query.id for row in worst([first, second], 5)] == ["q3", "q1", "q4"]
    assert [[each.values[NDCG] for each in row] for row in worst([first, second], 1)] == [[0.0, 0.2]]
    assert worst([first], 0) == []


def test_a_ranking_is_measured_with_the_rank_of_the_first_relevant() -> None:
    query = one(1, 0).query
    found = measured(query, Ranked(("x", "y", "target 0"), {"target 0": 1}, ()), 2)
    assert (found.values["recall"], found.rank) == (0, 3)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_intervals_hold_their_mean_and_turn_around_with_the_order(values: list[tuple[float, float]]) -> None:
    first, second = (run(*each) for each in zip(*values, strict=True))
    there, back = summarise([first, second]), summarise([second, first])
    for name in MEASURES:
        for mean in (*(each[name] for each in there.means), there.differences[name]):
            assert mean.low - 1e-9 <= mean.mean <= mean.high + 1e-9
        one_way, other_way = there.differences[name], back.differences[name]
        assert (one_way.mean, one_way.low) == pytest.approx((-other_way.mean, -other_way.high), abs=1e-12)
        assert one_way.better + one_way.worse + one_way.same == len(values)
        assert (one_way.better, one_way.worse) == (other_way.worse, other_way.better)
