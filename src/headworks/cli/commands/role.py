"""`headworks role`: what principals may do."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import Columns, tell, tell_rows

app = new_app("List roles, and say who has them. A role holds in the whole tenant.")
_Role = Annotated[str, typer.Argument(help="Built in, or of a project's roles.yaml.", metavar="ROLE")]
_Name = Annotated[str, typer.Argument(help="A user, service account or group.", metavar="NAME")]


@app.command()
@with_client
def bind(client: Client, role: _Role, name: _Name, *, as_json: AsJson = False) -> None:
    """Give a role to somebody, or to all members of a group. Nobody can give more rights than he has.

    Example: headworks role bind reviewer jane
    """
    changed = client.put(place("principals", name, "roles", role))
    tell(changed, lambda: f"`{name}` has {_listed(changed['roles'])}.", as_json=as_json)


@app.command()
@with_client
def unbind(client: Client, role: _Role, name: _Name, *, as_json: AsJson = False) -> None:
    """Take a role back. The last owner stays one.

    Example: headworks role unbind reviewer jane
    """
    changed = client.delete(place("principals", name, "roles", role))
    tell(changed, lambda: f"`{name}` has {_listed(changed['roles'])}.", as_json=as_json)


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List the roles with who has them; with --json also what each allows.

    Example: headworks role list
    """
    rows = client.get(place("roles"))["rows"]
    columns: Columns = {"role": "name", "built in": "is_built_in", "bound to": "bound_to"}
    tell_rows(rows, columns, as_json=as_json, none="There are no roles.")


def _listed(roles: list[str]) -> str:
    if not roles:
        return "no role of its own now"
    return f"the role{'s' if len(roles) > 1 else ''} {', '.join(f'`{role}`' for role in roles)} now"
