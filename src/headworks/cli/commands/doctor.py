"""`headworks doctor`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.commands.up import USUAL_WORKSPACE, with_options
from headworks.cli.doctor.findings import Finding
from headworks.cli.lazy import new_app
from headworks.cli.local import find_address
from headworks.cli.options import AsJson, KeyOption, UrlOption
from headworks.cli.terminal import paint, print_json, wrapped
from headworks.config import load_settings

app = new_app()
_STYLES = {"ok": "green", "note": "yellow", "to do": "red"}


@app.command()
def doctor(
    *,
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", help="The workspace to check; `workspace` if it is there.", metavar="DIR"),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The data folder to check.", metavar="DIR")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings; `headworks.toml` if it is there.", metavar="FILE")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine, the server and the workspace, and say what to do. It changes nothing.

    Models without a credential or a price are named. Exit status 1 if something needs doing.

    Example: headworks doctor --workspace workspace
    """
    from headworks.cli.doctor import machine, prices, server
    from headworks.cli.doctor import workspace as workspaces

    settings = with_options(load_settings(config), data=data, port=None)
    folder = workspace or (USUAL_WORKSPACE if USUAL_WORKSPACE.is_dir() else None)
    table, priced = prices.look(settings)
    found = [
        *machine.look(settings),
        *server.look((url or "").strip() or find_address(settings), key, is_named=bool(url)),
        priced,
        *workspaces.look(folder, settings.providers, os.environ, table),
    ]
    if as_json:
        print_json({"findings": [each.as_json() for each in found], "to_do": _count(found)})
    else:
        _print(found)
    raise typer.Exit(1 if _count(found) else 0)


def _count(found: Sequence[Finding]) -> int:
    return sum(1 for each in found if each.state == "to do")


def _print(found: Sequence[Finding]) -> None:
    left = max(len(each.what) for each in found)
    for each in found:
        text = f"{each.detail.rstrip('.')}. {each.next_step}" if each.next_step else each.detail
        first, *others = wrapped(text, " " * (left + 10)).splitlines()
        print(f"{paint(f'{each.state:<6}', _STYLES[each.state])}  {each.what:<{left}}  {first.strip()}")
        for line in others:
            print(line)
    todo = _count(found)
    print(f"\n{todo} to do." if todo else "\nNothing to do.")
