from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import normal_sample_size_one_tail

from headworks.errors import InvalidRequest
from headworks.statistics.estimates import variance_bound
from headworks.statistics.judge_correction import Corrected, corrected_mean
from headworks.statistics.noninferiority import non_inferiority, verdict_of
from headworks.statistics.power import (
    Goal,
    certifiable_margin,
    needed_beside,
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
    assert needed_for_difference(0.09, Goal(0.02)) == pytest.approx(float(theirs), rel=0.02)


def test_few_examples_need_more_than_the_textbook_says_as_t_and_pseudo_clusters_cost() -> None:
    theirs = normal_sample_size_one_tail(0.2, 0.8, 0.05, std_null=0.3)
    n, random, passed = needed_for_difference(0.09, Goal(0.2)), np.random.default_rng(8), 0
    assert n > 1.3 * float(theirs)
    for _ in range(3000):
        before, after = random.normal(0.5, 0.3 / math.sqrt(2), (2, n)).clip(0, 1)
        passed += non_inferiority(before, after, 0.2).is_shown
    assert passed / 3000 >= 0.78


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


def judged_pilot(n: int, labelled: int, size: int, seed: int) -> Corrected:
    """Differences of equal releases that differ on 16 % of clusters, of a judge who sees most of it, and of people."""
    random = np.random.default_rng(seed)
    codes = np.arange(n) // size
    truth = random.choice([-1.0, 0.0, 1.0], n // size + 1, p=[0.08, 0.84, 0.08])[codes]
    judge = np.where(random.random(n) < 0.75, truth, 0.0)
    labels = [float(each) if at < labelled else None for at, each in enumerate(truth)]
    return corrected_mean(judge, labels, codes.tolist() if size > 1 else None)


def test_more_examples_help_where_more_judgements_do_not() -> None:
    pilot = judged_pilot(400, 100, 1, 1)
    few, many = (needed_judgements(pilot, examples, Goal(0.05)) for examples in (500, 4000))
    assert many < few <= 500
    assert needed_judgements(pilot, 400, Goal(0.02)) > 400, "so many examples, all of them judged"
    everything = pilot.residual_variance + pilot.explained_variance
    assert needed_judgements(pilot, 400, Goal(0.02)) == needed_for_difference(everything, Goal(0.02))


@pytest.mark.parametrize("size", [1, 4])
def test_an_equal_candidate_passes_with_the_judgements_asked_for(size: int) -> None:
    n = needed_judgements(judged_pilot(40_000, 10_000, size, 1), 2000, Goal(0.05))
    passed = sum(
        verdict_of(judged_pilot(2000, n + -n % size, size, seed).estimate, 0.05).is_shown for seed in range(2, 702)
    )
    assert 0.76 <= passed / 700 <= 0.88


def test_the_luck_of_the_live_release_costs_examples_as_far_as_its_answers_stay() -> None:
    def asked(seen: float, kept: Callable[[float], float]) -> int:
        return needed_beside(seen, kept, Goal(0.05), lambda goal: needed_for_difference(0.15, goal))

    fresh = needed_for_difference(0.15, Goal(0.05))
    assert asked(0.02, lambda n: 100 / n) == asked(0.0, lambda n: 100 / n) == fresh
    assert asked(-0.04, lambda _: 0.0) == fresh
    thinned, whole = asked(-0.04, lambda n: 100 / n), asked(-0.04, lambda _: 1.0)
    assert fresh < thinned < whole
    assert thinned == needed_for_difference(0.15, Goal(0.05, difference=-0.02 * 100 / thinned))
    assert whole == needed_for_difference(0.15, Goal(0.05, difference=-0.02))


def test_what_is_planned_with_is_above_the_truth_for_most_pilots() -> None:
    random = np.random.default_rng(6)
    above = dict.fromkeys((30, 200), 0)
    for n in above:
        for _ in range(1500):
            values = random.choice([-1.0, 0.0, 1.0], n, p=[0.06, 0.88, 0.06])
            above[n] += variance_bound(values, np.arange(n), 1.0) >= 0.12
    assert all(0.62 <= each / 1500 <= 0.85 for each in above.values()), above
    assert variance_bound(np.zeros(10), np.arange(10), 1.0) > 0


def test_questions_that_no_number_answers_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="No number"):
        needed_examples(0.1, Goal(0.03, difference=-0.03))
    with pytest.raises(InvalidRequest, match="discordance"):
        needed_examples(0.01, Goal(0.03, difference=0.02))
    with pytest.raises(InvalidRequest, match="limit"):
        needed_clean_cases(0)
    assert power_of_examples(4, 0.1, Goal(0.05), cluster_size=4) == 0


def test_what_no_dataset_reaches_is_a_number_too() -> None:
    assert needed_for_difference(1e12, Goal(1e-9)) >= 2**60
    never = needed_beside(-0.2, lambda _: 1.0, Goal(0.05), lambda goal: needed_for_difference(0.1, goal))
    assert never >= 2**60
