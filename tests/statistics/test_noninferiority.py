from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

from headworks.errors import InvalidRequest
from headworks.statistics.noninferiority import NonInferiority, non_inferiority, tango_score, tango_variance

tables = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 200))


def scores(wins: int, losses: int, ties: int) -> tuple[list[float], list[float]]:
    """Scores of baseline and candidate; half of the ties pass."""
    tied = [float(place % 2) for place in range(ties)]
    return [0.0] * wins + [1.0] * losses + tied, [1.0] * wins + [0.0] * losses + tied


@given(tables, st.sampled_from([-0.3, -0.1, -0.02, 0.02, 0.1, 0.3]))
@settings(max_examples=60)
def test_the_variance_is_that_of_the_most_likely_rates(table: tuple[int, int, int], difference: float) -> None:
    """Tango's closed form against a search for the maximum of the likelihood."""
    wins, losses, ties = table
    n = wins + losses + ties

    def badness(lost: float) -> float:
        won = lost + difference
        cells = ((wins, won), (losses, lost), (ties, 1 - won - lost))
        return -sum(count * math.log(max(rate, 1e-300)) for count, rate in cells)

    low, high = max(0.0, -difference), (1 - difference) / 2
    best = minimize_scalar(badness, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    theirs = 2 * best.x + difference - difference**2
    assert tango_variance(wins, losses, n, difference) == pytest.approx(theirs, abs=2e-5)


@given(tables)
def test_without_a_margin_it_is_the_score_of_mcnemar(table: tuple[int, int, int]) -> None:
    wins, losses, ties = table
    if wins + losses:
        theirs = their_mcnemar([[ties, wins], [losses, 0]], exact=False, correction=False).statistic
        assert tango_score(wins, losses, sum(table), 0.0) ** 2 == pytest.approx(float(theirs))


@given(tables, st.floats(0.005, 0.3))
def test_exchanging_the_releases_turns_the_question(table: tuple[int, int, int], margin: float) -> None:
    before, after = scores(*table)
    one, other = non_inferiority(before, after, margin), non_inferiority(after, before, -margin)
    assert one.p_value == pytest.approx(other.p_value_worse, abs=1e-9)
    assert one.lower_bound == pytest.approx(-other.upper_bound, abs=1e-9)


@given(tables, st.floats(0.005, 0.3), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_bound_and_the_p_value_say_the_same(table: tuple[int, int, int], margin: float, alpha: float) -> None:
    found = non_inferiority(*scores(*table), margin, alpha=alpha)
    assert -1 <= found.lower_bound <= found.difference + 1e-9
    assert found.difference - 1e-9 <= found.upper_bound <= 1
    if abs(found.lower_bound + margin) > 1e-6:
        assert found.is_shown == (found.lower_bound > -margin)
    if abs(found.upper_bound + margin) > 1e-6:
        assert found.is_refuted == (found.upper_bound < -margin)
    assert not (found.is_shown and found.is_refuted)


@given(tables)
def test_a_wider_margin_is_easier(table: tuple[int, int, int]) -> None:
    found = [non_inferiority(*scores(*table), margin).p_value for margin in (0.0, 0.01, 0.05, 0.2)]
    assert found == sorted(found, reverse=True)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 6)), min_size=1, max_size=50),
    st.randoms(use_true_random=False),
)
def test_no_order_matters_and_nothing_is_nan(rows: list[tuple[int, int, int]], random: object) -> None:
    def ask(rows: list[tuple[int, int, int]]) -> NonInferiority:
        before, after, clusters = zip(*rows, strict=True)
        return non_inferiority(before, after, 0.05, clusters)

    one = ask(rows)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert all(math.isfinite(each) for each in astuple(one))
    assert astuple(ask(rows)) == pytest.approx(astuple(one), abs=1e-9)


