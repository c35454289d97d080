"""`headworks group`: who is in which group, and so may read what."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import Columns, tell, tell_rows

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
    tell(made, lambda: f"Created the group `{made['name']}`.", as_json=as_json)


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List groups with their members.

    Example: headworks group list
    """
    rows = client.get(place("groups"))["rows"]
    columns: Columns = {name: name for name in ("name", "members", "roles")}
    tell_rows(rows, columns, as_json=as_json, none="There are no groups.")


@app.command()
@with_client
def add(client: Client, group: _Group, member: _Member, *, as_json: AsJson = False) -> None:
    """Put a user, a service account or another group into a group; it reads through it from the next statement.

    Members of a group are members of the groups that it is in, too. Rings of groups are harmless.

    Example: headworks group add clinicians jane
    """
    changed = client.put(place("groups", group, "members", member))
    tell(changed, lambda: f"`{member}` is in `{group}`, with {len(changed['members'])} in all.", as_json=as_json)


@app.command()
@with_client
def remove(client: Client, group: _Group, member: _Member, *, as_json: AsJson = False) -> None:
    """Take somebody out of a group; nothing is read through it from the next statement.

    Example: headworks group remove clinicians jane
    """
    changed = client.delete(place("groups", group, "members", member))
    tell(changed, lambda: f"`{member}` is no longer in `{group}`.", as_json=as_json)
