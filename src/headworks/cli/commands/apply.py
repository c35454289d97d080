"""`headworks apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.folders import workspace_text
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import note, print_json, short, table

app = new_app()
WorkspaceFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds routes.yaml.")]
USUAL = Path("workspace")
Project = Annotated[str, typer.Option("--project", help="The project whose workspace it is.", metavar="NAME")]


@app.command()
@with_client
def apply(
    client: Client, folder: WorkspaceFolder = USUAL, *, project: Project = "default", as_json: AsJson = False
) -> None:
    """Make the server's project be what the files of a workspace say.

    All is checked first, and nothing changes if anything is wrong. Each feature becomes an immutable release; `prod`
    moves to it at once if the feature is of low risk and has no gate, else `staging`.

    Example: headworks apply workspace
    """
    files = workspace_text(folder)
    report = client.post(place("workspace", "apply"), {"project": project, "files": files})
    if as_json:
        print_json(report)
        return
    for notice in report["notices"]:
        note(f"note: {notice}")
    _print_report(report)


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
