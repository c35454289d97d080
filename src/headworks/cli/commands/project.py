"""`headworks project`: workspaces side by side in one tenant."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import Columns, moment, tell, tell_rows

app = new_app("Create and list projects: each is one workspace, and `default` is there from the start.")


@app.command()
@with_client
def create(
    client: Client,
    name: Annotated[str, typer.Argument(help="Letters a-z, digits and . _ -", metavar="NAME")],
    *,
    as_json: AsJson = False,
) -> None:
    """Create an empty project, for `headworks apply --project NAME`.

    Example: headworks project create claims
    """
    made = client.post(place("projects"), {"name": name})
    tell(made, lambda: f"Created the project `{made['name']}`.", as_json=as_json)


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List the projects of your tenant.

    Example: headworks project list
    """
    rows = client.get(place("projects"))["rows"]
    columns: Columns = {"name": "name", "created": lambda row: moment(row["created_at"])}
    tell_rows(rows, columns, as_json=as_json, none="There are no projects.")
