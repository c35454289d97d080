"""`headworks demo`."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson
from headworks.cli.terminal import note, print_json
from headworks.config import ServerSettings, Settings

if TYPE_CHECKING:
    from headworks.cli.demo.corpus import Corpus

app = new_app()
USUAL_PORT = 8484
INTERRUPTED = 130


@app.command()
def demo(
    *,
    documents: Annotated[
        Path | None, typer.Option("--documents", help="A folder of your own documents.", metavar="DIR")
    ] = None,
    ask: Annotated[
        list[str] | None, typer.Option("--ask", help="A question to ask; may be repeated.", metavar="QUESTION")
    ] = None,
    restrict: Annotated[
        Path | None,
        typer.Option("--restrict", help="The document that not everybody may read; else the last.", metavar="FILE"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", help=f"Else {USUAL_PORT}, or a free one; 0: a free one.", metavar="N", min=0, max=65535),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Where the demo keeps its data, for a quick next run.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """See it all on a folder of documents: answers with citations, readers, a trace, and a page to try it on.

    Starts a server of its own on the embedded database, reads the documents, asks three questions through the OpenAI
    SDK, asks for what only some may read with two keys, and shows where the time went. No account and no key is needed;
    with a provider's key in the environment, or Ollama on its port, a model writes the answers. Stays up until Ctrl-C;
    with --json it ends by itself and prints one object.

    Example: headworks demo --documents ~/handbook --ask "Who approves travel?"
    """
    from headworks.cli.client import Client
    from headworks.cli.demo.choice import choose
    from headworks.cli.demo.serving import Run
    from headworks.cli.demo.story import Stage, Story, open_story
    from headworks.cli.demo.telling import Teller

    began = time.monotonic()
    threading.Thread(target=importlib.import_module, args=("openai",), daemon=True).start()
    corpus = _corpus(documents, ask or [], restrict)
    folder = (data or usual_data(documents)).absolute()
    teller = Teller(is_quiet=as_json)
    teller.title(f"Headworks demo: {corpus.title}")
    stage = Stage(corpus, choose(os.environ), teller, folder, began)
    stories: list[Story] = []

    def tell(url: str, key: str) -> None:
        with contextlib.closing(Client(url, key)) as client:
            stories.append(open_story(stage, client, key))
            stories[0].tell()

    settings = Settings(data=folder, server=ServerSettings(port=_free_port() if port is None else port))
    teller.step("Starting the server, with a database of its own")
    is_told = Run(settings, tell, stays=not as_json).serve(lambda step: teller.say(f"{step} …"))
    if not is_told:
        raise typer.Exit(INTERRUPTED)
    if as_json:
        print_json(stories[0].report)
    else:
        note(f"\nStopped. The next run is quick: the data stays in {folder}.")


def _corpus(documents: Path | None, asked: list[str], restrict: Path | None) -> Corpus:
    """The shipped corpus, or one over the user's folder."""
    from dataclasses import replace

    from headworks.cli.demo import corpus
    from headworks.cli.folders import readable_paths

    if documents is not None:
        return corpus.generated(documents, readable_paths(documents), asked, restrict)
    if restrict is not None:
        raise typer.BadParameter("give it together with --documents", param_hint="--restrict")
    found = corpus.shipped(corpus.shipped_folder())
    return replace(found, questions=tuple(asked)) if asked else found


def usual_data(documents: Path | None) -> Path:
    """Where a demo keeps its data: one folder for the shipped documents, one for each folder of the user's."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "headworks"
    if documents is None:
        return home / "demo"
    full = documents.resolve()
    return home / "demos" / f"{full.name or 'root'}-{hashlib.sha256(os.fsencode(full)).hexdigest()[:8]}"


def _free_port() -> int:
    """The usual port, or 0 for any free one when somebody else, perhaps another server of ours, listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            return 0
    return USUAL_PORT
