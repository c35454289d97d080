"""The tables that are in use, one above the other: the operator's own prices, the shipped table, imported ones."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from headworks.errors import StartupRefused
from headworks.providers.pricing.tables import PriceRow, Table, dump, parse

SHIPPED = "shipped"
IMPORTED = ("litellm", "portkey")
OVERRIDES = "overrides"


class Layer:
    """One table, by name; immutable."""

    def __init__(self, name: str, table: Table) -> None:
        self.name = name
        self.version = table.version
        self.source = table.source
        self.rows = table.by_name()
        """Each row by provider (as the tables name it) and model."""
        self.resells = table.resells

    def resold(self, provider: str, model: str) -> PriceRow | None:
        """The row of another provider whose model this one has at the same price."""
        rows = (self.rows.get((other, model)) for other in self.resells.get(provider, ()))
        return next((row for row in rows if row is not None), None)


@cache
def shipped() -> Layer:
    """The table that comes with this version of Headworks, read once per process."""
    return Layer(SHIPPED, parse(files("headworks.providers").joinpath("prices.json").read_bytes()))


def imported(folder: Path, name: str) -> Layer | None:
    """A table that was imported; None: there is none. Raises StartupRefused for a file that is none."""
    table = read(place(folder, name))
    return None if table is None else Layer(name, table)


def place(folder: Path, name: str) -> Path:
    """Where an imported table lies."""
    return folder / f"{name}.json"


def read(path: Path) -> Table | None:
    """A table's file; None: there is none. Raises StartupRefused."""
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise StartupRefused(
            f"{path}: this is no price table: {error}.", next_step="Import it again with `headworks prices import`."
        ) from None


def write(path: Path, table: Table) -> None:
    """Put a table in place; who reads meanwhile reads the old one or the new one. Raises StartupRefused."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.write_text(dump(table), encoding="utf-8")
        staging.replace(path)
    except OSError as error:
        raise StartupRefused(f"{path}: {error.strerror}.") from None
