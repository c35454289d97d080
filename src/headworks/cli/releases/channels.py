"""Channels: what is live, how it is moved, and what stops that."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.options import AsJson, with_client
from headworks.cli.releases import shown
from headworks.cli.releases.arguments import Feature, Project, Reason, What, find_digest, proposal_number
from headworks.cli.terminal import Columns, moment, short, tell, tell_rows
from headworks.errors import InvalidRequest

_Glass = Annotated[bool, typer.Option("--break-glass", help="Past the rules, with a --reason; loud.")]


@with_client
def list_releases(client: Client, *, as_json: AsJson = False) -> None:
    """List the newest releases, with the channels that point at them.

    Example: headworks release list
    """
    rows = client.get(place("releases"))["releases"]
    columns: Columns = {
        "feature": "feature",
        "release": lambda row: short(row["digest"]),
        "channels": "channels",
        "project": "project",
        "made": lambda row: moment(row["created_at"]),
    }
    tell_rows(rows, columns, as_json=as_json, none="There is no release yet: `headworks apply`.")


@with_client
def promote(
    client: Client,
    what: What,
    *,
    to: Annotated[str, typer.Option("--to", help="prod, canary or staging.", metavar="CHANNEL")] = "prod",
    break_glass: _Glass = False,
    reason: Reason = "",
    project: Project = "default",
    as_json: AsJson = False,
) -> None:
    """Make a proposal live, or move a channel to a release, by the rule.

    To prod: the attached gate says PASS of this very digest, on current evidence; enough people other than its
    maker approve; no incident blocks. Refused with what is missing, exit status 1.

    Example: headworks release promote 12
    """
    if number := proposal_number(what):
        if to != "prod":
            raise InvalidRequest("A proposal goes to prod.", next_step="Promote its digest to move another channel.")
        body = {"break_glass": break_glass, "reason": reason}
        rows = client.post(place("proposals", number, "accept"), body)["moved"]
    else:
        digest = find_digest(client, what)
        found = client.get(place("releases", digest))
        feature = found["feature"]
        expected = found["live"] if to == "prod" else _pointed_at(client, feature, to)
        body = {"feature": feature, "digest": digest, "expected": expected, "channel": to}
        body |= {"project": project, "break_glass": break_glass, "reason": reason}
        rows = [client.post(place("releases", "promote"), body)]
    tell(rows, lambda: shown.moved(rows), as_json=as_json)


def _pointed_at(client: Client, feature: str, channel: str) -> str | None:
    """The digest that a channel points at now: it is moved only from there."""
    rows = client.get(place("releases"), most=1000)["releases"]
    return next((row["digest"] for row in rows if row["feature"] == feature and channel in row["channels"]), None)


@with_client
def rollback(
    client: Client,
    feature: Feature,
    *,
    to: Annotated[str | None, typer.Option("--to", help="A digest that was live before.", metavar="DIGEST")] = None,
    reason: Reason = "",
    project: Project = "default",
    as_json: AsJson = False,
) -> None:
    """Point prod at what was live and good before; no gate and no approval is asked.

    Example: headworks release rollback claims-assistant --reason "wrong dosage"
    """
    digest = None if to is None else find_digest(client, to)
    body = {"feature": feature, "to": digest, "reason": reason, "project": project}
    moved = client.post(place("releases", "rollback"), body)
    tell(moved, lambda: shown.moved([moved]), as_json=as_json)


@with_client
def log(client: Client, feature: Feature, *, project: Project = "default", as_json: AsJson = False) -> None:
    """Show who moved a feature's channels, when, from where to where, and why.

    Example: headworks release log claims-assistant
    """
    found = client.get(place("releases", "log"), feature=feature, project=project)
    tell(found, lambda: shown.log(found), as_json=as_json)


@with_client
def block(
    client: Client,
    feature: Feature,
    *,
    reason: Reason,
    digest: Annotated[str | None, typer.Option("--digest", help="Only this release.", metavar="DIGEST")] = None,
    project: Project = "default",
    as_json: AsJson = False,
) -> None:
    """Stop promotions of a feature because of an incident; what is live stays live.

    Example: headworks release block claims-assistant --reason "INC-7: wrong dosage"
    """
    found = None if digest is None else find_digest(client, digest)
    body = {"feature": feature, "reason": reason, "digest": found, "project": project}
    made = client.post(place("releases", "blocks"), body)
    until = f"Nothing of `{feature}` is promoted until: headworks release unblock {made['id']}"
    tell(made, lambda: until, as_json=as_json)


@with_client
def unblock(
    client: Client,
    block_id: Annotated[str, typer.Argument(help="As `log` shows it.", metavar="ID")],
    *,
    as_json: AsJson = False,
) -> None:
    """Lift a block.

    Example: headworks release unblock 019a9c1e-…
    """
    found = client.delete(place("releases", "blocks", block_id))
    tell(found, lambda: f"`{found['feature']}` can be promoted again.", as_json=as_json)
