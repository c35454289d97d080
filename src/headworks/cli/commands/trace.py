"""`headworks trace`: what was asked, and where a request spent its time."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import moment, one_line, print_json
from headworks.cli.tracing import described, fetch
from headworks.cli.waterfall import duration

app = new_app("See what was asked, and where a request spent its time. Text is shown only to who may read it now.")
_POLL_S = 1.0


@app.command("list")
@with_client
def list_all(
    client: Client,
    *,
    most: Annotated[int, typer.Option("--most", "-n", help="At most so many.", metavar="N", min=1, max=1000)] = 20,
    hours: Annotated[int, typer.Option("--hours", help="Not older than this.", metavar="N", min=1, max=2160)] = 24,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the newest requests, the newest last: your own, or everybody's with the permission trace:read.

    With --follow and --json one object a line.

    Example: headworks trace list --follow
    """
    if as_json and not follow:
        print_json(client.get(place("traces"), most=most, hours=hours)["rows"])
        return
    seen: set[str] = set()
    while True:
        rows = client.get(place("traces"), most=most, hours=hours)["rows"]
        for row in reversed([row for row in rows if row["request_id"] not in seen]):
            if as_json:
                print_json(row)
            else:
                print(_row(row), flush=True)
        seen = {row["request_id"] for row in rows}
        if not follow:
            break
        time.sleep(_POLL_S)
    if not seen and not as_json:
        print(f"No request in the last {hours} h that you may see.")


def _row(row: JsonObject) -> str:
    answered = "/".join(part for part in (row["provider"], row["model"]) if part) or "–"
    name = row["asked_model"] if row["asked_model"] == answered else f"{row['asked_model']} → {answered}"
    status = str(row["status"]) if row["error_code"] is None else f"{row['status']} {row['error_code']}"
    tokens = f"{row['input_tokens'] if row['input_tokens'] is not None else '–'}/{row['output_tokens'] or 0}"
    return (
        f"{moment(row['arrived_at'])}  {row['trace_id']}  {one_line(str(row.get('principal') or '–'), 16):<16}  "
        f"{one_line(name, 44):<44}  {tokens:>10} tokens  {duration(row['total_us']):>9}  {status}"
    )


@app.command()
@with_client
def show(
    client: Client,
    trace: Annotated[
        str, typer.Argument(help="The trace's id: the header x-headworks-trace of an answer.", metavar="ID")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one request: who answered, what it cost, and its stages as a waterfall.

    Example: headworks trace show 0199f3a1-7c22-7e3b-9f5d-2b1c6f0a9d10
    """
    found = fetch(client, trace)
    if as_json:
        print_json(found)
        return
    print("\n".join(described(found)))
