from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.statistics.estimates import Interval
from headworks.statistics.paired import paired_difference, pairs

verdicts = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=60)


def test_the_difference_is_that_of_a_regression_on_nothing_but_a_constant() -> None:
    random = np.random.default_rng(4)
    codes = random.integers(0, 20, 150)
    before, after = random.random(150), random.random(150) * 0.9
    theirs = sm.OLS(after - before, np.ones(150)).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    ours = paired_difference(before, after, codes)
    assert ours.value == pytest.approx(float(theirs.params[0]))
    assert ours.standard_error == pytest.approx(float(theirs.bse[0]))
    assert ours.p_value_below(0) * 2 == pytest.approx(float(theirs.pvalues[0]), rel=1e-3)


@given(verdicts)
def test_exchanging_the_releases_turns_the_sign(scores: list[tuple[int, int]]) -> None:
    before, after = (np.array(each, dtype=float) for each in zip(*scores, strict=True))
    one, other = paired_difference(before, after), paired_difference(after, before)
    assert one.value == pytest.approx(-other.value)
    assert one.standard_error == pytest.approx(other.standard_error)
    assert one.interval().low == pytest.approx(-other.interval().high)


def test_pairing_takes_out_what_both_find_hard() -> None:
    hard = np.linspace(0, 1, 200)
    random = np.random.default_rng(5)
    before, after = (np.clip(hard + random.normal(0, 0.05, 200), 0, 1) for _ in range(2))
    unpaired = math.hypot(before.std(), after.std()) / math.sqrt(200)
    assert paired_difference(before, after).standard_error < unpaired / 4


def test_equal_answers_have_an_interval_with_a_width() -> None:
    found = paired_difference([1.0] * 100, [1.0] * 100).interval()
    assert found.low == pytest.approx(-found.high)
    assert 0.02 < found.high < 0.04


def test_what_differs_is_counted() -> None:
    found = pairs([1, 1, 0, 0, 1], [1, 0, 1, 0, 1], ["a", "a", "b", "b", "c"])
    assert (found.n, found.clusters, found.wins, found.losses, found.discordance) == (5, 3, 1, 1, 0.4)
    assert found.cluster_size == pytest.approx(5 / 3)
    assert found.variance == pytest.approx(0.4)


def test_scores_of_any_unit_are_compared_when_they_have_no_limit() -> None:
    found = paired_difference([100.0, 130.0, 90.0], [110.0, 150.0, 95.0], scale=None)
    assert found.value == pytest.approx(35 / 3)
    assert found.limits == Interval(-math.inf, math.inf)


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf])
def test_a_scale_is_above_zero(scale: float) -> None:
    with pytest.raises(InvalidRequest, match="scale"):
        paired_difference([0.5, 0.1], [0.2, 0.3], scale=scale)


def test_both_releases_have_the_same_examples() -> None:
    with pytest.raises(InvalidRequest, match="`candidate` has 1"):
        paired_difference([0.5, 0.1], [0.2])
    with pytest.raises(InvalidRequest, match="1 of 2 values of `candidate`"):
        paired_difference([0.5, 0.1], [0.2, math.nan])
