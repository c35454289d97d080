"""How many retries a worker makes, and how long each of them waits."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import HeadworksError, UpstreamRejected
from headworks.gateway.failover.retrying import Pauses, RetryBudget, retry_after_s
from headworks.types.failing import Retries

NOW = 1_795_000_000.0
"""A time of the wall clock."""
OFTEN = Retries(most=5, base_s=0.5, most_s=8)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def failing(**headers: str) -> HeadworksError:
    return UpstreamRejected(503, b"", {name.replace("_", "-"): value for name, value in headers.items()})


def pauses(share: float = 1.0, budget: RetryBudget | None = None) -> Pauses:
    """Pauses whose draw lies at `share` of what it may be."""
    return Pauses(
        budget or RetryBudget(lambda: 0.0, most_saved=1000),
        uniform=lambda low, high: low + (high - low) * share,
        wall_clock=lambda: NOW,
    )


def pause(made: int = 0, error: HeadworksError | None = None, deadline: float = math.inf) -> float | None:
    return pauses().pause_before(OFTEN, made, error or failing(), 0.0, deadline)


# ── The budget ──


def test_a_quiet_server_may_retry() -> None:
    clock = Clock()
    budget = RetryBudget(clock, share=0.1, floor_per_s=0.5, most_saved=2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    clock.now += 1.9
    assert not budget.take()
    clock.now += 0.2
    assert budget.take()


def test_a_tenth_of_the_requests_may_be_retries() -> None:
    budget = RetryBudget(Clock(), share=0.125, floor_per_s=0.5, most_saved=20)
    while budget.take():
        pass
    made = 0
    for _ in range(800):
        budget.earn()
        made += budget.take()
    assert made == 100


def test_what_was_saved_in_good_times_has_an_end() -> None:
    clock = Clock()
    budget = RetryBudget(clock, most_saved=5)
    for _ in range(10_000):
        budget.earn()
    clock.now += 1e6
    assert sum(budget.take() for _ in range(100)) == 5


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 20])
def test_workers_share_the_budget_of_the_server(workers: int) -> None:
    clock = Clock()
    budgets = [RetryBudget.part_of(workers, clock) for _ in range(workers)]

    def made() -> int:
        return sum(budget.take() for budget in budgets for _ in range(100))

    assert 0.75 * 20 <= made() <= 20
    clock.now += 1
    assert made() == 0
    clock.now += 2 * workers - 1
    assert made() == workers, "one more every two seconds"


def test_a_worker_of_very_many_may_still_retry() -> None:
    assert [RetryBudget.part_of(100, Clock()).take() for _ in range(2)] == [True, True]


def test_a_clock_that_goes_back_costs_nothing() -> None:
    clock = Clock()
    budget = RetryBudget(clock, most_saved=1)
    assert budget.take()
    clock.now -= 50
    assert not budget.take()
    clock.now += 2
    assert budget.take()


@given(
    st.lists(st.one_of(st.just("request"), st.just("retry"), st.floats(0, 30)), max_size=120),
    st.sampled_from([0.05, 0.1, 0.5]),
    st.sampled_from([0.0, 0.5, 3.0]),
    st.sampled_from([1.0, 4.0, 20.0]),
)
def test_no_stretch_of_time_has_more_retries_than_its_budget(
    events: list[str | float], share: float, floor_per_s: float, most_saved: float
) -> None:
    clock = Clock()
    budget = RetryBudget(clock, share=share, floor_per_s=floor_per_s, most_saved=most_saved)
    history: list[tuple[float, int, int]] = [(clock.now, 0, 0)]
    requests = made = 0
    for event in events:
        if event == "request":
            budget.earn()
            requests += 1
        elif event == "retry":
            made += budget.take()
        else:
            clock.now += float(event)
        history.append((clock.now, requests, made))
    for start, (began, requests_before, made_before) in enumerate(history):
        for ended, requests_after, made_after in history[start:]:
            allowed = most_saved + share * (requests_after - requests_before) + floor_per_s * (ended - began)
            assert made_after - made_before <= allowed + 1e-6


# ── The pauses ──


def test_pauses_double_up_to_the_longest_one() -> None:
    assert [pause(made) for made in range(6)] == [0.5, 1, 2, 4, 8, None]


def test_a_pause_may_be_none_at_all() -> None:
    assert pauses(0.0).pause_before(OFTEN, 0, failing(), 0.0, math.inf) == 0


@pytest.mark.parametrize("word", ["false", " False "])
def test_a_provider_that_says_no_is_not_asked_again(word: str) -> None:
    assert pause(error=failing(x_should_retry=word)) is None
    assert pause(error=failing(X_Should_Retry="true")) == 0.5


def test_what_the_provider_asks_for_is_waited_for() -> None:
    assert pause(error=failing(retry_after="3")) == 3.5
    assert pause(error=failing(Retry_After_Ms="250")) == 0.75
    assert pause(error=failing(retry_after="8")) == 8
    assert pause(4, failing(retry_after="1")) == 8


def test_nobody_waits_for_longer_than_the_route_says() -> None:
    assert pause(error=failing(retry_after="8.01")) is None
    assert pause(error=failing(retry_after=formatdate(NOW + 3600, usegmt=True))) is None


def test_nobody_waits_past_the_deadline() -> None:
    assert pause(error=failing(retry_after="3"), deadline=3.5) is None
    assert pause(error=failing(retry_after="3"), deadline=3.6) == 3.5
    assert pause(deadline=0.0) is None


def test_a_retry_that_is_not_made_costs_nothing() -> None:
    budget = RetryBudget(lambda: 0.0, most_saved=1)
    one = pauses(budget=budget)
    assert one.pause_before(Retries(0), 0, failing(), 0.0, math.inf) is None
    assert one.pause_before(OFTEN, 0, failing(retry_after="60"), 0.0, math.inf) is None
    assert one.pause_before(OFTEN, 0, failing(), 0.0, 0.1) is None
    assert one.pause_before(OFTEN, 0, failing(), 0.0, math.inf) == 0.5
    assert one.pause_before(OFTEN, 0, failing(), 0.0, math.inf) is None


SECONDS = st.floats(0.001, 120)


@given(
    st.builds(Retries, st.integers(0, 5), SECONDS, SECONDS).filter(lambda retries: retries.base_s <= retries.most_s),
    st.integers(0, 6),
    st.none() | st.integers(0, 200),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(0, 1),
)
def test_a_pause_keeps_all_its_bounds(
    retries: Retries, made: int, asked: int | None, now: float, deadline: float, share: float
) -> None:
    error = failing() if asked is None else failing(retry_after=str(asked))
    pause_s = pauses(share).pause_before(retries, made, error, now, deadline)
    if pause_s is None:
        ceiling = min(retries.most_s, retries.base_s * 2**made)
        latest = min(retries.most_s, (asked or 0) + ceiling)
        assert made >= retries.most or (asked or 0) > retries.most_s or now + latest >= deadline
        return
    assert made < retries.most
    assert (asked or 0) <= pause_s <= retries.most_s
    assert pause_s <= (asked or 0) + retries.base_s * 2**made
    assert now + pause_s < deadline


# ── What a provider asks for ──


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"Retry-After": " 7.5 "}, 7.5),
        ({"retry-after-ms": "1234.5"}, 1.2345),
        ({"x-ms-retry-after-ms": "20"}, 0.02),
        ({"retry-after-ms": "500", "retry-after": "1"}, 0.5),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0),
        ({"retry-after": "Sun, 22 Nov 2026 21:00:00 -0000"}, 1_795_381_200 - NOW),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Sun, 99 Nov 2026 21:00:00 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 99999999 21:00:00 GMT"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_the_time_to_wait_is_read_in_every_way_of_saying_it(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d\d \w{3} \d{1,9} \d\d:\d\d:\d\d [+-]?\w{1,6}", fullmatch=True))
def test_whatever_stands_there_is_a_time_or_nothing(said: str) -> None:
    seconds = retry_after_s({"retry-after": said}, NOW)
    assert seconds is None or 0 <= seconds < math.inf
