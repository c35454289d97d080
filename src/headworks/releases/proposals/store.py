"""The tables of proposals: what is proposed and said lies sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from headworks.errors import Conflict, NotFound
from headworks.releases.channels import Kind
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.features import RiskTier
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId, new_id

_SQL = load("headworks.releases.proposals")

State = Literal["draft", "open", "accepted", "closed"]


class Content(msgspec.Struct, frozen=True):
    """What is proposed: texts by path (None: the file goes), and what each was before (None: it was not there)."""

    title: str
    description: str
    files: dict[str, str | None]
    bases: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A release or gate that a proposal brings, and what stood in its place when it was written."""

    feature: str
    kind: Kind
    base: Digest | None
    digest: Digest


@dataclass(frozen=True, slots=True)
class Comment:
    """A word in the discussion; `path` and `line` where it is about one."""

    id: UUID
    text: str
    path: str | None
    line: int | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A proposal in a list: `risk` is that of the dearest release it brings, as of its last change."""

    number: int
    title: str
    state: State
    risk: RiskTier
    maker: str
    made_at: datetime
    changed_at: datetime
    closer: str | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal as it is stored, opened."""

    id: UUID
    number: int
    project: ProjectId
    state: State
    risk: RiskTier
    content: Content
    made_by: PrincipalId
    maker: str
    made_at: datetime
    changed_at: datetime
    closer: str | None
    closed_at: datetime | None


async def add(
    tx: Tx,
    keyring: Keyring,
    principal: Principal,
    project: ProjectId,
    state: State,
    content: Content,
    *,
    risk: RiskTier,
) -> tuple[UUID, int]:
    """Store a proposal; its id and its number in the tenant."""
    await tx.run(_SQL["wait_for_number"], tenant=principal.tenant)
    number: int = await tx.fetch_value(_SQL["next_number"], tenant=principal.tenant)
    proposal = new_id()
    await tx.run(
        _SQL["add_proposal"],
        tenant=principal.tenant,
        proposal=proposal,
        number=number,
        project=project,
        state=state,
        risk=risk,
        title=_sealed(keyring, principal, "proposal.title", proposal, content.title),
        content=_sealed(keyring, principal, "proposal.content", proposal, content),
        by=principal.id,
    )
    return proposal, number


async def change(
    tx: Tx, keyring: Keyring, principal: Principal, proposal: UUID, state: State, content: Content, *, risk: RiskTier
) -> None:
    """Put other content in the place of a draft's or an open proposal's. Raises Conflict where it has ended."""
    if not await tx.run(
        _SQL["change_proposal"],
        tenant=principal.tenant,
        proposal=proposal,
        title=_sealed(keyring, principal, "proposal.title", proposal, content.title),
        content=_sealed(keyring, principal, "proposal.content", proposal, content),
        state=state,
        risk=risk,
    ):
        raise ended()


async def end(tx: Tx, principal: Principal, proposal: UUID, state: State) -> None:
    """Accept or close it. Raises Conflict where it has ended already."""
    if not await tx.run(_SQL["end_proposal"], tenant=principal.tenant, proposal=proposal, state=state, by=principal.id):
        raise ended()


def ended() -> Conflict:
    """The error for a proposal that nothing more can happen to."""
    return Conflict("The proposal was accepted or closed already.", next_step="Make another one.")


async def put_entries(tx: Tx, principal: Principal, proposal: UUID, entries: Sequence[Entry]) -> None:
    """Make these the releases that a proposal brings."""
    await tx.run(_SQL["drop_releases"], tenant=principal.tenant, proposal=proposal)
    for each in entries:
        await tx.run(
            _SQL["add_release"],
            tenant=principal.tenant,
            proposal=proposal,
            feature=each.feature,
            kind=each.kind,
            base=each.base,
            digest=each.digest,
        )


