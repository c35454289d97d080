"""Rates of one model, and what a call costs by them: plain integers, because each request asks."""

from __future__ import annotations

import time

import msgspec

from headworks.types.models import Usage

_PICO_PER_MICRO = 1_000_000
DAY_S = 86_400


class Rates(msgspec.Struct, frozen=True, gc=False):
    """Prices of one model in micro-dollars per million tokens (pico-dollars a token); `request`: micro-dollars a call.

    A rate of None is charged as what its tokens are part of: cached, written and audio input as input (an hour's write
    as a write, where that has a rate), reasoning and audio output as output. An `output` of None has no known price.
    `conditions`: the prices when it is another time, another service tier, or a longer prompt.
    """

    input: int
    output: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    request: int = 0
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    reasoning: int | None = None
    conditions: Conditions | None = None
    is_plain: bool = True
    """Set by the rates themselves: input, output and cached input say all that is said without conditions."""

    def __post_init__(self) -> None:
        of_input = {self.cache_write, self.cache_write_1h, self.audio_input} <= {None, self.input}
        of_output = {self.audio_output, self.reasoning} <= {None, self.output}
        msgspec.structs.force_setattr(self, "is_plain", of_input and of_output)

    def cost_micro_usd(self, usage: Usage, service_tier: str | None = None, at: float | None = None) -> int | None:
        """Micro-dollars of one call, rounded up to a whole one, so that no priced call is free.

        None where a count that has to be paid is unknown or its rate is. `service_tier` is the one that served the
        call (None: what the usage says), `at` when it came, in seconds since 1970 (None: now). A tier without prices
        of its own costs the base prices.
        """
        tokens = usage.input_tokens
        if tokens is None:
            return self._by_calls(usage)
        conditions = self.conditions
        if conditions is not None:
            tier = service_tier or usage.service_tier
            if tier is not None or conditions.periods or conditions.tiers:
                rates = self.select(tokens, tier, at)
                if rates is not self:
                    return rates.sum_micro_usd(usage)
        if not self.is_plain and _has_more_kinds(usage):
            return self.sum_micro_usd(usage)
        pico = tokens * self.input
        cached = usage.cached_input_tokens
        if cached and self.cached_input is not None:
            pico += (min(tokens, cached)) * (self.cached_input - self.input)
        output = usage.output_tokens
        if output:
            if self.output is None:
                return None
            pico += output * self.output
        elif output is None and self.output is not None:
            return None
        return self.request - (-pico // _PICO_PER_MICRO)

    def _by_calls(self, usage: Usage) -> int | None:
        """Of what is charged by the call alone."""
        if not self.request or self.input or self.output:
            return None
        return None if usage.calls is None else self.request * usage.calls

    def select(self, input_tokens: int, service_tier: str | None = None, at: float | None = None) -> Rates:
        """The rates of a call with so many input tokens, in that tier, at that time (seconds since 1970; None: now)."""
        rates, found = self, self.conditions
        if found is not None and found.periods:
            moment = time.time() if at is None else at
            for period in reversed(found.periods):
                if period.holds(moment):
                    rates, found = period.rates, period.rates.conditions
                    break
        if found is not None and service_tier and found.services:
            served = found.services.get(service_tier.lower())
            if served is not None:
                rates, found = served, served.conditions
        if found is not None and found.tiers and input_tokens > found.tiers[0].above_input_tokens:
            return next(tier.rates for tier in reversed(found.tiers) if input_tokens > tier.above_input_tokens)
        return rates

    def sum_micro_usd(self, usage: Usage) -> int | None:
        """What these very rates make of the counts, whatever their conditions.

        Which cached or written tokens are audio, nobody says: audio is taken to be none of them as long as there is
        enough other input.
        """
        tokens, output = usage.input_tokens, usage.output_tokens
        if tokens is None or (output is None and self.output is not None) or (output and self.output is None):
            return None
        pico = self._input_pico(usage, tokens)
        if output and self.output is not None:
            audio = min(usage.audio_output_tokens or 0, output)
            reasoning = min(usage.reasoning_tokens or 0, output - audio)
            pico += audio * (self.output if self.audio_output is None else self.audio_output)
            pico += reasoning * (self.output if self.reasoning is None else self.reasoning)
            pico += (output - audio - reasoning) * self.output
        return self.request - (-pico // _PICO_PER_MICRO)

    def _input_pico(self, usage: Usage, tokens: int) -> int:
        """All input, each kind at its rate; of no kind more than there is input left."""
        base, pico = self.input, 0
        if count := usage.cached_input_tokens:
            part = min(tokens, count)
            tokens -= part
            pico += part * (base if self.cached_input is None else self.cached_input)
        write = base if self.cache_write is None else self.cache_write
        if count := usage.cache_write_tokens:
            part = min(tokens, count)
            tokens -= part
            pico += part * write
        if count := usage.cache_write_1h_tokens:
            part = min(tokens, count)
            tokens -= part
            pico += part * (write if self.cache_write_1h is None else self.cache_write_1h)
        if count := usage.audio_input_tokens:
            part = min(tokens, count)
            tokens -= part
            pico += part * (base if self.audio_input is None else self.audio_input)
        return pico + tokens * base


def _has_more_kinds(usage: Usage) -> bool:
    """Whether there is more in it than plain and cached input, and plain output."""
    return bool(
        usage.cache_write_tokens
        or usage.cache_write_1h_tokens
        or usage.reasoning_tokens
        or usage.audio_input_tokens
        or usage.audio_output_tokens
    )


class LongPrompt(msgspec.Struct, frozen=True, gc=False):
    """Rates of all tokens of a call with more input tokens than that."""

    above_input_tokens: int
    rates: Rates


class Period(msgspec.Struct, frozen=True, gc=False):
    """Rates from a moment on (seconds since 1970), each day between two times (seconds after 0:00 UTC) if there are."""

    rates: Rates
    from_s: float = 0
    start_s: int | None = None
    end_s: int = 0

    def holds(self, at: float) -> bool:
        """Whether that moment lies in it; the end of a day's time is outside, and may lie behind midnight."""
        if at < self.from_s:
            return False
        if self.start_s is None:
            return True
        now = at % DAY_S
        if self.end_s < self.start_s:
            return now >= self.start_s or now < self.end_s
        return self.start_s <= now < self.end_s


class Conditions(msgspec.Struct, frozen=True, gc=False):
    """When other rates hold: of the periods the last that holds, in it the service tier, in that the longest prompt."""

    periods: tuple[Period, ...] = ()
    services: dict[str, Rates] = {}
    tiers: tuple[LongPrompt, ...] = ()


FREE = Rates(input=0, output=0, cached_input=0, cache_write=0)
"""What runs inside this process: priced, at nothing."""
