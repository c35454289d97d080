"""`headworks collections`."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import Columns, moment, paint, pick, print_json, table, tell_rows, wrapped
from headworks.types.wording import counted

app = new_app("List collections, and see how healthy one is.")
_TIMES = ("synced_at", "due_at", "hidden_from")
_HIDDEN = (("vanished", "vanished, not purged yet"), ("not_yet_valid", "not valid yet"), ("expired", "no longer valid"))


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List the collections that you may read.

    Example: headworks collections list
    """
    rows = client.get(place("collections"))["rows"]
    columns: Columns = {name: name for name in ("name", "documents", "description")}
    tell_rows(rows, columns, as_json=as_json, none="There is no collection that you may read.")


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
    files = counted(found["queued"], "file waits", "files wait")
    waits = f"; {files}, the oldest for {found['lag_s']:.0f} s" if found["queued"] else ""
    print(f"{counted(found['documents'], 'document')} in {counted(found['chunks'], 'chunk')}{waits}.")
    others = [f"{found[name]:,} {words}" for name, words in _HIDDEN if found[name]]
    if others:
        print(f"{'; '.join(others)}.")
    if found["sources"]:
        cells = [[*pick(row, "source", "state"), *map(moment, pick(row, *_TIMES))] for row in found["sources"]]
        print()
        print(table(("source", "state", "last sync", "next sync", "hidden from"), cells))
    for each in found["problems"]:
        mark = paint("!", "red") if each["needs_action"] else paint("-", "yellow")
        print(f"\n{mark} {each['message']}\n{paint(wrapped(each['next_step'], '    '), 'dim')}")
    if not found["problems"]:
        print(paint("Nothing is wrong.", "green"))
