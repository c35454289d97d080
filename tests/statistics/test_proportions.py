from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from headworks.errors import InvalidRequest
from headworks.statistics.proportions import clopper_pearson, exact_lower_bound, exact_upper_bound, wilson

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_both_intervals_are_those_of_statsmodels(count: tuple[int, int], confidence: float) -> None:
    for ours, theirs in ((wilson, "wilson"), (clopper_pearson, "beta")):
        found = ours(*count, confidence)
        low, high = proportion_confint(*count, alpha=1 - confidence, method=theirs)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


@given(counts)
def test_the_rate_seen_lies_inside_and_passes_and_failures_are_mirror_images(count: tuple[int, int]) -> None:
    passes, n = count
    for interval in (wilson, clopper_pearson):
        found, mirrored = interval(passes, n), interval(n - passes, n)
        assert passes / n in found
        assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)


@given(counts)
def test_the_same_rate_of_more_examples_is_known_better(count: tuple[int, int]) -> None:
    passes, n = count
    for interval in (wilson, clopper_pearson):
        few, many = interval(passes, n), interval(2 * passes, 2 * n)
        assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize("rate", [0.01, 0.03, 0.2, 0.5])
@pytest.mark.parametrize("n", [20, 100])
def test_the_exact_bounds_never_err_more_often_than_they_say(rate: float, n: int) -> None:
    outcomes = range(n + 1)
    above = sum(float(binom.pmf(k, n, rate)) for k in outcomes if exact_upper_bound(k, n, 0.05) < rate)
    below = sum(float(binom.pmf(k, n, rate)) for k in outcomes if exact_lower_bound(k, n, 0.05) > rate)
    assert above <= 0.05
    assert below <= 0.05


def test_no_failure_in_299_shows_one_percent() -> None:
    assert exact_upper_bound(0, 299) <= 0.01 < exact_upper_bound(0, 298)


def test_nothing_seen_says_nothing() -> None:
    for interval in (wilson, clopper_pearson):
        assert (interval(0, 0).low, interval(0, 0).high) == (0, 1)


def test_all_passed_and_all_failed_are_intervals_with_a_width() -> None:
    assert 0 < wilson(20, 20).low < wilson(20, 20).high == 1
    assert 0 == clopper_pearson(0, 20).low < clopper_pearson(0, 20).high < 1


@pytest.mark.parametrize("count", [(-1, 5), (6, 5), (math.nan, 5), (1, math.nan), (1, math.inf)])
def test_what_is_no_count_is_refused(count: tuple[float, float]) -> None:
    for interval in (wilson, clopper_pearson, exact_upper_bound, exact_lower_bound):
        with pytest.raises(InvalidRequest):
            interval(*count)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(InvalidRequest, match="confidence"):
        wilson(1, 2, confidence)
