"""`headworks retrieval`: how good a collection's search is, by golden queries of the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from headworks.cli.client import Client
from headworks.cli.gathering import gathered
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import note, print_json, progress
from headworks.types.wording import counted

if TYPE_CHECKING:
    from headworks.cli.quality.telling import Report

app = new_app("Measure how well a collection's search finds what it should.")
golden_app = new_app("Golden queries: what should be found, in `collections/<name>.golden.jsonl` of the workspace.")
app.add_typer(golden_app, name="golden")

_Collection = Annotated[str, typer.Argument(help="The collection's name.", metavar="COLLECTION")]
_Workspace = Annotated[Path, typer.Option("--workspace", help="The folder that holds routes.yaml.", metavar="DIR")]
_USUAL = Path("workspace")
_Words: TypeAlias = list[str] | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What can be chosen of a measurement."""

    workspace: _Workspace = _USUAL
    golden: Annotated[Path | None, typer.Option("--golden", help="Another file of golden queries.", metavar="FILE")] = (
        None
    )
    settings: Annotated[
        _Words, typer.Option("--with", help="A setting of the search; may be repeated.", metavar="NAME=VALUE")
    ] = None
    against: Annotated[
        _Words,
        typer.Option("--against", help="Compare with this setting instead; may be repeated.", metavar="NAME=VALUE"),
    ] = None
    k: Annotated[int, typer.Option("--k", "-k", help="Where rankings are cut off.", metavar="N", min=1, max=100)] = 10
    tags: Annotated[_Words, typer.Option("--tag", help="Only queries of this tag; may be repeated.", metavar="TAG")] = (
        None
    )
    key_for: Annotated[
        _Words,
        typer.Option("--key-for", help="Where the key for queries `as` NAME is.", metavar="NAME=VARIABLE"),
    ] = None
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Documents that are not there are not found.", show_default=False),
    ] = False
    worst: Annotated[int, typer.Option("--worst", help="Show so many of the worst.", metavar="N", min=0)] = 5
    export: Annotated[
        Path | None, typer.Option("--export", help="Write queries and results here, as JSON lines.", metavar="FILE")
    ] = None
    at_least: Annotated[
        _Words,
        typer.Option("--at-least", help="Exit status 1 if a mean is lower; may be repeated.", metavar="NAME=VALUE"),
    ] = None


@dataclass(frozen=True, slots=True)
class TuneChosen:
    """What can be chosen of a tuning."""

    workspace: _Workspace = _USUAL
    golden: Annotated[Path | None, typer.Option("--golden", help="Another file of golden queries.", metavar="FILE")] = (
        None
    )
    settings: Annotated[
        _Words, typer.Option("--with", help="Another setting of the search; may be repeated.", metavar="NAME=VALUE")
    ] = None
    k: Annotated[int, typer.Option("--k", "-k", help="Where rankings are cut off.", metavar="N", min=1, max=100)] = 10
    key_for: Annotated[
        _Words,
        typer.Option("--key-for", help="Where the key for queries `as` NAME is.", metavar="NAME=VARIABLE"),
    ] = None


@app.command("eval")
@with_client
@gathered
def evaluate(client: Client, collection: _Collection, *, chosen: Chosen, as_json: AsJson = False) -> None:
    """Measure a search on golden queries: nDCG, recall, MRR and hit rate, with 95 % intervals.

    Each query is asked as `search` asks it, and finds only what the key may read. Settings are `ranking` (hybrid,
    keywords or vectors; these words may stand alone), `depth` (passages asked for, 1 to 100), `collection`, and what
    else the server's search takes. With --against the same queries are asked in both ways, and the difference is
    measured query by query. The measures to be reached are called ndcg, recall, mrr and hit_rate.

    docs/reference/golden-queries.md describes the files.

    Example: headworks retrieval eval documents --against keywords
    """
    from headworks.cli.quality.bars import read_bars
    from headworks.cli.quality.telling import write_lines

    bars = read_bars(chosen.at_least or ())
    report = _measured(client, collection, chosen)
    if chosen.export is not None:
        count = write_lines(chosen.export, report.exported())
        if not as_json:
            note(f"{count} queries with their results are in {chosen.export}.")
    if as_json:
        print_json(report.as_json(chosen.worst))
    else:
        for notice in report.notices():
            note(f"note: {notice}")
        print("\n".join(report.lines(chosen.worst)))
    missed = bars.missed(report)
    for each in missed:
        note(f"below: {each}")
    raise typer.Exit(1 if missed else 0)


