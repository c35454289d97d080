"""`headworks collections`."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import paint, pick, print_json, table, wrapped

app = new_app("List collections, and see how healthy one is.")
_HIDDEN = (("vanished", "vanished, not purged yet"), ("not_yet_valid", "not valid yet"), ("expired", "no longer valid"))


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List the collections that you may read.

    Example: headworks collections list
    """
    rows = client.get(place("collections"))["rows"]
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "documents", "description")
        print(table(columns, [pick(row, *columns) for row in rows]))


@app.command()
@with_client
def health(
    client: Client,
    collection: Annotated[str, typer.Argument(help="The collection's name.", metavar="COLLECTION")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say how a collection is: what waits, failed, is stale or can't be opened, and what to do about each.

    Exit status 1 if somebody has to do something.

    Example: headworks collections health handbook
    """
    found = client.get(place("collections", collection, "health"))
    if as_json:
        print_json(found)
    else:
        _print(found)
    raise typer.Exit(1 if any(each["needs_action"] for each in found["problems"]) else 0)


def _print(found: JsonObject) -> None:
    waits = f"; {found['queued']:,} files wait, the oldest for {found['lag_s']:.0f} s" if found["queued"] else ""
    print(f"{found['documents']:,} documents in {found['chunks']:,} chunks{waits}.")
    others = [f"{found[name]:,} {words}" for name, words in _HIDDEN if found[name]]
    if others:
        print(f"{'; '.join(others)}.")
    if found["sources"]:
        names = ("source", "state", "synced_at", "due_at", "hidden_from")
        cells = [[str(value)[:19] if value else None for value in pick(row, *names)] for row in found["sources"]]
        print()
        print(table(("source", "state", "last sync", "next sync", "hidden from"), cells))
    for each in found["problems"]:
        mark = paint("!", "red") if each["needs_action"] else paint("-", "yellow")
        print(f"\n{mark} {each['message']}\n{paint(wrapped(each['next_step'], '    '), 'dim')}")
    if not found["problems"]:
        print(paint("Nothing is wrong.", "green"))
