from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from headworks.errors import InvalidRequest
from headworks.statistics.multiplicity import holm, intersection_union

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(p_values)
@settings(max_examples=15)
def test_holm_is_that_of_statsmodels(given_values: list[float]) -> None:
    theirs = multipletests(given_values, method="holm")[1]
    assert holm(given_values) == pytest.approx(tuple(theirs), abs=1e-12)


@given(p_values)
def test_a_correction_never_makes_a_claim_easier_and_keeps_the_order(given_values: list[float]) -> None:
    adjusted = holm(given_values)
    assert all(before <= after <= 1 for before, after in zip(given_values, adjusted, strict=True))
    assert holm(given_values[::-1]) == adjusted[::-1]


@given(p_values)
def test_all_claims_together_are_as_doubtful_as_the_most_doubtful(given_values: list[float]) -> None:
    assert intersection_union(given_values) == max(given_values)


def test_ten_metrics_without_a_change_are_rarely_one_claim() -> None:
    drawn = np.random.default_rng(6).random((4000, 10))
    assert np.mean([min(holm(list(each))) <= 0.05 for each in drawn]) <= 0.06
    assert np.mean(drawn.min(axis=1) <= 0.05) > 0.35


@pytest.mark.parametrize("wrong", [[], [0.5, 1.2], [-0.1], [math.nan]])
def test_what_is_no_p_value_is_refused(wrong: list[float]) -> None:
    for rule in (holm, intersection_union):
        with pytest.raises(InvalidRequest):
            rule(wrong)
