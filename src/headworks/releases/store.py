"""The tables of workspaces, releases and channels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from headworks.errors import Conflict
from headworks.releases.bundles import Bundle, resolve_route
from headworks.releases.channels import ChannelName, Kind, Way
from headworks.releases.route_bodies import written_route
from headworks.storage import queries
from headworks.storage.pool import Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId, TenantId, new_id
from headworks.types.workspace import Workspace

_SQL = queries.load(__package__)


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A pointer, and the revision it is moved from."""

    feature: str
    name: str
    digest: Digest
    revision: int
    way: Way
    """How it came there."""
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release in a list."""

    digest: Digest
    feature: str
    created_at: datetime
    project: str
    channels: list[str]
    kind: Kind = "feature"


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A release's files by path, opened."""

    project: ProjectId
    files: dict[str, bytes]
    feature: str
    kind: Kind
    manifest: list[dict[str, str]]
    created_by: PrincipalId | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """Where a channel is to point."""

    project: ProjectId
    feature: str
    channel: ChannelName
    digest: Digest
    is_ungated: bool
    way: Way = "apply"
    reason: str = ""
    proposal: int | None = None
    is_past_rule: bool = False
    """Whether what is there then is live past the rule, whichever way it came."""


@dataclass(frozen=True, slots=True)
class MadeRelease:
    """A bundle, and the feature that it is of, or that it judges."""

    feature: str
    bundle: Bundle
    kind: Kind = "feature"


async def lock_project(tx: Tx, project: ProjectId) -> None:
    """One apply at a time in a project."""
    await tx.run(_SQL["lock_project"], project=project)


async def files(tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId) -> dict[str, bytes]:
    """The workspace as last applied."""
    rows = await tx.fetch_all(_SQL["workspace_files"], tenant=principal.tenant, project=project)
    return {row.path: keyring.open(principal.tenant, "workspace_file.content", row.path, row.content) for row in rows}


async def put_files(
    tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId, content: Mapping[str, bytes]
) -> None:
    """Make the stored workspace be these files."""
    scope = {"tenant": principal.tenant, "project": project}
    await tx.run(_SQL["drop_workspace_files"], kept=list(content), **scope)
    for path, data in content.items():
        sealed = keyring.seal(principal.tenant, "workspace_file.content", path, data)
        sha256 = hashlib.sha256(data).hexdigest()
        await tx.run(_SQL["put_workspace_file"], path=path, sha256=sha256, content=sealed, **scope)


async def check_names(tx: Tx, principal: Principal, project: ProjectId, workspace: Workspace, *more: str) -> None:
    """Raise Conflict when another project of the tenant has one of the names."""
    names = [each.name for each in workspace.routes] + [each.name for each in workspace.features] + [*more]
    rows = await tx.fetch_all(
        _SQL["names_elsewhere"],
        tenant=principal.tenant,
        project=project,
        names=names,
        accounts=[each.name for each in workspace.accounts],
    )
    for row in rows:
        raise Conflict(
            f"Another project of this tenant has a {row.kind} named `{row.name}`.", next_step="Choose another name."
        )


async def check_feature_name(tx: Tx, principal: Principal, project: ProjectId, feature: str) -> None:
    """As `check_names`, for one feature that comes without a workspace."""
    await check_names(tx, principal, project, Workspace(), feature)


_NOT_DEFINING = frozenset(("name", "where"))


async def put_accounts_and_routes(tx: Tx, principal: Principal, project: ProjectId, workspace: Workspace) -> None:
    """Make the project's accounts and routes be the workspace's."""
    scope = {"tenant": principal.tenant, "project": project}
    await tx.run(_SQL["drop_accounts"], kept=[each.name for each in workspace.accounts], **scope)
    for account in workspace.accounts:
        definition = {name: value for name, value in asdict(account).items() if name not in _NOT_DEFINING}
        await tx.run(_SQL["put_account"], name=account.name, definition=Jsonb(definition), **scope)
    await tx.run(_SQL["drop_routes"], kept=[each.name for each in workspace.routes], **scope)
    for spec in workspace.routes:
        digest = resolve_route(spec).digest
        await tx.run(_SQL["put_route"], name=spec.name, definition=Jsonb(written_route(spec)), digest=digest, **scope)


