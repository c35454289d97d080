"""`headworks prices`: what models cost, from which table, and where tables disagree."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson
from headworks.cli.terminal import note, paint, print_json, table
from headworks.config import load_settings
from headworks.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from headworks.providers.prices import ModelFacts, PriceFiles, PriceTable
    from headworks.providers.pricing.comparing import Changes, Difference
    from headworks.providers.pricing.importing import Imported

app = new_app("See what models cost, import price tables, and find where they disagree.")
import_app = new_app("""Take over a price table from a file of yours.

Nothing is fetched.

Example: headworks prices import litellm model_prices_and_context_window.json
""")
app.add_typer(import_app, name="import")
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before the table is used.", show_default=False)]
_MOST_SHOWN = 30


@app.command()
def show(
    model: Annotated[str, typer.Argument(metavar="PROVIDER/MODEL", help="As a route names it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a model costs, and when.

    Also which table says so, and what else is known of the model. Rates are dollars per million tokens, `request`
    is dollars per call; in JSON both are micro-dollars.

    Example: headworks prices show openai/gpt-4o-mini
    """
    prices = _files().load()
    provider, _, name = model.partition("/")
    found = _described(prices, provider, name)
    if found is None:
        near = difflib.get_close_matches(model, _all_names(prices), n=3, cutoff=0.8)
        raise NotFound(
            f"No table has a price of `{model}`; its calls are recorded with a cost of null.",
            next_step=f"Near names: {', '.join(near)}." if near else "Names are exact: `provider/model`.",
        )
    if as_json:
        print_json(found)
        return
    print(f"{paint('model', 'dim')}  {model.lower()}")
    print(f"{paint('table', 'dim')}  {found['table']}, {found['version']}")
    for fact, value in _told(found["facts"]).items():
        print(f"{paint('fact', 'dim')}   {fact}: {value}".replace("_", " "))
    print()
    print(_by_condition(found["rates"]))
    for other in found["unused"]:
        note(f"{other} has a price of it, too: `headworks prices check` compares them.")


