"""`headworks tenant`: organisations that share a server and nothing else."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import Columns, moment, print_json, tell_rows

app = new_app("Create and list tenants. A single organisation has one and never needs this.")


@app.command()
@with_client
def create(
    client: Client,
    name: Annotated[str, typer.Argument(help="The tenant's name.", metavar="NAME")],
    *,
    admin: Annotated[str, typer.Option("--admin", help="Its first user, an owner.", metavar="NAME")] = "admin",
    as_json: AsJson = False,
) -> None:
    """Create a tenant with its first user. The key and the link are shown this once.

    Example: headworks tenant create acme
    """
    made = client.post(place("tenants"), {"name": name, "admin": admin})
    if as_json:
        print_json(made)
    else:
        print(f"Created the tenant `{made['name']}` ({made['id']}) with its owner `{made['admin']}`.")
        print(f"  key:      {made['admin_key']}\n  sign in:  {made['claim_url']}\nBoth are shown this once.")


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List all tenants if you may create them, else your own.

    Example: headworks tenant list
    """
    rows = client.get(place("tenants"))["rows"]
    columns: Columns = {
        "name": "name",
        "id": "id",
        "operator": "is_operator",
        "created": lambda row: moment(row["created_at"]),
    }
    tell_rows(rows, columns, as_json=as_json, none="There are no tenants.")