async def put_release(tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId, made: MadeRelease) -> None:
    """Keep a bundle; a release that is there already stays as it is."""
    bundle = made.bundle
    for file in bundle.files:
        sealed = keyring.seal(principal.tenant, "release_file.content", file.sha256, file.content)
        await tx.run(
            _SQL["put_release_file"],
            tenant=principal.tenant,
            sha256=file.sha256,
            media_type=file.media_type,
            content=sealed,
        )
    await tx.run(
        _SQL["put_release"],
        tenant=principal.tenant,
        digest=bundle.digest,
        project=project,
        feature=made.feature,
        kind=made.kind,
        manifest=Jsonb(bundle.manifest),
        by=principal.id,
    )


async def channels(tx: Tx, principal: Principal, project: ProjectId) -> dict[tuple[str, str], ChannelRow]:
    """The project's pointers by (feature, channel)."""
    rows = await tx.fetch_all(_SQL["channels_of_project"], into=ChannelRow, tenant=principal.tenant, project=project)
    return {(row.feature, row.name): row for row in rows}


async def channel(
    tx: Tx, principal: Principal, project: ProjectId, feature: str, name: ChannelName, *, for_update: bool = False
) -> ChannelRow | None:
    """One pointer; `for_update`: nobody else moves it until this transaction ends."""
    return await tx.fetch_one(
        _SQL["channel_for_update" if for_update else "channel_of_feature"],
        into=ChannelRow,
        tenant=principal.tenant,
        project=project,
        feature=feature,
        name=name,
    )


async def move_channel(tx: Tx, principal: Principal, move: Move, current: ChannelRow | None) -> None:
    """Compare and swap; raises Conflict when somebody moved it first."""
    scope = {
        "tenant": principal.tenant,
        "project": move.project,
        "feature": move.feature,
        "name": move.channel,
        "digest": move.digest,
    }
    stands: Way = "break_glass" if move.is_past_rule else move.way
    if current is None:
        moved = await tx.run(_SQL["open_channel"], way=stands, **scope)
    else:
        moved = await tx.run(_SQL["move_channel"], revision=current.revision, way=stands, **scope)
    if moved != 1:
        raise Conflict(
            f"`{move.feature}@{move.channel}` was moved by somebody else.", next_step="Look at it and apply again."
        )
    from_digest = current.digest if current else None
    await tx.run(
        _SQL["note_move"],
        move=new_id(),
        from_digest=from_digest,
        ungated=move.is_ungated,
        reason=move.reason,
        proposal=move.proposal,
        by=principal.id,
        way=move.way,
        **scope,
    )


async def close_channels(tx: Tx, principal: Principal, project: ProjectId, kept: Sequence[str]) -> None:
    """Features that left the workspace stop being served; their releases stay."""
    await tx.run(_SQL["close_channels"], tenant=principal.tenant, project=project, kept=list(kept))


async def releases(
    tx: Tx,
    principal: Principal,
    projects: Mapping[ProjectId, str],
    most: int,
    project: ProjectId | None = None,
    digits: str | None = None,
) -> list[ReleaseRow]:
    """The newest releases, of one project or of all; `projects` are names by id.

    With `digits` (`sha256:…`) all whose digests begin so, gates too.
    """
    rows = await tx.fetch_all(
        _SQL["releases_of_tenant"], tenant=principal.tenant, most=most, project=project, digits=digits
    )
    return [
        ReleaseRow(row.digest, row.feature, row.created_at, projects.get(row.project_id, ""), row.channels, row.kind)
        for row in rows
    ]


async def release_files(tx: Tx, keyring: Keyring, tenant: TenantId, digest: Digest) -> StoredRelease | None:
    """A release's files, or None."""
    rows = await tx.fetch_all(_SQL["release_files"], tenant=tenant, digest=digest)
    if not rows:
        return None
    content = {row.sha256: keyring.open(tenant, "release_file.content", row.sha256, row.content) for row in rows}
    first = rows[0]
    return StoredRelease(
        first.project_id,
        {each["path"]: content[each["sha256"]] for each in first.manifest},
        first.feature,
        first.kind,
        first.manifest,
        first.created_by,
        first.created_at,
    )


async def live_channels(tx: Tx) -> list[Any]:
    """Pointers of all tenants."""
    return await tx.fetch_all(_SQL["live_channels"])


async def live_routes(tx: Tx) -> list[Any]:
    """Routes of all tenants."""
    return await tx.fetch_all(_SQL["live_routes"])


async def live_accounts(tx: Tx) -> list[Any]:
    """Accounts of all tenants."""
    return await tx.fetch_all(_SQL["live_accounts"])
