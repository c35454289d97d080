"""`headworks receipt`: what was removed for good."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.receipts import print_receipt, tell_receipts
from headworks.cli.terminal import print_json

app = new_app("See receipts of what was removed for good: ids, hashes and numbers, never text, paths or names.")


@app.command("list")
@with_client
def list_all(
    client: Client,
    *,
    most: Annotated[int, typer.Option("--most", "-n", help="At most so many.", min=1, max=1_000, metavar="N")] = 100,
    as_json: AsJson = False,
) -> None:
    """List receipts, the newest first.

    Example: headworks receipt list
    """
    rows = client.get(place("receipts"), limit=most)["rows"]
    tell_receipts(rows, as_json=as_json, none="Nothing was removed for good yet.")


@app.command()
@with_client
def show(
    client: Client,
    receipt: Annotated[str, typer.Argument(help="The receipt's id.", metavar="RECEIPT")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one receipt.

    Example: headworks receipt show 01a2…
    """
    found = client.get(place("receipts", receipt))
    print_json(found) if as_json else print_receipt(found)
