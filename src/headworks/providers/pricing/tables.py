"""Price tables as files: one row a line, so that a change of price is a change of one line. All money is integer.

Rates are micro-dollars per million tokens. A row, a tier, a service and a period each state all their rates: nothing is
inherited. Names are exact, in lower case, under the provider's id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType

import msgspec

from headworks.providers.pricing.facts import ModelFacts
from headworks.providers.pricing.rates import Conditions, LongPrompt, Period, Rates

UNIT = "micro-dollars per million tokens"
RATES = (
    "input",
    "output",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "audio_output",
    "reasoning",
    "request",
)
"""The rates of a price, in the order in which people are shown them."""
MOST = 10**12
"""No rate is as high: a million dollars per million tokens, or a call."""


class Price(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Rates as `Rates` has them, and those of longer prompts and of service tiers (`batch`, `flex`, `priority`, …)."""

    input: int
    output: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    reasoning: int | None = None
    request: int = 0
    tiers: list[PriceTier] = []
    services: dict[str, Price] = {}

    def rates(self) -> dict[str, int]:
        """What is stated, by its name in `RATES`; a fee of 0 is none."""
        stated = {name: getattr(self, name) for name in RATES}
        return {
            name: rate for name, rate in stated.items() if rate is not None and not (name == "request" and not rate)
        }


class PriceTier(Price, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """The price of all tokens of a call with more input tokens than that."""

    above_input_tokens: int


class PricePeriod(Price, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """The price from a day on (UTC), each day between two times (`HH:MM`, UTC) where they are given."""

    from_day: date | None = msgspec.field(default=None, name="from")
    utc: tuple[str, str] | None = None


class PriceRow(Price, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """The price of the models with these names; of `periods` the last one that holds."""

    names: list[str]
    periods: list[PricePeriod] = []
    facts: ModelFacts | None = None


class Table(msgspec.Struct):
    """A whole file. `version` is its day and the digest of its rows, `source` says where they are from.

    `resells`: whose models a provider has at their prices (Azure those of OpenAI).
    """

    version: str
    source: str
    unit: str
    providers: dict[str, list[PriceRow]]
    resells: dict[str, list[str]] = {}

    def by_name(self) -> dict[tuple[str, str], PriceRow]:
        """Each row by provider and name."""
        return {
            (provider, name): row for provider, rows in self.providers.items() for row in rows for name in row.names
        }


def table_of(
    source: str,
    providers: Mapping[str, list[PriceRow]],
    on: date,
    resells: Mapping[str, list[str]] = MappingProxyType({}),
) -> Table:
    """A table of that day, providers in order of their ids."""
    kept = {provider: rows for provider, rows in sorted(providers.items()) if rows}
    version = f"{on.isoformat()}-{digest(kept, resells)}"
    return Table(version=version, source=source, unit=UNIT, providers=kept, resells=dict(sorted(resells.items())))


def digest(
    providers: Mapping[str, Sequence[msgspec.Struct]], resells: Mapping[str, list[str]] = MappingProxyType({})
) -> str:
    """The first 12 hex digits of the SHA-256 of all that decides a price, or of all facts."""
    return hashlib.sha256(msgspec.json.encode([dict(providers), dict(resells)], order="sorted")).hexdigest()[:12]


def parse(content: bytes) -> Table:
    """A table from its file. Raises msgspec.ValidationError, msgspec.DecodeError."""
    table = msgspec.json.decode(content, type=Table)
    if table.unit != UNIT:
        raise msgspec.ValidationError(f"the unit is {table.unit!r}, not {UNIT!r}")
    return table


def dump(table: Table) -> str:
    """The table's file."""
    head = {"version": table.version, "source": table.source, "unit": table.unit, "resells": table.resells}
    return layout(head, table.providers)


def layout(head: Mapping[str, object], providers: Mapping[str, Sequence[msgspec.Struct]]) -> str:
    """A file of rows, one a line; each has `names`, which come first."""
    lines = [*(f"{'{' if not n else ' '}{_json(k)}: {_json(v)}," for n, (k, v) in enumerate(head.items()))]
    lines.append(' "providers": {')
    for number, (provider, rows) in enumerate(providers.items(), 1):
        lines.append(f"  {_json(provider)}: [")
        lines += [f"   {_line(row)}{',' if place < len(rows) else ''}" for place, row in enumerate(rows, 1)]
        lines.append("  ]" + ("," if number < len(providers) else ""))
    return "\n".join([*lines, " }", "}", ""])


def _line(row: msgspec.Struct) -> str:
    members = msgspec.to_builtins(row)
    return _json({"names": members.pop("names"), **members})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def rates_of(row: Price) -> Rates:
    """What the file says, made ready to be computed with."""
    periods = tuple(_period(each) for each in row.periods) if isinstance(row, PriceRow) else ()
    services = {name.lower(): rates_of(each) for name, each in row.services.items()}
    tiers = tuple(
        LongPrompt(each.above_input_tokens, rates_of(each))
        for each in sorted(row.tiers, key=lambda tier: tier.above_input_tokens)
    )
    conditions = Conditions(periods, services, tiers) if periods or services or tiers else None
    return Rates(
        row.input,
        row.output,
        row.cached_input,
        row.cache_write,
        row.request,
        row.cache_write_1h,
        row.audio_input,
        row.audio_output,
        row.reasoning,
        conditions,
    )


def _period(each: PricePeriod) -> Period:
    start = datetime.combine(each.from_day, time(0), tzinfo=UTC).timestamp() if each.from_day else 0
    if each.utc is None:
        return Period(rates_of(each), start)
    return Period(rates_of(each), start, *(_seconds(clock) for clock in each.utc))


def _seconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def micro(value: Decimal | int, scale: int) -> int | None:
    """`value` times `scale` as a whole number; None for what is no price: negative, not finite, or beyond all sense."""
    number = Decimal(value)
    if not number.is_finite() or not 0 <= number < MOST or number * scale >= MOST:
        return None
    return int((number * scale).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def walk(price: Price, path: str = "") -> Iterator[tuple[str, int]]:
    """Every rate of a price with its place: `input`, `batch: output`, `above 200000: input`, `from 2027-01-01: …`."""
    for name, rate in price.rates().items():
        yield path + name, rate
    for tier in price.tiers:
        yield from walk(tier, f"{path}above {tier.above_input_tokens}: ")
    for name, service in price.services.items():
        yield from walk(service, f"{path}{name}: ")
    if isinstance(price, PriceRow):
        for period in price.periods:
            yield from walk(period, f"{path}{when(period)}: ")


def when(period: PricePeriod) -> str:
    """The time of a period in words."""
    words = [f"from {period.from_day.isoformat()}"] if period.from_day else []
    return " ".join([*words, f"{period.utc[0]} to {period.utc[1]} UTC"] if period.utc else words)
