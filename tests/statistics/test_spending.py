from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.statistics.spending import obrien_fleming


def test_the_bounds_are_the_published_ones() -> None:
    """Lan and DeMets 1983, five looks, .025 on one side."""
    assert [each.critical for each in obrien_fleming(5, 0.025)] == pytest.approx(
        [4.877, 3.357, 2.680, 2.290, 2.031], abs=0.001
    )


def test_one_look_is_the_plain_test() -> None:
    (only,) = obrien_fleming(1, 0.05)
    assert only.alpha == pytest.approx(0.05, abs=1e-5)
    assert only.spent == pytest.approx(0.05)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True), st.sampled_from([0.01, 0.05, 0.1]))
@settings(max_examples=15)
def test_spending_grows_to_alpha_and_no_look_gets_more(hundredths: list[int], alpha: float) -> None:
    looks = obrien_fleming([*(each / 100 for each in sorted(hundredths)), 1.0], alpha)
    spent = [each.spent for each in looks]
    assert spent == sorted(spent)
    assert spent[-1] == pytest.approx(alpha)
    assert all(0 <= each.alpha <= each.spent + 1e-6 for each in looks)
    assert all(math.isfinite(each.critical) for each in looks)


def test_the_whole_rate_holds_over_all_looks() -> None:
    fractions = [0.3, 0.31, 0.5, 1.0]
    looks = obrien_fleming(fractions)
    steps = np.sqrt(np.diff([0, *fractions]))
    walks = np.cumsum(np.random.default_rng(1).standard_normal((200_000, 4)) * steps, axis=1) / np.sqrt(fractions)
    crossed = walks > np.array([each.critical for each in looks])
    assert crossed.any(axis=1).mean() == pytest.approx(0.05, abs=0.002)
    assert (walks > 1.6449).any(axis=1).mean() > 0.08


@pytest.mark.parametrize(
    "looks", [0, -1, 51, [], [0.5], [0.5, 0.5, 1], [1, 0.5], [0, 1], [0.5, math.nan, 1], [0.5, 0.501, 1], [0.5, 1.5]]
)
def test_looks_grow_to_the_whole(looks: list[float] | int) -> None:
    with pytest.raises(InvalidRequest, match="Looks"):
        obrien_fleming(looks)


def test_alpha_is_a_share() -> None:
    with pytest.raises(InvalidRequest, match="alpha"):
        obrien_fleming(2, 0.7)
