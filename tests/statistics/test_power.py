from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import normal_sample_size_one_tail

from headworks.errors import InvalidRequest
from headworks.statistics.noninferiority import non_inferiority
from headworks.statistics.power import (
    Goal,
    certifiable_margin,
    needed_clean_cases,
    needed_examples,
    needed_for_difference,
    needed_judgements,
    power_of_examples,
)

shares = st.floats(0.02, 0.4)
margins = st.floats(0.01, 0.1)


@pytest.mark.parametrize(("failures", "needed"), [(0, [59, 149, 299, 598, 2995]), (1, [93, 236, 473, 947, 4742])])
def test_clean_cases_that_show_a_limit(failures: int, needed: list[int]) -> None:
    limits = [0.05, 0.02, 0.01, 0.005, 0.001]
    assert [needed_clean_cases(limit, failures=failures) for limit in limits] == needed


@given(shares, margins)
def test_a_smaller_margin_more_discordance_and_alike_clusters_need_more(discordance: float, margin: float) -> None:
    n = needed_examples(discordance, Goal(margin))
    assert n <= needed_examples(discordance, Goal(margin * 0.8))
    assert n <= needed_examples(discordance * 1.2, Goal(margin))
    assert n <= needed_examples(discordance, Goal(margin), design_effect=1.5, cluster_size=2)
    assert n <= needed_examples(discordance, Goal(margin, power=0.9))
    assert n >= needed_examples(discordance, Goal(margin, difference=0.01))


@given(shares, margins)
def test_the_number_asked_for_has_the_power_asked_for(discordance: float, margin: float) -> None:
    n = needed_examples(discordance, Goal(margin))
    assert power_of_examples(n, discordance, Goal(margin)) >= 0.795
    if n > 30:
        assert power_of_examples(int(n * 0.9), discordance, Goal(margin)) < 0.8


@given(st.integers(60, 4000), shares)
def test_the_certifiable_margin_needs_no_more_than_there_is(n: int, discordance: float) -> None:
    margin = certifiable_margin(n, discordance)
    assert needed_examples(discordance, Goal(min(margin, 0.999))) <= n
    assert needed_examples(discordance, Goal(margin * 0.97)) >= n * 0.9


def test_large_numbers_are_those_of_the_textbook() -> None:
    assert needed_examples(0.1, Goal(0.01)) == pytest.approx(6183, rel=0.01)
    theirs = normal_sample_size_one_tail(0.02, 0.8, 0.05, std_null=0.3)
    assert needed_for_difference(0.09, Goal(0.02)) == pytest.approx(float(theirs), abs=1)


@pytest.mark.parametrize(("rate", "discordance", "margin"), [(0.85, 0.12, 0.05), (0.95, 0.06, 0.03)])
def test_an_equal_candidate_passes_as_often_as_said(rate: float, discordance: float, margin: float) -> None:
    n, random, passed = needed_examples(discordance, Goal(margin)), np.random.default_rng(12), 0
    for _ in range(1200):
        kind = random.random(n)
        before, after = kind < rate, (kind < rate - discordance / 2) | (kind > 1 - discordance / 2)
        passed += non_inferiority(before.astype(float), after.astype(float), margin).is_shown
    assert passed / 1200 >= 0.76


def test_equal_answers_need_as_many_as_the_test_passes_with() -> None:
    n = needed_examples(0.0, Goal(0.05))
    assert non_inferiority([1.0] * n, [1.0] * n, 0.05).is_shown
    n = needed_examples(0.0, Goal(0.05), design_effect=3, cluster_size=3)
    n += -n % 3
    clusters = np.repeat(np.arange(n // 3), 3)
    assert non_inferiority([1.0] * n, [1.0] * n, 0.05, clusters).is_shown


def test_judgements_are_asked_for_only_where_they_help() -> None:
    assert needed_judgements(0.1, 0.0, Goal(0.03)) == needed_for_difference(0.1, Goal(0.03))
    more = needed_judgements(0.1, 0.008, Goal(0.03))
    assert more is not None
    assert more > needed_for_difference(0.1, Goal(0.03))
    assert needed_judgements(0.1, 0.02, Goal(0.03)) is None


def test_questions_that_no_number_answers_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="No number"):
        needed_examples(0.1, Goal(0.03, difference=-0.03))
    with pytest.raises(InvalidRequest, match="discordance"):
        needed_examples(0.01, Goal(0.03, difference=0.02))
    with pytest.raises(InvalidRequest, match="limit"):
        needed_clean_cases(0)
    assert power_of_examples(4, 0.1, Goal(0.05), cluster_size=4) == 0
