"""How proposals and releases are named on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.errors import NotFound

What = Annotated[str, typer.Argument(help="A proposal's number, or a release's digest.", metavar="WHAT")]
Digest = Annotated[str, typer.Argument(help="A release's digest, or its first digits.", metavar="DIGEST")]
Feature = Annotated[str, typer.Argument(help="The feature's name.", metavar="FEATURE")]
Number = Annotated[int, typer.Argument(help="The proposal's number.", metavar="NUMBER")]
Project = Annotated[str, typer.Option("--project", help="The project that the feature is in.", metavar="NAME")]
Reason = Annotated[str, typer.Option("--reason", help="Why; everybody sees it.", metavar="TEXT")]
_DIGEST_FROM = 6
"""Digits by which a digest may be named."""


def proposal_number(what: str) -> str | None:
    """The number of a proposal, None for a digest: from six digits on only `#` tells them apart."""
    bare = what.removeprefix("#")
    return bare if bare.isdecimal() and (what != bare or len(bare) < _DIGEST_FROM) else None


def find_digest(client: Client, given: str) -> str:
    """A digest from itself, or from its first digits if they are one release's or gate's alone. Raises NotFound."""
    bare = given.rpartition("@")[2].removeprefix("sha256:")
    if len(bare) == 64:
        return f"sha256:{bare}"
    rows = client.get(place("releases"), digits=bare)["releases"] if len(bare) >= _DIGEST_FROM else []
    found = [row["digest"] for row in rows]
    if len(found) != 1:
        raise NotFound(
            f"`{given}` is {'the beginning of several releases' if found else 'no release'}.",
            next_step="`headworks release list` shows digests; six digits or more are enough where they are unique.",
        )
    return str(found[0])
