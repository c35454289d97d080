"""`headworks key`: API keys."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.terminal import Columns, moment, print_json, tell, tell_rows

app = new_app("Make, list and revoke API keys. No key can do more than whoever made it.")


@app.command()
@with_client
def create(
    client: Client,
    *,
    principal: Annotated[str, typer.Option("--principal", help="Whose key it is; else your own.", metavar="NAME")] = "",
    name: Annotated[str, typer.Option("--name", help="What it is for.", metavar="TEXT", show_default=False)] = "",
    permissions: Annotated[
        list[str] | None,
        typer.Option("--permissions", "--permission", help="Only these, like feature:call.", metavar="A,B"),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--groups", "--group", help="Read only what these groups may.", metavar="A,B"),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--models", "--model", help="Call only these.", metavar="A,B")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", "--expiry", help="A day like 2027-01-31, or a span like 30d.", metavar="WHEN"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once, and stored nowhere.

    Example: headworks key create --principal jane --groups clinicians --expires 30d
    """
    made = client.post(
        place("keys"),
        {
            "principal": principal,
            "name": name,
            "permissions": split(permissions),
            "groups": split(groups),
            "models": split(models),
            "expires": expires,
        },
    )
    if as_json:
        print_json({**_flat(made["key"]), "token": made["token"]})
    else:
        print(made["token"])
        print(_described(made["key"]))


def _flat(key: JsonObject) -> JsonObject:
    """A key as scripts see it: `expiry` is the moment when it ends, or null."""
    return {**{name: value for name, value in key.items() if name != "expires_at"}, "expiry": key["expires_at"]}


def _described(key: JsonObject) -> str:
    lines = [f"A key of `{key['principal']}`. Keep it: it is shown this once."]
    lines.append(f"  may:     {_listed(key['permissions'], 'all that its principal may')}")
    lines.append(f"  reads:   {_listed(key['groups'], 'all that its principal may read', 'only as a member of ')}")
    lines.append(f"  models:  {_listed(key['models'], 'all')}")
    lines.append(f"  until:   {key['expires_at'] or 'it is revoked'}")
    return "\n".join(lines)


def _listed(names: list[str] | None, unlimited: str, prefix: str = "") -> str:
    if names is None:
        return unlimited
    return prefix + ", ".join(names) if names else "nothing"


@app.command("list")
@with_client
def list_all(
    client: Client,
    *,
    principal: Annotated[
        str | None, typer.Option("--principal", help="Only the keys of this one.", metavar="NAME")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List keys: your own, or everybody's with the permission key:write. Secrets are not stored and never listed.

    Example: headworks key list --principal jane
    """
    rows = client.get(place("keys"), principal=principal)["rows"]
    same = ("principal", "name", "state", "permissions", "groups")
    columns: Columns = {"key": "prefix", **{name: name for name in same}, "until": lambda row: moment(row["expiry"])}
    tell_rows([_flat(row) for row in rows], columns, as_json=as_json, none="There are no keys.")


@app.command()
@with_client
def revoke(
    client: Client,
    key_id: Annotated[str, typer.Argument(help="The id, or the public part hw_… that `key list` shows.", metavar="ID")],
    *,
    as_json: AsJson = False,
) -> None:
    """End a key for good, within a second on every worker.

    Example: headworks key revoke hw_01kamb3v7w
    """
    done = client.delete(place("keys", key_id))
    tell(_flat(done), lambda: f"The key {done['prefix']} of `{done['principal']}` is revoked.", as_json=as_json)
