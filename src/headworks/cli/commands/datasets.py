"""`headworks datasets`: golden sets as files and as versions by digest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.folders import text_of
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import (
    Columns,
    moment,
    note,
    one_line,
    pick,
    print_json,
    short,
    table,
    tell_rows,
    visible,
)
from headworks.errors import Conflict
from headworks.types.wording import counted

app = new_app("Golden sets: examples as JSONL in the workspace, and as versions by digest on the server.")
_Name = Annotated[str, typer.Argument(help="The dataset's name.", metavar="NAME")]
_NameOrGolden = Annotated[
    str,
    typer.Argument(help="A dataset's name, or FEATURE/FILE for a golden file as it is applied.", metavar="NAME"),
]
_Project = Annotated[str, typer.Option("--project", help="The project that it is in.", metavar="NAME")]
_Version = Annotated[
    str | None, typer.Option("--version", help="A number or a digest; else the newest.", metavar="VERSION")
]
_VERSION_COLUMNS: Columns = {
    "version": "number",
    "digest": lambda row: short(row["digest"]),
    "examples": "examples",
    "by": "made_by",
    "made": lambda row: moment(row["made_at"]),
}
_MOST_SHOWN = 20


@app.command("list")
@with_client
def list_all(client: Client, *, project: _Project = "default", as_json: AsJson = False) -> None:
    """List datasets, each with its newest version.

    Example: headworks datasets list
    """
    rows = client.get(place("datasets"), project=project)["rows"]
    tell_rows(rows, {"dataset": "name", **_VERSION_COLUMNS}, as_json=as_json, none="There are no datasets yet.")


@app.command()
@with_client
def push(
    client: Client,
    name: _Name,
    file: Annotated[Path, typer.Argument(help="Its lines.", metavar="FILE")],
    *,
    unlock: Annotated[
        str, typer.Option("--unlock", help="Why examples may move between splits; the version keeps it.", metavar="WHY")
    ] = "",
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Make a file the newest version of a dataset; the same examples again change nothing.

    Example: headworks datasets push prior-auth workspace/features/prior-auth/golden/cases.jsonl
    """
    body = {"content": text_of(file), "file": str(file), "unlock": unlock, "project": project}
    made = client.post(place("datasets", name, "versions"), body)
    if as_json:
        print_json(made)
        return
    head = f"{name} {made['number']} ({counted(made['examples'], 'example')}, {short(made['digest'])})"
    print(f"{head} is new." if made["is_new"] else f"{head} is what was there already.")
    if made["is_new"] and made["number"] > 1:
        _tell_diff(made)
    for each in made["moved"]:
        print(f"unlocked: {each['id']} moved from {each['before']} to {each['after']}")


@app.command()
@with_client
def pull(
    client: Client,
    name: _Name,
    file: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FILE")],
    *,
    version: _Version = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.", show_default=False)] = False,
    project: _Project = "default",
) -> None:
    """Write a version into a file.

    Example: headworks datasets pull prior-auth cases.jsonl --version 3
    """
    if file.exists() and not force:
        raise Conflict(f"{file} is there already.", next_step="Choose another name, or give --force.")
    found = client.get(place("datasets", name), project=project, version=version)
    file.write_text(found["content"], encoding="utf-8")
    examples = counted(found["examples"], "example")
    note(f"{file}: {examples} of {name} {found['number']}, {short(found['digest'])}")


@app.command()
@with_client
def show(client: Client, name: _Name, *, project: _Project = "default", as_json: AsJson = False) -> None:
    """Show the versions of a dataset, the newest first.

    Example: headworks datasets show prior-auth
    """
    rows = client.get(place("datasets", name, "versions"), project=project)["rows"]
    tell_rows(rows, {**_VERSION_COLUMNS, "unlocked because": "unlocked"}, as_json=as_json, none="No version yet.")


