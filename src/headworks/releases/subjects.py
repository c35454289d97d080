"""What evaluation asks of releases: which digest a name means, what is live, and what judges a feature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headworks.errors import InvalidRequest, NotFound
from headworks.identity.service import Identity
from headworks.releases import store
from headworks.releases.channels import PROD, Kind
from headworks.releases.gate_bundles import judging_of
from headworks.releases.promotion.standings import authors_of, gate_of
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId

_LEAST_DIGITS = 6
_MOST_TOLD = 100


@dataclass(frozen=True, slots=True)
class Subject:
    """A release of a feature."""

    project: ProjectId
    project_name: str
    feature: str
    digest: Digest

    @property
    def model(self) -> str:
        """How it is called: pinned."""
        return f"{self.feature}@{self.digest}"


@dataclass(frozen=True, slots=True)
class GateBundle:
    """What judges a feature: files by their path in its folder. `dataset` is the digest of its golden files."""

    digest: Digest
    dataset: str | None
    files: Mapping[str, bytes]


class JudgedReleases:
    """Reads, under the caller's rights."""

    def __init__(self, db: Database, keyring: Keyring, identity: Identity) -> None:
        self._db = db
        self._keyring = keyring
        self._identity = identity

    async def subject(self, principal: Principal, project: str, name: str, usual: str = PROD) -> Subject:
        """The release that `feature`, `feature@channel` or `feature@sha256:…` (first digits do) means.

        A bare feature means its `usual` channel. Raises NotFound, InvalidRequest for digits that fit several.
        """
        feature, _, at = name.partition("@")
        found = await self._identity.find_project(principal, project)
        async with self._db.tx(principal) as tx:
            if at.startswith("sha256:"):
                digest = await _named(tx, principal, found.id, at, feature, "feature")
            else:
                channels = await store.channels(tx, principal, found.id)
                row = channels.get((feature, at or usual))
                digest = None if row is None else row.digest
        if digest is None:
            what = f"There is no release `{name}`." if at else f"Nothing of `{feature}` is on the channel `{usual}`."
            raise NotFound(what, next_step="`headworks release list` shows releases, and the channels that have them.")
        return Subject(found.id, found.name, feature, Digest(digest))

    async def live(self, principal: Principal, project: ProjectId, feature: str) -> Digest | None:
        """What `prod` points at."""
        async with self._db.tx(principal) as tx:
            row = (await store.channels(tx, principal, project)).get((feature, PROD))
        return None if row is None else Digest(row.digest)

    async def authors(self, principal: Principal, digests: Iterable[Digest]) -> frozenset[PrincipalId]:
        """Who made or proposed one of these releases or gates: nobody's word on his own work is evidence."""
        async with self._db.tx(principal) as tx:
            return frozenset([author for each in digests for author in await authors_of(tx, principal, each)])

    async def gate(self, principal: Principal, project: ProjectId, feature: str, name: str | None = None) -> GateBundle:
        """The gate attached to a feature's `prod`, or another that is to judge it, by its digest or the first digits.

        Raises NotFound, InvalidRequest for digits that fit several.
        """
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            if name is None:
                attached = await gate_of(tx, principal, project, feature)
                digest = None if attached is None else attached.digest
            else:
                digits = f"sha256:{name.removeprefix('sha256:')}"
                digest = await _named(tx, principal, project, digits, feature, "gate")
            stored = None if digest is None else await store.release_files(tx, self._keyring, principal.tenant, digest)
        if digest is None or stored is None:
            raise _no_gate(feature, name)
        judging = judging_of(feature, {f"features/{feature}/{path}": each for path, each in stored.files.items()})
        return GateBundle(digest, None if judging is None else judging.dataset, stored.files)


async def _named(
    tx: Tx, principal: Principal, project: ProjectId, digits: str, feature: str, kind: Kind
) -> Digest | None:
    """The release or gate of a feature whose digest alone begins so. Raises InvalidRequest where several do."""
    if len(digits) < len("sha256:") + _LEAST_DIGITS:
        return None
    rows = await store.releases(tx, principal, {}, _MOST_TOLD, project, digits)
    fitting = {row.digest for row in rows if (row.feature, row.kind) == (feature, kind)}
    if len(fitting) > 1:
        what = "gates" if kind == "gate" else "releases"
        raise InvalidRequest(f"`{digits}` fits {len(fitting)} {what} of `{feature}`.", next_step="Give more digits.")
    return next(iter(fitting), None)


def _no_gate(feature: str, name: str | None) -> NotFound:
    if name is None:
        step = "Write `evals/gate.yaml` and apply it: the first gate of a feature is attached at once."
        return NotFound(f"No gate judges `{feature}`.", next_step=step)
    step = "`headworks release show NUMBER` shows the gate that a proposal brings; six digits of it or more are enough."
    return NotFound(f"`{name}` is no gate of `{feature}`.", next_step=step)
