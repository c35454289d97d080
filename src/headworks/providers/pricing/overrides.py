"""The operator's own prices: a TOML file in dollars, as price pages have them; docs/reference/prices.md shows it."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec

from headworks.errors import StartupRefused
from headworks.providers.pricing.layers import OVERRIDES, Layer
from headworks.providers.pricing.tables import (
    RATES,
    UNIT,
    Price,
    PricePeriod,
    PriceRow,
    PriceTier,
    Table,
    micro,
)

Find = Callable[[str, str], PriceRow | None]
"""The row of a provider's model in the tables below."""

_MICRO = 1_000_000
_Clock = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class _Dollars(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    reasoning: Decimal | None = None
    request: Decimal | None = None


class _Tier(_Dollars, forbid_unknown_fields=True, kw_only=True):
    above_input_tokens: int


class _Tiered(_Dollars, forbid_unknown_fields=True, kw_only=True):
    tiers: list[_Tier] = []


class _Period(_Tiered, forbid_unknown_fields=True, kw_only=True):
    from_day: date | None = msgspec.field(default=None, name="from")
    utc: tuple[_Clock, _Clock] | None = None
    services: dict[str, _Tiered] = {}


class _Entry(_Tiered, forbid_unknown_fields=True, kw_only=True):
    model: str
    same_as: str | None = None
    percent_off: Decimal | None = None
    services: dict[str, _Tiered] = {}
    periods: list[_Period] = []


class _File(msgspec.Struct, forbid_unknown_fields=True):
    price: list[_Entry] = []


def read_overrides(path: Path, below: Find, price_id: Callable[[str], str]) -> Layer:
    """The file as a layer; `price_id` gives a provider's id in the tables. Raises StartupRefused with the entry."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StartupRefused(
            f"{path}: {error.strerror}.", next_step="The setting `prices.overrides` names it."
        ) from None
    try:
        given = tomllib.loads(content.decode(), parse_float=Decimal)
        entries = msgspec.convert(given, _File).price
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise StartupRefused(f"{path}: {error}.", next_step="docs/reference/prices.md has the format.") from None
    providers: dict[str, list[PriceRow]] = {}
    for entry in entries:
        where = f"{path}: [[price]] of `{entry.model}`"
        provider, name = _split(entry.model, where)
        rows = providers.setdefault(price_id(provider), [])
        if any(name in row.names for row in rows):
            raise StartupRefused(f"{where}: it has a price above already.")
        rows.append(_row(entry, name, below, price_id, where))
    # What a price is taken from is in the version by the version of its table.
    version = hashlib.sha256(content).hexdigest()[:12]
    return Layer(OVERRIDES, Table(version=version, source=str(path), unit=UNIT, providers=providers))


def _split(model: str, where: str) -> tuple[str, str]:
    provider, slash, name = model.partition("/")
    if not (provider and slash and name):
        raise StartupRefused(f"{where}: a model is named as `provider/model`.")
    return provider, name.lower()


def _row(entry: _Entry, name: str, below: Find, price_id: Callable[[str], str], where: str) -> PriceRow:
    if entry.same_as is None and entry.percent_off is None:
        base = _price(entry, _stated(entry, where), where)
        services = _services(entry.services, base, where)
        periods = [_period(each, base, entry, where) for each in entry.periods]
        return PriceRow(names=[name], periods=periods, **_members(base) | {"services": services})
    for field in (*RATES, "tiers", "services", "periods"):
        if getattr(entry, field) not in (None, [], {}):
            raise StartupRefused(f"{where}: beside `same_as` or `percent_off` there is no `{field}`.")
    provider, model = _split(entry.same_as or entry.model, where)
    found = below(price_id(provider), model)
    if found is None:
        raise StartupRefused(f"{where}: no table has a price of `{provider}/{model}`.")
    percent = entry.percent_off or Decimal(0)
    if not (percent.is_finite() and 0 <= percent <= 100):
        raise StartupRefused(f"{where}: `percent_off` is from 0 to 100.")
    row = msgspec.convert({**_lowered(msgspec.to_builtins(found), 1 - percent / 100), "names": [name]}, PriceRow)
    if found.facts is not None:
        seller, _ = _split(entry.model, where)
        row.facts = found.facts if seller == provider else found.facts.elsewhere()
    return row


def _lowered(value: Any, factor: Decimal) -> Any:  # noqa: ANN401 -- JSON values of a row
    """All rates of a row, wherever they stand in it, times the factor."""
    if isinstance(value, dict):
        return {
            key: _times(each, factor) if key in RATES else _lowered(each, factor)
            for key, each in value.items()
            if key != "facts"
        }
    return [_lowered(each, factor) for each in value] if isinstance(value, list) else value


def _times(rate: int, factor: Decimal) -> int:
    return int((rate * factor).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _stated(given: _Dollars, where: str) -> dict[str, Any]:
    """The rates of an entry, in the table's unit."""
    rates: dict[str, Any] = {}
    for name in RATES:
        dollars = getattr(given, name)
        if dollars is None:
            continue
        rate = micro(dollars, _MICRO)
        if rate is None:
            raise StartupRefused(f"{where}: {dollars} is no price for `{name}`.")
        rates[name] = rate
    return rates


def _price(given: _Tiered, rates: dict[str, Any], where: str) -> Price:
    """The price with its tiers, which have the rates that they do not state from it."""
    if "input" not in rates:
        raise StartupRefused(f"{where}: `input` is missing.")
    tiers = [
        PriceTier(above_input_tokens=each.above_input_tokens, **{**rates, **_stated(each, where)})
        for each in given.tiers
    ]
    if any(tier.above_input_tokens < 0 for tier in tiers):
        raise StartupRefused(f"{where}: `above_input_tokens` is negative.")
    return Price(tiers=tiers, **rates)


def _services(given: dict[str, _Tiered], base: Price, where: str) -> dict[str, Price]:
    """Service tiers; what they do not state is as in the base price, whose tiers they do not have."""
    return {
        name.lower(): _price(each, {**base.rates(), **_stated(each, where)}, f"{where}, service `{name}`")
        for name, each in given.items()
    }


def _period(given: _Period, base: Price, entry: _Entry, where: str) -> PricePeriod:
    if given.from_day is None and given.utc is None:
        raise StartupRefused(f"{where}: a period has a `from`, a `utc`, or both.")
    price = _price(given, {**base.rates(), **_stated(given, where)}, where)
    services = _services(given.services or entry.services, price, where)
    return PricePeriod(from_day=given.from_day, utc=given.utc, **_members(price) | {"services": services})


def _members(price: Price) -> dict[str, Any]:
    return msgspec.structs.asdict(price)
