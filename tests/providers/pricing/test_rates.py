"""What a call costs by given rates: the sum, its conditions, its rounding."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headworks.providers.pricing.rates import DAY_S, Conditions, LongPrompt, Period, Rates
from headworks.types.models import Usage

TOKENS = st.integers(min_value=0, max_value=10_000_000)
RATE = st.integers(min_value=0, max_value=600_000_000)
MAYBE = st.none() | RATE
NOON = 12 * 3600


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Counts as a provider states them: every part within what it is part of."""
    tokens, output = draw(TOKENS), draw(TOKENS)
    cached = draw(st.integers(0, tokens))
    write = draw(st.integers(0, tokens - cached))
    hour = draw(st.integers(0, tokens - cached - write))
    audio = draw(st.integers(0, tokens - cached - write - hour))
    reasoning = draw(st.integers(0, output))
    return Usage(
        tokens,
        output,
        cached,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        audio_input_tokens=audio,
        reasoning_tokens=reasoning,
        audio_output_tokens=draw(st.integers(0, output - reasoning)),
    )


@st.composite
def rates(draw: st.DrawFn) -> Rates:
    return Rates(
        draw(RATE), draw(RATE), draw(MAYBE), draw(MAYBE), draw(st.integers(0, 10_000)),
        draw(MAYBE), draw(MAYBE), draw(MAYBE), draw(MAYBE),
    )  # fmt: skip


def test_a_call_costs_its_input_and_its_output() -> None:
    assert Rates(2_500_000, 10_000_000).cost_micro_usd(Usage(1_000, 100)) == 2_500 + 1_000


def test_cached_tokens_are_part_of_the_input_and_cost_their_own_rate() -> None:
    assert Rates(2_000_000, 8_000_000, 500_000).cost_micro_usd(Usage(1_000, 0, 600)) == 400 * 2 + 300


def test_cached_tokens_without_a_rate_of_their_own_cost_as_input() -> None:
    assert Rates(2_000_000, 8_000_000).cost_micro_usd(Usage(1_000, 0, 600)) == 2_000


def test_more_cached_tokens_than_input_are_not_charged_below_zero() -> None:
    assert Rates(2_000_000, 0, 1_000_000).cost_micro_usd(Usage(10, 0, 50)) == 10


def test_a_fraction_of_a_micro_dollar_is_rounded_up_so_that_no_priced_call_is_free() -> None:
    embedding = Rates(20_000)
    assert [embedding.cost_micro_usd(Usage(tokens)) for tokens in (0, 8, 50, 51)] == [0, 1, 1, 2]


def test_a_fee_for_each_request_is_added_once() -> None:
    assert Rates(1_000_000, 1_000_000, request=12_000).cost_micro_usd(Usage(10, 5)) == 12_015


@pytest.mark.parametrize("usage", [Usage(), Usage(output_tokens=5), Usage(input_tokens=5)], ids=repr)
@pytest.mark.parametrize("reasoning", [None, 7], ids=["plain", "not plain"])
def test_unknown_counts_have_no_cost_rather_than_zero(usage: Usage, reasoning: int | None) -> None:
    assert Rates(1, 1, reasoning=reasoning).cost_micro_usd(usage) is None


@pytest.mark.parametrize("write", [None, 30_000])
def test_output_of_a_model_without_an_output_rate_has_no_cost_rather_than_zero(write: int | None) -> None:
    embedding = Rates(20_000, cache_write=write)
    assert embedding.cost_micro_usd(Usage(100, 0)) == 2
    assert embedding.cost_micro_usd(Usage(100)) == 2
    assert embedding.cost_micro_usd(Usage(100, 1)) is None


def test_each_kind_of_input_has_its_rate() -> None:
    priced = Rates(
        1_000_000, 0, cached_input=100_000, cache_write=1_250_000, cache_write_1h=2_000_000, audio_input=8_000_000
    )
    counted = {"cache_write_tokens": 200, "cache_write_1h_tokens": 100, "audio_input_tokens": 50}
    cost = priced.cost_micro_usd(Usage(1_000, 0, 300, **counted))
    assert cost == 30 + 250 + 200 + 400 + 350


def test_each_kind_of_output_has_its_rate() -> None:
    priced = Rates(0, 1_000_000, reasoning=3_000_000, audio_output=20_000_000)
    assert priced.cost_micro_usd(Usage(0, 100, reasoning_tokens=30, audio_output_tokens=10)) == 90 + 200 + 60


def test_a_write_for_an_hour_without_a_rate_of_its_own_costs_as_a_write() -> None:
    assert Rates(1_000_000, 0, cache_write=2_000_000).cost_micro_usd(Usage(10, 0, cache_write_1h_tokens=10)) == 20
    assert Rates(1_000_000, 0, audio_input=1).cost_micro_usd(Usage(10, 0, cache_write_1h_tokens=10)) == 10


