"""Proposals: what is to change, who says what about it, and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.folders import workspace_text
from headworks.cli.json_values import JsonObject
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.releases import shown
from headworks.cli.releases.arguments import Number, Project, What, find_digest, proposal_number
from headworks.cli.terminal import Columns, moment, note, print_json, tell, tell_rows
from headworks.errors import InvalidRequest
from headworks.types.wording import counted

_FROM_FILES = ("features/", "routes.yaml")


@with_client
def propose(  # noqa: PLR0913 -- each is an option of the command
    client: Client,
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="A workspace with the change.")] = None,
    *,
    title: Annotated[str, typer.Option("--title", help="In one line what changes.", metavar="TEXT")],
    description: Annotated[str, typer.Option("--description", help="Why.", metavar="TEXT")] = "",
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="What waits on staging.", metavar="FEATURE")
    ] = None,
    gate: Annotated[
        list[str] | None, typer.Option("--gate", help="A feature whose applied gate is to judge.", metavar="FEATURE")
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Only you see it.")] = False,
    update: Annotated[
        int | None, typer.Option("--update", help="Your proposal to put this in the place of.", metavar="NUMBER")
    ] = None,
    project: Project = "default",
    as_json: AsJson = False,
) -> None:
    """Propose what a folder changes in features and routes, or what was applied and waits on staging.

    Example: headworks release propose workspace --title "Say when a clause was withdrawn"
    """
    files = {} if folder is None else _changed(client, folder, project)
    body = {"title": title, "description": description, "files": files, "draft": draft, "project": project}
    body |= {"features": split(feature) or [], "gates": split(gate) or []}
    made = (
        client.post(place("proposals"), body) if update is None else client.put(place("proposals", str(update)), body)
    )
    tell(made, lambda: shown.proposal(made), as_json=as_json)


@with_client
def list_proposals(
    client: Client,
    *,
    state: Annotated[
        str | None, typer.Option("--state", help="draft, open, accepted or closed.", metavar="STATE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List proposals, the newest first.

    Example: headworks release proposals --state open
    """
    rows = client.get(place("proposals"), state=state)["rows"]
    columns: Columns = {
        "": lambda row: f"#{row['number']}",
        "title": "title",
        "state": "state",
        "risk": "risk",
        "by": "by",
        "made": lambda row: moment(row["at"]),
    }
    which = "proposal" if state is None else f"proposal that is {state}"
    tell_rows(rows, columns, as_json=as_json, none=f"There is no {which}.")


@with_client
def show(client: Client, what: What, *, as_json: AsJson = False) -> None:
    """Show a proposal or a release: what it changes, how it stands on its way to prod, what is attested.

    Example: headworks release show 12
    """
    if number := proposal_number(what):
        found = client.get(place("proposals", number))
        tell(found, lambda: shown.proposal(found), as_json=as_json)
    else:
        release = client.get(place("releases", find_digest(client, what)))
        told = f"{shown.standing(release)}\n\n{shown.attestations(release['attestations'])}"
        tell(release, lambda: told, as_json=as_json)


@with_client
def diff(client: Client, number: Number, *, as_json: AsJson = False) -> None:
    """Show a proposal's changes word by word, and the examples that it answers otherwise, by failure mode.

    Example: headworks release diff 12
    """
    found = client.get(place("proposals", str(number)))
    if as_json:
        behaviours = [each["standing"]["behaviour"] for each in found["releases"]]
        releases = [{"digest": each["standing"]["digest"], "files": each["files"]} for each in found["releases"]]
        print_json({"files": found["files"], "releases": releases, "behaviour": behaviours})
        return
    if found["files"]:
        print(shown.changes(found["files"]))
    for each in found["releases"]:
        if each["files"]:
            print(shown.beside_live(each))
        behaviour = each["standing"]["behaviour"]
        print(shown.behaviour(behaviour) if behaviour else f"  {each['standing']['feature']}: nobody compared yet.")


