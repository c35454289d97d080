"""`headworks ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from headworks.cli.client import Client
from headworks.cli.lazy import new_app
from headworks.cli.metadata import metadata_of
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.syncing import sync_sources
from headworks.cli.terminal import escaped, note, one_line, print_json, progress, width
from headworks.cli.uploading import Ingest, Outcome
from headworks.config import load_settings
from headworks.errors import InvalidRequest
from headworks.types.wording import counted

app = new_app()


@app.command()
@with_client
def ingest(  # noqa: PLR0913 -- each is an option of the command
    client: Client,
    collection: Annotated[str, typer.Argument(help="The collection's name.", metavar="COLLECTION")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders, or single files; none: the sources of its file.", metavar="PATH"),
    ] = None,
    *,
    readers: Annotated[
        list[str] | None,
        typer.Option("--readers", help="Who may read these documents, beside the collection's list.", metavar="A,B"),
    ] = None,
    deny: Annotated[
        list[str] | None,
        typer.Option("--deny", help="Whom these documents are closed to, whatever list admits them.", metavar="A,B"),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", help="What filters may ask for; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    allow_deletions: Annotated[
        bool,
        typer.Option("--allow-deletions", help="Let vanish what is gone, also where that is most of a folder."),
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return when all is handed in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring folders and files into a collection, and wait until they can be found.

    Without a path the server syncs the `sources` of the collection's file, e.g. a web site; Ctrl-C leaves it at that.

    Of a folder only what changed since the last time is sent, and what is no longer in it vanishes from the collection.
    Where that would be most of it, nothing is changed, since the folder may not be mounted: --allow-deletions says that
    it is meant. For sources it confirms what their last sync has held back.

    Where the collection is paused, it says so and does not wait; with --json `paused` names what is, and `is_waiting`
    says that not everything is searchable yet.

    Interrupted, run it again: nothing that was handed in is lost. With --readers, --deny or --metadata every file is
    sent again. A value of --metadata is a number, true, false or a JSON list where it reads as one, else text or a
    date; the same key again makes a list.

    With --json one object with documents, chunks and failed (path, code, message). Exit status 1 if a file failed.

    Example: headworks ingest documents ~/handbook
    """
    named = None if readers is None else tuple(split(readers) or ())
    denied = None if deny is None else tuple(split(deny) or ())
    said = metadata_of(metadata)
    for option, given in (("readers", named), ("deny", denied), ("metadata", said)):
        if not paths and given is not None:
            raise InvalidRequest(
                f"--{option} is for files; those of a source are in the collection's file.", param=option
            )
    with progress() as bars:
        if paths:
            limit = load_settings(None).retrieval.max_file_mb << 20
            outcome = Ingest(
                client, collection, named, not no_wait, bars, max_bytes=limit, denied=denied, metadata=said,
                allows_deletions=allow_deletions,
            ).run(paths)  # fmt: skip
        else:
            outcome = sync_sources(client, collection, waits=not no_wait, bars=bars, allows_deletions=allow_deletions)
    _end(outcome, as_json=as_json)


def _end(outcome: Outcome, *, as_json: bool) -> NoReturn:
    for lane in dict.fromkeys(outcome.paused):
        note(f"`{lane}` is paused: what is handed in is stored, and waits for `headworks jobs resume {lane}`.")
    if as_json:
        print_json(outcome.as_json())
    else:
        _print(outcome)
    raise typer.Exit(1 if outcome.failed else 0)


def _print(outcome: Outcome) -> None:
    for notice in dict.fromkeys(outcome.notices):
        note(f"note: {notice}")
    state = " Some are still being read." if outcome.is_waiting else ""
    print(
        f"{counted(outcome.documents, 'document')} in {counted(outcome.chunks, 'chunk')}: {outcome.sent} sent, "
        f"{outcome.unchanged} unchanged, {len(outcome.failed)} failed.{state}"
    )
    for each in outcome.failed:
        print(f"  {escaped(each.path)}\n    {each.code}: {one_line(each.message, 4 * width())}")
