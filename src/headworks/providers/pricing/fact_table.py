"""The facts that are shipped, as a file: a line for the models of a provider of which the same is known.

They are of models that the shipped price table prices, by exact names, under the same providers, and of models that
moderate, which cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files

import msgspec

from headworks.providers.pricing.facts import ModelFacts
from headworks.providers.pricing.tables import digest, layout


class FactRow(msgspec.Struct):
    """What is known of the models with these names, which are in lower case."""

    names: list[str]
    facts: ModelFacts


class FactTable(msgspec.Struct):
    """A whole file. `version` is its day and the digest of its rows, `source` says where they are from."""

    version: str
    source: str
    providers: dict[str, list[FactRow]]

    def by_name(self) -> dict[tuple[str, str], ModelFacts]:
        """The facts of each model by provider and name."""
        return {
            (provider, name): row.facts
            for provider, rows in self.providers.items()
            for row in rows
            for name in row.names
        }


def table_of(source: str, facts: Mapping[tuple[str, str], ModelFacts], on: date) -> FactTable:
    """The facts of a day, in order of providers and names."""
    rows: dict[str, dict[bytes, FactRow]] = {}
    for (provider, name), known in sorted(facts.items(), key=lambda entry: entry[0]):
        same = msgspec.json.encode(known, order="sorted")
        rows.setdefault(provider, {}).setdefault(same, FactRow([], known)).names.append(name)
    providers = {provider: list(found.values()) for provider, found in rows.items()}
    return FactTable(f"{on.isoformat()}-{digest(providers)}", source, providers)


def parse(content: bytes) -> FactTable:
    """A table from its file. Raises msgspec.ValidationError, msgspec.DecodeError."""
    return msgspec.json.decode(content, type=FactTable)


def dump(table: FactTable) -> str:
    """The table's file."""
    return layout({"version": table.version, "source": table.source}, table.providers)


@cache
def shipped_facts() -> Mapping[tuple[str, str], ModelFacts]:
    """The facts that come with this version of Headworks, read once per process, when first asked for."""
    return parse(files("headworks.providers").joinpath("facts.json").read_bytes()).by_name()