@app.command()
def check(
    *,
    provider: Annotated[
        str | None, typer.Option("--provider", help="Only this provider's models.", metavar="NAME")
    ] = None,
    with_missing: Annotated[
        bool, typer.Option("--missing", help="Also rates that one table has and another has not.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show where price tables disagree.

    The tables are the shipped one, those that were imported, and your own prices. Only models that two tables have
    by the same name. Rates are dollars per million tokens; in JSON micro-dollars. Of
    the tables that have a model the first one is in force. Exit status: 0 they agree, or your own price settles it; 1
    they do not.

    Example: headworks prices check --provider openai
    """
    from headworks.providers.prices import route_names
    from headworks.providers.pricing.comparing import disagreements
    from headworks.providers.pricing.layers import OVERRIDES

    prices = _files().load()
    names = route_names(prices.layers)
    found = [
        each
        for each in disagreements(prices.layers, with_missing=with_missing)
        if provider in {None, each.provider, names[each.provider]}
    ]
    layers = [layer.name for layer in prices.layers]
    if as_json:
        print_json({"tables": {each.name: each.version for each in prices.layers}, "rows": list(_rows(found, names))})
    elif found:
        cells = ([row["model"], row["field"], *_cells(layers, row["values"])] for row in _rows(found, names))
        print(table(["model", "rate", *layers], list(cells)))
    if len(layers) == 1:
        note(f"There is one table only, `{layers[0]}`: `headworks prices import` takes over others.")
    elif not found:
        note(f"The tables {', '.join(layers)} agree.")
    if any(OVERRIDES not in each.values for each in found):
        raise typer.Exit(1)


@import_app.command()
def litellm(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="model_prices_and_context_window.json")],
    *,
    yes: _Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take over LiteLLM's price file.

    Prices, limits, capabilities and retirement dates. Shows what would change, and asks before the server uses it.

    Example: headworks prices import litellm model_prices_and_context_window.json
    """
    from headworks.providers.pricing.litellm import import_litellm

    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{file}: {error.strerror}.") from None
    _take_over("litellm", import_litellm(content, file.name, datetime.now(UTC).date()), yes=yes, as_json=as_json)


@import_app.command()
def portkey(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A provider's file, or the folder of all.")],
    *,
    yes: _Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take over Portkey's price files.

    One provider's file, or a folder of them, such as a copy of the whole repository. Shows what would change, and
    asks before the server uses it. The new table takes the place of the old one whole.

    Example: headworks prices import portkey models/pricing
    """
    from headworks.providers.pricing.portkey import import_portkey

    _take_over("portkey", import_portkey(path, datetime.now(UTC).date()), yes=yes, as_json=as_json)


def _files() -> PriceFiles:
    from headworks.providers.prices import PriceFiles

    settings = load_settings(None)
    return PriceFiles(settings.prices, settings.data)


def _take_over(name: str, found: Imported, *, yes: bool, as_json: bool) -> None:
    """Show what changes, ask, and put the table where the server looks for it."""
    from headworks.providers.pricing.comparing import changes
    from headworks.providers.pricing.layers import place, read, write

    files = _files()
    target = place(files.folder, name)
    made = changes(read(target), found.table)
    if not as_json:
        _print_changes(made, found)
    is_used = bool(made) and (yes or _agrees(as_json=as_json))
    if is_used:
        write(target, found.table)
    if as_json:
        print_json(_report(made, found, target if is_used else None))
    if not made:
        note(f"{target} says the same already.")
    elif not is_used:
        note("Nothing is written. With --yes it is, without a question.")
        raise typer.Exit(1)
    elif name not in files.settings.order:
        note(f"{target} is written, but the setting `prices.order` does not name {name}.")
    else:
        note(f"{target} is written. `headworks prices check` shows where it disagrees with the others.")


def _agrees(*, as_json: bool) -> bool:
    return not as_json and sys.stdin.isatty() and typer.confirm("Use this table?", err=True)


def _print_changes(made: Changes, found: Imported) -> None:
    from headworks.providers.pricing.comparing import Difference

    models = sum(len(row.names) for rows in found.table.providers.values() for row in rows)
    left_out = "".join(f", {count} left out ({why})" for why, count in found.left_out.items())
    print(f"{models} models with a price{left_out}")
    print(f"{len(made.added)} new, {len(made.removed)} gone, {len(made.changed)} rates changed")
    rows = [
        (f"{each.provider}/{each.model}", each.field, *_cells(["old", "new"], each.values))
        for each in made.changed[:_MOST_SHOWN]
        if isinstance(each, Difference)
    ]
    if rows:
        print(table(("model", "rate", "old", "new"), rows))
    for word, names in (("new", made.added), ("gone", made.removed)):
        if names and len(names) <= _MOST_SHOWN:
            print(f"{word}: {', '.join(names)}")
    if len(made.changed) > _MOST_SHOWN:
        print(f"… and {len(made.changed) - _MOST_SHOWN} more rates; --json has them all.")


def _report(made: Changes, found: Imported, written: Path | None) -> JsonObject:
    return {
        "version": found.table.version,
        "source": found.table.source,
        "written": None if written is None else str(written),
        "left_out": dict(found.left_out),
        "added": made.added,
        "removed": made.removed,
        "changed": list(_rows(made.changed, {})),
    }


def _by_condition(rates: Mapping[str, int]) -> str:
    """A line for each condition, a column for each rate that there is."""
    from headworks.providers.pricing.tables import RATES

    lines: dict[str, dict[str, int]] = {}
    for field, rate in rates.items():
        condition, _, name = f"always: {field}".rpartition(": ")
        lines.setdefault(condition.removeprefix("always: "), {})[name] = rate
    columns = [name for name in RATES if any(name in line for line in lines.values())]
    return table(("when", *columns), [(when, *_cells(columns, line)) for when, line in lines.items()])


def _rows(found: Sequence[Difference], names: Mapping[str, str]) -> Iterator[JsonObject]:
    for each in found:
        model = f"{names.get(each.provider, each.provider)}/{each.model}"
        yield {"model": model, "field": each.field, "values": each.values}


def _cells(columns: Sequence[str], values: Mapping[str, int | None]) -> list[str]:
    return [_dollars(values.get(column)) for column in columns]


def _dollars(micro: int | None) -> str:
    """Micro-dollars as dollars, with two digits or as many as it takes."""
    if micro is None:
        return "–"
    whole, rest = divmod(micro, 1_000_000)
    digits = f"{rest:06}".rstrip("0")
    return f"{whole}.{digits:<02}"


def _described(prices: PriceTable, provider: str, name: str) -> JsonObject | None:
    from headworks.providers.prices import BUILTIN
    from headworks.providers.pricing.tables import walk

    if provider == "builtin" and name.lower() in BUILTIN:
        row: JsonObject = {"table": "builtin", "version": "it runs in this process", "rates": {"input": 0, "output": 0}}
        return row | {"facts": {}, "unused": []}
    stated = prices.stated(provider, name)
    if not stated:
        return None
    (layer, row_in_force), *others = stated
    return {
        "table": layer.name,
        "version": layer.version,
        "source": layer.source,
        "rates": dict(walk(row_in_force)),
        "facts": _facts(prices.find_facts(provider, name)),
        "unused": [other.name for other, _ in others],
    }


def _facts(facts: ModelFacts | None) -> JsonObject:
    import msgspec

    return {} if facts is None else msgspec.to_builtins(facts)


def _told(facts: JsonObject) -> JsonObject:
    """Facts as people read them: all that a model supports in one line."""
    supports = facts.get("supports", {})
    names = {said: ", ".join(name for name, has in supports.items() if has is said) for said in (True, False)}
    told = {**facts, "supports": names[True], "does not support": names[False]}
    return {name: value for name, value in told.items() if value != ""}


def _all_names(prices: PriceTable) -> list[str]:
    from headworks.providers.prices import route_names

    names = route_names(prices.layers)
    return [f"{names[provider]}/{model}" for layer in prices.layers for provider, model in layer.rows]