@app.command()
@with_client
def diff(
    client: Client,
    name: _Name,
    before: Annotated[str, typer.Argument(help="A number or a digest.", metavar="BEFORE")],
    after: Annotated[str | None, typer.Argument(help="Another; else the newest.", metavar="AFTER")] = None,
    *,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Show what was added, changed and removed between two versions, and what examples have otherwise.

    Example: headworks datasets diff prior-auth 2
    """
    found = client.get(place("datasets", name, "diff"), before=before, after=after, project=project)
    if as_json:
        print_json(found)
        return
    one, two = found["before"], found["after"]
    print(f"{name} {one['number']} ({one['examples']} examples) → {two['number']} ({two['examples']} examples)")
    _tell_diff(found)


@app.command()
@with_client
def check(
    client: Client,
    name: _NameOrGolden,
    *,
    feature: Annotated[
        str | None, typer.Option("--feature", help="Also whether its prompts tell the answers.", metavar="FEATURE")
    ] = None,
    embedder: Annotated[
        str, typer.Option("--embedder", help="Finds questions in other words; '' does not look.", metavar="MODEL")
    ] = "builtin/minilm",
    version: _Version = None,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Find near-duplicates and leaks: between splits, and into a feature's prompts. Exit status 1 for a leak.

    Example: headworks datasets check prior-auth --feature prior-auth
    """
    golden, _, name = name.rpartition("/")
    asked = {"project": project, "version": version, "feature": feature, "golden": golden or None, "embedder": embedder}
    found = client.get(place("datasets", name, "check"), **asked)
    print_json(found) if as_json else _tell_check(found)
    if not found["is_clean"]:
        raise typer.Exit(1)


@app.command()
@with_client
def coverage(
    client: Client,
    name: _NameOrGolden,
    *,
    tag: Annotated[str, typer.Option("--tag", help="A tag, or failure_mode.", metavar="TAG")] = "intent",
    margin: Annotated[float, typer.Option("--margin", help="How much worse is allowed.", metavar="SHARE")] = 0.05,
    discordance: Annotated[
        float, typer.Option("--discordance", help="The share of examples on which releases differ.", metavar="SHARE")
    ] = 0.1,
    version: _Version = None,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Count examples for each value of a tag, beside how many a gate needs.

    Example: headworks datasets coverage prior-auth --tag intent --margin 0.08
    """
    golden, _, name = name.rpartition("/")
    found = client.get(
        place("datasets", name, "coverage"),
        project=project,
        golden=golden or None,
        version=version,
        tag=tag,
        margin=margin,
        discordance=discordance,
    )
    if as_json:
        print_json(found)
        return
    cells = [
        (row["value"] or "(untagged)", *pick(row, "examples", "clusters", "needed", "missing"), f"{row['margin']:.3f}")
        for row in found["rows"]
    ]
    print(table((tag, "examples", "clusters", "needed", "missing", "margin it can show"), cells))
    note(
        f"needed: to show, in 80 of 100 runs, that a release which is no worse is not worse by {margin:g}, "
        f"where {discordance:.0%} of answers differ."
    )


@app.command()
@with_client
def promote(
    client: Client,
    name: _Name,
    *,
    trace: Annotated[str, typer.Option("--trace", help="The trace's id.", metavar="ID")],
    into: Annotated[
        Path | None,
        typer.Option("--into", help="The file to add the line to; else NAME.proposed.jsonl.", metavar="FILE"),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="train, dev or test.", metavar="SPLIT")] = "test",
    with_reference: Annotated[
        bool, typer.Option("--with-reference", help="What was answered is what is wanted.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Propose a production trace as an example: redacted, one line in a file that you look through, then push.

    Example: headworks datasets promote prior-auth --trace 01a2…
    """
    body = {"trace": trace, "split": split, "with_reference": with_reference}
    made = client.post(place("datasets", "promotions"), body)
    file = into or Path(f"{name}.proposed.jsonl")
    _add_line(file, made["line"], trace)
    if as_json:
        print_json(made)
        return
    print(f"{file}: one line added. Look it through, then `headworks datasets push {name}` with all lines.")
    taken = ", ".join(f"{count} × {kind}" for kind, count in made["redacted"].items())
    print(f"redacted: {taken or 'nothing was found'}")
    print(f"answered then: {one_line(made['answer'], 200)}")
    for each in made["notices"]:
        print(f"note: {each}")


def _add_line(file: Path, line: str, trace: str) -> None:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if f'"trace-{trace}"' in text:
        raise Conflict(f"{file} has an example of the trace {trace} already.")
    gap = "\n" if text and not text.endswith("\n") else ""
    file.write_text(f"{text}{gap}{line}", encoding="utf-8")


def _tell_diff(found: JsonObject) -> None:
    for kind in ("added", "changed", "removed"):
        ids = found[kind]
        if ids:
            more = f" and {len(ids) - _MOST_SHOWN} more" if len(ids) > _MOST_SHOWN else ""
            print(f"{kind} {len(ids)}: {visible(', '.join(ids[:_MOST_SHOWN]))}{more}")
    for sentence in found["schema"]:
        print(f"schema: {visible(sentence)}")


def _tell_check(found: JsonObject) -> None:
    splits = ", ".join(f"{count} {split}" for split, count in sorted(found["splits"].items()))
    name = f"{found['name']} {found['number']}" if found["number"] else found["name"]
    print(f"{name}: {found['examples']} examples in {found['clusters']} clusters ({splits})")
    for each in found["duplicates"]:
        kind = "LEAK" if each["is_leak"] else "alike"
        print(
            f"{kind}: {visible(each['first'])} ({each['first_split']}) and {visible(each['second'])} "
            f"({each['second_split']}) share {each['share']:.0%}"
        )
    for each in found["alike"]:
        print(
            f"look: {visible(each['first'])} ({each['first_split']}) and {visible(each['second'])} "
            f"({each['second_split']}) may ask the same ({each['cosine']:.2f})"
        )
    for each in found["leaks"]:
        print(f"LEAK: {visible(each['path'])} tells {each['share']:.0%} of the reference of {visible(each['example'])}")
    for each in found["notices"]:
        print(f"note: {each}")
    if found["is_clean"]:
        print("Nothing leaks.")
