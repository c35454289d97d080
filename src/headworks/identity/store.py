"""The rows of identity, as what the rest of it works with. Each function runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from headworks.errors import NotFound
from headworks.identity.contract import Grant, GroupView, KeyView, PrincipalView, TenantView
from headworks.identity.names import near
from headworks.identity.roles import permissions_of
from headworks.identity.table import HeldKey, Holder, TenantTable
from headworks.identity.tokens import public_part
from headworks.records.audit import note_audit
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal, PrincipalKind
from headworks.types.ids import KeyId, PrincipalId, ProjectId, TenantId

SQL = load("headworks.identity")

NOBODY = PrincipalId(UUID(int=0))


@dataclass(frozen=True, slots=True)
class AtTheDoor:
    """Whoever has shown no rights yet, but named a tenant: reads no document, and writes only what identity lets it."""

    tenant: TenantId
    id: PrincipalId = NOBODY
    key: KeyId | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A principal as its name finds it."""

    id: PrincipalId
    name: str
    kind: PrincipalKind
    is_disabled: bool


async def note(tx: Tx, who: Principal | AtTheDoor, action: str, subject: str, **detail: Any) -> None:  # noqa: ANN401 -- JSON
    """Write an audit event, in the transaction of what it tells of. `detail` never holds a secret."""
    await note_audit(tx, who, action, subject, detail)


async def find_named(
    tx: Tx, tenant: TenantId, name: str, kinds: Collection[PrincipalKind] = ("user", "service", "group")
) -> Found:
    """The principal of that name, if it is of one of these kinds; else NotFound that lists near names."""
    rows = await tx.fetch_all(SQL.list_names, tenant=tenant)
    for row in rows:
        if row.name == name and row.kind in kinds:
            return Found(PrincipalId(row.principal_id), row.name, row.kind, row.is_disabled)
    noun = "group" if set(kinds) == {"group"} else "principal" if "group" in kinds else "user or service account"
    known = [row.name for row in rows if row.kind in kinds]
    raise NotFound(
        f"There is no {noun} `{name[:100]}`.", next_step=near(name, known, "`headworks principal list` shows them.")
    )


async def definitions_of(tx: Tx, tenant: TenantId) -> dict[str, frozenset[str]]:
    """The roles that the tenant's `roles.yaml` defines."""
    rows = await tx.fetch_all(SQL.list_definitions, tenants=[tenant])
    return {row.role: frozenset(row.permissions) for row in rows}


async def tenant_of(tx: Tx, tenant: TenantId) -> TenantView:
    """The tenant of this transaction."""
    return (await list_tenants(tx, [tenant]))[0]


async def list_tenants(tx: Tx, tenants: Sequence[TenantId] | None = None) -> list[TenantView]:
    """These tenants, or all that the transaction may see, the oldest first."""
    rows = await tx.fetch_all(SQL.list_tenants, tenants=None if tenants is None else list(tenants))
    return [TenantView(TenantId(row.tenant_id), row.name, row.is_operator, row.created_at) for row in rows]


async def rights_of_roles(tx: Tx, tenant: TenantId, roles: Collection[str]) -> frozenset[str]:
    """What these roles add up to in this tenant; no roles: nothing."""
    if not roles:
        return frozenset()
    is_operator = (await tenant_of(tx, tenant)).is_operator
    return permissions_of(roles, await definitions_of(tx, tenant), is_operator=is_operator)


async def roles_given_by(tx: Tx, tenant: TenantId, group: PrincipalId) -> list[str]:
    """The roles that a group gives its members: its own, and those of the groups that it is in."""
    return [row.role for row in await tx.fetch_all(SQL.list_roles_given_by, tenant=tenant, group=group)]


async def groups_above(tx: Tx, tenant: TenantId, principal: PrincipalId) -> frozenset[PrincipalId]:
    """All groups that a principal is in, also through groups, disabled ones too."""
    rows = await tx.fetch_all(SQL.list_groups_above, tenant=tenant, principal=principal)
    return frozenset(PrincipalId(row.group_id) for row in rows)


async def holder_of(tx: Tx, tenant: TenantId, principal: PrincipalId) -> Holder | None:
    """A user or service account with its permissions and groups as they are now, or None."""
    rows = await tx.fetch_all(SQL.list_holders, tenants=[tenant], principal=principal)
    if not rows:
        return None
    is_operator = (await tenant_of(tx, tenant)).is_operator
    return _holder(rows[0], await definitions_of(tx, tenant), is_operator=is_operator)


