"""Channels moved by people: promote by the rule, roll back, break the glass; blocks; and the log of all moves.

Every move is one transaction under the project's lock: who comes second sees the first one's move and is refused by
name, and whatever dies at whatever moment, exactly one digest is live.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound
from headworks.identity.service import Identity, allow
from headworks.records.audit import note_audit
from headworks.releases import store
from headworks.releases.channels import PROD, Moved, Order, Way
from headworks.releases.evidence.attestations import APPROVAL, Decision
from headworks.releases.evidence.store import Attested, Evidence
from headworks.releases.promotion.history import MoveRow, came_by_rule, moved_first, rollback_target, short
from headworks.releases.promotion.rules import Block, Condition, Standing, judge
from headworks.releases.promotion.standings import Standings, authors_of, blocks, find_release, gate_of, moves
from headworks.releases.store import ChannelRow
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId, new_id

_SQL = load("headworks.releases.promotion")
_log = logging.getLogger(__name__)
_LONGEST_REASON = 2_000


class Promotions:
    """Moves channels and says what stands in the way."""

    def __init__(self, db: Database, keyring: Keyring, identity: Identity, evidence: Evidence) -> None:
        self._db = db
        self._keyring = keyring
        self._identity = identity
        self._evidence = evidence
        self.standings = Standings(keyring, evidence)

    async def standing_of(self, principal: Principal, digest: Digest) -> tuple[Standing, tuple[Condition, ...]]:
        """How a release or gate stands on its way to `prod`, condition by condition."""
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            found = await find_release(tx, principal, digest)
            standing = await self.standings.of(tx, principal, found.project_id, digest)
        return standing, judge(standing)

    async def promote(self, principal: Principal, project: str, order: Order) -> Moved:
        """Move a channel to a release. Raises Conflict where it points elsewhere than expected, or a rule is not met.

        To `prod` by the rule, which `order.glass` breaks; to `staging` and `canary` whatever no incident blocks.
        """
        allow(principal, "release:break_glass" if order.glass else "release:promote")
        project_id = (await self._identity.find_project(principal, project)).id
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            await store.lock_project(tx, project_id)
            return await self.promote_in(tx, principal, project_id, order)

    async def promote_in(self, tx: Tx, principal: Principal, project: ProjectId, order: Order) -> Moved:
        """As `promote`, in a transaction that has the project's lock."""
        reason = _checked_reason(order.reason, is_needed=order.glass)
        found = await find_release(tx, principal, order.digest)
        if found.kind != "feature" or found.feature != order.feature or found.project_id != project:
            raise InvalidRequest(f"`{order.digest}` is no release of `{order.feature}`.", param="digest")
        current = await self._current(tx, principal, project, order)
        before = current.digest if current else None
        standing = await self.standings.of(tx, principal, project, order.digest)
        unmet = _unmet(standing, order)
        if unmet and not order.glass:
            raise refused(order.feature, order.digest, unmet)
        way: Way = "break_glass" if order.glass else "promote"
        is_ungated = order.channel == PROD and standing.gate is None
        move = store.Move(project, order.feature, order.channel, order.digest, is_ungated, way, reason, order.proposal)
        await store.move_channel(tx, principal, move, current)
        await note_audit(
            tx,
            principal,
            "release.promote",
            order.feature,
            {
                "channel": order.channel,
                "from": before,
                "to": order.digest,
                "break_glass": order.glass,
                "reason": reason,
                "unmet": [each.rule for each in unmet],
            },
        )
        if order.glass:
            _log.warning("the glass was broken: %s@%s is %s now", order.feature, order.channel, order.digest)
        return Moved(order.feature, order.channel, before, order.digest, way, is_ungated)

    async def roll_back(
        self, principal: Principal, project: str, feature: str, reason: str = "", to: Digest | None = None
    ) -> Moved:
        """Point `prod` at what was live before, or at `to` if that was ever live; no gate, no evidence is asked.

        What the rule never let go live is live past it again, and says so; to name it takes who may break the glass,
        and a reason.
        Raises NotFound where nothing was live before, Conflict where `to` is blocked.
        """
        allow(principal, "release:promote", "release:break_glass")
        checked = _checked_reason(reason, is_needed=False)
        project_id = (await self._identity.find_project(principal, project)).id
        async with self._db.tx(principal) as tx:
            await store.lock_project(tx, project_id)
            current = await store.channel(tx, principal, project_id, feature, PROD, for_update=True)
            if current is None:
                raise NotFound(f"`{feature}` is not live, so there is nothing to roll back.")
            history = await moves(tx, principal, project_id, feature, PROD)
            open_blocks = await blocks(tx, principal, project_id, feature)
            blocked = {each.digest for each in open_blocks if each.digest is not None}
            target = rollback_target(feature, current.digest, history, blocked, to)
            is_past_rule = not came_by_rule(history, target)
            if is_past_rule and to is not None:
                allow(principal, "release:break_glass")
                checked = _checked_reason(reason, is_needed=True)
            move = store.Move(
                project_id, feature, PROD, target,
                is_ungated=False, way="rollback", reason=checked, is_past_rule=is_past_rule,
            )  # fmt: skip
            await store.move_channel(tx, principal, move, current)
            await note_audit(
                tx,
                principal,
                "release.rollback",
                feature,
                {"from": current.digest, "to": target, "reason": checked, "break_glass": is_past_rule},
            )
        return Moved(feature, PROD, current.digest, target, "rollback", is_ungated=False)

    async def approve(
        self,
        principal: Principal,
        digest: Digest,
        decision: Decision = "approve",
        *,
        as_expert: bool = False,
        comment: str = "",
        proposal: int | None = None,
    ) -> Attested:
        """Sign one's word on a digest. Raises Forbidden for who proposed it, and for who is not the expert."""
        allow(principal, "release:approve")
        if as_expert:
            allow(principal, "release:expert")
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            found = await find_release(tx, principal, digest)
            if decision == "approve" and principal.kind == "service":
                raise Forbidden(
                    "A service account approves nothing: people do.",
                    next_step="Ask somebody with `release:approve`, with a key or session of theirs.",
                    code="not_a_person",
                )
            if decision == "approve" and principal.id in await authors_of(tx, principal, digest):
                raise Forbidden(
                    "You made or proposed this yourself: your approval would not count.",
                    next_step="Ask somebody else with `release:approve`.",
                    code="own_proposal",
                )
            gate = await gate_of(tx, principal, found.project_id, found.feature)
            predicate: dict[str, Any] = {"decision": decision, "gate": gate.digest if gate else None}
            predicate |= {"is_expert": as_expert, "comment": comment[:_LONGEST_REASON], "proposal": proposal}
            attested = await self._evidence.attest_in(tx, principal, digest, APPROVAL, predicate)
            await note_audit(
                tx,
                principal,
                "release.approve",
                digest,
                {"decision": decision, "as_expert": as_expert, "proposal": proposal},
            )
            return attested

    async def block(
        self, principal: Principal, project: str, feature: str, reason: str, digest: Digest | None = None
    ) -> UUID:
        """Stop promotions of a feature, or of one of its releases, until `unblock`; gives the block's id."""
        allow(principal, "release:block")
        checked = _checked_reason(reason, is_needed=True)
        project_id = (await self._identity.find_project(principal, project)).id
        identifier = new_id()
        async with self._db.tx(principal) as tx:
            await store.lock_project(tx, project_id)
            if digest is None:
                await self._must_know(tx, principal, project_id, feature)
            elif (await find_release(tx, principal, digest)).feature != feature:
                raise InvalidRequest(f"`{digest}` is no release of `{feature}`.", param="digest")
            await tx.run(
                _SQL["add_block"],
                tenant=principal.tenant,
                block=identifier,
                project=project_id,
                feature=feature,
                digest=digest,
                reason=checked,
                by=principal.id,
            )
            await note_audit(
                tx, principal, "release.block", feature, {"block": str(identifier), "digest": digest, "reason": checked}
            )
        return identifier

    async def unblock(self, principal: Principal, block: UUID) -> str:
        """Lift a block; the feature that it was of. NotFound where there is none, or none any more."""
        allow(principal, "release:block")
        async with self._db.tx(principal) as tx:
            feature = await tx.fetch_value(_SQL["lift_block"], tenant=principal.tenant, block=block, by=principal.id)
            if feature is None:
                raise NotFound("There is no such block, or it was lifted.", next_step="`headworks release log` shows.")
            await note_audit(tx, principal, "release.unblock", str(feature), {"block": str(block)})
        return str(feature)

    async def log(self, principal: Principal, project: str, feature: str) -> tuple[list[MoveRow], list[Block]]:
        """All moves of a feature's channels, oldest first, and the blocks in force."""
        project_id = (await self._identity.find_project(principal, project)).id
        async with self._db.tx(principal) as tx:
            await self._must_know(tx, principal, project_id, feature)
            history = await moves(tx, principal, project_id, feature)
            return history, await blocks(tx, principal, project_id, feature)

    async def _current(self, tx: Tx, principal: Principal, project: ProjectId, order: Order) -> ChannelRow | None:
        current = await store.channel(tx, principal, project, order.feature, order.channel, for_update=True)
        now = current.digest if current else None
        if now != order.expected:
            raise moved_first(order, now, await moves(tx, principal, project, order.feature, order.channel))
        if current is not None and current.digest == order.digest and current.way != "break_glass":
            raise Conflict(f"`{order.feature}@{order.channel}` points at this release already.", code="already_live")
        return current

    async def _must_know(self, tx: Tx, principal: Principal, project: ProjectId, feature: str) -> None:
        rows = await tx.fetch_all(_SQL["features_of_project"], tenant=principal.tenant, project=project)
        known = {row.feature for row in rows}
        if feature not in known:
            near = f"There is: {', '.join(sorted(known)[:10])}." if known else "Nothing was applied yet."
            raise NotFound(f"There is no feature `{feature[:100]}` with a release.", next_step=near)


