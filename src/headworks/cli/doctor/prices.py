"""The price tables that the settings name."""

from __future__ import annotations

from headworks.cli.doctor.findings import Finding
from headworks.config import Settings
from headworks.errors import StartupRefused
from headworks.providers.prices import PriceFiles, PriceTable


def look(settings: Settings) -> tuple[PriceTable, Finding]:
    """The tables in force, the shipped one alone if the others can't be read, and what is to be said of them."""
    try:
        table = PriceFiles(settings.prices, settings.data).load()
    except StartupRefused as error:
        return PriceTable.load(), Finding("prices", "to do", error.message, error.next_step)
    return table, Finding("prices", "ok", ", ".join(f"{each.name} {each.version}" for each in table.layers))
