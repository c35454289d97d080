"""`headworks principal`: users and service accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.terminal import Columns, moment, tell, tell_rows

app = new_app("Create, list, disable and enable users and service accounts.")
_Name = Annotated[str, typer.Argument(help="Its name.", metavar="NAME")]


@app.command()
@with_client
def create(
    client: Client,
    name: Annotated[str, typer.Argument(help="Letters a-z, digits and . _ @ + -", metavar="NAME")],
    *,
    service: Annotated[bool, typer.Option("--service", help="A service account, not a person.")] = False,
    roles: Annotated[list[str] | None, typer.Option("--roles", help="Like engineer,reviewer.", metavar="A,B")] = None,
    groups: Annotated[list[str] | None, typer.Option("--groups", help="Groups to be in.", metavar="A,B")] = None,
    as_json: AsJson = False,
) -> None:
    """Create a user or service account. Without a role it may call features and read what its groups may.

    Example: headworks principal create jane --roles engineer --groups clinicians
    """
    kind = "service" if service else "user"
    made = client.post(
        place("principals"),
        {"name": name, "kind": kind, "roles": split(roles) or [], "groups": split(groups) or []},
    )
    tell(made, lambda: f"Created the {made['kind']} `{made['name']}`, in {', '.join(made['groups'])}.", as_json=as_json)


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List users, service accounts and groups.

    Example: headworks principal list --json
    """
    rows = client.get(place("principals"))["rows"]
    columns: Columns = {
        "name": "name",
        "kind": "kind",
        "roles": "roles",
        "in groups": "groups",
        "disabled": lambda row: moment(row["disabled_at"]),
    }
    tell_rows(rows, columns, as_json=as_json, none="There is nobody.")


@app.command()
@with_client
def disable(client: Client, name: _Name, *, as_json: AsJson = False) -> None:
    """Shut somebody out at once: keys, sessions and links end.

    Example: headworks principal disable jane
    """
    done = client.post(place("principals", name, "disable"))
    tell(done, lambda: f"`{name}` is disabled: its keys and sessions no longer work.", as_json=as_json)


@app.command()
@with_client
def enable(client: Client, name: _Name, *, as_json: AsJson = False) -> None:
    """Let somebody in again who was disabled. Keys work again; sessions have ended.

    Example: headworks principal enable jane
    """
    done = client.post(place("principals", name, "enable"))
    tell(done, lambda: f"`{name}` is enabled: its keys work again, and it can sign in anew.", as_json=as_json)


@app.command()
@with_client
def claim(client: Client, name: _Name, *, as_json: AsJson = False) -> None:
    """Make a link that signs a user in, once, within 24 hours.

    Example: headworks principal claim jane
    """
    made = client.post(place("principals", name, "claim"))
    until = f"It signs `{made['principal']}` in, once, until {moment(made['expires_at'])} UTC."
    tell(made, lambda: f"{made['claim_url']}\n{until}", as_json=as_json)