async def load_tenants(tx: Tx, tenants: Sequence[TenantId] | None) -> list[TenantTable]:
    """Everything that the request path knows of these tenants (None: of all)."""
    views = await list_tenants(tx, tenants)
    ids = [view.id for view in views]
    definitions: dict[TenantId, dict[str, frozenset[str]]] = {tenant: {} for tenant in ids}
    holders: dict[TenantId, dict[PrincipalId, Holder]] = {tenant: {} for tenant in ids}
    keys: dict[TenantId, dict[KeyId, HeldKey]] = {tenant: {} for tenant in ids}
    given: dict[TenantId, list[tuple[TenantId, Grant]]] = {tenant: [] for tenant in ids}
    is_operator = {view.id: view.is_operator for view in views}
    for row in await tx.fetch_all(SQL.list_definitions, tenants=ids):
        definitions[row.tenant_id][row.role] = frozenset(row.permissions)
    for row in await tx.fetch_all(SQL.list_holders, tenants=ids, principal=None):
        of_tenant = definitions[row.tenant_id]
        holders[row.tenant_id][row.principal_id] = _holder(row, of_tenant, is_operator=is_operator[row.tenant_id])
    for row in await tx.fetch_all(SQL.list_held_keys, tenants=ids):
        keys[row.tenant_id][row.key_id] = _held_key(row)
    for row in await tx.fetch_all(SQL.list_given_grants, tenants=ids):
        grant = Grant(row.tenant_id, ProjectId(row.project_id), row.feature, row.created_at)
        given[row.tenant_id].append((TenantId(row.grantee_tenant_id), grant))
    return [TenantTable(view.id, view.name, holders[view.id], keys[view.id], tuple(given[view.id])) for view in views]


async def list_principals(tx: Tx, tenant: TenantId, name: str | None = None) -> list[PrincipalView]:
    """Users, service accounts and groups, or the one of that name."""
    rows = await tx.fetch_all(SQL.list_principals, tenant=tenant, name=name)
    return [
        PrincipalView(
            PrincipalId(row.id),
            row.name,
            row.kind,
            tuple(row.roles),
            tuple(row.groups),
            row.disabled_at,
            row.created_at,
        )
        for row in rows
    ]


async def list_groups(tx: Tx, tenant: TenantId, name: str | None = None) -> list[GroupView]:
    """Groups with their members, or the one of that name."""
    rows = await tx.fetch_all(SQL.list_groups, tenant=tenant, name=name)
    return [
        GroupView(PrincipalId(row.id), row.name, tuple(row.roles), tuple(row.members), row.disabled_at, row.created_at)
        for row in rows
    ]


async def list_keys(
    tx: Tx, tenant: TenantId, *, key: KeyId | None = None, principal: PrincipalId | None = None
) -> list[tuple[PrincipalId, KeyView]]:
    """Keys with whose they are, the oldest first."""
    rows = await tx.fetch_all(SQL.list_keys, tenant=tenant, key=key, principal=principal)
    return [(PrincipalId(row.principal_id), _key_view(row)) for row in rows]


def _key_view(row: Any) -> KeyView:  # noqa: ANN401 -- a row
    state: Literal["active", "expired", "revoked"] = row.state
    return KeyView(
        id=KeyId(row.id),
        prefix=public_part(row.id),
        name=row.name,
        principal=row.principal,
        permissions=_sorted(row.permissions),
        groups=_sorted(row.groups),
        models=_sorted(row.models),
        state=state,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        created_at=row.created_at,
    )


def _holder(row: Any, definitions: Mapping[str, frozenset[str]], *, is_operator: bool) -> Holder:  # noqa: ANN401 -- a row
    return Holder(
        id=PrincipalId(row.principal_id),
        name=row.name,
        kind=row.kind,
        is_disabled=row.is_disabled,
        permissions=permissions_of(row.roles, definitions, is_operator=is_operator),
        groups=frozenset(row.groups),
    )


def _held_key(row: Any) -> HeldKey:  # noqa: ANN401 -- a row
    return HeldKey(
        id=KeyId(row.key_id),
        principal=PrincipalId(row.principal_id),
        secret_hash=row.secret_hash,
        permissions=_frozen(row.permissions),
        models=_frozen(row.allowed_models),
        groups=_frozen(row.groups),
        expires_at=row.expires_at,
        is_revoked=row.is_revoked,
    )


def _frozen(values: list[Any] | None) -> frozenset[Any] | None:
    return None if values is None else frozenset(values)


def _sorted(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(sorted(values))