def test_more_of_the_same_shows_more() -> None:
    found = [non_inferiority(*scores(3 * times, 4 * times, 60 * times), 0.05).p_value for times in (1, 2, 4, 8)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("per_cluster", [1, 4])
def test_a_weight_counts_an_example_as_so_many_that_are_wholly_alike(per_cluster: int) -> None:
    random = np.random.default_rng(8)
    before, after = (random.random((2, 200)) < 0.8).astype(float)
    weights, clusters = random.integers(1, 5, 200), np.arange(200) // per_cluster
    found = non_inferiority(before, after, 0.1, clusters, weights=weights)
    again = np.repeat(np.arange(200), weights)
    whole = non_inferiority(before[again], after[again], 0.1, clusters[again])
    assert found.difference == pytest.approx(whole.difference)
    assert found.lower_bound == pytest.approx(whole.lower_bound, abs=0.005)
    assert found.p_value == pytest.approx(whole.p_value, abs=0.005)


def test_clusters_that_answer_alike_count_once() -> None:
    before, after = scores(6, 6, 48)
    alone = non_inferiority(before, after, 0.1)
    fivefold = non_inferiority(np.repeat(before, 5), np.repeat(after, 5), 0.1, np.repeat(np.arange(60), 5))
    assert fivefold.p_value == pytest.approx(alone.p_value, rel=0.05)


def test_equal_answers_pass_when_there_are_enough_of_them() -> None:
    few, enough = (non_inferiority([1.0] * n, [1.0] * n, 0.05) for n in (40, 80))
    assert not few.is_shown
    assert enough.is_shown
    assert not few.is_refuted


def test_equal_answers_in_clusters_count_once_per_cluster() -> None:
    clusters = np.repeat(np.arange(40), 3)
    assert not non_inferiority([1.0] * 120, [1.0] * 120, 0.05, clusters).is_shown
    assert non_inferiority([1.0] * 120, [1.0] * 120, 0.05).is_shown


@pytest.mark.parametrize("values", [[1.0, 0.0, 1.0], [0.25, 0.5, 1.0]])
def test_one_cluster_shows_nothing(values: list[float]) -> None:
    found = non_inferiority(values, values[::-1], 0.9, ["d"] * 3)
    assert (found.lower_bound, found.upper_bound, found.p_value, found.p_value_worse) == (-1, 1, 1, 1)


def test_a_single_example_shows_nothing() -> None:
    assert not non_inferiority([0.0], [1.0], 0.5).is_shown


def test_a_negative_margin_asks_for_an_improvement() -> None:
    before, after = scores(30, 5, 165)
    assert non_inferiority(before, after, -0.05).is_shown
    assert not non_inferiority(before, after, -0.12).is_shown


def test_graded_scores_and_scores_without_limits_are_compared_too() -> None:
    random = np.random.default_rng(8)
    before = random.integers(1, 6, 300) / 5
    after = np.clip(before + random.choice([-0.2, 0, 0, 0, 0.2], 300), 0, 1)
    assert non_inferiority(before, after, 0.05).is_shown
    assert non_inferiority(-before * 900, -after * 900, 45, scale=None).is_shown
    assert non_inferiority(before * 5, after * 5, 0.25, scale=4).is_shown


def test_the_rate_of_wrong_releases_holds_with_few_clusters_and_rare_failures() -> None:
    """25 documents of 4, .95 → .92 at a margin of .03: a plain clustered t errs in 8.7 %."""
    random = np.random.default_rng(9)
    clusters, wrong = np.repeat(np.arange(25), 4), 0
    cuts = np.array([1.6448536, 1.4050716])[:, None]
    for _ in range(2500):
        shared = math.sqrt(0.2) * random.standard_normal(25)[clusters] + math.sqrt(0.4) * random.standard_normal(100)
        own = math.sqrt(0.1) * random.standard_normal((2, 25))[:, clusters]
        before, after = (shared + own + math.sqrt(0.3) * random.standard_normal((2, 100)) < cuts) * 1.0
        wrong += non_inferiority(before, after, 0.03, clusters).is_shown
    assert wrong / 2500 <= 0.06


@pytest.mark.parametrize("margin", [1.0, -1.0, math.nan, 5])
def test_a_margin_lies_within_the_scale(margin: float) -> None:
    with pytest.raises(InvalidRequest, match="margin"):
        non_inferiority([1.0, 0.0], [1.0, 1.0], margin)


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidRequest, match="`baseline` holds no values"):
        non_inferiority([], [], 0.05)
    with pytest.raises(InvalidRequest, match="never left out"):
        non_inferiority([1.0, 0.0], [1.0, math.nan], 0.05)
    with pytest.raises(InvalidRequest, match="alpha"):
        non_inferiority([1.0, 0.0], [1.0, 0.0], 0.05, alpha=0.5)