def test_parts_that_are_more_than_the_whole_cost_no_more_than_the_whole() -> None:
    dear = Rates(1_000_000, 1_000_000, 0, cache_write=2_000_000, audio_input=9_000_000, audio_output=9_000_000)
    claimed = Usage(10, 10, 6, cache_write_tokens=6, audio_input_tokens=6, audio_output_tokens=99, reasoning_tokens=99)
    assert dear.cost_micro_usd(claimed) == 4 * 2 + 10 * 9


@given(rates=rates(), usage=usages())
def test_a_cost_is_the_exact_sum_rounded_up(rates: Rates, usage: Usage) -> None:
    u, r = usage, rates

    def at(rate: int | None, otherwise: int) -> int:
        return otherwise if rate is None else rate

    write = at(r.cache_write, r.input)
    output = r.output or 0
    parts = [
        (u.cached_input_tokens or 0, at(r.cached_input, r.input)),
        (u.cache_write_tokens or 0, write),
        (u.cache_write_1h_tokens or 0, at(r.cache_write_1h, write)),
        (u.audio_input_tokens or 0, at(r.audio_input, r.input)),
    ]
    answers = [
        (u.reasoning_tokens or 0, at(r.reasoning, output)),
        (u.audio_output_tokens or 0, at(r.audio_output, output)),
    ]
    exact = sum(count * rate for count, rate in [*parts, *answers])
    exact += ((u.input_tokens or 0) - sum(count for count, _ in parts)) * r.input
    exact += ((u.output_tokens or 0) - sum(count for count, _ in answers)) * output
    cost = r.cost_micro_usd(u)
    assert cost is not None
    assert 0 <= (cost - r.request) * 1_000_000 - exact < 1_000_000


@given(rates=rates(), usage=usages(), more=st.integers(1, 1_000_000))
@pytest.mark.parametrize("count", ["input_tokens", "output_tokens"])
def test_more_tokens_never_cost_less(count: str, rates: Rates, usage: Usage, more: int) -> None:
    cost = rates.cost_micro_usd(usage)
    dearer = rates.cost_micro_usd(changed(usage, **{count: getattr(usage, count) + more}))
    assert cost is not None
    assert dearer is not None
    assert cost <= dearer


DEARER = {
    "cache_write_tokens": ("cache_write", "input"),
    "cache_write_1h_tokens": ("cache_write_1h", "input"),
    "audio_input_tokens": ("audio_input", "input"),
    "reasoning_tokens": ("reasoning", "output"),
    "audio_output_tokens": ("audio_output", "output"),
}


@given(base=RATE, surcharge=RATE, usage=usages(), more=st.integers(1, 1_000_000))
@pytest.mark.parametrize("count", DEARER)
def test_more_of_what_is_dearer_never_costs_less(
    count: str, base: int, surcharge: int, usage: Usage, more: int
) -> None:
    special, whole = DEARER[count]
    priced: dict[str, Any] = {"input": 0, "output": 0, whole: base, special: base + surcharge}
    rates = Rates(**priced)
    cost = rates.cost_micro_usd(usage)
    dearer = rates.cost_micro_usd(changed(usage, **{count: (getattr(usage, count) or 0) + more}))
    assert cost is not None
    assert dearer is not None
    assert cost <= dearer


@given(rate=RATE, cheaper=RATE, output=RATE, usage=usages())
def test_caching_never_makes_a_call_dearer(rate: int, cheaper: int, output: int, usage: Usage) -> None:
    rates = Rates(max(rate, cheaper), output, cached_input=min(rate, cheaper))
    cached, uncached = rates.cost_micro_usd(usage), rates.cost_micro_usd(changed(usage, cached_input_tokens=None))
    assert cached is not None
    assert uncached is not None
    assert cached <= uncached


@given(rates=rates(), usage=usages())
def test_the_short_way_and_the_long_way_give_the_same(rates: Rates, usage: Usage) -> None:
    plain = Rates(rates.input, rates.output, rates.cached_input, request=rates.request)
    assert plain.is_plain
    assert plain.cost_micro_usd(usage) == plain.sum_micro_usd(usage)


LONG = Rates(4_000_000, 6_000_000)
LONGER = Rates(8_000_000, 9_000_000)
TIERED = Rates(
    2_000_000, 3_000_000, conditions=Conditions(tiers=(LongPrompt(200_000, LONG), LongPrompt(500_000, LONGER)))
)


@pytest.mark.parametrize(
    ("tokens", "per_token"), [(0, 2), (1, 2), (200_000, 2), (200_001, 4), (500_000, 4), (500_001, 8), (9_000_000, 8)]
)
def test_a_prompt_above_a_threshold_is_charged_whole_at_its_tier(tokens: int, per_token: int) -> None:
    assert TIERED.cost_micro_usd(Usage(tokens, 0)) == tokens * per_token