def _measured(client: Client, collection: str, chosen: Chosen) -> Report:
    from headworks.cli.quality.configurations import configurations, labels
    from headworks.cli.quality.files import golden_file, queries_of
    from headworks.cli.quality.running import Asking, clients_for
    from headworks.cli.quality.telling import Report

    ways = configurations(collection, chosen.settings or (), chosen.against, chosen.k)
    names = labels(ways)
    file = chosen.golden or golden_file(chosen.workspace, collection)
    queries = queries_of(file, chosen.tags or ())
    clients = clients_for(client, queries, chosen.key_for or (), str(file))
    asking = Asking(clients, queries, str(file), chosen.k, may_be_missing=chosen.allow_missing)
    with progress() as bars:
        outcomes = [asking.run(way, bars.start(name)) for way, name in zip(ways, names, strict=True)]
    return Report(collection, str(file), chosen.k, outcomes, names)


@app.command()
@with_client
@gathered
def tune(client: Client, collection: _Collection, *, chosen: TuneChosen, as_json: AsJson = False) -> None:
    """Find the weight of keywords that serves a collection's golden queries best, and whether it is worth a change.

    Every query is asked with each weight from 0 (vectors alone) to 1 (keywords alone). What a change brings is measured
    on queries that had no part in the choice. Nothing is written: the lines for the collection's file are printed.

    Example: headworks retrieval tune documents
    """
    from headworks.cli.quality import tuning
    from headworks.cli.quality.configurations import configurations
    from headworks.cli.quality.files import golden_file, queries_of
    from headworks.cli.quality.running import Asking, clients_for

    (base,) = configurations(collection, chosen.settings or (), None, chosen.k)
    file = chosen.golden or golden_file(chosen.workspace, collection)
    queries = queries_of(file, ())
    clients = clients_for(client, queries, chosen.key_for or (), str(file))
    asking = Asking(clients, queries, str(file), chosen.k, may_be_missing=False)
    with progress() as bars:
        found = tuning.tune(asking, base, bars)
    if as_json:
        print_json(tuning.as_json(found, collection, chosen.k))
    else:
        print("\n".join(tuning.lines(found, collection, chosen.k)))


@golden_app.command("import")
def import_golden(
    collection: _Collection,
    *,
    qrels: Annotated[Path, typer.Option("--qrels", help="Judgements: TREC's qrels or a table.", metavar="FILE")],
    queries: Annotated[Path, typer.Option("--queries", help="Lines `id<tab>text`, or JSON lines.", metavar="FILE")],
    path: Annotated[str, typer.Option("--path", help="A document's path, made of its id.", metavar="TEXT")] = "{id}",
    workspace: _Workspace = _USUAL,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Make golden queries of a test collection's judgements.

    Judgements are lines `query 0 document grade` (TREC) or `query document grade` (BEIR). Queries without a relevant
    document are left out. Nothing is asked of a server.

    Example: headworks retrieval golden import papers --qrels qrels.txt --queries topics.tsv --path "{id}.md"
    """
    from headworks.cli.quality.files import golden_file, import_into

    file = golden_file(workspace, collection)
    imported = import_into(file, qrels, queries, path, may_replace=force)
    counts = {"unjudged": imported.unjudged, "irrelevant": imported.irrelevant}
    if as_json:
        print_json({"golden": str(file), "queries": len(imported.queries), **counts})
        return
    print(f"{len(imported.queries)} golden queries are in {file}.")
    if any(counts.values()):
        note(f"left out: {imported.unjudged} without a judgement, {imported.irrelevant} without a relevant document")


@golden_app.command("export")
def export_golden(
    collection: _Collection,
    file: Annotated[Path, typer.Argument(help="The dataset to write.", metavar="FILE")],
    *,
    golden: Annotated[
        Path | None, typer.Option("--golden", help="Another file of golden queries.", metavar="FILE")
    ] = None,
    tags: Annotated[_Words, typer.Option("--tag", help="Only queries of this tag; may be repeated.", metavar="TAG")] = (
        None
    ),
    workspace: _Workspace = _USUAL,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Write golden queries as a dataset, so that experiments ask a feature the same questions.

    What should be found stands at `/documents` of the reference, for `retrieval_recall` and the other scorers of what
    was found or cited; quotes are the `context`. Nothing is asked of a server.

    Example: headworks retrieval golden export handbook workspace/features/assistant/golden/handbook.jsonl
    """
    from headworks.cli.quality.exporting import export_into
    from headworks.cli.quality.files import golden_file, queries_of

    source = golden or golden_file(workspace, collection)
    made = export_into(file, queries_of(source, tags or ()), source.name, may_replace=force)
    if as_json:
        print_json({"dataset": str(file), "examples": made.examples, "losses": list(made.losses)})
        return
    for each in made.losses:
        note(f"lost: {each}")
    print(f"{counted(made.examples, 'example is', 'examples are')} in {file}.")
