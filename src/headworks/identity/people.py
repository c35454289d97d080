"""Principals, groups and roles: who there is in a tenant, and what each may do. Each function is one audited write."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from headworks.errors import Conflict, InvalidRequest
from headworks.identity import store
from headworks.identity.authority import refuse_more, refuse_wider_groups
from headworks.identity.contract import GroupView, PrincipalView, RoleView, Way
from headworks.identity.names import check_name
from headworks.identity.roles import BUILT_IN_ROLES, OWNER, check_definitions, check_role
from headworks.identity.store import SQL, Found, find_named, note
from headworks.storage.pool import Tx
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, ProjectId, TenantId, new_id

EVERYONE = "everyone"
ADMINISTRATORS = "administrators"


async def create(
    tx: Tx,
    maker: Principal,
    name: str,
    kind: Literal["user", "service"],
    *,
    roles: Iterable[str],
    groups: Iterable[str],
) -> PrincipalView:
    """A new user or service account, in `everyone` and in these groups, with these roles."""
    noun = "user" if kind == "user" else "service account"
    principal = await _add(tx, maker.tenant, check_name(name, noun), kind)
    await note(tx, maker, "principal.create", f"principal:{name}", kind=kind)
    everyone = await find_named(tx, maker.tenant, EVERYONE, ["group"])
    await tx.run(SQL.add_member, tenant=maker.tenant, group=everyone.id, principal=principal)
    for group in groups:
        await add_member(tx, maker, group, name)
    for role in roles:
        await bind_role(tx, maker, name, role)
    return await view(tx, maker.tenant, name)


async def create_group(tx: Tx, maker: Principal, name: str) -> GroupView:
    """A new group without members."""
    await _add(tx, maker.tenant, check_name(name, "group"), "group")
    await note(tx, maker, "group.create", f"principal:{name}")
    return await group_view(tx, maker.tenant, name)


async def view(tx: Tx, tenant: TenantId, name: str) -> PrincipalView:
    """The user, service account or group of that name, or NotFound with near names."""
    await find_named(tx, tenant, name)
    return (await store.list_principals(tx, tenant, name))[0]


async def group_view(tx: Tx, tenant: TenantId, name: str) -> GroupView:
    """The group of that name, or NotFound with near names."""
    await find_named(tx, tenant, name, ["group"])
    return (await store.list_groups(tx, tenant, name))[0]


async def disable(tx: Tx, maker: Principal, name: str) -> PrincipalView:
    """From now on this principal reads nothing; its keys and sessions are refused. A group gives nothing any more."""
    found = await find_named(tx, maker.tenant, name)
    if await tx.run(SQL.disable_principal, tenant=maker.tenant, principal=found.id):
        await tx.run(SQL.end_sessions_of, tenant=maker.tenant, principal=found.id)
        await tx.run(SQL.remove_claims_of, tenant=maker.tenant, principal=found.id)
        await note(tx, maker, "principal.disable", f"principal:{name}")
        await _keep_an_owner(tx, maker.tenant, f"`{name}` can't be disabled")
    return await view(tx, maker.tenant, name)


async def enable(tx: Tx, maker: Principal, name: str) -> PrincipalView:
    """Undo `disable`. Refused where it would give more rights than the maker has."""
    found = await find_named(tx, maker.tenant, name)
    if await tx.run(SQL.enable_principal, tenant=maker.tenant, principal=found.id):
        refuse_more(maker, await _rights_of(tx, maker.tenant, found), f"Enabling `{name}`")
        await note(tx, maker, "principal.enable", f"principal:{name}")
    return await view(tx, maker.tenant, name)


async def add_member(tx: Tx, maker: Principal, group: str, member: str) -> GroupView:
    """Put a user, a service account or another group into a group. Nothing happens if it is there.

    The members of a group are members of the groups that it is in: they read through them and have their roles. Rings
    of groups are allowed: each of their groups then has the members of all.
    """
    found = await find_named(tx, maker.tenant, group, ["group"])
    principal = await find_named(tx, maker.tenant, member)
    if principal.id == found.id:
        raise InvalidRequest(f"`{group}` can't be in itself.", next_step="Name another group.", param="member")
    refuse_more(maker, await _rights_of(tx, maker.tenant, found), f"Membership in `{group}`")
    given = {found.id, *await store.groups_above(tx, maker.tenant, found.id)}
    refuse_wider_groups(maker, given, f"A member of `{group}`")
    if await tx.run(SQL.add_member, tenant=maker.tenant, group=found.id, principal=principal.id):
        await note(tx, maker, "group.add", f"principal:{group}", member=member)
    return await group_view(tx, maker.tenant, group)


async def remove_member(tx: Tx, maker: Principal, group: str, member: str) -> GroupView:
    """Take somebody, or a group, out of a group: what was read through it is gone from the next statement."""
    found = await find_named(tx, maker.tenant, group, ["group"])
    principal = await find_named(tx, maker.tenant, member)
    if await tx.run(SQL.remove_member, tenant=maker.tenant, group=found.id, principal=principal.id):
        await note(tx, maker, "group.remove", f"principal:{group}", member=member)
        await _keep_an_owner(tx, maker.tenant, f"`{member}` can't leave `{group}`")
    return await group_view(tx, maker.tenant, group)


async def ways_up(tx: Tx, tenant: TenantId, of: PrincipalId) -> dict[PrincipalId, Way]:
    """The groups that a principal is in, each with the shortest way there; open ways go before others."""
    above: dict[PrincipalId, list[Any]] = defaultdict(list)
    for row in await tx.fetch_all(SQL.list_edges_above, tenant=tenant, principal=of):
        above[PrincipalId(row.principal_id)].append(row)
    found: dict[PrincipalId, Way] = {}
    for may_be_shut in (False, True):
        waiting = deque([(of, Way((), is_open=True))])
        seen = {of}
        while waiting:
            here, way = waiting.popleft()
            for row in above[here]:
                group = PrincipalId(row.group_id)
                if group not in seen and (may_be_shut or not row.is_disabled):
                    seen.add(group)
                    further = Way((*way.groups, row.name), is_open=way.is_open and not row.is_disabled)
                    found.setdefault(group, further)
                    waiting.append((group, further))
    return found


async def bind_role(tx: Tx, maker: Principal, name: str, role: str) -> PrincipalView:
    """Give a role of the whole tenant to a principal, or to all members of a group."""
    found = await find_named(tx, maker.tenant, name)
    check_role(role, await store.definitions_of(tx, maker.tenant))
    refuse_more(maker, await store.rights_of_roles(tx, maker.tenant, [role]), f"The role `{role}`")
    if await tx.run(SQL.add_binding, tenant=maker.tenant, principal=found.id, role=role):
        await note(tx, maker, "role.bind", f"principal:{name}", role=role)
    return await view(tx, maker.tenant, name)


async def unbind_role(tx: Tx, maker: Principal, name: str, role: str) -> PrincipalView:
    """Take a role back. Nothing happens if it was not bound."""
    found = await find_named(tx, maker.tenant, name)
    if await tx.run(SQL.remove_binding, tenant=maker.tenant, principal=found.id, role=role):
        await note(tx, maker, "role.unbind", f"principal:{name}", role=role)
        await _keep_an_owner(tx, maker.tenant, f"`{name}` can't lose the role `{role}`")
    return await view(tx, maker.tenant, name)


async def list_roles(tx: Tx, tenant: TenantId) -> list[RoleView]:
    """The built-in roles, then those of `roles.yaml`, each with what it allows and whom it is bound to."""
    bound: dict[str, list[str]] = {}
    for row in await tx.fetch_all(SQL.list_bound_names, tenant=tenant, roles=None):
        bound.setdefault(row.role, []).append(row.name)
    own = sorted((await store.definitions_of(tx, tenant)).items())
    return [
        RoleView(name, name in BUILT_IN_ROLES, tuple(sorted(permissions)), tuple(bound.get(name, ())))
        for name, permissions in (*BUILT_IN_ROLES.items(), *own)
    ]


async def define_roles(tx: Tx, maker: Principal, project: ProjectId, definitions: Mapping[str, Iterable[str]]) -> None:
    """Make these the roles that a project defines for its tenant; those of other projects stay.

    A role that is bound can't vanish, and none may gain what the maker lacks.
    """
    wanted = check_definitions(definitions)
    current = await store.definitions_of(tx, maker.tenant)
    definers = {row.role: row for row in await tx.fetch_all(SQL.list_definers, tenant=maker.tenant)}
    for role in sorted(wanted.keys() & definers.keys()):
        if definers[role].project_id != project:
            raise Conflict(
                f"The role `{role}` is defined by the project `{definers[role].name}`.",
                next_step="Roles hold in the whole tenant: give yours another name, or bind that one.",
            )
    gone = sorted(role for role in definers.keys() - wanted.keys() if definers[role].project_id == project)
    bound = await tx.fetch_all(SQL.list_bound_names, tenant=maker.tenant, roles=gone)
    if bound:
        raise Conflict(
            f"The role `{bound[0].role}` is still bound to {', '.join(f'`{row.name}`' for row in bound)}.",
            next_step="Take it from them first, or keep it in roles.yaml.",
        )
    for role in gone:
        await tx.run(SQL.remove_definition, tenant=maker.tenant, role=role)
        await note(tx, maker, "role.remove", f"role:{role}")
    for role, permissions in wanted.items():
        if current.get(role) != permissions:
            refuse_more(maker, permissions - current.get(role, frozenset()), f"The role `{role}`")
            await tx.run(
                SQL.set_definition, tenant=maker.tenant, role=role, permissions=sorted(permissions), project=project
            )
            await note(tx, maker, "role.define", f"role:{role}", permissions=sorted(permissions))


async def _add(tx: Tx, tenant: TenantId, name: str, kind: str) -> PrincipalId:
    principal = PrincipalId(new_id())
    if not await tx.run(SQL.add_principal, tenant=tenant, principal=principal, kind=kind, name=name):
        raise Conflict(
            f"The name `{name}` is taken.",
            next_step="Users, service accounts and groups share their names: choose another.",
            param="name",
        )
    return principal


async def _rights_of(tx: Tx, tenant: TenantId, found: Found) -> frozenset[str]:
    """What a principal may do, or what a group gives its members."""
    if found.kind != "group":
        holder = await store.holder_of(tx, tenant, found.id)
        return holder.permissions if holder else frozenset()
    return await store.rights_of_roles(tx, tenant, await store.roles_given_by(tx, tenant, found.id))


async def _keep_an_owner(tx: Tx, tenant: TenantId, what: str) -> None:
    """Conflict, which undoes the write before it, if nobody would be left who can give every right.

    Two such writes can't both pass: each moved the tenant's row of `snapshot_version`, so the second one waited.
    """
    if not await tx.fetch_value(SQL.count_owners, tenant=tenant, role=OWNER):
        raise Conflict(
            f"{what}: the tenant would have no owner left.",
            next_step=f"Give somebody else the role `{OWNER}` first.",
        )
