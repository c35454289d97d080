"""What importers share: what they make, what they say of rows that they leave out, and how they read numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from headworks.errors import InvalidRequest
from headworks.providers.pricing.tables import RATES, Price, PriceRow, PriceTier, Table, table_of


@dataclass(frozen=True, slots=True)
class Imported:
    """A table, and how many models were left out for which reason."""

    table: Table
    left_out: Mapping[str, int]


class Collected:
    """Rows of a file on their way into a table; of two rows with one name the first one stays."""

    def __init__(self) -> None:
        self._providers: dict[str, dict[str, PriceRow]] = {}
        self._left_out: Counter[str] = Counter()

    def add(self, provider: str, name: str, row: PriceRow) -> None:
        """A model's row; left out where everything in it costs nothing, which is how such files say `unknown`."""
        rows = self._providers.setdefault(provider, {})
        if not any(row.rates().values()):
            self.leave_out("costs nothing, or nobody knows")
        elif name.lower() in rows:
            self.leave_out("stands twice")
        else:
            row.names = [name.lower()]
            rows[name.lower()] = row

    def leave_out(self, reason: str) -> None:
        """A model that is not taken over."""
        self._left_out[reason] += 1

    def finish(self, source: str, on: date) -> Imported:
        """The table. Raises InvalidRequest when no model is priced: it is some other file."""
        providers = {name: list(rows.values()) for name, rows in self._providers.items()}
        table = table_of(source, providers, on)
        if not table.providers:
            raise InvalidRequest(f"{source}: no model in it has a price by token.")
        return Imported(table, dict(self._left_out))


def read_object(content: bytes, where: str) -> dict[str, Any]:
    """A JSON object with exact numbers. Raises InvalidRequest."""
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"{where}: {error}.") from None


def price(rates: Mapping[str, int]) -> Price | None:
    """A price of these rates; None without one for input."""
    return msgspec.convert(dict(rates), Price) if "input" in rates else None


def tier(above_input_tokens: int, rates: Mapping[str, int]) -> PriceTier:
    """The price of longer prompts."""
    return msgspec.convert({"above_input_tokens": above_input_tokens, **rates}, PriceTier)


def number(value: object) -> Decimal | None:
    """A number of JSON; None for anything else."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return Decimal(value)
    return None


def inherited(base: Price, stated: Mapping[str, int]) -> dict[str, int]:
    """The rates of a tier or a service: what is stated, else those of the base."""
    return {name: rate for name in RATES if (rate := stated.get(name, getattr(base, name))) is not None}


_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
