from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.statistics.estimates import SHARES
from headworks.statistics.sampling import inclusion_probabilities, reviewed_mean

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(probabilities, st.floats(0.5, 80))
def test_the_budget_is_what_is_expected_and_each_has_a_chance(expected: list[float], budget: float) -> None:
    found = inclusion_probabilities(expected, budget)
    assert found.sum() == pytest.approx(min(budget, len(expected)))
    assert 0 < found.min() <= found.max() <= 1


def test_what_is_uncertain_is_reviewed_more_often() -> None:
    found = inclusion_probabilities([0.01, 0.1, 0.5, 0.9, 0.99], 1)
    assert found.argmax() == 2
    assert found[1] == pytest.approx(found[3])


def draws(seed: int, replays: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    """Failures of 1,500 decisions (4 %), what a judge expects of them, and the chance of review."""
    random = np.random.default_rng(seed)
    failed = (random.random(1500) < 0.04) * 1.0
    expected = np.clip(np.where(failed, random.beta(3, 4, 1500), random.beta(1, 12, 1500)), 0.001, 0.999)
    return failed, expected, inclusion_probabilities(expected, 300), random


@pytest.mark.parametrize("kind", ["judge", "alone"])
def test_every_way_of_counting_is_unbiased_and_covers(kind: str) -> None:
    failed, expected, chances, random = draws(3, 400)
    values, covered = [], 0
    for _ in range(400):
        labels = [float(y) if u < p else None for y, u, p in zip(failed, random.random(1500), chances, strict=True)]
        found = reviewed_mean(labels, chances, expected if kind == "judge" else None)
        values.append(found.value)
        covered += failed.mean() in found.interval()
    assert np.mean(values) == pytest.approx(failed.mean(), abs=0.002)
    assert covered / 400 >= 0.93


def test_reviewing_by_uncertainty_needs_fewer_reviews() -> None:
    failed, expected, chances, random = draws(4, 200)
    errors: dict[str, list[float]] = {"uniform": [], "by uncertainty": []}
    for _ in range(200):
        for name, chance in (("uniform", np.full(1500, 0.2)), ("by uncertainty", chances)):
            labels = [float(y) if u < p else None for y, u, p in zip(failed, random.random(1500), chance, strict=True)]
            errors[name].append(reviewed_mean(labels, chance, expected).value - failed.mean())
    assert np.std(errors["by uncertainty"]) < 0.8 * np.std(errors["uniform"])


def test_all_reviewed_is_the_plain_mean() -> None:
    labels = [1.0, 0.0, 0.0, 1.0, 1.0]
    for found in (reviewed_mean(labels, [1.0] * 5, [0.2] * 5), reviewed_mean(labels, [1.0] * 5)):
        assert found.value == pytest.approx(0.6)
        assert found.n == 5


@given(
    st.lists(
        st.tuples(st.sampled_from([None, 0.0, 1.0]), st.floats(0.02, 1), st.floats(0, 1), st.integers(0, 5)),
        min_size=1,
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_no_order_matters_and_nothing_is_nan(
    rows: list[tuple[float | None, float, float, int]], random: object
) -> None:
    def ask(rows: list[tuple[float | None, float, float, int]]) -> tuple[float, ...]:
        labels, chances, judged, clusters = zip(*rows, strict=True)
        both = (reviewed_mean(labels, chances, judged, clusters), reviewed_mean(labels, chances, None, clusters))
        for found in both:
            assert 0 <= found.interval().low <= found.value <= found.interval().high <= 1
        return tuple(number for each in both for number in (each.value, each.standard_error))

    if all(label is None for label, *_ in rows):
        with pytest.raises(InvalidRequest, match="labels"):
            ask(rows)
        return
    one = ask(rows)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert all(math.isfinite(each) for each in one)
    assert ask(rows) == pytest.approx(one, abs=1e-9)


def test_no_failure_among_the_reviewed_is_no_proof_of_none() -> None:
    labels = [0.0 if place < 100 else None for place in range(1000)]
    assert 0.015 < reviewed_mean(labels, [0.1] * 1000).upper_bound() < 0.05


def test_one_review_says_only_what_a_score_can_be() -> None:
    assert reviewed_mean([None, 1.0], [0.5, 0.5]).interval() == SHARES


@pytest.mark.parametrize("chance", [0.0, -0.1, 1.1, math.nan])
def test_a_chance_is_above_zero_and_at_most_one(chance: float) -> None:
    with pytest.raises(InvalidRequest, match=r"could not have been reviewed|finite"):
        reviewed_mean([1.0, None], [0.5, chance])


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidRequest, match="labels"):
        reviewed_mean([math.nan, None], [0.5, 0.5])
    with pytest.raises(InvalidRequest, match="probability"):
        inclusion_probabilities([0.5, 1.5], 10)
    with pytest.raises(InvalidRequest, match="budget"):
        inclusion_probabilities([0.5], 0)
