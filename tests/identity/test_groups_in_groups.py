"""Groups in groups: who is in what, whatever the order of changes, also in rings, also where two change at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import Conflict, Forbidden, InvalidRequest
from headworks.identity.contract import KeyRequest
from headworks.identity.roles import BUILT_IN_ROLES, MEMBER
from headworks.identity.service import Identity
from headworks.types.identity import Principal
from headworks.types.ids import new_id

Superuser = psycopg.Connection[Any]
ByKey = Callable[[str], Awaitable[Principal]]
Someone = Callable[..., Awaitable[Principal]]


async def _groups(identity: Identity, owner: Principal, *names: str) -> None:
    for name in names:
        await identity.create_group(owner, name)


async def _token(identity: Identity, owner: Principal, name: str, **request: Any) -> str:
    return (await identity.create_key(owner, KeyRequest(name, **request))).token


async def test_members_of_a_group_are_members_of_the_groups_it_is_in(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    await _groups(identity, owner, "nurses", "clinic", "hospital")
    await someone("jane", groups=("nurses",))
    token = await _token(identity, owner, "jane")
    await identity.bind_role(owner, "hospital", "engineer")
    assert (await by_key(token)).permissions == MEMBER
    assert (await identity.add_member(owner, "clinic", "nurses")).members == ("nurses",)
    await identity.add_member(owner, "hospital", "clinic")
    jane = await by_key(token)
    assert jane.permissions == BUILT_IN_ROLES["engineer"]
    assert len(jane.groups) == 4, "with everyone"
    assert (await identity.show_principal(owner, "jane")).groups == ("everyone", "nurses"), "those she is directly in"
    assert (await identity.show_principal(owner, "nurses")).groups == ("clinic",)
    await identity.remove_member(owner, "hospital", "clinic")
    assert (await by_key(token)).permissions == MEMBER


async def test_a_group_in_the_middle_that_is_disabled_leads_nowhere(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    await _groups(identity, owner, "nurses", "clinic", "hospital")
    await someone("jane", groups=("nurses",))
    token = await _token(identity, owner, "jane")
    await identity.add_member(owner, "clinic", "nurses")
    await identity.add_member(owner, "hospital", "clinic")
    assert len((await by_key(token)).groups) == 4
    await identity.disable_principal(owner, "clinic")
    assert len((await by_key(token)).groups) == 2
    await identity.add_member(owner, "hospital", "nurses")
    assert len((await by_key(token)).groups) == 3, "there is another way"
    await identity.enable_principal(owner, "clinic")
    assert len((await by_key(token)).groups) == 4


async def test_a_ring_of_groups_is_harmless(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    await _groups(identity, owner, "a", "b", "c")
    await someone("jane", groups=("a",))
    token = await _token(identity, owner, "jane")
    for inner, outer in (("a", "b"), ("b", "c"), ("c", "a")):
        await identity.add_member(owner, outer, inner)
    assert len((await by_key(token)).groups) == 4
    await identity.remove_member(owner, "a", "jane")
    assert len((await by_key(token)).groups) == 1, "a ring holds nobody who has left it"
    with pytest.raises(InvalidRequest, match="`a` can't be in itself"):
        await identity.add_member(owner, "a", "a")


async def test_nobody_gains_rights_by_putting_a_group_into_another(
    identity: Identity, owner: Principal, someone: Someone
) -> None:
    bob = await someone("bob", roles=("admin",))
    await _groups(identity, owner, "owners", "around", "mine")
    await identity.bind_role(owner, "owners", "owner")
    await identity.add_member(owner, "owners", "around")
    for group, member in (("around", "bob"), ("around", "mine"), ("owners", "mine")):
        with pytest.raises(Forbidden, match="`tenant:create`, which you do not have yourself|tenant:create"):
            await identity.add_member(bob, group, member)


async def test_the_last_owner_through_two_groups_can_not_be_cut_off(identity: Identity, owner: Principal) -> None:
    await _groups(identity, owner, "owners", "board")
    await identity.bind_role(owner, "owners", "owner")
    await identity.add_member(owner, "owners", "board")
    await identity.add_member(owner, "board", "admin")
    await identity.unbind_role(owner, "admin", "owner")
    for write in (
        identity.remove_member(owner, "owners", "board"),
        identity.remove_member(owner, "board", "admin"),
        identity.disable_principal(owner, "board"),
    ):
        with pytest.raises(Conflict, match="no owner left"):
            await write


async def test_a_key_is_narrowed_to_any_group_one_is_in_and_to_none_above_it(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    await _groups(identity, owner, "nurses", "clinic", "hospital")
    await someone("jane", groups=("nurses",))
    await identity.add_member(owner, "clinic", "nurses")
    await identity.add_member(owner, "hospital", "clinic")
    narrowed = await by_key(await _token(identity, owner, "jane", groups=("clinic",)))
    assert len(narrowed.groups) == 1
    await identity.add_member(owner, "clinic", "admin")
    await identity.create_principal(owner, "joe")
    by_clinic = await by_key(await _token(identity, owner, "admin", groups=("clinic",)))
    with pytest.raises(Forbidden, match="not narrowed to"):
        await identity.add_member(by_clinic, "nurses", "joe")
    with pytest.raises(Forbidden, match="not narrowed to"):
        await identity.add_member(by_clinic, "clinic", "joe")


# ── The closure, against a walk over the edges ──

_NODES = 6
_edges = st.tuples(st.integers(0, _NODES - 1), st.integers(0, _NODES - 1)).filter(lambda edge: edge[0] != edge[1])
_changes = st.lists(st.tuples(st.sampled_from(["add", "remove", "shut", "open"]), _edges), max_size=30)


@given(changes=_changes)
@settings(max_examples=25)
def test_the_closure_is_what_a_walk_over_the_memberships_finds(template_urls: Any, changes: Any) -> None:
    with psycopg.connect(template_urls.owner) as behind:
        behind.execute("SET search_path = headworks, public")
        tenant, person = new_id(), new_id()
        behind.execute("INSERT INTO tenant (tenant_id, name) VALUES (%s, %s)", [tenant, str(tenant)])
        groups = [new_id() for _ in range(_NODES)]
        for principal, kind in [(person, "user"), *((group, "group") for group in groups)]:
            behind.execute("INSERT INTO principal VALUES (%s, %s, %s, %s)", [tenant, principal, kind, str(principal)])
        edges, shut = {(person, groups[0])}, set()
        _apply(behind, tenant, "add", person, groups[0])
        for what, (inner, outer) in changes:
            _apply(behind, tenant, what, groups[inner], groups[outer])
            edge = (groups[inner], groups[outer])
            {"add": edges.add, "remove": edges.discard}.get(what, lambda _: None)(edge)
            {"shut": shut.add, "open": shut.discard}.get(what, lambda _: None)(groups[inner])
        found = {
            (row[0], row[1], row[2])
            for row in behind.execute(
                "SELECT principal_id, group_id, is_enabled FROM principal_closure WHERE tenant_id = %s", [tenant]
            )
        }
        expected = set()
        for start in (person, *groups):
            alive, any_way = _walk(start, edges, shut), _walk(start, edges, set())
            expected |= {(start, group, group in alive) for group in any_way}
        assert found == expected
        behind.rollback()


def _apply(behind: Superuser, tenant: UUID, what: str, inner: UUID, outer: UUID) -> None:
    statement = {
        "add": "INSERT INTO membership (tenant_id, group_id, principal_id) VALUES (%(t)s, %(o)s, %(i)s) "
        "ON CONFLICT DO NOTHING",
        "remove": "DELETE FROM membership WHERE tenant_id = %(t)s AND group_id = %(o)s AND principal_id = %(i)s",
        "shut": "UPDATE principal SET disabled_at = now() WHERE tenant_id = %(t)s AND principal_id = %(i)s",
        "open": "UPDATE principal SET disabled_at = NULL WHERE tenant_id = %(t)s AND principal_id = %(i)s",
    }[what]
    behind.execute(statement, {"t": tenant, "i": inner, "o": outer})


def _walk(start: UUID, edges: set[tuple[UUID, UUID]], shut: set[UUID]) -> set[UUID]:
    seen: set[UUID] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for inner, outer in edges:
            if inner == here and outer not in shut and outer not in seen:
                seen.add(outer)
                waiting.append(outer)
    return seen


async def test_edges_that_are_added_at_once_are_all_in_the_closure(
    identity: Identity, owner: Principal, as_superuser: Superuser
) -> None:
    names = [f"g{number}" for number in range(8)]
    await _groups(identity, owner, *names)
    await asyncio.gather(*(identity.add_member(owner, outer, inner) for inner, outer in itertools.pairwise(names)))
    pairs = as_superuser.execute(
        "SELECT count(*) FROM principal_closure JOIN principal p USING (tenant_id, principal_id) WHERE p.kind = 'group'"
    ).fetchone()
    assert pairs == (8 * 7 // 2,)
