"""The dearest that one call may come to, whatever is cached, written, heard or thought, in whichever tier."""

from __future__ import annotations

from collections.abc import Iterator

from headworks.providers.pricing.rates import Rates

_PICO_PER_MICRO = 1_000_000


def worst_micro_usd(rates: Rates, input_tokens: int, output_tokens: int, calls: int = 1) -> int | None:
    """Micro-dollars of a call with at most so many tokens, charged as at most so many calls; None: nobody knows."""
    found = [_of(each, input_tokens, output_tokens, calls) for each in _all(rates)]
    known = [each for each in found if each is not None]
    return max(known) if len(known) == len(found) else None


def _of(rates: Rates, input_tokens: int, output_tokens: int, calls: int) -> int | None:
    if output_tokens and rates.output is None:
        return None
    of_input = (rates.input, rates.cached_input, rates.cache_write, rates.cache_write_1h, rates.audio_input)
    put_in = max(each or 0 for each in of_input)
    put_out = max(each or 0 for each in (rates.output, rates.audio_output, rates.reasoning))
    pico = input_tokens * put_in + output_tokens * put_out
    return rates.request * calls - (-pico // _PICO_PER_MICRO)


def _all(rates: Rates) -> Iterator[Rates]:
    """These and those of every other time, tier and length."""
    yield rates
    if rates.conditions is None:
        return
    for period in rates.conditions.periods:
        yield from _all(period.rates)
    for served in rates.conditions.services.values():
        yield from _all(served)
    for tier in rates.conditions.tiers:
        yield from _all(tier.rates)
