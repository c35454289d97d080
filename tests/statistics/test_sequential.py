from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.statistics.estimates import Interval
from headworks.statistics.sequential import EProcess, block_log_evidence, confidence_sequence, difference_sequence


def replay(rates: tuple[float, float], blocks: int, size: int, replays: int, seed: int) -> np.ndarray:
    """The logarithm of the evidence after each block, shape (replays, blocks)."""
    failures = np.random.default_rng(seed).binomial(size, np.array(rates)[:, None, None], (2, replays, blocks))
    seen = np.cumsum(failures, axis=2) - failures
    before = np.broadcast_to(np.arange(blocks) * size, seen[0].shape)
    gained = block_log_evidence(tuple(seen), (before, before), tuple(failures), (np.array(size), np.array(size)))
    return np.cumsum(gained, axis=1)


@pytest.mark.parametrize("rates", [(0.05, 0.05), (0.5, 0.5), (0.1, 0.07), (0.002, 0.002)])
def test_without_harm_there_is_hardly_an_alarm_however_often_one_looks(rates: tuple[float, float]) -> None:
    alarms = (replay(rates, 200, 25, 1500, seed=1).max(axis=1) >= math.log(20)).mean()
    assert alarms <= 0.05


def test_harm_is_seen_soon() -> None:
    evidence = replay((0.05, 0.10), 400, 10, 600, seed=2) >= math.log(20)
    first = np.where(evidence.any(axis=1), (evidence.argmax(axis=1) + 1) * 10, 10**6)
    assert np.median(first) <= 600


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=12))
def test_one_process_is_the_same_as_many_at_once(blocks: list[tuple[int, int]]) -> None:
    process, evidence = EProcess(), 0.0
    for failures in blocks:
        evidence += float(block_log_evidence(process.failures, process.requests, failures, (5, 9)))
        process = process.after(failures, (5, 9))
    assert process.log_evidence == pytest.approx(evidence)
    assert process.log_highest >= max(0.0, process.log_evidence) - 1e-12
    assert 0 < process.p_value <= 1
    assert process.requests == (5 * len(blocks), 9 * len(blocks))


@given(
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.integers(20, 60),
    st.floats(0.01, 0.99),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_no_bet_gains_on_average_when_nothing_is_wrong(
    seen: tuple[int, int], n: int, rate: float, first: int, second: int
) -> None:
    """The defining property: the expected factor of a block is at most 1, for all rates that are equal."""
    outcomes = [(a, b) for a in range(first + 1) for b in range(second + 1)]
    total = sum(
        math.comb(first, a)
        * math.comb(second, b)
        * rate ** (a + b)
        * (1 - rate) ** (first + second - a - b)
        * math.exp(float(block_log_evidence(seen, (n, n), (a, b), (first, second))))
        for a, b in outcomes
    )
    assert total <= 1 + 1e-9


def test_an_alarm_stays_and_a_better_arm_never_raises_one() -> None:
    process = EProcess()
    for _ in range(20):
        process = process.after((0, 20), (50, 50))
    assert process.is_alarm(0.001)
    for _ in range(20):
        process = process.after((50, 0), (50, 50))
    assert process.is_alarm(0.001)
    better = EProcess()
    for _ in range(50):
        better = better.after((20, 0), (50, 50))
    assert better.p_value == 1


def test_an_arm_without_requests_says_nothing() -> None:
    assert EProcess().after((0, 0), (0, 0)).log_evidence == 0
    assert EProcess().after((3, 0), (50, 0)).after((0, 9), (0, 10)).log_evidence == 0


@pytest.mark.parametrize("block", [((-1, 0), (5, 5)), ((6, 0), (5, 5)), ((0, 1), (5, 0))])
def test_what_is_no_count_is_refused(block: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(InvalidRequest, match="counts"):
        EProcess().after(*block)


def test_a_confidence_sequence_covers_at_all_times_at_once() -> None:
    values = (np.random.default_rng(3).random((400, 2000)) < 0.2) * 1.0
    n = np.arange(1, 2001)
    means = values.cumsum(axis=1) / n
    missed = 0
    for row in means:
        missed += any(
            0.2 not in confidence_sequence(row[k - 1], math.sqrt(row[k - 1] * (1 - row[k - 1])), k)
            for k in range(20, 2001, 20)
        )
    assert missed / 400 <= 0.05


@given(st.floats(0, 1), st.floats(0, 0.5), st.integers(1, 5000))
def test_a_confidence_sequence_narrows_and_is_never_nan(value: float, deviation: float, n: int) -> None:
    few, many = confidence_sequence(value, deviation, n), confidence_sequence(value, deviation, 4 * n)
    assert many.high - many.low < few.high - few.low
    assert value in few
    strict = confidence_sequence(value, deviation, n, alpha=0.01)
    assert strict.high > few.high


def test_two_arms_are_compared() -> None:
    found = difference_sequence((0.05, 0.15), (0.22, 0.36), (2000, 2000))
    assert found.low > 0
    assert 0.1 in found
    turned = difference_sequence((0.15, 0.05), (0.36, 0.22), (2000, 2000))
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low))
    assert difference_sequence((0.0, 0.0), (0.0, 0.0), (0, 4)) == Interval(-1, 1)
    assert confidence_sequence(math.nan, 0.0, 0) == Interval(-1, 1)
