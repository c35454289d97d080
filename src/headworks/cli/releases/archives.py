"""Releases that leave and come: one file each, with what is said about them and by whose key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from headworks.cli.client import Client, place
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.releases import shown
from headworks.cli.releases.arguments import Digest, Project, find_digest
from headworks.cli.terminal import Columns, moment, tell, tell_rows, visible
from headworks.errors import Conflict
from headworks.types.wording import counted


@with_client
def verify(client: Client, digest: Digest, *, as_json: AsJson = False) -> None:
    """Verify every attestation about a release; exit status 1 if one was forged or changed.

    Example: headworks release verify 3f9c2b7a10de
    """
    found = client.get(place("releases", find_digest(client, digest)))["attestations"]
    tell(found, lambda: shown.attestations(found), as_json=as_json)
    if any(each["problem"] for each in found):
        raise typer.Exit(1)


@with_client
def export(
    client: Client,
    digest: Digest,
    file: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FILE")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Write a release with its attestations into one file; the same release gives the same bytes.

    Example: headworks release export 3f9c2b7a10de claims.tar
    """
    if file.exists() and not force:
        raise Conflict(f"{file} is there already.", next_step="Choose another name, or give --force.")
    whole = find_digest(client, digest)
    content = client.download(f"{place('releases', whole)}/archive")
    file.write_bytes(content)
    made = {"digest": whole, "file": str(file), "bytes": len(content)}
    tell(made, lambda: f"{file}: {len(content):,} bytes of {whole}.", as_json=as_json)


@with_client
def take(
    client: Client,
    file: Annotated[Path, typer.Argument(help="What `export` wrote.", exists=True, dir_okay=False, metavar="FILE")],
    *,
    trust: Annotated[list[str] | None, typer.Option("--trust", help="Id of another's key.", metavar="KEY")] = None,
    project: Project = "default",
    as_json: AsJson = False,
) -> None:
    """Keep a release from a file, its digest and signatures verified; nothing goes live by that.

    Example: headworks release import claims.tar --trust sha256:9a0c…
    """
    query = urlencode([("project", project), *(("trust", each) for each in split(trust) or [])])
    with file.open("rb") as content:
        found = client.upload(f"{place('releases')}?{query}", {}, content, file.stat().st_size)
    said = f"{visible(found['feature'])} {found['digest']}: {counted(found['new_attestations'], 'new attestation')}."
    tell(found, lambda: said, as_json=as_json)


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
    columns: Columns = {
        "key": "id",
        "ours": "own",
        "made": lambda row: moment(row["created_at"]),
        "retired": lambda row: moment(row["retired_at"]),
    }
    tell_rows(rows, columns, as_json=as_json, none="Nothing was signed yet.")
