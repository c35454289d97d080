"""`headworks jobs`: durable work."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import moment, print_json, table
from headworks.types.wording import counted

app = new_app("See durable work; pause, resume, cancel and retry it. A lane is a collection, or COLLECTION/SOURCE.")
_Lane = Annotated[str, typer.Argument(help="A collection, or a source: COLLECTION/SOURCE.", metavar="LANE")]
_Run = Annotated[str, typer.Argument(help="The run's id, as `jobs list` shows it.", metavar="RUN")]


@app.command("list")
@with_client
def list_all(
    client: Client,
    *,
    every: Annotated[bool, typer.Option("--all", help="Also what is over, for an hour.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what runs, waits, is paused, failed or died. Exit status 1 if something failed or died.

    Example: headworks jobs list
    """
    found = client.get(place("jobs"), every=every)
    if as_json:
        print_json(found)
    else:
        _print(found)
    raise typer.Exit(1 if any(row["run"]["state"] in {"failed", "dead"} for row in found["rows"]) else 0)


def _print(found: JsonObject) -> None:
    for lane in found["lanes"]:
        said = ", ".join(part for part in ("paused" if lane["is_paused"] else "", lane["progress"]) if part)
        if said:
            print(f"{lane['lane']}: {said}")
    cells = [
        (row["run"]["state"], row["lane"], _kind(row["run"]), row["run"]["steps"], moment(row["run"]["asked_at"]),
         moment(row["run"]["due_at"]), row["run"]["run"])
        for row in found["rows"]
    ]  # fmt: skip
    if cells:
        print(table(("state", "lane", "what", "steps", "asked", "due", "run"), cells))
    elif not found["lanes"]:
        print("There is nothing to do.")


@app.command()
@with_client
def show(client: Client, run: _Run, *, as_json: AsJson = False) -> None:
    """Show a run with its last steps.

    Example: headworks jobs show sync:01a2…
    """
    found = client.get(place("jobs", run))
    if as_json:
        print_json(found)
        return
    view = found["run"]
    print(f"{view['run']}\n{view['state']}: {_kind(view)} in {found['lane']}, asked for at {moment(view['asked_at'])}")
    done = counted(view["steps"], "step is", "steps are")
    print(f"{done} done; taken up by {counted(view['taken_up'], 'process', 'processes')}.\n")
    cells = [(each["name"], moment(each["ended_at"]), each["has_failed"]) for each in found["steps"]]
    print(table(("step", "ended", "failed"), cells) if cells else "No step has ended yet.")


@app.command()
@with_client
def pause(client: Client, lane: _Lane, *, as_json: AsJson = False) -> None:
    """Let nothing more run in a lane until it is resumed, also after a restart. A step that runs ends first.

    Files are still taken and stored; they wait.

    Example: headworks jobs pause handbook
    """
    _moved(client.post(place("jobs", "pause"), {"lane": lane}), "paused, with {}", as_json=as_json)


@app.command()
@with_client
def resume(client: Client, lane: _Lane, *, as_json: AsJson = False) -> None:
    """Go on in a lane where it was paused.

    Example: headworks jobs resume handbook
    """
    _moved(client.post(place("jobs", "resume"), {"lane": lane}), "goes on, with {}", as_json=as_json)


@app.command()
@with_client
def cancel(client: Client, run: _Run, *, as_json: AsJson = False) -> None:
    """End a run after its step. Of a sync the whole sync ends: what it brought stays, and nothing is removed.

    Example: headworks jobs cancel sync:01a2…
    """
    _told(client.post(place("jobs", run, "cancel")), as_json=as_json)


@app.command()
@with_client
def retry(client: Client, run: _Run, *, as_json: AsJson = False) -> None:
    """Try a run again that failed, died or was cancelled. Steps that went well are not done again.

    Example: headworks jobs retry ingest:01a2…
    """
    _told(client.post(place("jobs", run, "retry")), as_json=as_json)


def _kind(run: JsonObject) -> str:
    """What a run does, in a word."""
    return str(run["kind"]).rpartition(".")[2]


def _moved(answer: JsonObject, words: str, *, as_json: bool) -> None:
    print_json(answer) if as_json else print(f"{answer['lane']}: {words.format(counted(answer['runs'], 'run'))}.")


def _told(answer: JsonObject, *, as_json: bool) -> None:
    print_json(answer) if as_json else print(f"{answer['run']} is {answer['state']}.")
