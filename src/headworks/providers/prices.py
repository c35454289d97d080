"""What a call costs, and what tables know of a model: exact names only; what is in no table has no price.

The face of `providers/pricing/`. Tables lie above one another: the operator's own prices, then, in the order of the
setting `prices.order`, the one that is shipped and those that were imported; the first that has a model decides. Below
them all are the shipped facts, which have no prices.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import Literal

import msgspec

from headworks.config import PriceSettings
from headworks.errors import ModelUnpriced, StartupRefused
from headworks.providers.catalog import Catalog
from headworks.providers.pricing.fact_table import shipped_facts
from headworks.providers.pricing.facts import ModelFacts
from headworks.providers.pricing.layers import IMPORTED, SHIPPED, Layer, imported, place, shipped
from headworks.providers.pricing.overrides import read_overrides
from headworks.providers.pricing.rates import FREE, Rates
from headworks.providers.pricing.tables import PriceRow, rates_of
from headworks.providers.vendors import VENDORS

__all__ = ["BUILTIN", "FREE", "ModelFacts", "PriceFiles", "PriceTable", "Rates", "Unpriced", "check_priced"]

_log = logging.getLogger(__name__)

Unpriced = Literal["allow", "refuse"]
"""What becomes of calls of models without a price."""
BUILTIN: Mapping[str, Rates] = {"extractive": FREE, "simulated": FREE, "minilm": FREE}


class PriceTable:
    """All prices that are in force here; immutable."""

    def __init__(self, layers: Sequence[Layer], aliases: Mapping[str, str] | None = None) -> None:
        """`layers`: the first that has a model decides; `aliases`: the tables' ids of the catalogue's providers."""
        self.layers = tuple(layers)
        self._aliases = price_ids() if aliases is None else aliases
        self.version = "+".join(
            layer.version if layer.name == SHIPPED else f"{layer.name}-{layer.version}" for layer in self.layers
        )
        """Of each table its name, unless it is the shipped one, its day and the digest of its rows; stands on every
        usage row that was priced with it."""
        self._made = {("builtin", model): free for model, free in BUILTIN.items()}

    @staticmethod
    @cache
    def load() -> PriceTable:
        """The shipped table alone, read once per process."""
        return PriceTable((shipped(),))

    def find(self, provider: str, model: str) -> Rates | None:
        """Rates of a catalogue provider's model by its exact name, whatever its case; None: it has no price."""
        key = self._key(provider, model)
        rates = self._made.get(key)
        if rates is None and (stated := self.stated(provider, model)):
            rates = self._made[key] = rates_of(stated[0][1])
        return rates

    def find_facts(self, provider: str, model: str) -> ModelFacts | None:
        """What the tables know of a model, the first that says something of each fact, the shipped facts last.

        Where nothing is known of it as this provider has it, what is known of it from a maker whose models it resells.
        None: nothing.
        """
        seller, name = self._key(provider, model)
        own = self._facts_of((seller, name))
        if own is not None:
            return own
        makers = (maker for layer in self.layers for maker in layer.resells.get(seller, ()))
        found = (self._facts_of((maker, name)) for maker in makers)
        return next((facts.elsewhere() for facts in found if facts is not None), None)

    def _facts_of(self, key: tuple[str, str]) -> ModelFacts | None:
        rows = (layer.rows.get(key) for layer in self.layers)
        said = [row.facts for row in rows if row is not None and row.facts is not None]
        if (last := shipped_facts().get(key)) is not None:
            said.append(last)
        return reduce(ModelFacts.filled_from, said) if said else None

    def stated(self, provider: str, model: str) -> list[tuple[Layer, PriceRow]]:
        """What each table says of a model, the one that decides first.

        A row of the provider's own, in whichever table, goes before one of a provider whose models it resells.
        """
        key = self._key(provider, model)
        own = [(layer, row) for layer in self.layers if (row := layer.rows.get(key)) is not None]
        return own or [(layer, row) for layer in self.layers if (row := layer.resold(*key)) is not None]

    def _key(self, provider: str, model: str) -> tuple[str, str]:
        return self._aliases.get(provider, provider), model.lower()


@cache
def price_ids() -> Mapping[str, str]:
    """What the tables call a provider, by its id in the catalogue, where the two differ."""
    rows = (*Catalog.load(), *VENDORS.values())
    return {provider.id: provider.price_provider for provider in rows if provider.price_provider}


def route_names(layers: Sequence[Layer]) -> dict[str, str]:
    """What routes call the providers of these tables."""
    back = {table: catalogue for catalogue, table in reversed(list(price_ids().items()))}
    return {provider: back.get(provider, provider) for layer in layers for provider, _ in layer.rows}


def check_priced(rates: Rates | None, model: str, policy: Unpriced, *, is_local: bool) -> None:
    """Refuse a target that may not be called: ModelUnpriced where it has no price and the policy is `refuse`.

    What runs on this host (`is_local`) is paid for already and needs no price. `model` is named in the error.
    """
    if rates is None and policy == "refuse" and not is_local:
        raise ModelUnpriced(
            f"Nobody knows what `{model}` costs, and this server calls no model without a price.",
            next_step="Its operator can state one in `prices.overrides`, or set `prices.unpriced` to `allow`.",
            param="model",
        )


class PriceFiles:
    """The price tables that the settings name, read again when one of their files has changed."""

    def __init__(self, settings: PriceSettings, data: Path) -> None:
        """`data` is the server's data folder. Raises StartupRefused for an `order` that names no tables."""
        unknown = [name for name in settings.order if name not in {SHIPPED, *IMPORTED}]
        if unknown or len(set(settings.order)) < len(settings.order):
            raise StartupRefused(
                f"The setting `prices.order` is {', '.join(settings.order)}.",
                next_step=f"It holds {', '.join((SHIPPED, *IMPORTED))}, or some of them, each once.",
            )
        self.settings = settings
        self.folder = settings.tables or data / "prices"
        self._table: PriceTable | None = None
        self._seen: tuple[object, ...] = ()

    def load(self) -> PriceTable:
        """The tables as their files are now. Raises StartupRefused with the file that is wrong."""
        seen = self._look()
        found = (shipped() if name == SHIPPED else imported(self.folder, name) for name in self.settings.order)
        below = PriceTable([layer for layer in found if layer is not None])
        self._table, self._seen = below, seen
        if self.settings.overrides is not None:
            ids = price_ids()
            own = read_overrides(
                self.settings.overrides,
                lambda provider, model: _row_in_force(below, provider, model),
                lambda provider: ids.get(provider, provider),
            )
            self._table = PriceTable([own, *below.layers])
        return self._table

    def current(self) -> PriceTable:
        """The table in force; a file that has become unreadable since is logged, and the last good one stays.

        Cheap enough to be asked each second. Raises StartupRefused only the first time.
        """
        if self._table is None:
            return self.load()
        seen = self._look()
        if seen != self._seen:
            before, self._seen = self._table, seen
            try:
                self.load()
            except StartupRefused as error:
                self._table = before
                _log.error("prices stay as they were: %s", error)
        return self._table

    def _look(self) -> tuple[object, ...]:
        """What shows that a file has changed."""
        paths = [place(self.folder, name) for name in IMPORTED]
        return tuple(_mark(path) for path in [*paths, self.settings.overrides] if path is not None)


def _row_in_force(table: PriceTable, provider: str, model: str) -> PriceRow | None:
    """The row that decides a model's price, with all that is known of the model."""
    stated = table.stated(provider, model)
    return msgspec.structs.replace(stated[0][1], facts=table.find_facts(provider, model)) if stated else None


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
