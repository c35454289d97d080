"""Drafts and proposals: changes of files, talked over, approved, and then made live by the rule in one transaction.

What is accepted is written into the workspace byte for byte, so that `pull` gives an engineer what an expert wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from headworks.errors import Conflict, Forbidden, InvalidRequest
from headworks.identity.service import Identity, allow
from headworks.records.audit import note_audit
from headworks.releases import store
from headworks.releases.channels import PROD, Moved, Order
from headworks.releases.evidence.attestations import Decision
from headworks.releases.promotion.history import moved_first
from headworks.releases.promotion.promotions import Promotions, refused
from headworks.releases.promotion.rules import Condition, Gate, Standing, dearest, judge
from headworks.releases.promotion.standings import attach_gate, gate_of, moves
from headworks.releases.proposals import store as proposal_store
from headworks.releases.proposals.behaviour import BehaviourDiff, behaviour_diff
from headworks.releases.proposals.file_diffs import FileDiff, release_diffs, workspace_diffs
from headworks.releases.proposals.resolving import Resolved, Resolving, Wanted, check_wanted, text_of
from headworks.releases.proposals.store import Comment, Content, Entry, Listed, Proposal, State
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.features import RiskTier
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId

_LONGEST_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class EntryView:
    """A release of a proposal, and how it stands. `files`: what it changes beside the proposal's own files."""

    entry: Entry
    files: tuple[FileDiff, ...]
    standing: Standing
    conditions: tuple[Condition, ...]
    behaviour: BehaviourDiff | None


@dataclass(frozen=True, slots=True)
class ProposalView:
    """Everything about a proposal. `stale` says why it can't be accepted as it is."""

    proposal: Proposal
    files: tuple[FileDiff, ...]
    entries: tuple[EntryView, ...]
    comments: tuple[Comment, ...]
    stale: str | None


