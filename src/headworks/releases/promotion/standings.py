"""How a release stands on its way to `prod`, read in one transaction: what is live, attached, attested, blocked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

from headworks.errors import NotFound
from headworks.records.audit import note_audit
from headworks.releases import store
from headworks.releases.bundles import SETTINGS
from headworks.releases.channels import PROD, Kind
from headworks.releases.evidence.attestations import is_digest
from headworks.releases.evidence.store import Evidence
from headworks.releases.promotion.history import MoveRow, left_at
from headworks.releases.promotion.rules import TIERS, Block, Gate, Left, Standing, dearest, said_against
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.features import RiskTier
from headworks.types.identity import Principal, PrincipalKind
from headworks.types.ids import Digest, PrincipalId, ProjectId

_SQL = load("headworks.releases.promotion")


class Standings:
    """Reads what the rule looks at. Every method runs in the caller's transaction; data keys are at hand."""

    def __init__(self, keyring: Keyring, evidence: Evidence) -> None:
        self._keyring = keyring
        self._evidence = evidence

    async def of(self, tx: Tx, principal: Principal, project: ProjectId, digest: Digest) -> Standing:
        """Everything that the rule looks at."""
        found = await find_release(tx, principal, digest)
        live = await store.channel(tx, principal, project, found.feature, PROD)
        history = await moves(tx, principal, project, found.feature, PROD)
        judged = live.digest if live is not None and found.kind == "gate" else None
        open_blocks = await blocks(tx, principal, project, found.feature)
        left = left_at(history, digest)
        authors = await authors_of(tx, principal, digest)
        return Standing(
            feature=found.feature,
            digest=digest,
            live=live.digest if live else None,
            tier=await self.tier(
                tx, principal, project, found.feature, await self._risk(tx, principal, digest), kind=found.kind
            ),
            gate=await gate_of(tx, principal, project, found.feature),
            now=await self._evidence.now(tx),
            kind=found.kind,
            attested=await self._evidence.about_in(tx, principal.tenant, digest),
            of_live=await self._evidence.about_in(tx, principal.tenant, judged) if judged else (),
            authors=frozenset(authors),
            is_anonymous=bool(authors) and "user" not in authors.values(),
            blocks=[each for each in open_blocks if each.digest in {None, digest}],
            left=None if left is None else Left(left.moved_by, left.moved_at, left.reason),
        )

    async def tier(
        self,
        tx: Tx,
        principal: Principal,
        project: ProjectId,
        feature: str,
        candidate: RiskTier | None,
        *,
        kind: Kind = "feature",
    ) -> RiskTier:
        """How risky a change of a feature is: by the dearest word of what is or was live, and of what is to be."""
        rows = await store.channels(tx, principal, project)
        digests = {row.digest for (name, channel), row in rows.items() if name == feature and channel == PROD}
        if not digests:
            history = await moves(tx, principal, project, feature, PROD)
            digests = {history[-1].to_digest} if history else set()
        if not digests and kind == "gate":
            digests = {row.digest for (name, _), row in rows.items() if name == feature}
        return dearest([candidate, *[await self._risk(tx, principal, each) for each in digests]])

    async def against(self, tx: Tx, principal: Principal, digest: Digest) -> str:
        """Why nothing may put this release on `prod`: a forgery, or an objection; empty where nothing says so."""
        found = said_against(await self._evidence.about_in(tx, principal.tenant, digest))
        return "" if found is None else found.message

    async def _risk(self, tx: Tx, principal: Principal, digest: Digest) -> RiskTier | None:
        stored = await store.release_files(tx, self._keyring, principal.tenant, digest)
        if stored is None or SETTINGS not in stored.files:
            return None
        risk = orjson.loads(stored.files[SETTINGS]).get("risk")
        return cast("RiskTier", risk) if risk in TIERS else "high"


async def authors_of(tx: Tx, principal: Principal, digest: Digest) -> dict[PrincipalId, PrincipalKind]:
    """Who made or proposed it, and whether that is a person or a service account."""
    rows = await tx.fetch_all(_SQL["authors_of"], tenant=principal.tenant, digest=digest)
    return {PrincipalId(row.author): row.kind for row in rows}


async def moves(
    tx: Tx, principal: Principal, project: ProjectId, feature: str, channel: str | None = None
) -> list[MoveRow]:
    """The moves of a feature's channels, or of one of them, oldest first."""
    return await tx.fetch_all(
        _SQL["moves_of_feature"],
        into=MoveRow,
        tenant=principal.tenant,
        project=project,
        feature=feature,
        name=channel,
    )


async def blocks(tx: Tx, principal: Principal, project: ProjectId, feature: str) -> list[Block]:
    """The blocks of a feature and of its releases that are in force."""
    rows = await tx.fetch_all(_SQL["open_blocks"], tenant=principal.tenant, project=project, feature=feature)
    return [Block(str(row.block_id), row.digest, row.reason, row.made_by, row.made_at) for row in rows]


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """Whose release a digest is."""

    feature: str
    kind: Kind
    project_id: ProjectId


async def find_release(tx: Tx, principal: Principal, digest: Digest) -> ReleaseRow:
    """Feature, kind and project of a digest. Raises NotFound."""
    asked = {"tenant": principal.tenant, "digest": digest}
    row = await tx.fetch_one(_SQL["release_row"], into=ReleaseRow, **asked) if is_digest(digest) else None
    if row is None:
        raise NotFound(f"There is no release `{digest[:100]}`.", next_step="`headworks release list` shows them.")
    return row


async def gate_of(tx: Tx, principal: Principal, project: ProjectId, feature: str) -> Gate | None:
    """The gate attached to a feature's `prod`."""
    row = await tx.fetch_one(_SQL["gate_of_feature"], tenant=principal.tenant, project=project, feature=feature)
    return None if row is None else Gate(Digest(row.digest), row.dataset)


async def attach_gate(tx: Tx, principal: Principal, project: ProjectId, feature: str, gate: Gate) -> None:
    """Have another gate judge a feature from now on; its bundle is kept already."""
    await tx.run(
        _SQL["attach_gate"],
        tenant=principal.tenant,
        project=project,
        feature=feature,
        digest=gate.digest,
        dataset=gate.dataset,
        by=principal.id,
    )
    await note_audit(tx, principal, "release.gate", feature, {"gate": gate.digest, "dataset": gate.dataset})
