"""`headworks release`: proposals, approvals, promotions, rollbacks, and the evidence for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from headworks.cli import releasing
from headworks.cli.client import Client, place
from headworks.cli.folders import workspace_text
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.terminal import note, print_json, table, visible
from headworks.errors import InvalidRequest

app = new_app("Propose, approve, promote and roll back releases, with evidence.")
_What = Annotated[str, typer.Argument(help="A proposal's number, or a release's digest.", metavar="WHAT")]
_Digest = Annotated[str, typer.Argument(help="A release's digest, or its first digits.", metavar="DIGEST")]
_Feature = Annotated[str, typer.Argument(help="The feature's name.", metavar="FEATURE")]
_Number = Annotated[int, typer.Argument(help="The proposal's number.", metavar="NUMBER")]
_Project = Annotated[str, typer.Option("--project", help="The project that the feature is in.", metavar="NAME")]
_Reason = Annotated[str, typer.Option("--reason", help="Why; everybody sees it.", metavar="TEXT")]
_Glass = Annotated[bool, typer.Option("--break-glass", help="Past the rules, with a --reason; loud.")]
_FROM_FILES = ("features/", "routes.yaml")


@app.command("list")
@with_client
def list_all(client: Client, *, as_json: AsJson = False) -> None:
    """List the newest releases, with the channels that point at them.

    Example: headworks release list
    """
    rows = client.get(place("releases"))["releases"]
    if as_json:
        print_json(rows)
        return
    cells = [
        (row["feature"], row["digest"][7:19], row["channels"], row["project"], releasing.moment(row["created_at"]))
        for row in rows
    ]
    print(table(("feature", "release", "channels", "project", "made"), cells))


@app.command()
@with_client
def propose(  # noqa: PLR0913 -- each is an option of the command
    client: Client,
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="A workspace with the change.")] = None,
    *,
    title: Annotated[str, typer.Option("--title", help="In one line what changes.", metavar="TEXT")],
    description: Annotated[str, typer.Option("--description", help="Why.", metavar="TEXT")] = "",
    feature: Annotated[list[str] | None, typer.Option("--feature", help="What waits on staging.")] = None,
    gate: Annotated[list[str] | None, typer.Option("--gate", help="A feature whose applied gate is to judge.")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Only you see it.")] = False,
    update: Annotated[int | None, typer.Option("--update", help="Your proposal to put this in the place of.")] = None,
    project: _Project = "default",
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
    if as_json:
        print_json(made)
    else:
        print(releasing.proposal(made))


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


@app.command()
@with_client
def proposals(
    client: Client,
    *,
    state: Annotated[str | None, typer.Option("--state", help="draft, open, accepted or closed.")] = None,
    as_json: AsJson = False,
) -> None:
    """List proposals, the newest first.

    Example: headworks release proposals --state open
    """
    rows = client.get(place("proposals"), state=state)["rows"]
    if as_json:
        print_json(rows)
        return
    cells = [(f"#{row['number']}", row["title"], row["state"], row["by"], releasing.moment(row["at"])) for row in rows]
    print(table(("", "title", "state", "by", "made"), cells))


@app.command()
@with_client
def show(client: Client, what: _What, *, as_json: AsJson = False) -> None:
    """Show a proposal or a release: what it changes, how it stands on its way to prod, what is attested.

    Example: headworks release show 12
    """
    if number := _number(what):
        found = client.get(place("proposals", number))
        shown = releasing.proposal(found)
    else:
        found = client.get(place("releases", releasing.find_digest(client, what)))
        shown = f"{releasing.standing(found)}\n\n{releasing.attestations(found['attestations'])}"
    if as_json:
        print_json(found)
    else:
        print(shown)


@app.command()
@with_client
def diff(client: Client, number: _Number, *, as_json: AsJson = False) -> None:
    """Show a proposal's changes word by word, and the examples that it answers otherwise, by failure mode.

    Example: headworks release diff 12
    """
    found = client.get(place("proposals", str(number)))
    if as_json:
        behaviours = [each["standing"]["behaviour"] for each in found["releases"]]
        print_json({"files": found["files"], "behaviour": behaviours})
        return
    print(releasing.changes(found["files"]))
    for each in found["releases"]:
        behaviour = each["standing"]["behaviour"]
        print(releasing.behaviour(behaviour) if behaviour else f"  {each['standing']['feature']}: nobody compared yet.")


@app.command()
@with_client
def comment(
    client: Client,
    number: _Number,
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
    found = client.post(place("proposals", str(number), "comments"), body)
    if as_json:
        print_json(found["comments"])
    else:
        several = len(found["comments"])
        print(f"#{number} has {several} comment{'' if several == 1 else 's'}.")


@app.command()
@with_client
def approve(
    client: Client,
    what: _What,
    *,
    as_expert: Annotated[bool, typer.Option("--as-expert", help="As the principal domain expert.")] = False,
    objecting: Annotated[bool, typer.Option("--object", help="Object: nothing is promoted until withdrawn.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take your word back.")] = False,
    comment: Annotated[str, typer.Option("--comment", help="Why.", metavar="TEXT")] = "",
    as_json: AsJson = False,
) -> None:
    """Sign your word on a proposal's releases, or on one digest. Nobody approves what he proposed.

    Example: headworks release approve 12 --as-expert --comment "Reads right"
    """
    if objecting and withdraw:
        raise InvalidRequest("Either --object or --withdraw.")
    decision = "object" if objecting else "withdraw" if withdraw else "approve"
    body = {"decision": decision, "as_expert": as_expert, "comment": comment}
    if number := _number(what):
        found = client.post(place("proposals", number, "approve"), body)
        shown = "\n".join(releasing.standing(each["standing"]) for each in found["releases"])
    else:
        digest = releasing.find_digest(client, what)
        found = client.post(place("releases", digest, "approve"), body)
        shown = releasing.standing(client.get(place("releases", digest)))
    if as_json:
        print_json(found)
    else:
        print(shown)


@app.command()
@with_client
def promote(
    client: Client,
    what: _What,
    *,
    to: Annotated[str, typer.Option("--to", help="prod, canary or staging.", metavar="CHANNEL")] = "prod",
    break_glass: _Glass = False,
    reason: _Reason = "",
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Make a proposal live, or move a channel to a release, by the rule.

    To prod: the attached gate says PASS of this very digest, on current evidence; enough people other than its
    maker approve; no incident blocks. Refused with what is missing, exit status 1.

    Example: headworks release promote 12
    """
    if number := _number(what):
        if to != "prod":
            raise InvalidRequest("A proposal goes to prod.", next_step="Promote its digest to move another channel.")
        body = {"break_glass": break_glass, "reason": reason}
        rows = client.post(place("proposals", number, "accept"), body)["moved"]
    else:
        digest = releasing.find_digest(client, what)
        feature = client.get(place("releases", digest))["feature"]
        rows = client.get(place("releases"), most=1000)["releases"]
        expected = next((row["digest"] for row in rows if row["feature"] == feature and to in row["channels"]), None)
        body = {"feature": feature, "digest": digest, "expected": expected, "channel": to, "project": project}
        body |= {"break_glass": break_glass, "reason": reason}
        rows = [client.post(place("releases", "promote"), body)]
    if as_json:
        print_json(rows)
    else:
        print(releasing.moved(rows))


