"""`headworks`: the commands by name, and what their errors look like.

Exit status: 0 done, 1 refused or failed, 2 wrong usage or can't start, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import typer
import typer.main
from typer import _click as click  # typer carries its own click, and names of its types are not exported

from headworks import __version__
from headworks.cli.lazy import Entry, LazyGroup, new_app
from headworks.errors import HeadworksError, StartupRefused

_COMMANDS = "headworks.cli.commands"
INTERRUPTED = 130


class Commands(LazyGroup):
    """All commands, in the order in which a newcomer meets them."""

    entries: ClassVar[Mapping[str, Entry]] = {
        "demo": Entry(f"{_COMMANDS}.demo", "See it all on a folder of documents: answers, citations, readers, traces."),
        "init": Entry(f"{_COMMANDS}.init", "Write a settings file and a small, commented workspace."),
        "up": Entry(f"{_COMMANDS}.up", "Start the server, with its own database unless one is configured."),
        "apply": Entry(f"{_COMMANDS}.apply", "Make the server's project be what the files of a workspace say."),
        "diff": Entry(f"{_COMMANDS}.diff", "Show what `apply` would change."),
        "pull": Entry(f"{_COMMANDS}.pull", "Write the server's workspace into a folder, byte for byte."),
        "release": Entry(f"{_COMMANDS}.release", "Propose, approve, promote and roll back releases, with evidence."),
        "eval": Entry(f"{_COMMANDS}.eval", "Run experiments, compare releases, and ask a gate."),
        "prompts": Entry(f"{_COMMANDS}.prompts", "Check prompts, and bring those of other tools along."),
        "ingest": Entry(f"{_COMMANDS}.ingest", "Bring folders and files into a collection."),
        "documents": Entry(
            f"{_COMMANDS}.documents", "What failed, was replaced or vanished: see, retry, delete, purge."
        ),
        "collections": Entry(f"{_COMMANDS}.collections", "List collections, and see how healthy one is."),
        "jobs": Entry(f"{_COMMANDS}.jobs", "See durable work; pause, resume, cancel and retry it."),
        "erase": Entry(f"{_COMMANDS}.erase", "Remove a document or a person for good, with a receipt."),
        "hold": Entry(f"{_COMMANDS}.hold", "Place, list and release legal holds."),
        "receipt": Entry(f"{_COMMANDS}.receipt", "See receipts of what was removed for good."),
        "search": Entry(f"{_COMMANDS}.search", "Find the passages of a collection that come closest to a query."),
        "retrieval": Entry(f"{_COMMANDS}.retrieval", "Measure how well a collection's search finds what it should."),
        "datasets": Entry(f"{_COMMANDS}.datasets", "Golden sets by digest: push, pull, check and compare them."),
        "judgements": Entry(f"{_COMMANDS}.judgements", "What people say of answers: give, decide, import, sample."),
        "ask": Entry(f"{_COMMANDS}.ask", "Ask a feature, and see its answer with citations."),
        "trace": Entry(f"{_COMMANDS}.trace", "See what was asked, and where a request spent its time."),
        "key": Entry(f"{_COMMANDS}.key", "Make, list and revoke API keys."),
        "principal": Entry(f"{_COMMANDS}.principal", "Create, list, disable and enable users and service accounts."),
        "group": Entry(f"{_COMMANDS}.group", "Create groups, and say who is in them."),
        "permissions": Entry(f"{_COMMANDS}.permissions", "Say why somebody may or may not read a document."),
        "role": Entry(f"{_COMMANDS}.role", "List roles, and say who has them."),
        "project": Entry(f"{_COMMANDS}.project", "Create and list projects: workspaces side by side."),
        "grant": Entry(f"{_COMMANDS}.grant", "Lend features to other tenants."),
        "tenant": Entry(f"{_COMMANDS}.tenant", "Create and list tenants."),
        "models": Entry(f"{_COMMANDS}.models", "Install and list the built-in models."),
        "prices": Entry(f"{_COMMANDS}.prices", "See what models cost, and where price tables disagree."),
        "doctor": Entry(f"{_COMMANDS}.doctor", "Check this machine, the server and the workspace, and say what to do."),
    }


_ABOUT = """One self-hosted platform for running LLM features in production.

Start with `headworks demo`, or with `headworks init` and `headworks up`. Each command's help ends with an example.
"""

app = new_app()


@app.callback(cls=Commands, invoke_without_command=True, help=_ABOUT)
def headworks(
    ctx: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """The program without a command: its version, or its help."""
    if version:
        typer.echo(f"headworks {__version__}")
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main() -> None:
    """The program."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit status; errors are printed, never traced."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = typer.main.get_command(app).main(list(arguments), prog_name="headworks", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HeadworksError as error:
        _print(f"error: {error}")
        if error.code == "interrupted":
            return INTERRUPTED
        return 2 if isinstance(error, StartupRefused) else 1
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone: nobody is left to be told, and the interpreter must not try once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        _print(f"error: {error.filename}: {error.strerror}.")
        return 1
    return status if isinstance(status, int) else 0


def _print(text: str) -> None:
    sys.stdout.flush()
    typer.echo(text, err=True)


if __name__ == "__main__":
    main()
