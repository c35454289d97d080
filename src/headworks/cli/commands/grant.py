"""`headworks grant`: features lent to other tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import Columns, moment, tell, tell_rows

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
    tell(made, lambda: f"The tenant {made['grantee']} may call `{feature}`.", as_json=as_json)


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List the grants that your tenant has given and received.

    Example: headworks grant list
    """
    rows = client.get(place("grants"))["rows"]
    columns: Columns = {
        "direction": "direction",
        "feature": "feature",
        "of tenant": "tenant",
        "to tenant": "grantee",
        "since": lambda row: moment(row["created_at"]),
    }
    tell_rows(rows, columns, as_json=as_json, none="Nothing is lent.")


@app.command("take-back")
@with_client
def take_back(
    client: Client, feature: _Feature, tenant: _Tenant, *, project: _Project = "default", as_json: AsJson = False
) -> None:
    """Take a feature back from a tenant.

    Example: headworks grant take-back claims-assistant acme
    """
    client.delete(place("grants", project, feature, tenant))
    gone: JsonObject = {"feature": feature, "tenant": tenant, "project": project}
    tell(gone, lambda: f"The tenant {tenant} may no longer call `{feature}`.", as_json=as_json)
