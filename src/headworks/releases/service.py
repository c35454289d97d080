"""Releases, as others may call them: apply, diff and pull a workspace; load what is live."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from headworks.errors import Conflict, Forbidden, WorkspaceInvalid
from headworks.identity.service import Identity
from headworks.records.audit import note_audit
from headworks.releases import store
from headworks.releases.applying import AppliedFeature, Applying
from headworks.releases.archives.exchange import Archives
from headworks.releases.bundles import read_bundle
from headworks.releases.contract import CollectionDeclarer, SplitLock
from headworks.releases.evidence.attestations import COMPARISON, VERDICT
from headworks.releases.evidence.store import Attested, Evidence
from headworks.releases.promotion.promotions import Promotions
from headworks.releases.promotion.standings import Standings
from headworks.releases.prompts.templates import fill, parse_prompt
from headworks.releases.proposals.lifecycle import Proposals
from headworks.releases.proposals.resolving import Resolving
from headworks.releases.proposals.store import take_up
from headworks.releases.proposals.taking_up import Undone, refuse, undone
from headworks.releases.route_bodies import read_route
from headworks.releases.subjects import GateBundle, JudgedReleases, Subject
from headworks.releases.table import ReleaseTable
from headworks.releases.workspace.account_files import check_files
from headworks.releases.workspace.reading import Surroundings, parse_workspace
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.features import Feature
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId, TenantId
from headworks.types.workspace import AccountSpec, Workspace

__all__ = [
    "COMPARISON",
    "VERDICT",
    "ApplyReport",
    "Change",
    "DiffReport",
    "GateBundle",
    "JudgedReleases",
    "Knowingly",
    "Releases",
    "Subject",
    "fill",
    "parse_prompt",
]


@dataclass(frozen=True, slots=True)
class Knowingly:
    """What an apply does on purpose: go over accepted proposals, by number; move examples between splits, and why."""

    over: frozenset[int] = frozenset()
    unlock: str = ""


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What `apply` did."""

    features: tuple[AppliedFeature, ...]
    routes: tuple[str, ...]
    collections: tuple[str, ...]
    removed: tuple[str, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One file that `apply` would change: `added`, `changed` or `removed`."""

    path: str
    kind: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class DiffReport:
    """What `apply` would change: files, and which features' digests."""

    files: tuple[Change, ...]
    features: tuple[tuple[str, str | None, str], ...]
    """(feature, live digest on its channel or None, digest after)."""
    notices: tuple[str, ...]


class Releases:
    """Workspaces and what is live."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        collections: CollectionDeclarer,
        identity: Identity,
        surroundings: Surroundings,
        weights_digest: Callable[[str], str | None],
        *,
        split_lock: SplitLock | None = None,
    ) -> None:
        """Without `split_lock` golden files may say what they like."""
        self._db = db
        self._keyring = keyring
        self._collections = collections
        self._identity = identity
        self._around = surroundings
        self._split_lock = split_lock
        self.evidence = Evidence(db, keyring)
        self._standings = Standings(keyring, self.evidence)
        self._applying = Applying(keyring, self._standings, weights_digest)
        self.archives = Archives(db, keyring, identity, self.evidence)
        self.judged = JudgedReleases(db, keyring, identity)
        self.promotions = Promotions(db, keyring, identity, self.evidence)
        self.proposals = Proposals(
            db, keyring, identity, self.promotions, Resolving(keyring, self._applying, surroundings, split_lock)
        )
        self._read = lru_cache(maxsize=1024)(_Stored)

    async def apply(
        self, principal: Principal, project: str, files: Mapping[str, bytes], knowingly: Knowingly | None = None
    ) -> ApplyReport:
        """Make the project's workspace be these files: everything is checked first, then done in one transaction.

        Collections are declared just before (they live elsewhere); applying again is harmless. Raises Conflict where
        an accepted proposal would be undone (`proposal_overwritten`) or an example would move to another split
        (`split_locked`), unless `knowingly`.
        """
        knowingly = knowingly or Knowingly()
        workspace = await asyncio.to_thread(parse_workspace, files, self._around)
        _check_rights(principal, workspace)
        await self._check_files(principal, workspace)
        project_id = await self._project(principal, project)
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            await self._check_kept(tx, principal, project_id, files, knowingly)
        await self._collections.declare(principal, project_id, workspace.collections)
        if workspace.roles or "roles.yaml" in await self.pull(principal, project):
            await self._identity.define_roles(principal, workspace.roles, project)
        async with self._db.tx(principal) as tx:
            await store.lock_project(tx, project_id)
            await store.check_names(tx, principal, project_id, workspace)
            undone = await self._check_kept(tx, principal, project_id, files, knowingly)
            await self._keep(tx, principal, project_id, files, knowingly, undone)
            await store.put_accounts_and_routes(tx, principal, project_id, workspace)
            before = await store.channels(tx, principal, project_id)
            done = [
                await self._applying.release(tx, principal, project_id, workspace, feature, before)
                for feature in workspace.features
            ]
            applied = [each for each, _ in done]
            removed = sorted({name for name, _ in before} - {each.name for each in workspace.features})
            await store.close_channels(tx, principal, project_id, [each.name for each in workspace.features])
            await note_audit(tx, principal, "workspace.apply", project, {each.name: each.digest for each in applied})
        return ApplyReport(
            tuple(applied),
            tuple(each.name for each in workspace.routes),
            tuple(each.name for each in workspace.collections),
            tuple(removed),
            (*workspace.notices, *[notice for _, notice in done if notice], *[each.told for each in undone]),
        )

    async def _check_kept(
        self, tx: Tx, principal: Principal, project: ProjectId, files: Mapping[str, bytes], knowingly: Knowingly
    ) -> list[Undone]:
        """Refuse what is undone unknowingly; what is undone otherwise."""
        found = await undone(tx, self._keyring, principal, project, files)
        refuse(found, knowingly.over)
        if self._split_lock is not None:
            await self._split_lock.check(tx, principal, project, files, knowingly.unlock)
        return found

    async def _refusals(
        self, tx: Tx, principal: Principal, project: ProjectId, files: Mapping[str, bytes]
    ) -> tuple[str, ...]:
        """What `apply` refuses unless it is done knowingly."""
        try:
            await self._check_kept(tx, principal, project, files, Knowingly())
        except Conflict as error:
            return (str(error),)
        return ()

    async def _keep(
        self,
        tx: Tx,
        principal: Principal,
        project: ProjectId,
        files: Mapping[str, bytes],
        knowingly: Knowingly,
        undone: Sequence[Undone],
    ) -> None:
        await take_up(tx, principal, project)
        for each in undone:
            await note_audit(tx, principal, "release.overwrite", str(each.number), {"files": list(each.paths)})
        if self._split_lock is not None:
            await self._split_lock.keep(tx, principal, project, files, knowingly.unlock)
        await store.put_files(tx, self._keyring, principal, project, files)

    async def diff(self, principal: Principal, project: str, files: Mapping[str, bytes]) -> DiffReport:
        """What `apply` would change, with nothing changed. What `apply` would refuse of the files is refused here."""
        workspace = await asyncio.to_thread(parse_workspace, files, self._around)
        await self._check_files(principal, workspace)
        await self._collections.check(principal, workspace.collections)
        project_id = await self._project(principal, project)
        before = await self.pull(principal, project)
        async with self._db.tx(principal) as tx:
            notices = await self._refusals(tx, principal, project_id, files)
            channels = await store.channels(tx, principal, project_id)
            features = []
            for feature in workspace.features:
                digest = self._applying.bundle(workspace, feature).digest
                place = await self._applying.place(tx, principal, project_id, feature, digest)
                live = channels.get((feature.name, place.channel))
                features.append((feature.name, live.digest if live else None, str(digest)))
        return DiffReport(tuple(_changes(before, files)), tuple(features), (*workspace.notices, *notices))

    async def _check_files(self, principal: Principal, workspace: Workspace) -> None:
        """Files where the server runs are the operator's: nobody else may have them read, or learn what is there."""
        naming = [each for each in workspace.accounts if each.ca_file or each.client_certificate]
        if naming and not await self._identity.is_operator(principal):
            raise WorkspaceInvalid(
                f"{naming[0].where}: `ca_file` and `client_certificate` name files where the server runs, and only the "
                "operator's own tenant may.",
                next_step="Leave them out, and ask the operator to install the authority's certificate.",
            )
        for account in naming:
            await asyncio.to_thread(check_files, account)

    async def pull(self, principal: Principal, project: str) -> dict[str, bytes]:
        """The files as last applied, byte for byte."""
        project_id = await self._project(principal, project)
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            return await store.files(tx, self._keyring, principal, project_id)

    async def list_releases(
        self, principal: Principal, most: int = 100, digits: str | None = None
    ) -> list[store.ReleaseRow]:
        """The newest releases of the tenant, with the channels that point at them.

        With `digits` (`sha256:…`) all whose digests begin so, gates too.
        """
        names = {each.id: each.name for each in await self._identity.list_projects(principal)}
        async with self._db.tx(principal) as tx:
            return await store.releases(tx, principal, names, most, digits=digits)

    async def attest(
        self, principal: Principal, digest: Digest, predicate_type: str, predicate: Mapping[str, Any]
    ) -> Attested:
        """Sign a statement about a release and keep it for good; gates and comparisons write theirs by this.

        The forms of the `headworks:` predicates are in docs/reference/releases.md. Raises InvalidRequest, NotFound.
        """
        return await self.evidence.attest(principal, digest, predicate_type, predicate)

    async def pinned(self, tenant: TenantId, digest: Digest) -> Feature | None:
        """The feature of any release ever made, by its digest; None when there is none."""
        await self._keyring.ensure(self._db, tenant)
        async with self._db.system("pinned release") as tx:
            stored = await store.release_files(tx, self._keyring, tenant, digest)
        if stored is None:
            return None
        return read_bundle(stored.files, tenant=tenant, project=stored.project, digest=digest, channel="pinned")

    async def load(self, tx: Tx) -> ReleaseTable:
        """What is live in all tenants; `tx` is of `db.system`. Bundles already read are not read again."""
        features: dict[tuple[TenantId, str], dict[str, Feature]] = {}
        for row in await store.live_channels(tx):
            holder = self._read(row.tenant_id, row.digest)
            if holder.value is None:
                await self._keyring.ensure(self._db, row.tenant_id)
                holder.value = await store.release_files(tx, self._keyring, row.tenant_id, row.digest)
            if holder.value is not None:
                feature = read_bundle(
                    holder.value.files,
                    tenant=row.tenant_id,
                    project=row.project_id,
                    digest=row.digest,
                    channel=row.name,
                )
                if row.way == "break_glass":
                    feature = replace(feature, notice="break-glass")
                features.setdefault((row.tenant_id, row.feature), {})[row.name] = feature
        routes = {
            (r.tenant_id, r.name): read_route(r.name, r.definition, r.digest) for r in await store.live_routes(tx)
        }
        accounts = {
            (a.tenant_id, a.name): AccountSpec(name=a.name, where="", **a.definition)
            for a in await store.live_accounts(tx)
        }
        return ReleaseTable(features, routes, accounts)

    async def _project(self, principal: Principal, name: str) -> ProjectId:
        return (await self._identity.find_project(principal, name)).id


class _Stored:
    """Holds one release's files, so that a cache keyed by (tenant, digest) can be filled by a coroutine."""

    def __init__(self, tenant: TenantId, digest: Digest) -> None:
        self.key = (tenant, digest)
        self.value: store.StoredRelease | None = None


def _check_rights(principal: Principal, workspace: Workspace) -> None:
    if workspace.accounts and not principal.may("provider:write"):
        raise Forbidden(
            "`providers.yaml` needs the permission `provider:write`.", next_step="Ask an administrator to apply it."
        )


def _changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[Change]:
    changes = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        kind = "added" if old is None else "removed" if new is None else "changed"
        changes.append(Change(path, kind, _text(old), _text(new)))
    return changes


def _text(content: bytes | None) -> str:
    if content is None:
        return ""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()})\n"
