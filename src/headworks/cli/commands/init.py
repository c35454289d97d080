"""`headworks init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson
from headworks.cli.starting import write_templates
from headworks.cli.terminal import print_json

app = new_app()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made if it is not there.")] = Path(),
    *,
    as_json: AsJson = False,
) -> None:
    """Write a settings file and a small, commented workspace: one collection, and one feature over it.

    Nothing is overwritten.

    Example: headworks init my-project
    """
    written = write_templates(folder)
    if as_json:
        print_json({"files": [str(path) for path in written]})
        return
    for path in written:
        print(f"  {path}")
    into = "" if folder == Path() else f"cd {folder} && "
    print(f"\nNext: {into}headworks up")
    print("then, in another terminal, with the key that it shows in HEADWORKS_API_KEY:")
    print('  headworks ingest documents PATH…      headworks ask assistant "…"')
