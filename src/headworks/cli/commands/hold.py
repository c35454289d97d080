"""`headworks hold`: legal holds."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split_document, with_client
from headworks.cli.terminal import Columns, moment, tell, tell_rows

app = new_app("Place, list and release legal holds: while one stands, nothing of its subject is purged or erased.")


@app.command("place")
@with_client
def place_hold(
    client: Client,
    *,
    document: Annotated[
        str | None, typer.Option("--document", help="A document: its id, or COLLECTION/PATH.", metavar="DOCUMENT")
    ] = None,
    collection: Annotated[
        str | None, typer.Option("--collection", help="A whole collection.", metavar="COLLECTION")
    ] = None,
    person: Annotated[str | None, typer.Option("--person", help="A principal.", metavar="NAME")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.", metavar="TEXT")],
    as_json: AsJson = False,
) -> None:
    """Let nothing of a document, a collection or a person be purged or erased.

    Example: headworks hold place --collection handbook --reason "case 2026-17"
    """
    from headworks.errors import InvalidRequest

    named = {"document": document, "collection": collection, "person": person}
    given = {kind: name for kind, name in named.items() if name is not None}
    if len(given) != 1:
        raise InvalidRequest("One of --document, --collection and --person is needed.", param="kind")
    ((kind, name),) = given.items()
    within, named_so = split_document(name) if kind == "document" else (None, name)
    made = client.post(place("holds"), {"kind": kind, "name": named_so, "collection": within, "reason": reason})
    tell(made, lambda: f"The hold {made['hold']} stands on the {kind} {made['subject']}.", as_json=as_json)


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List legal holds.

    Example: headworks hold list
    """
    rows = client.get(place("holds"))["rows"]
    columns: Columns = {
        "placed": lambda row: moment(row["placed_at"]),
        "on a": "kind",
        "what": lambda row: row["path"] or row["title"] or row["subject"],
        "reason": "reason",
        "hold": "hold",
    }
    tell_rows(rows, columns, as_json=as_json, none="No legal hold stands.")


@app.command()
@with_client
def release(
    client: Client,
    hold: Annotated[str, typer.Argument(help="The hold's id.", metavar="HOLD")],
    *,
    as_json: AsJson = False,
) -> None:
    """Release a legal hold.

    Example: headworks hold release 01a2…
    """
    gone = client.delete(place("holds", hold))
    tell(gone, lambda: f"Released: nothing holds the {gone['kind']} {gone['subject']} by it.", as_json=as_json)
