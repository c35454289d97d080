"""Grants: a feature lent by its home tenant to another one."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from headworks.errors import Conflict, InvalidRequest, NotFound
from headworks.identity.contract import GrantView, ProjectView, TenantView
from headworks.identity.names import near
from headworks.identity.store import SQL, note
from headworks.storage.pool import Tx
from headworks.types.identity import Principal
from headworks.types.ids import ProjectId, TenantId


async def projects(tx: Tx, tenant: TenantId) -> list[ProjectView]:
    """The projects of the tenant."""
    rows = await tx.fetch_all(SQL.list_projects, tenant=tenant)
    return [ProjectView(ProjectId(row.id), row.name, row.created_at) for row in rows]


async def find_project(tx: Tx, tenant: TenantId, name: str) -> ProjectView:
    """The project of that name, or NotFound with near names."""
    known = {each.name: each for each in await projects(tx, tenant)}
    if name not in known:
        raise NotFound(
            f"There is no project `{name[:100]}`.", next_step=near(name, known, "The first one is `default`.")
        )
    return known[name]


def find_grantee(maker: Principal, reference: str, visible: Sequence[TenantView] | None) -> TenantId:
    """The tenant that `reference` names, by its id, or by its name where all tenants are `visible` to the maker.

    Everybody else names it by its id, so that nobody finds out by guessing which tenants there are.
    """
    by_name = {each.name: each.id for each in visible or ()}
    by_id = {str(each.id): each.id for each in visible or ()}
    found = by_name.get(reference) or by_id.get(reference)
    if visible is not None and found is None:
        raise NotFound(
            f"There is no tenant `{reference[:100]}`.",
            next_step=near(reference, by_name, "`headworks tenant list` shows them."),
            param="tenant",
        )
    try:
        grantee = found or TenantId(UUID(reference))
    except ValueError:
        raise InvalidRequest(
            f"{reference[:100]!r} is not the id of a tenant.",
            next_step="Ask the other tenant for its id: `headworks tenant list` prints it there.",
            param="tenant",
        ) from None
    if grantee == maker.tenant:
        raise InvalidRequest("A tenant needs no grant for its own features.", param="tenant")
    return grantee


async def create(tx: Tx, maker: Principal, project: str, feature: str, grantee: TenantId) -> GrantView:
    """Lend a feature, which may be applied later. Conflict if it is lent already."""
    if not 0 < len(feature) <= 100 or not feature.isprintable():
        raise InvalidRequest("`feature` is a name of 1 to 100 characters.", param="feature")
    home = await find_project(tx, maker.tenant, project)
    added = await tx.run(SQL.add_grant, tenant=maker.tenant, project=home.id, feature=feature, grantee=grantee)
    if not added:
        raise Conflict(
            f"The feature `{feature}` is granted to that tenant already.", next_step="Nothing is to be done."
        )
    await note(tx, maker, "grant.create", f"feature:{feature}", project=str(home.id), grantee=str(grantee))
    found = [
        each for each in await listed(tx, maker.tenant)
        if (each.tenant, each.project, each.feature, each.grantee) == (maker.tenant, home.id, feature, grantee)
    ]  # fmt: skip
    return found[0]


async def revoke(tx: Tx, maker: Principal, project: str, feature: str, grantee: TenantId) -> None:
    """Take a feature back. NotFound if it was not granted."""
    home = await find_project(tx, maker.tenant, project)
    removed = await tx.run(SQL.remove_grant, tenant=maker.tenant, project=home.id, feature=feature, grantee=grantee)
    if not removed:
        raise NotFound(
            f"The feature `{feature[:100]}` is not granted to that tenant.",
            next_step="`headworks grant list` shows all.",
        )
    await note(tx, maker, "grant.revoke", f"feature:{feature}", project=str(home.id), grantee=str(grantee))


async def listed(tx: Tx, tenant: TenantId) -> list[GrantView]:
    """The grants that the tenant has given and received."""
    rows = await tx.fetch_all(SQL.list_grants, tenant=tenant)
    return [
        GrantView(
            row.direction,
            row.feature,
            ProjectId(row.project),
            TenantId(row.tenant),
            TenantId(row.grantee),
            row.created_at,
        )
        for row in rows
    ]
