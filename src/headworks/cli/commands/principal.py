"""`headworks principal`: users and service accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.terminal import pick, print_json, table

app = new_app("Create, list, disable and enable users and service accounts.")
_COLUMNS = ("name", "kind", "roles", "groups", "disabled_at")
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
    if as_json:
        print_json(made)
    else:
        print(f"Created the {made['kind']} `{made['name']}`, in {', '.join(made['groups'])}.")


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List users, service accounts and groups.

    Example: headworks principal list --json
    """
    rows = client.get(place("principals"))["rows"]
    if as_json:
        print_json(rows)
    else:
        print(table(("name", "kind", "roles", "in groups", "disabled"), [pick(row, *_COLUMNS) for row in rows]))


@app.command()
@with_client
def disable(client: Client, name: _Name, *, as_json: AsJson = False) -> None:
    """Shut somebody out at once: keys, sessions and links end.

    Example: headworks principal disable jane
    """
    done = client.post(place("principals", name, "disable"))
    if as_json:
        print_json(done)
    else:
        print(f"`{name}` is disabled: its keys and sessions no longer work.")


@app.command()
@with_client
def enable(client: Client, name: _Name, *, as_json: AsJson = False) -> None:
    """Let somebody in again who was disabled. Keys work again; sessions have ended.

    Example: headworks principal enable jane
    """
    done = client.post(place("principals", name, "enable"))
    if as_json:
        print_json(done)
    else:
        print(f"`{name}` is enabled: its keys work again, and it can sign in anew.")


@app.command()
@with_client
def claim(client: Client, name: _Name, *, as_json: AsJson = False) -> None:
    """Make a link that signs a user in, once, within 24 hours.

    Example: headworks principal claim jane
    """
    made = client.post(place("principals", name, "claim"))
    if as_json:
        print_json(made)
    else:
        print(f"{made['claim_url']}\nIt signs `{made['principal']}` in, once, until {made['expires_at']}.")
