"""No call costs more than the dearest that it was foreseen to."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headworks.providers.pricing.rates import Conditions, LongPrompt, Period, Rates
from headworks.providers.pricing.worst import worst_micro_usd
from headworks.types.models import Usage

_RATE = st.integers(0, 10_000_000)
_MAYBE = st.none() | _RATE
_PLAIN = st.builds(
    Rates,
    input=_RATE,
    output=_RATE,
    cached_input=_MAYBE,
    cache_write=_MAYBE,
    cache_write_1h=_MAYBE,
    audio_input=_MAYBE,
    audio_output=_MAYBE,
    reasoning=_MAYBE,
    request=st.integers(0, 5000),
)
_CONDITIONS = st.builds(
    Conditions,
    periods=st.lists(st.builds(Period, rates=_PLAIN), max_size=1).map(tuple),
    services=st.dictionaries(st.just("priority"), _PLAIN),
    tiers=st.lists(st.builds(LongPrompt, above_input_tokens=st.integers(0, 500), rates=_PLAIN), max_size=1).map(tuple),
)
_RATES = st.builds(msgspec.structs.replace, _PLAIN, conditions=st.none() | _CONDITIONS)
_COUNT = st.integers(0, 1000)


@given(_RATES, _COUNT, _COUNT, st.data())
def test_no_call_costs_more_than_its_worst(rates: Rates, most_in: int, most_out: int, data: st.DataObject) -> None:
    def part(of: int) -> int | None:
        return data.draw(st.none() | st.integers(0, of))

    tokens, output = data.draw(st.integers(0, most_in)), data.draw(st.integers(0, most_out))
    usage = Usage(
        tokens,
        output,
        part(tokens),
        cache_write_tokens=part(tokens),
        cache_write_1h_tokens=part(tokens),
        reasoning_tokens=part(output),
        audio_input_tokens=part(tokens),
        audio_output_tokens=part(output),
        service_tier=data.draw(st.sampled_from([None, "priority", "other"])),
    )
    worst, cost = worst_micro_usd(rates, most_in, most_out), rates.cost_micro_usd(usage)
    assert worst is not None
    assert cost is not None
    assert cost <= worst


def test_what_is_cached_may_be_the_dearest() -> None:
    rates = Rates(input=0, output=0, cached_input=1)
    assert worst_micro_usd(rates, 1, 0) == rates.cost_micro_usd(Usage(1, 0, 1)) == 1


def test_an_output_without_a_price_has_no_worst() -> None:
    assert worst_micro_usd(Rates(input=5), 10, 10) is None
    assert worst_micro_usd(Rates(input=1_000_000), 10, 0) == 10
    assert worst_micro_usd(Rates(input=0, request=2000), 10, 0, calls=3) == 6000
