"""The list of models: what this caller may name as `model`, and what is known of each. What is unknown is left out."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from headworks.providers.pricing.facts import UNKNOWN, ModelFacts
from headworks.providers.pricing.rates import Rates
from headworks.types.features import Feature

_OURS = "headworks"
_RATES = (
    "input",
    "output",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
)


class Listed(msgspec.Struct, frozen=True):
    """A name with what is known of it. `targets` are a route's; `rates` and `facts` hold for each of them."""

    name: str
    feature: Feature | None = None
    targets: tuple[str, ...] = ()
    rates: Rates | None = None
    facts: ModelFacts = UNKNOWN


def listing(models: Iterable[Listed]) -> bytes:
    """OpenAI's list."""
    return msgspec.json.encode({"object": "list", "data": [_row(each) for each in models]})


def single(model: Listed) -> bytes:
    """OpenAI's object of one model."""
    return msgspec.json.encode(_row(model))


def _row(model: Listed) -> dict[str, Any]:
    provider, slash, _ = model.name.partition("/")
    row: dict[str, Any] = {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": provider if slash else _OURS,
    }
    if model.feature is not None:
        return row | {"feature": _feature(model.feature)} | _limits(model.facts)
    if model.targets:
        row["targets"] = list(model.targets)
    return row | _facts(model.facts) | ({} if model.rates is None else {"pricing": _pricing(model.rates)})


def _feature(feature: Feature) -> dict[str, Any]:
    """What it is to its callers: not which model answers today."""
    return {
        "owner": feature.owner,
        "risk": feature.risk,
        "channel": feature.channel,
        "release": feature.digest,
        "cites": feature.retrieval is not None,
        "accepts": sorted(feature.accepts),
        "inputs": [each.name for each in feature.inputs if each.source is None],
    }


def _facts(facts: ModelFacts) -> dict[str, Any]:
    known = {
        "kind": facts.kind,
        "capabilities": dict(sorted(facts.supports.items())) or None,
        "deprecated": facts.is_deprecated,
        "retires_on": facts.retires_on,
    }
    return _limits(facts) | {name: value for name, value in known.items() if value is not None}


def _limits(facts: ModelFacts) -> dict[str, int]:
    known = {"context_length": facts.context_tokens, "max_output_tokens": facts.max_output_tokens}
    return {name: value for name, value in known.items() if value is not None}


def _pricing(rates: Rates) -> dict[str, Any]:
    """Dollars for a million tokens, and for a call beside them, as decimal numbers in text: as of now."""
    now = rates.select(0)
    said: dict[str, Any] = {"currency": "USD", "per_tokens": 1_000_000, **_amounts(now)}
    conditions = now.conditions
    if conditions is not None:
        tiers = [{"above_input_tokens": each.above_input_tokens, **_amounts(each.rates)} for each in conditions.tiers]
        services = {name: _amounts(each) for name, each in sorted(conditions.services.items())}
        said |= {name: each for name, each in (("long_prompts", tiers), ("service_tiers", services)) if each}
    return said


def _amounts(rates: Rates) -> dict[str, str]:
    amounts: dict[str, int | None] = {name: getattr(rates, name) for name in _RATES}
    if rates.request:
        amounts["call"] = rates.request
    return {name: _dollars(amount) for name, amount in amounts.items() if amount is not None}


def _dollars(micro_usd: int) -> str:
    """Exact, without an exponent or zeros at the end."""
    whole, _, part = f"{Decimal(micro_usd) / 1_000_000:f}".partition(".")
    return f"{whole}.{part.rstrip('0')}".rstrip(".")