@with_client
def comment(
    client: Client,
    number: Number,
    text: Annotated[str, typer.Argument(help="What you say.", metavar="TEXT")],
    *,
    on: Annotated[str | None, typer.Option("--on", help="The file, or file:line.", metavar="PATH")] = None,
    as_json: AsJson = False,
) -> None:
    """Say something about a proposal.

    Example: headworks release comment 12 "Which guideline says so?" --on features/claims/prompts/answer.prompty:9
    """
    path, _, line = (on or "").partition(":")
    body = {"text": text, "path": path or None, "line": int(line) if line.isdigit() else None}
    said = client.post(place("proposals", str(number), "comments"), body)["comments"]
    tell(said, lambda: f"#{number} has {counted(len(said), 'comment')}.", as_json=as_json)


@with_client
def approve(
    client: Client,
    what: What,
    *,
    digest: Annotated[
        list[str] | None,
        typer.Option("--digest", help="The releases of the proposal that you have read.", metavar="DIGEST,…"),
    ] = None,
    as_expert: Annotated[bool, typer.Option("--as-expert", help="As the principal domain expert.")] = False,
    objecting: Annotated[bool, typer.Option("--object", help="Object: nothing is promoted until withdrawn.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take your word back.")] = False,
    comment: Annotated[str, typer.Option("--comment", help="Why.", metavar="TEXT")] = "",
    as_json: AsJson = False,
) -> None:
    """Sign your word on a proposal's releases, or on one digest. Nobody approves what he proposed.

    An approval is of what you have read: `release show` names the digests, and one that the proposal no longer brings
    is refused.

    Example: headworks release approve 12 --digest 3f9c2b7a10de --as-expert --comment "Reads right"
    """
    if objecting and withdraw:
        raise InvalidRequest("Either --object or --withdraw.")
    decision = "object" if objecting else "withdraw" if withdraw else "approve"
    body: JsonObject = {"decision": decision, "as_expert": as_expert, "comment": comment}
    if number := proposal_number(what):
        body["digests"] = _read(client, number, split(digest), is_needed=decision == "approve")
        found = client.post(place("proposals", number, "approve"), body)
        told = "\n".join(shown.standing(each["standing"]) for each in found["releases"])
    elif digest:
        raise InvalidRequest("--digest goes with a proposal's number; `WHAT` is a digest already.", param="digest")
    else:
        whole = find_digest(client, what)
        found = client.post(place("releases", whole, "approve"), body)
        told = "" if as_json else shown.standing(client.get(place("releases", whole)))
    tell(found, lambda: told, as_json=as_json)


@with_client
def close(client: Client, number: Number, *, as_json: AsJson = False) -> None:
    """End a proposal without accepting it.

    Example: headworks release close 12
    """
    found = client.post(place("proposals", str(number), "close"))
    tell(found, lambda: f"#{number} is closed.", as_json=as_json)


def _read(client: Client, number: str, given: list[str] | None, *, is_needed: bool) -> list[str] | None:
    """The digests that were read, whole; InvalidRequest where they have to be named and were not."""
    if given is not None:
        return [find_digest(client, each) for each in given]
    if not is_needed:
        return None
    brought = [each["standing"] for each in client.get(place("proposals", number))["releases"]]
    raise InvalidRequest(
        f"An approval is of what you have read. Proposal {number} brings {shown.names(brought)}.",
        next_step=f"`headworks release show {number}`, then `{shown.approval(number, brought)}`.",
        param="digest",
    )


def _changed(client: Client, folder: Path, project: str) -> JsonObject:
    """What the folder holds otherwise than the server, of what a proposal may change."""
    here, there = workspace_text(folder), client.get(place("workspace"), project=project)["files"]
    changed: JsonObject = {
        path: here.get(path) for path in sorted({*here, *there}) if here.get(path) != there.get(path)
    }
    for path in [each for each in changed if not each.startswith(_FROM_FILES)]:
        note(f"note: {path} differs, and is left out: `headworks apply` changes it.")
        del changed[path]
    return changed