def _unmet(standing: Standing, order: Order) -> list[Condition]:
    """What stands in the way: for `prod` the rule, elsewhere only an incident."""
    if order.channel == PROD:
        return [each for each in judge(standing) if not each.is_met]
    return [
        Condition("incidents", is_met=False, message=f"It is blocked: {each.reason}") for each in standing.blocks[:1]
    ]


def refused(feature: str, digest: Digest, unmet: Sequence[Condition]) -> Conflict:
    """The error that names every condition that is not met."""
    listed = "; ".join(f"{each.rule}: {each.message.rstrip('.')}" for each in unmet)
    steps = " ".join(dict.fromkeys(each.next_step for each in unmet if each.next_step))
    return Conflict(
        f"`{feature}` can't go to `prod` as {short(digest)}: {listed}.", next_step=steps, code="promotion_refused"
    )


def _checked_reason(reason: str, *, is_needed: bool) -> str:
    text = reason.strip()
    if is_needed and not text:
        raise InvalidRequest("A reason is needed: everybody will see it.", param="reason")
    if len(text) > _LONGEST_REASON or any(ord(each) < 32 and each not in "\n\t" for each in text):
        raise InvalidRequest(f"A reason has at most {_LONGEST_REASON:,} printable characters.", param="reason")
    return text
