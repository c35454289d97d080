"""`headworks permissions`: who may read what, and why."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split_document, with_client
from headworks.cli.terminal import paint, print_json, visible
from headworks.errors import NotFound

app = new_app("Say why somebody may or may not read a document.")


@app.callback()
def permissions() -> None:
    """Say why somebody may or may not read a document."""


@app.command()
@with_client
def explain(
    client: Client,
    user: Annotated[str, typer.Argument(help="A user or service account.", metavar="USER")],
    document: Annotated[str, typer.Argument(help="Its id, COLLECTION/PATH, or its path.", metavar="DOCUMENT")],
    *,
    collection: Annotated[
        str | None, typer.Option("--collection", help="Where the path is to be looked for.", metavar="NAME")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why somebody may or may not read a document: lists, groups in groups, deny entries, validity.

    Exit status 0 whether he may or not. The question is written to the audit.

    Example: headworks permissions explain jane board/merger.md
    """
    found = _explained(client, user, document, collection)
    if as_json:
        print_json(found)
        return
    mark = paint("may read", "green") if found["may_read"] else paint("may not read", "red")
    print(f"{visible(found['principal'])} {mark} {visible(found['path'])} in {visible(found['collection'])}")
    print(f"  {visible(found['reason'])}")
    for admission in found["admissions"]:
        _print_admission(admission)
    for obstacle in found["obstacles"]:
        print(f"  nobody: {visible(obstacle)}")


def _explained(client: Client, user: str, document: str, collection: str | None) -> JsonObject:
    """By its path or id as it is given; or else as `COLLECTION/PATH`, as other commands name documents."""
    within = {} if collection is None else {"collection": collection}
    try:
        found: JsonObject = client.post(place("readers", "explain"), {"principal": user, "document": document} | within)
    except NotFound as error:
        first, path = split_document(document)
        if first is None or collection is not None or error.param != "document":
            raise
        asked = {"principal": user, "document": path, "collection": first}
        with suppress(NotFound):
            return client.post(place("readers", "explain"), asked)  # type: ignore[no-any-return] # JSON
        raise
    return found


def _print_admission(admission: JsonObject) -> None:
    """One list: where it comes from, who is on it, and by which groups it admits."""
    print(f"  {admission['kind']:<10} {visible(admission['origin'])}")
    if admission["listed"]:
        print(f"    readers  {visible(', '.join(admission['listed']))}")
    for by, way in zip(admission["by"], admission["ways"], strict=True):
        print(f"    admits   {visible(' → '.join(way or [by]))}")
    if admission["denied"]:
        print(f"    deny     {visible(', '.join(admission['denied']))}")
    for by in admission["denied_by"]:
        print(f"    denies   {visible(by)}")