def test_the_threshold_counts_cached_tokens_and_decides_for_output_too() -> None:
    assert TIERED.cost_micro_usd(Usage(200_001, 10, 200_000)) == 200_001 * 4 + 60
    assert TIERED.cost_micro_usd(Usage(200_000, 10, 200_000)) == 200_000 * 2 + 30


@given(usage=usages(), more=st.integers(1, 1_000_000))
def test_with_tiers_a_longer_prompt_never_costs_less(usage: Usage, more: int) -> None:
    assert usage.input_tokens is not None
    cost = TIERED.cost_micro_usd(usage)
    longer = TIERED.cost_micro_usd(changed(usage, input_tokens=usage.input_tokens + more))
    assert cost is not None
    assert longer is not None
    assert cost <= longer


SERVED = Rates(
    2_000_000,
    4_000_000,
    conditions=Conditions(services={"batch": Rates(1_000_000, 2_000_000), "priority": Rates(3_000_000, 6_000_000)}),
)


@pytest.mark.parametrize(
    ("tier", "cost"), [(None, 20), ("batch", 10), ("Priority", 30), ("default", 20), ("scale", 20), ("", 20)]
)
def test_a_service_tier_has_its_own_rates_and_an_unknown_one_the_base_rates(tier: str | None, cost: int) -> None:
    assert SERVED.cost_micro_usd(Usage(10, 0), service_tier=tier) == cost
    assert SERVED.cost_micro_usd(Usage(10, 0, service_tier=tier)) == cost


def test_the_tier_that_is_given_goes_before_the_one_that_the_usage_states() -> None:
    assert SERVED.cost_micro_usd(Usage(10, 0, service_tier="priority"), service_tier="batch") == 10


def test_a_tier_of_service_has_its_own_long_prompts() -> None:
    batch = Rates(1_000_000, 0, conditions=Conditions(tiers=(LongPrompt(100, Rates(5_000_000, 0)),)))
    rates = Rates(2_000_000, 0, conditions=Conditions(services={"batch": batch}))
    assert rates.cost_micro_usd(Usage(101, 0, service_tier="batch")) == 505
    assert rates.cost_micro_usd(Usage(101, 0)) == 202


NIGHT = Rates(1_000_000, 0)
BY_CLOCK = Rates(2_000_000, 0, conditions=Conditions(periods=(Period(NIGHT, start_s=59_400, end_s=1_800),)))


@pytest.mark.parametrize(
    ("at", "cost"),
    [(59_399, 20), (59_400, 10), (DAY_S - 1, 10), (0, 10), (1_799.9, 10), (1_800, 20), (NOON, 20)],
)
@pytest.mark.parametrize("days", [0, 20_000])
def test_a_time_of_day_may_lie_round_midnight(at: float, cost: int, days: int) -> None:
    assert BY_CLOCK.cost_micro_usd(Usage(10, 0), at=days * DAY_S + at) == cost


def test_of_the_periods_the_last_that_holds_decides_also_for_services_and_tiers() -> None:
    later = Rates(7_000_000, 0, conditions=Conditions(services={"batch": Rates(3_000_000, 0)}))
    rates = Rates(
        2_000_000,
        0,
        conditions=Conditions(
            periods=(Period(later, from_s=1_000), Period(NIGHT, from_s=1_000, start_s=NOON, end_s=NOON + 60)),
            services={"batch": Rates(1_500_000, 0)},
        ),
    )
    one = Usage(1, 0)
    assert rates.cost_micro_usd(one, at=999) == 2
    assert rates.cost_micro_usd(Usage(2, 0), "batch", 999) == 3
    assert rates.cost_micro_usd(one, at=1_000) == 7
    assert rates.cost_micro_usd(one, "batch", 1_000) == 3
    assert rates.cost_micro_usd(one, at=NOON) == 1
    assert rates.cost_micro_usd(one, at=NOON + 60) == 7


def test_without_a_time_it_is_now() -> None:
    rates = Rates(1_000_000, 0, conditions=Conditions(periods=(Period(Rates(2_000_000, 0), from_s=1.0),)))
    assert rates.cost_micro_usd(Usage(1, 0)) == 2
    future = Rates(1_000_000, 0, conditions=Conditions(periods=(Period(Rates(2_000_000, 0), from_s=1e12),)))
    assert future.cost_micro_usd(Usage(1, 0)) == 1


@given(rates=rates(), usage=usages())
def test_plain_rates_are_those_whose_parts_cost_as_the_whole(rates: Rates, usage: Usage) -> None:
    assume(rates.is_plain)
    assert rates.cost_micro_usd(usage) == rates.sum_micro_usd(usage)


def changed(usage: Usage, **counts: int | None) -> Usage:
    return Usage(**{name: getattr(usage, name) for name in usage.__struct_fields__} | counts)  # type: ignore[arg-type] -- by name
