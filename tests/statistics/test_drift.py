from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.statistics.drift import Cusum, cusum_threshold

rates = st.floats(0.005, 0.4).flatmap(lambda usual: st.tuples(st.just(usual), st.floats(usual * 1.3, 0.9)))


def run_lengths(rate: float, chart: Cusum, streams: int, seed: int) -> np.ndarray:
    """Requests until the alarm, shape (streams,), one request at a time."""
    random = np.random.default_rng(seed)
    failed, passed = math.log(chart.feared / chart.usual), math.log((1 - chart.feared) / (1 - chart.usual))
    level, found, time = np.zeros(streams), np.zeros(streams), 0
    while not found.all() and time < 60_000:
        time += 1
        level = np.maximum(0, level + np.where(random.random(streams) < rate, failed, passed))
        found[(level >= chart.threshold) & (found == 0)] = time
    return np.where(found == 0, time, found)


def test_false_alarms_are_as_far_apart_as_wished_and_drift_is_found() -> None:
    chart = Cusum(0.05, 0.08, cusum_threshold(0.05, 0.08, 3000))
    assert 3000 <= run_lengths(0.05, chart, 300, seed=1).mean() <= 9000
    assert np.median(run_lengths(0.08, chart, 300, seed=2)) <= 700


@given(rates, st.integers(100, 10**6))
def test_rarer_false_alarms_need_a_higher_threshold(pair: tuple[float, float], distance: int) -> None:
    assert 0 < cusum_threshold(*pair, distance) < cusum_threshold(*pair, distance * 2) < 60


@given(rates, st.lists(st.booleans(), max_size=60))
def test_requests_in_one_go_never_raise_more_than_one_by_one(pair: tuple[float, float], stream: list[bool]) -> None:
    chart = Cusum(*pair, threshold=3)
    one_by_one, highest = chart, 0.0
    for failed in stream:
        one_by_one = one_by_one.after(int(failed), 1)
        highest = max(highest, one_by_one.level)
    at_once = chart.after(sum(stream), len(stream))
    assert 0 <= at_once.level <= highest + 1e-9
    assert at_once.level <= one_by_one.level + 1e-9


def test_an_alarm_is_a_level_at_the_threshold() -> None:
    assert Cusum(0.05, 0.1, 2).after(5, 5).is_alarm
    assert not Cusum(0.05, 0.1, 2).after(0, 500).is_alarm


@pytest.mark.parametrize(("usual", "feared"), [(0, 0.1), (0.1, 0.1), (0.2, 0.1), (0.1, 1), (math.nan, 0.5)])
def test_the_feared_rate_is_above_the_usual_one(usual: float, feared: float) -> None:
    with pytest.raises(InvalidRequest):
        cusum_threshold(usual, feared, 1000)
    with pytest.raises(InvalidRequest):
        Cusum(usual, feared, 4).after(1, 2)


def test_counts_and_distances_are_numbers() -> None:
    with pytest.raises(InvalidRequest, match="counts"):
        Cusum(0.1, 0.2, 4).after(3, 2)
    with pytest.raises(InvalidRequest, match="false alarms"):
        cusum_threshold(0.1, 0.2, 0)
