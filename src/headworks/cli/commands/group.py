"""`headworks group`: who is in which group, and so may read what."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import pick, print_json, table

app = new_app("Create groups, and say who is in them. Collections and documents name groups as their readers.")
_Group = Annotated[str, typer.Argument(help="The group's name.", metavar="GROUP")]
_Member = Annotated[str, typer.Argument(help="A user, a service account or another group.", metavar="NAME")]


@app.command()
@with_client
def create(client: Client, name: _Group, *, as_json: AsJson = False) -> None:
    """Create a group without members.

    Example: headworks group create clinicians
    """
    made = client.post(place("groups"), {"name": name})
    if as_json:
        print_json(made)
    else:
        print(f"Created the group `{made['name']}`.")


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List groups with their members.

    Example: headworks group list
    """
    rows = client.get(place("groups"))["rows"]
    if as_json:
        print_json(rows)
    else:
        print(table(("name", "members", "roles"), [pick(row, "name", "members", "roles") for row in rows]))


@app.command()
@with_client
def add(client: Client, group: _Group, member: _Member, *, as_json: AsJson = False) -> None:
    """Put a user, a service account or another group into a group; it reads through it from the next statement.

    Members of a group are members of the groups that it is in, too. Rings of groups are harmless.

    Example: headworks group add clinicians jane
    """
    changed = client.put(place("groups", group, "members", member))
    if as_json:
        print_json(changed)
    else:
        print(f"`{member}` is in `{group}`, with {len(changed['members'])} in all.")


@app.command()
@with_client
def remove(client: Client, group: _Group, member: _Member, *, as_json: AsJson = False) -> None:
    """Take somebody out of a group; nothing is read through it from the next statement.

    Example: headworks group remove clinicians jane
    """
    changed = client.delete(place("groups", group, "members", member))
    if as_json:
        print_json(changed)
    else:
        print(f"`{member}` is no longer in `{group}`.")
