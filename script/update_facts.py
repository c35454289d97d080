"""Regenerates src/headworks/providers/facts.json from a wheel of `litellm`, or from the folder where it is installed.

    pip download --no-deps litellm
    .venv/bin/python script/update_facts.py litellm-*.whl [--date YYYY-MM-DD] [--check]

LiteLLM's file of prices lies in its package. It is read as `headworks prices import litellm` reads it; all but the
price is kept of each model of the catalogue's providers that prices.json prices by that very name, and of those that
moderate, which cost nothing. So prices.json comes first.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from headworks.providers.catalog import Catalog
from headworks.providers.prices import PriceTable, price_ids
from headworks.providers.pricing.fact_table import FactTable, dump, parse, table_of
from headworks.providers.pricing.litellm import import_litellm, litellm_facts
from headworks.providers.vendors import VENDORS

TARGET = Path(__file__).resolve().parent.parent / "src/headworks/providers/facts.json"
WITHIN = "litellm/model_prices_and_context_window_backup.json"


def build(package: Distribution, on: date) -> FactTable:
    """The whole table as it is written."""
    ids = price_ids()
    providers = {ids.get(row.id, row.id) for row in (*Catalog.load(), *VENDORS.values())}
    priced = PriceTable.load()
    content = next(each for each in package.files or () if each.as_posix() == WITHIN).read_binary()
    rows = import_litellm(content, WITHIN, on).table.by_name()
    own = {key: row.facts for key, row in rows.items() if row.facts is not None}
    facts = {
        (provider, model): known
        for (provider, model), known in {**litellm_facts(content, WITHIN), **own}.items()  # what it prices goes before
        if provider in providers and (known.kind == "moderation" or priced.stated(provider, model))
    }
    return table_of(f"litellm {package.version}", facts, on)


def find(place: Path) -> Distribution | None:
    """LiteLLM's package in that wheel or folder."""
    return next(iter(distributions(name="litellm", path=[str(place)])), None)


def main(arguments: list[str]) -> int:
    """Writes the file, or with --check says whether that package would change it."""
    parser = argparse.ArgumentParser(description="Regenerate providers/facts.json from LiteLLM's package.")
    parser.add_argument("package", type=Path, help="a wheel of litellm, or a folder of installed packages")
    parser.add_argument("--date", type=date.fromisoformat, default=datetime.now(UTC).date())
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if facts would change")
    options = parser.parse_args(arguments)
    package = find(options.package)
    if package is None:
        parser.error(f"{options.package} has no litellm.")
    table = build(package, options.date)
    if options.check:
        old = parse(TARGET.read_bytes())
        is_same = old.providers == table.providers
        print(f"{'unchanged' if is_same else 'changed'}: {old.version} -> {table.version}")
        return 0 if is_same else 1
    TARGET.write_text(dump(table), encoding="utf-8")
    print(f"{TARGET}: {table.version}, {len(table.providers)} providers, {len(table.by_name())} models")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
