"""`headworks apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.folders import workspace_text
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.terminal import note, print_json, short, table
from headworks.errors import InvalidRequest

app = new_app()
WorkspaceFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds routes.yaml.")]
USUAL = Path("workspace")
Project = Annotated[str, typer.Option("--project", help="The project whose workspace it is.", metavar="NAME")]


@app.command()
@with_client
def apply(
    client: Client,
    folder: WorkspaceFolder = USUAL,
    *,
    over: Annotated[
        list[str] | None,
        typer.Option("--over", help="Accepted proposals that these files may undo.", metavar="NUMBER,…"),
    ] = None,
    unlock: Annotated[
        str, typer.Option("--unlock", help="Why examples of golden files change their split.", metavar="REASON")
    ] = "",
    project: Project = "default",
    as_json: AsJson = False,
) -> None:
    """Make the server's project be what the files of a workspace say.

    All is checked first, and nothing changes if anything is wrong. Each feature becomes an immutable release; `prod`
    moves to it at once if the feature is of low risk and has no gate, else `staging`. Refused where it would undo what
    was accepted as a proposal since.

    Example: headworks apply workspace
    """
    files = workspace_text(folder)
    body = {"project": project, "files": files, "over": _numbers(over), "unlock": unlock}
    report = client.post(place("workspace", "apply"), body)
    if as_json:
        print_json(report)
        return
    for notice in report["notices"]:
        note(f"note: {notice}")
    _print_report(report)


def _numbers(given: list[str] | None) -> list[int]:
    names = [each.removeprefix("#") for each in split(given) or []]
    for name in names:
        if not name.isdecimal():
            raise InvalidRequest(f"`{name}` is no number of a proposal.", param="over")
    return [int(name) for name in names]


def _print_report(report: JsonObject) -> None:
    rows = [
        (
            each["name"],
            each["channel"],
            short(each["digest"]),
            "moved" if each["moved"] else "unchanged",
            each["reason"],
        )
        for each in report["features"]
    ]
    if rows:
        print(table(("feature", "channel", "release", "", "why"), rows))
    for what in ("collections", "routes"):
        print(f"{what}: {', '.join(report[what]) or 'none'}")
    if report["removed"]:
        print(f"No longer offered: {', '.join(report['removed'])}.")
