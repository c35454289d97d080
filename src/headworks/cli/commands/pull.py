"""`headworks pull`."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.commands.apply import USUAL, Project, WorkspaceFolder
from headworks.cli.folders import read_folder
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import note, print_json, visible
from headworks.errors import Conflict, WorkspaceInvalid

app = new_app()
_Force = Annotated[bool, typer.Option("--force", help="Write over files that differ here.")]


@app.command()
@with_client
def pull(
    client: Client,
    folder: WorkspaceFolder = USUAL,
    *,
    force: _Force = False,
    project: Project = "default",
    as_json: AsJson = False,
) -> None:
    """Write the server's workspace into a folder, byte for byte: what was accepted there is here, too.

    Files that differ here are written over only with --force; files that the server does not have stay.

    Example: headworks pull workspace
    """
    there = {path: text.encode() for path, text in client.get(place("workspace"), project=project)["files"].items()}
    here = read_folder(folder) if folder.is_dir() else {}
    for path in there:
        _check(path)
    changed = [path for path, content in there.items() if path in here and here[path] != content]
    if changed and not force:
        raise Conflict(
            f"Other here: {', '.join(changed[:5])}{f' and {len(changed) - 5} more' if len(changed) > 5 else ''}.",
            next_step="`headworks diff` shows how. --force writes over them.",
        )
    added = [path for path in there if path not in here]
    for path in (*added, *changed):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(there[path])
    _report({"added": added, "changed": changed, "only_here": sorted(here.keys() - there.keys())}, as_json=as_json)


def _check(path: str) -> None:
    """What a server says is no reason to write outside of the folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or ":" in parts[0]:
        raise WorkspaceInvalid(f"The server has a file `{visible(path)[:100]}`, which leads out of the folder.")


def _report(report: JsonObject, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for path in report["only_here"]:
        note(f"note: {path} is only here.")
    for word in ("added", "changed"):
        for path in report[word]:
            print(f"{word} {path}")
    if not report["added"] and not report["changed"]:
        print("Everything is here already.")