async def entries(tx: Tx, principal: Principal, proposal: UUID) -> list[Entry]:
    """The releases that a proposal brings."""
    return await tx.fetch_all(_SQL["releases_of"], into=Entry, tenant=principal.tenant, proposal=proposal)


async def find(tx: Tx, keyring: Keyring, principal: Principal, number: int) -> Proposal:
    """A proposal by its number. Raises NotFound, also for somebody else's draft."""
    row = await tx.fetch_one(_SQL["find_proposal"], tenant=principal.tenant, number=number)
    if row is None or (row.state == "draft" and row.made_by != principal.id):
        raise NotFound(f"There is no proposal {number}.", next_step="`headworks release proposals` lists them.")
    return _opened(keyring, principal, row)


async def not_taken_up(tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId) -> list[tuple[int, Content]]:
    """Number and content of accepted proposals that no apply has brought along since."""
    rows = await tx.fetch_all(_SQL["not_taken_up"], tenant=principal.tenant, project=project)
    opened = [
        (row.number, keyring.open(principal.tenant, "proposal.content", row.proposal_id, row.content)) for row in rows
    ]
    return [(number, msgspec.json.decode(content, type=Content)) for number, content in opened]


async def take_up(tx: Tx, principal: Principal, project: ProjectId) -> None:
    """Accepted proposals are from here on files like any other."""
    await tx.run(_SQL["take_up"], tenant=principal.tenant, project=project)


async def listed(
    tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId | None, state: State | None, most: int
) -> list[Listed]:
    """The newest proposals, without what they change; of drafts only one's own."""
    rows = await tx.fetch_all(
        _SQL["list_proposals"], tenant=principal.tenant, project=project, by=principal.id, state=state, most=most
    )
    return [
        Listed(
            number=row.number,
            title=msgspec.json.decode(keyring.open(principal.tenant, "proposal.title", row.proposal_id, row.title)),
            state=row.state,
            risk=row.risk,
            maker=row.maker,
            made_at=row.made_at,
            changed_at=row.changed_at,
            closer=row.closer,
            closed_at=row.closed_at,
        )
        for row in rows
    ]


async def add_comment(tx: Tx, keyring: Keyring, principal: Principal, proposal: UUID, said: Mapping[str, Any]) -> UUID:
    """Store a word in the discussion: `text`, `path`, `line`."""
    identifier = new_id()
    await tx.run(
        _SQL["add_comment"],
        tenant=principal.tenant,
        comment=identifier,
        proposal=proposal,
        content=_sealed(keyring, principal, "proposal_comment.content", identifier, said),
        by=principal.id,
    )
    return identifier


async def comments(tx: Tx, keyring: Keyring, principal: Principal, proposal: UUID) -> list[Comment]:
    """The discussion, oldest first."""
    rows = await tx.fetch_all(_SQL["comments_of"], tenant=principal.tenant, proposal=proposal)
    found = []
    for row in rows:
        opened = keyring.open(principal.tenant, "proposal_comment.content", row.comment_id, row.content)
        said = msgspec.json.decode(opened)
        found.append(Comment(row.comment_id, said["text"], said["path"], said["line"], row.made_by, row.made_at))
    return found


def _sealed(keyring: Keyring, principal: Principal, column: str, identifier: UUID, value: object) -> bytes:
    return keyring.seal(principal.tenant, column, identifier, msgspec.json.encode(value))


def _opened(keyring: Keyring, principal: Principal, row: Any) -> Proposal:  # noqa: ANN401 -- a row
    content = keyring.open(principal.tenant, "proposal.content", row.proposal_id, row.content)
    return Proposal(
        id=row.proposal_id,
        number=row.number,
        project=row.project_id,
        state=row.state,
        risk=row.risk,
        content=msgspec.json.decode(content, type=Content),
        made_by=row.made_by,
        maker=row.maker,
        made_at=row.made_at,
        changed_at=row.changed_at,
        closer=row.closer,
        closed_at=row.closed_at,
    )