@app.command()
@with_client
def rollback(
    client: Client,
    feature: _Feature,
    *,
    to: Annotated[str | None, typer.Option("--to", help="A digest that was live before.", metavar="DIGEST")] = None,
    reason: _Reason = "",
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Point prod at what was live and good before; no gate and no approval is asked.

    Example: headworks release rollback claims-assistant --reason "wrong dosage"
    """
    digest = None if to is None else releasing.find_digest(client, to)
    body = {"feature": feature, "to": digest, "reason": reason, "project": project}
    moved = client.post(place("releases", "rollback"), body)
    if as_json:
        print_json(moved)
    else:
        print(releasing.moved([moved]))


@app.command()
@with_client
def log(client: Client, feature: _Feature, *, project: _Project = "default", as_json: AsJson = False) -> None:
    """Show who moved a feature's channels, when, from where to where, and why.

    Example: headworks release log claims-assistant
    """
    found = client.get(place("releases", "log"), feature=feature, project=project)
    if as_json:
        print_json(found)
    else:
        print(releasing.log(found))


@app.command()
@with_client
def close(client: Client, number: _Number, *, as_json: AsJson = False) -> None:
    """End a proposal without accepting it.

    Example: headworks release close 12
    """
    found = client.post(place("proposals", str(number), "close"))
    if as_json:
        print_json(found)
    else:
        print(f"#{number} is closed.")


@app.command()
@with_client
def block(
    client: Client,
    feature: _Feature,
    *,
    reason: _Reason,
    digest: Annotated[str | None, typer.Option("--digest", help="Only this release.", metavar="DIGEST")] = None,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Stop promotions of a feature because of an incident; what is live stays live.

    Example: headworks release block claims-assistant --reason "INC-7: wrong dosage"
    """
    found = None if digest is None else releasing.find_digest(client, digest)
    body = {"feature": feature, "reason": reason, "digest": found, "project": project}
    made = client.post(place("releases", "blocks"), body)
    if as_json:
        print_json(made)
    else:
        print(f"Nothing of `{feature}` is promoted until: headworks release unblock {made['id']}")


@app.command()
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
    if as_json:
        print_json(found)
    else:
        print(f"`{found['feature']}` can be promoted again.")


@app.command()
@with_client
def verify(client: Client, digest: _Digest, *, as_json: AsJson = False) -> None:
    """Verify every attestation about a release; exit status 1 if one was forged or changed.

    Example: headworks release verify 3f9c2b7a10de
    """
    found = client.get(place("releases", releasing.find_digest(client, digest)))["attestations"]
    if as_json:
        print_json(found)
    else:
        print(releasing.attestations(found))
    if any(each["problem"] for each in found):
        raise typer.Exit(1)


@app.command()
@with_client
def export(
    client: Client,
    digest: _Digest,
    file: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FILE")],
    *,
    as_json: AsJson = False,
) -> None:
    """Write a release with its attestations into one file; the same release gives the same bytes.

    Example: headworks release export 3f9c2b7a10de claims.tar
    """
    whole = releasing.find_digest(client, digest)
    content = client.download(f"{place('releases', whole)}/archive")
    file.write_bytes(content)
    if as_json:
        print_json({"digest": whole, "file": str(file), "bytes": len(content)})
    else:
        print(f"{file}: {len(content):,} bytes of {whole}.")


@app.command("import")
@with_client
def take(
    client: Client,
    file: Annotated[Path, typer.Argument(help="What `export` wrote.", exists=True, dir_okay=False, metavar="FILE")],
    *,
    trust: Annotated[list[str] | None, typer.Option("--trust", help="Id of another's key.", metavar="KEY")] = None,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Keep a release from a file, its digest and signatures verified; nothing goes live by that.

    Example: headworks release import claims.tar --trust sha256:9a0c…
    """
    query = urlencode([("project", project), *(("trust", each) for each in split(trust) or [])])
    with file.open("rb") as content:
        found = client.upload(f"{place('releases')}?{query}", {}, content, file.stat().st_size)
    if as_json:
        print_json(found)
    else:
        print(f"{visible(found['feature'])} {found['digest']}: {found['new_attestations']} new attestations.")


@app.command()
@with_client
def keys(
    client: Client,
    *,
    rotate: Annotated[bool, typer.Option("--rotate", help="Sign with a new key from now on.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the keys that verify attestations.

    Example: headworks release keys
    """
    if rotate:
        client.post(place("signing-keys", "rotate"))
    rows = client.get(place("signing-keys"))["rows"]
    if as_json:
        print_json(rows)
        return
    cells = [(row["id"], row["own"], releasing.moment(row["created_at"]), row["retired_at"]) for row in rows]
    print(table(("key", "ours", "made", "retired"), cells))


def _number(what: str) -> str | None:
    """The number of a proposal, None for a digest."""
    bare = what.removeprefix("#")
    return bare if bare.isdigit() and len(bare) < 10 else None
