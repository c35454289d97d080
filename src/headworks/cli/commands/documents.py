"""`headworks documents`: what became of what was handed in."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split, split_document, with_client
from headworks.cli.receipts import tell_receipts
from headworks.cli.terminal import moment, note, one_line, print_json, short, table, visible, width
from headworks.types.wording import counted

app = new_app("What failed, was replaced or vanished: see it, try it again, delete it, purge it.")
_Collection = Annotated[str, typer.Argument(help="The collection's name.", metavar="COLLECTION")]
_Document = Annotated[str, typer.Argument(help="Its id, or COLLECTION/PATH.", metavar="DOCUMENT")]


@app.command()
@with_client
def failed(client: Client, collection: _Collection, *, as_json: AsJson = False) -> None:
    """List the files that could not be taken, and why: your own, and those of the sources of the collection's file.

    Originals are kept for 30 days, or until a file is handed in again. Exit status 1 if there are any.

    Example: headworks documents failed handbook
    """
    rows = client.get(place("collections", collection, "failed"))["rows"]
    if as_json:
        print_json(rows)
    else:
        _print_failed(rows, collection)
    raise typer.Exit(1 if rows else 0)


def _print_failed(rows: list[JsonObject], collection: str) -> None:
    for row in rows:
        original = "" if row["has_original"] else "  (its source has the original)"
        print(f"{visible(row['path'])}{original}\n    {row['code']}: {one_line(row['message'], 4 * width())}")
    print(f"{len(rows)} failed. Try them again: headworks documents retry {collection}" if rows else "Nothing failed.")


@app.command()
@with_client
def retry(
    client: Client,
    collection: _Collection,
    *,
    code: Annotated[list[str] | None, typer.Option("--code", help="Only these failures.", metavar="A,B")] = None,
    path: Annotated[list[str] | None, typer.Option("--path", help="Only these files.", metavar="PATH")] = None,
    as_json: AsJson = False,
) -> None:
    """Try again what failed: from the originals that were kept; sources are asked again for theirs.

    Example: headworks documents retry handbook --code needs_ocr
    """
    answer = client.post(place("collections", collection, "failed", "retry"), {"codes": split(code), "paths": path})
    if as_json:
        print_json(answer)
        return
    print(f"{counted(answer['queued'], 'file is', 'files are')} queued again.")
    if answer["sources"]:
        print(f"Asked again: {', '.join(answer['sources'])}.")
    if answer["left"]:
        print(f"{counted(answer['left'], 'file has', 'files have')} no original here: to be handed in again.")


@app.command()
@with_client
def delete(
    client: Client,
    collection: _Collection,
    paths: Annotated[list[str], typer.Argument(help="Paths as they were handed in.", metavar="PATH")],
    *,
    source: Annotated[
        str | None, typer.Option("--source", help="Only what was handed in under this name.", metavar="NAME")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let documents vanish by their paths, at once. They are purged later; `headworks erase` does it now.

    Example: headworks documents delete handbook drafts/old.md
    """
    answer = client.post(place("collections", collection, "documents", "delete"), {"paths": paths, "source": source})
    if as_json:
        print_json(answer)
        return
    print(f"{answer['vanished']} of {len(paths)} vanished.")
    if answer["vanished"] < len(set(paths)):
        note("note: what is not there, or comes from a source of the collection's file, was left out.")


@app.command()
@with_client
def versions(
    client: Client,
    document: _Document,
    *,
    text: Annotated[int | None, typer.Option("--text", help="Print the text of this version.", metavar="N")] = None,
    as_json: AsJson = False,
) -> None:
    """List the versions of a document: who brought which when. Texts of old ones are there until they are purged.

    Example: headworks documents versions handbook/policies/claims.md
    """
    within, path = split_document(document)
    found = path if within is None else _id_of(client, within, path or "")
    if text is not None:
        version = client.get(place("documents", found or "", "versions", str(text)))
        print_json(version) if as_json else print(visible(version["text"]))
        return
    rows = client.get(place("documents", found or "", "versions"))["rows"]
    if as_json:
        print_json(rows)
        return
    cells = [
        (row["version"], moment(row["created_at"]), row["handed_in_by"], row["characters"], short(row["sha256"]),
         row["has_text"], moment(row["replaced_at"]))
        for row in rows
    ]  # fmt: skip
    print(table(("version", "handed in", "by", "characters", "sha256", "text", "replaced"), cells))


def _id_of(client: Client, collection: str, path: str) -> str:
    from headworks.errors import NotFound

    rows = client.post(place("collections", collection, "documents", "find"), {"paths": [path]})["rows"]
    if not rows:
        raise NotFound(f"There is no document `{path}` in `{collection}` that you may read.", param="document")
    return str(rows[0]["document"])


@app.command()
@with_client
def purge(
    client: Client,
    collection: _Collection,
    *,
    now: Annotated[bool, typer.Option("--now", help="Also what was not kept for its time yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove for good what vanished or was replaced, when it has been kept for its time; with a receipt.

    The server does it by itself every hour. What a legal hold stands on stays.

    Example: headworks documents purge handbook --now
    """
    rows = client.post(place("collections", collection, "purge"), {"at_once": now})["rows"]
    tell_receipts(rows, as_json=as_json, none="Nothing is to be purged.")
