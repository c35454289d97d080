"""`headworks diff`."""

from __future__ import annotations

import difflib

import typer

from headworks.cli.client import Client, place
from headworks.cli.commands.apply import USUAL, Project, WorkspaceFolder
from headworks.cli.folders import workspace_text
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import note, paint, print_json, short, visible
from headworks.errors import HeadworksError

app = new_app()
SAME, DIFFERS, TROUBLE = 0, 1, 2


@app.command()
@with_client
def diff(
    client: Client, folder: WorkspaceFolder = USUAL, *, project: Project = "default", as_json: AsJson = False
) -> None:
    """Show what `apply` would change: the files, and which features get another release.

    Exit status as of diff(1): 0 nothing, 1 something, 2 trouble.

    Example: headworks diff workspace
    """
    try:
        files = workspace_text(folder)
        report = client.post(place("workspace", "diff"), {"project": project, "files": files})
    except HeadworksError as error:
        note(f"error: {error}")
        raise typer.Exit(TROUBLE) from None
    changed = [each for each in report["features"] if each["before"] != each["after"]]
    if as_json:
        print_json(report)
    else:
        _print_report(report, changed)
    raise typer.Exit(DIFFERS if report["files"] or changed else SAME)


def _print_report(report: JsonObject, changed: list[JsonObject]) -> None:
    for notice in report["notices"]:
        note(f"note: {notice}")
    for change in report["files"]:
        print(unified(change))
    for each in changed:
        before = short(each["before"]) if each["before"] else "no release yet"
        print(f"feature {each['name']}: {before} → {short(each['after'])}")
    if not report["files"] and not changed:
        print("Nothing would change.")


def unified(change: JsonObject) -> str:
    """One file's change as a unified diff, coloured on a terminal."""
    before, after = change["before"].splitlines(), change["after"].splitlines()
    old = "/dev/null" if change["kind"] == "added" else f"applied/{change['path']}"
    new = "/dev/null" if change["kind"] == "removed" else f"here/{change['path']}"
    lines = difflib.unified_diff(before, after, old, new, lineterm="")
    return "\n".join(_painted(visible(line)) for line in lines)


def _painted(line: str) -> str:
    if line.startswith(("---", "+++")):
        return paint(line, "bold")
    style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    return paint(line, style) if style else line
