"""Reads LiteLLM's `model_prices_and_context_window.json`: dollars per token, one object a model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from headworks.providers.pricing.facts import ModelFacts
from headworks.providers.pricing.importing import Collected, Imported, inherited, number, price, read_object, tier
from headworks.providers.pricing.tables import MOST, Price, PriceRow, PriceTier, micro

_RATES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "output_cost_per_reasoning_token": "reasoning",
}
_FEES = ("input_cost_per_query", "input_cost_per_request")
_ANY_RATE = "|".join(sorted(_RATES, key=len, reverse=True))
_FIELD = re.compile(rf"({_ANY_RATE})(?:_above_([0-9]{{1,5}})k_tokens)?(?:_(batches|flex|priority))?")
_PER_TOKEN = 10**12
"""From dollars per token to micro-dollars per million tokens."""
_PER_CALL = 10**6

_PROVIDERS = {
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "bedrock_mantle": "aws",
    "codestral": "mistral",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "gemini": "google",
    "moonshot": "moonshotai",
    "nvidia_nim": "nvidia",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "voyage": "voyageai",
    "xai": "x-ai",
}
"""The tables' ids of providers that LiteLLM calls otherwise. All of Vertex AI's are `vertex`."""
_AT_THE_THRESHOLD = frozenset({"x-ai"})
"""Whose longer prompts begin at the threshold and not above it."""
_SUPPORTS = {
    "function_calling": "tools",
    "parallel_function_calling": "parallel_tools",
    "tool_choice": "tool_choice",
    "response_schema": "json_schema",
    "vision": "images",
    "audio_input": "audio_input",
    "audio_output": "audio_output",
    "pdf_input": "files",
    "video_input": "video",
    "reasoning": "reasoning",
    "prompt_caching": "prompt_cache",
    "system_messages": "system_messages",
    "assistant_prefill": "prefill",
    "web_search": "web_search",
    "computer_use": "computer_use",
}


def import_litellm(content: bytes, where: str, on: date) -> Imported:
    """The file as a table of that day. Raises InvalidRequest for what is not such a file."""
    rows = Collected()
    for provider, model, given in _models(content, where):
        row = _row(given, provider)
        if row is None:
            rows.leave_out("is not priced by token")
        else:
            rows.add(provider, model, row)
    return rows.finish(f"LiteLLM's {where}", on)


def litellm_facts(content: bytes, where: str) -> dict[tuple[str, str], ModelFacts]:
    """What the file knows of each model by provider and name, priced or not. Raises InvalidRequest as above."""
    facts: dict[tuple[str, str], ModelFacts] = {}
    for provider, model, given in _models(content, where):
        known = _facts(given)
        if known is not None:
            facts.setdefault((provider, model.lower()), known)
    return facts


def _models(content: bytes, where: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Provider and name as we call them, and what the file says. Raises InvalidRequest for what is not such a file."""
    for name, given in read_object(content, where).items():
        provider = given.get("litellm_provider") if isinstance(given, dict) else None
        if name != "sample_spec" and isinstance(provider, str) and provider:
            yield _provider_id(provider), _model(name, provider), given


def _provider_id(provider: str) -> str:
    return "vertex" if provider.startswith("vertex_ai") else _PROVIDERS.get(provider, provider.lower())


def _model(name: str, provider: str) -> str:
    """The model's name for the provider's API: without the provider before it."""
    for prefix in (provider, provider.partition("_converse")[0], provider.partition("-")[0]):
        if name.startswith(f"{prefix}/"):
            return name[len(prefix) + 1 :]
    return name


def _row(given: Mapping[str, Any], provider: str) -> PriceRow | None:
    """Each field is a rate, of prompts above so many tokens where it says so, of a service tier where it says so."""
    rates: dict[tuple[str, int], dict[str, int]] = {("", 0): {}}
    for field, value in given.items():
        found = _FIELD.fullmatch(field)
        rate = _rate(value) if found else None
        if found is None or rate is None:
            continue
        service = "batch" if found[3] == "batches" else found[3] or ""
        above = int(found[2] or 0) * 1000
        rates.setdefault((service, above), {})[_RATES[found[1]]] = rate
    _read_ranges(given.get("tiered_pricing"), rates)
    for field in _FEES:
        fee = number(given.get(field))
        if fee is not None and (micro_usd := micro(fee, _PER_CALL)):
            rates["", 0].setdefault("input", 0)
            rates["", 0]["request"] = micro_usd
    base = price(rates["", 0])
    if base is None:
        return None
    inclusive = provider in _AT_THE_THRESHOLD
    base.tiers = _tiers("", rates, base, inclusive=inclusive)
    services = sorted({service for service, _ in rates} - {""})
    base.services = {service: _service(service, rates, base, inclusive=inclusive) for service in services}
    if fast := _fast(given.get("provider_specific_entry"), base):
        base.services["fast"] = fast
    return PriceRow(names=[], facts=_facts(given), **msgspec.structs.asdict(base))


def _rate(value: object) -> int | None:
    found = number(value)
    return None if found is None else micro(found, _PER_TOKEN)


def _read_ranges(ranges: object, rates: dict[tuple[str, int], dict[str, int]]) -> None:
    """`tiered_pricing`: a list of rates with the range of input tokens in which they hold."""
    for entry in ranges if isinstance(ranges, list) else ():
        span = entry.get("range") if isinstance(entry, dict) else None
        start = number(span[0]) if isinstance(span, list) and span else None
        if start is None or not 0 <= start < MOST:
            continue
        stated = {_RATES[field]: rate for field in _RATES if (rate := _rate(entry.get(field))) is not None}
        rates.setdefault(("", int(start)), {}).update(stated)


def _tiers(
    service: str, rates: Mapping[tuple[str, int], Mapping[str, int]], base: Price, *, inclusive: bool
) -> list[PriceTier]:
    starts = sorted(above for name, above in rates if name == service and above > 0)
    return [tier(above - inclusive, inherited(base, rates[service, above])) for above in starts]


def _service(
    service: str, rates: Mapping[tuple[str, int], Mapping[str, int]], base: Price, *, inclusive: bool
) -> Price:
    """A service tier; what it does not state is as in the base price, that of longer prompts too."""
    made = msgspec.convert(inherited(base, rates.get((service, 0), {})), Price)
    made.tiers = _tiers(service, rates, made, inclusive=inclusive) or base.tiers
    return made


def _fast(given: object, base: Price) -> Price | None:
    """Anthropic's fast mode, which LiteLLM states as a factor."""
    factor = number(given.get("fast")) if isinstance(given, dict) else None
    if factor is None or not 0 < factor <= 100:
        return None
    return msgspec.convert({name: micro(Decimal(rate) * factor, 1) for name, rate in base.rates().items()}, Price)


def _facts(given: Mapping[str, Any]) -> ModelFacts | None:
    supports = {
        word: value for field, word in _SUPPORTS.items() if isinstance(value := given.get(f"supports_{field}"), bool)
    }
    kind = given.get("mode")
    facts = ModelFacts(
        context_tokens=_count(given.get("max_input_tokens")),
        max_output_tokens=_count(given.get("max_output_tokens")),
        kind=kind if isinstance(kind, str) else None,
        retires_on=_day(given.get("deprecation_date")),
        supports=supports,
    )
    return None if facts == ModelFacts() else facts


def _count(value: object) -> int | None:
    found = number(value)
    return int(found) if found is not None and found.is_finite() and 0 < found < MOST else None


def _day(value: object) -> str | None:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None