class Proposals:
    """Made, talked about, approved, accepted."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        identity: Identity,
        promotions: Promotions,
        resolving: Resolving,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._identity = identity
        self._promotions = promotions
        self._standings = promotions.standings
        self._resolving = resolving

    async def make(self, principal: Principal, project: str, wanted: Wanted, *, is_draft: bool = False) -> int:
        """A new proposal, or a draft that only its maker sees; gives its number.

        Raises WorkspaceInvalid where the files would not hold together, InvalidRequest where nothing would change.
        """
        allow(principal, "release:propose")
        check_wanted(wanted)
        project_id = (await self._identity.find_project(principal, project)).id
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            await store.lock_project(tx, project_id)
            found = await self._resolving.resolve(tx, principal, project_id, wanted)
            state: State = "draft" if is_draft else "open"
            content = _content(wanted, found)
            await self._resolving.keep(tx, principal, project_id, found)
            risk = await self._risk(tx, principal, project_id, found.entries)
            proposal, number = await proposal_store.add(
                tx, self._keyring, principal, project_id, state, content, risk=risk
            )
            await proposal_store.put_entries(tx, principal, proposal, found.entries)
            await note_audit(tx, principal, "release.propose", str(number), _digests(found.entries))
        return number

    async def change(self, principal: Principal, number: int, wanted: Wanted, *, is_draft: bool = False) -> None:
        """Put other files in the place of one's proposal's, on what is applied and live now: no longer stale.

        What was approved stays approved only where the digest is still the same. A proposal is no draft again.
        """
        allow(principal, "release:propose")
        check_wanted(wanted)
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            proposal = await self._own(tx, principal, number)
            await store.lock_project(tx, proposal.project)
            found = await self._resolving.resolve(tx, principal, proposal.project, wanted)
            state: State = "draft" if is_draft and proposal.state == "draft" else "open"
            await self._resolving.keep(tx, principal, proposal.project, found)
            risk = await self._risk(tx, principal, proposal.project, found.entries)
            content = _content(wanted, found)
            await proposal_store.change(tx, self._keyring, principal, proposal.id, state, content, risk=risk)
            await proposal_store.put_entries(tx, principal, proposal.id, found.entries)
            await note_audit(tx, principal, "release.propose", str(number), _digests(found.entries))

    async def close(self, principal: Principal, number: int) -> None:
        """End a proposal without accepting it: one's own, or with `release:promote` anybody's."""
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            proposal = await proposal_store.find(tx, self._keyring, principal, number)
            if proposal.made_by != principal.id:
                allow(principal, "release:promote")
            await proposal_store.end(tx, principal, proposal.id, "closed")
            await note_audit(tx, principal, "release.close", str(number), {})

    async def comment(
        self, principal: Principal, number: int, text: str, path: str | None = None, line: int | None = None
    ) -> None:
        """Say something about a proposal, or about a line of one of its files."""
        allow(principal, "release:propose", "release:approve")
        if not text.strip() or len(text) > _LONGEST_TEXT:
            raise InvalidRequest(f"A comment has 1 to {_LONGEST_TEXT:,} characters.", param="text")
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            proposal = await proposal_store.find(tx, self._keyring, principal, number)
            if path is not None and path not in proposal.content.files:
                raise InvalidRequest(f"The proposal does not change `{path[:200]}`.", param="path")
            said = {"text": text, "path": path, "line": line}
            await proposal_store.add_comment(tx, self._keyring, principal, proposal.id, said)
            await note_audit(tx, principal, "release.comment", str(number), {})

    async def approve(
        self,
        principal: Principal,
        number: int,
        decision: Decision = "approve",
        *,
        as_expert: bool = False,
        comment: str = "",
        digests: Collection[str] | None = None,
    ) -> list[Entry]:
        """One's word on every digest that the proposal brings now. Raises Forbidden for who made it.

        `digests` are those that were read: Conflict where the proposal brings others by now.
        """
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            proposal = await proposal_store.find(tx, self._keyring, principal, number)
            if proposal.state != "open":
                raise Conflict(_ended(proposal), next_step="Only open ones are approved.")
            entries = await proposal_store.entries(tx, principal, proposal.id)
            if decision == "approve" and (stale := await self._stale(tx, principal, proposal, entries)):
                raise Conflict(f"Proposal {number} is stale: {stale}", next_step=_REFRESH, code="proposal_stale")
        if digests is not None and {each.digest for each in entries} != set(digests):
            raise Conflict(
                f"Proposal {number} brings other releases than those that you have read.",
                next_step=f"{proposal.maker} changed it: `headworks release show {number}`, then decide again.",
                code="proposal_changed",
            )
        for each in entries:
            await self._promotions.approve(
                principal, each.digest, decision, as_expert=as_expert, comment=comment, proposal=number
            )
        if comment.strip():
            await self.comment(principal, number, comment)
        return entries

    async def accept(self, principal: Principal, number: int, *, glass: bool = False, reason: str = "") -> list[Moved]:
        """Make it live: files, releases and gates at once, or nothing. Conflict where it is stale or a rule is not met.

        `glass`: past the rule, with a reason; a stale one stays refused.
        """
        allow(principal, "release:break_glass" if glass else "release:promote")
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            proposal = await proposal_store.find(tx, self._keyring, principal, number)
            await store.lock_project(tx, proposal.project)
            proposal = await proposal_store.find(tx, self._keyring, principal, number)
            if proposal.state != "open":
                raise Conflict(_ended(proposal), next_step="Only open ones are accepted.")
            entries = await proposal_store.entries(tx, principal, proposal.id)
            if stale := await self._stale(tx, principal, proposal, entries):
                raise Conflict(f"Proposal {number} is stale: {stale}", next_step=_REFRESH, code="proposal_stale")
            found = await self._resolving.resolve(tx, principal, proposal.project, _wanted(proposal.content, entries))
            if set(found.entries) != set(entries):
                raise Conflict(
                    f"Proposal {number} is stale: what is applied now makes other releases of it.",
                    next_step=_REFRESH,
                    code="proposal_stale",
                )
            moved = [
                await self._make_live(tx, principal, proposal, each, found, glass=glass, reason=reason)
                for each in entries
            ]
            await self._resolving.put_files(tx, principal, proposal.project, found)
            await proposal_store.end(tx, principal, proposal.id, "accepted")
            await note_audit(tx, principal, "release.accept", str(number), _digests(entries))
        return moved

    async def show(self, principal: Principal, number: int) -> ProposalView:
        """All about a proposal: word by word, by behaviour, by the rule, and what was said."""
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            proposal = await proposal_store.find(tx, self._keyring, principal, number)
            entries = await proposal_store.entries(tx, principal, proposal.id)
            views = []
            for each in entries:
                standing = await self._standings.of(tx, principal, proposal.project, each.digest)
                behaviour = behaviour_diff(standing.attested, standing.live)
                base, made = await self._files(tx, principal, each.base), await self._files(tx, principal, each.digest)
                files = await asyncio.to_thread(release_diffs, each, proposal.content, base, made)
                views.append(EntryView(each, files, standing, judge(standing), behaviour))
            comments = await proposal_store.comments(tx, self._keyring, principal, proposal.id)
            is_open = proposal.state in {"draft", "open"}
            stale = await self._stale(tx, principal, proposal, entries) if is_open else None
        changed = await asyncio.to_thread(workspace_diffs, proposal.content)
        return ProposalView(proposal, changed, tuple(views), tuple(comments), stale)

    async def _files(self, tx: Tx, principal: Principal, digest: Digest | None) -> Mapping[str, bytes]:
        found = None if digest is None else await store.release_files(tx, self._keyring, principal.tenant, digest)
        return {} if found is None else found.files

    async def list(
        self, principal: Principal, project: str | None = None, state: State | None = None, most: int = 100
    ) -> list[Listed]:
        """The newest first, without what they change; of drafts only one's own."""
        project_id = None if project is None else (await self._identity.find_project(principal, project)).id
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            return await proposal_store.listed(tx, self._keyring, principal, project_id, state, most)

    async def _risk(self, tx: Tx, principal: Principal, project: ProjectId, entries: Iterable[Entry]) -> RiskTier:
        """How risky it is to make all of this live."""
        return dearest([(await self._standings.of(tx, principal, project, each.digest)).tier for each in entries])

    async def _own(self, tx: Tx, principal: Principal, number: int) -> Proposal:
        proposal = await proposal_store.find(tx, self._keyring, principal, number)
        if proposal.made_by != principal.id:
            raise Forbidden(
                f"Proposal {number} is {proposal.maker}'s.", next_step="Comment on it, or make one of your own."
            )
        if proposal.state not in {"draft", "open"}:
            raise proposal_store.ended()
        return proposal

    async def _make_live(
        self,
        tx: Tx,
        principal: Principal,
        proposal: Proposal,
        entry: Entry,
        found: Resolved,
        *,
        glass: bool,
        reason: str,
    ) -> Moved:
        if entry.kind == "feature":
            order = Order(entry.feature, entry.digest, entry.base, reason=reason, glass=glass, proposal=proposal.number)
            return await self._promotions.promote_in(tx, principal, proposal.project, order)
        if glass:
            raise InvalidRequest(
                "The glass is broken to move `prod`, not to change what judges it.",
                next_step="Promote the release with --break-glass instead; the gate stays as it is.",
            )
        standing = await self._standings.of(tx, principal, proposal.project, entry.digest)
        if unmet := [each for each in judge(standing) if not each.is_met]:
            raise refused(entry.feature, entry.digest, unmet)
        gate = Gate(entry.digest, found.judgings[entry.feature].dataset)
        await attach_gate(tx, principal, proposal.project, entry.feature, gate)
        return Moved(entry.feature, "gate", entry.base, entry.digest, "promote", is_ungated=False)

    async def _stale(self, tx: Tx, principal: Principal, proposal: Proposal, entries: Iterable[Entry]) -> str | None:
        for each in entries:
            if each.kind == "gate":
                attached = await gate_of(tx, principal, proposal.project, each.feature)
                if (attached.digest if attached else None) != each.base:
                    return f"another gate judges `{each.feature}` since."
                continue
            live = await store.channel(tx, principal, proposal.project, each.feature, PROD)
            if (live.digest if live else None) != each.base:
                history = await moves(tx, principal, proposal.project, each.feature, PROD)
                order = Order(each.feature, each.digest, each.base)
                return moved_first(order, live.digest if live else None, history).message
        applied = await store.files(tx, self._keyring, principal, proposal.project)
        for path, base in proposal.content.bases.items():
            if text_of(applied.get(path)) != base:
                return f"`{path}` was changed since."
        return None


_REFRESH = "Its maker proposes it again on what is live now: `headworks release propose --update`."


def _ended(proposal: Proposal) -> str:
    """That it is not open, and who saw to that."""
    by = f" by {proposal.closer}" if proposal.closer else ""
    at = f" at {proposal.closed_at:%Y-%m-%d %H:%M:%S} UTC" if proposal.closed_at else ""
    return f"Proposal {proposal.number} is {proposal.state}{by and ','}{by}{at}."


def _content(wanted: Wanted, found: Resolved) -> Content:
    files = {path: None if content is None else content.decode() for path, content in sorted(wanted.files.items())}
    return Content(wanted.title.strip(), wanted.description, files, found.bases)


def _wanted(content: Content, entries: Sequence[Entry]) -> Wanted:
    files = {path: None if text is None else text.encode() for path, text in content.files.items()}
    named = {kind: [each.feature for each in entries if each.kind == kind] for kind in ("feature", "gate")}
    return Wanted(content.title, content.description, files, named["feature"], named["gate"])


def _digests(entries: Iterable[Entry]) -> dict[str, str]:
    return {f"{each.kind} {each.feature}": each.digest for each in entries}
