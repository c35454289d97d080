"""`headworks grant`: features lent to other tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import pick, print_json, table

app = new_app("Lend features to other tenants. Each calls them on its own documents, in its own tenant.")
_Feature = Annotated[str, typer.Argument(help="The feature's name.", metavar="FEATURE")]
_Tenant = Annotated[str, typer.Argument(help="The other tenant's id; the operator may use its name.", metavar="TENANT")]
_Project = Annotated[str, typer.Option("--project", help="The project that the feature is in.", metavar="NAME")]


@app.command()
@with_client
def give(
    client: Client, feature: _Feature, tenant: _Tenant, *, project: _Project = "default", as_json: AsJson = False
) -> None:
    """Lend a feature to another tenant.

    Example: headworks grant give claims-assistant acme
    """
    made = client.post(place("grants"), {"feature": feature, "tenant": tenant, "project": project})
    if as_json:
        print_json(made)
    else:
        print(f"The tenant {made['grantee']} may call `{feature}`.")


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List the grants that your tenant has given and received.

    Example: headworks grant list
    """
    rows = client.get(place("grants"))["rows"]
    if as_json:
        print_json(rows)
    else:
        columns = ("direction", "feature", "tenant", "grantee", "created_at")
        print(table(("direction", "feature", "of tenant", "to tenant", "since"), [pick(row, *columns) for row in rows]))


@app.command("take-back")
@with_client
def take_back(
    client: Client, feature: _Feature, tenant: _Tenant, *, project: _Project = "default", as_json: AsJson = False
) -> None:
    """Take a feature back from a tenant.

    Example: headworks grant take-back claims-assistant acme
    """
    client.delete(place("grants", project, feature, tenant))
    if as_json:
        print_json({"feature": feature, "tenant": tenant, "project": project})
    else:
        print(f"The tenant {tenant} may no longer call `{feature}`.")
