"""How a tenant comes to be: its groups, its curator, its project and its first owner, in one transaction."""

from __future__ import annotations

from headworks.identity import keys, people, sessions, store
from headworks.identity.contract import Founded
from headworks.identity.roles import OWNER
from headworks.identity.store import SQL, AtTheDoor, note
from headworks.storage.pool import Tx
from headworks.types.ids import PrincipalId, TenantId, new_id

FIRST_TENANT = "default"
FIRST_USER = "admin"
FIRST_PROJECT = "default"
CURATOR = "curator"


async def found(tx: Tx, tenant: TenantId, name: str, user: str, pepper: bytes, *, is_operator: bool) -> Founded:
    """Everything that a new tenant needs, and two ways in for its first user: an API key and a claim link.

    The transaction runs as `AtTheDoor(tenant)`: nobody of this tenant exists yet.
    """
    door = AtTheDoor(tenant)
    await tx.run(SQL.add_tenant, tenant=tenant, name=name, is_operator=is_operator)
    await note(tx, door, "tenant.found", f"tenant:{tenant}", name=name)
    await tx.run(SQL.add_project, tenant=tenant, project=new_id(), name=FIRST_PROJECT)
    ids: dict[str, PrincipalId] = {}
    for each, kind in (
        (people.ADMINISTRATORS, "group"), (people.EVERYONE, "group"), (CURATOR, "curator"), (user, "user"),
    ):  # fmt: skip
        ids[each] = PrincipalId(new_id())
        await tx.run(SQL.add_principal, tenant=tenant, principal=ids[each], kind=kind, name=each)
    for group in (people.ADMINISTRATORS, people.EVERYONE):
        await tx.run(SQL.add_member, tenant=tenant, group=ids[group], principal=ids[user])
    await tx.run(SQL.add_binding, tenant=tenant, principal=ids[user], role=OWNER)
    holder = await store.holder_of(tx, tenant, ids[user])
    assert holder is not None  # noqa: S101 -- added above, in this transaction
    key = await keys.add(tx, door, holder, "first key", keys.Limits(), pepper)
    claim = await sessions.add_claim(tx, door, holder.id, user, pepper)
    return Founded(tenant, name, user, key.token, claim.token)
