"""What the routes of proposals answer, and how it is made from what the services give."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel

from headworks.releases.bodies import StandingBody, standing_body
from headworks.releases.proposals.file_diffs import FileDiff
from headworks.releases.proposals.lifecycle import ProposalView
from headworks.releases.proposals.store import Listed, Proposal
from headworks.types.json_values import JsonObject


class ProposalBody(BaseModel):
    """A proposal in a list, without what it changes; `risk` is that of the dearest release it brings."""

    number: int
    title: str
    state: str
    risk: str
    by: str
    at: datetime
    changed_at: datetime
    closed_by: str | None
    closed_at: datetime | None


class PieceBody(BaseModel):
    """A run of text: `same`, `added` or `removed`."""

    op: str
    text: str


class FileBody(BaseModel):
    """One file of a proposal, word by word."""

    path: str
    kind: str
    pieces: list[PieceBody]


class EntryBody(BaseModel):
    """A release or gate that a proposal brings; `base` is what was there when it was written.

    `files`: what it changes of that beside the proposal's own files.
    """

    base: str | None
    files: list[FileBody]
    standing: StandingBody


class CommentBody(BaseModel):
    """A word in the discussion."""

    text: str
    path: str | None
    line: int | None
    by: str
    at: datetime


class WholeProposalBody(ProposalBody):
    """Everything about a proposal. `stale` says why it can't be accepted as it is."""

    description: str
    files: list[FileBody]
    releases: list[EntryBody]
    comments: list[CommentBody]
    stale: str | None


def proposal_body(listed: Listed) -> ProposalBody:
    """A proposal as a list shows it."""
    return ProposalBody(**_row(listed, listed.title))


def whole_proposal_body(view: ProposalView) -> WholeProposalBody:
    """A proposal as JSON shows it."""
    return WholeProposalBody(
        **_row(view.proposal, view.proposal.content.title),
        description=view.proposal.content.description,
        files=_files(view.files),
        releases=[
            EntryBody(
                base=each.entry.base,
                files=_files(each.files),
                standing=standing_body(each.standing, each.conditions, each.behaviour),
            )
            for each in view.entries
        ],
        comments=[
            CommentBody(text=each.text, path=each.path, line=each.line, by=each.by, at=each.at)
            for each in view.comments
        ],
        stale=view.stale,
    )


def _files(diffs: Iterable[FileDiff]) -> list[FileBody]:
    return [
        FileBody(path=each.path, kind=each.kind, pieces=[PieceBody(op=p.op, text=p.text) for p in each.pieces])
        for each in diffs
    ]


def _row(proposal: Proposal | Listed, title: str) -> JsonObject:
    return {
        "number": proposal.number,
        "title": title,
        "state": proposal.state,
        "risk": proposal.risk,
        "by": proposal.maker,
        "at": proposal.made_at,
        "changed_at": proposal.changed_at,
        "closed_by": proposal.closer,
        "closed_at": proposal.closed_at,
    }
