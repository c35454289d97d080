"""Forgetting a person: no name, session, key, role or group is left; the id stays, for what points to it."""

from __future__ import annotations

from headworks.errors import Conflict
from headworks.identity.contract import Person
from headworks.identity.roles import OWNER
from headworks.identity.store import find_named
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal

_sql = load("headworks.identity", "forgetting.sql")
_KINDS = ("user", "service")


async def find_person(tx: Tx, asker: Principal, name: str) -> Person:
    """A user or service account by its name.

    Raises NotFound; Conflict for a group, for oneself, and for an owner, who has to give that role away first.
    """
    found = await find_named(tx, asker.tenant, name)
    if found.kind not in _KINDS:
        raise Conflict(f"`{name}` is a group, not a person.", next_step="Name a user or a service account.")
    if found.id == asker.id:
        raise Conflict("Nobody can erase himself.", next_step="Let another administrator do it.")
    if await tx.fetch_value(_sql.is_owner, tenant=asker.tenant, person=found.id, owner=OWNER):
        raise Conflict(
            f"`{name}` is an owner.",
            next_step=f"First: headworks role remove {OWNER} {name}, or take him out of the group that has the role.",
        )
    return Person(found.id, name)


async def forget(tx: Tx, asker: Principal, person: Person) -> dict[str, int]:
    """Take away what identity knows of a person; how many rows of what, by table. The name is free from then on."""
    of_person = {"tenant": asker.tenant, "person": person.id}
    counts = {
        "web_session": await tx.run(_sql.delete_sessions, **of_person),
        "claim": await tx.run(_sql.delete_claims, **of_person),
        "role_binding": await tx.run(_sql.delete_roles, **of_person),
        "membership": await tx.run(_sql.delete_memberships, **of_person),
        "api_key": await tx.run(_sql.revoke_keys, **of_person),
    }
    counts["principal.name"] = await tx.run(_sql.rename, **of_person, name=f"erased-{person.id.hex[-12:]}")
    return counts
