"""Principals, groups and roles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from headworks.errors import Conflict, Forbidden, HeadworksError, InvalidRequest, Unauthenticated
from headworks.identity.contract import KeyRequest
from headworks.identity.roles import BUILT_IN_ROLES, MEMBER
from headworks.identity.service import Identity
from headworks.types.identity import Principal

Superuser = psycopg.Connection[tuple[object, ...]]
ByKey = Callable[[str], Awaitable[Principal]]
Someone = Callable[..., Awaitable[Principal]]


async def test_a_new_user_is_a_member_of_everyone_without_a_role(identity: Identity, owner: Principal) -> None:
    jane = await identity.create_principal(owner, "jane")
    assert (jane.name, jane.kind, jane.roles, jane.groups) == ("jane", "user", (), ("everyone",))
    assert await identity.show_principal(owner, "jane") == jane


async def test_a_new_service_account_has_the_roles_and_groups_it_is_given(identity: Identity, owner: Principal) -> None:
    await identity.create_group(owner, "clinicians")
    bot = await identity.create_principal(owner, "bot", "service", roles=["engineer", "auditor"], groups=["clinicians"])
    assert (bot.kind, bot.roles, bot.groups) == ("service", ("auditor", "engineer"), ("clinicians", "everyone"))


async def test_roles_of_a_group_are_its_members(someone: Someone, identity: Identity, owner: Principal) -> None:
    await identity.create_group(owner, "builders")
    await identity.bind_role(owner, "builders", "engineer")
    assert (await someone("jane", groups=("builders",))).permissions == BUILT_IN_ROLES["engineer"]
    assert (await someone("john")).permissions == MEMBER


async def test_a_disabled_group_gives_nothing(
    someone: Someone, identity: Identity, owner: Principal, by_key: ByKey
) -> None:
    await identity.create_group(owner, "builders")
    await identity.bind_role(owner, "builders", "engineer")
    await someone("jane", groups=("builders",))
    key = (await identity.create_key(owner, KeyRequest("jane"))).token
    await identity.disable_principal(owner, "builders")
    jane = await by_key(key)
    assert jane.permissions == MEMBER
    assert len(jane.groups) == 1
    await identity.enable_principal(owner, "builders")
    assert (await by_key(key)).permissions == BUILT_IN_ROLES["engineer"]


@pytest.mark.parametrize("kind", ["user", "service", "group"])
async def test_a_name_is_given_once_whatever_has_it(identity: Identity, owner: Principal, kind: str) -> None:
    await identity.create_group(owner, "night")
    again = (
        identity.create_group(owner, "night") if kind == "group" else identity.create_principal(owner, "night", kind)  # type: ignore[arg-type]
    )
    with pytest.raises(Conflict, match="The name `night` is taken") as caught:
        await again
    assert caught.value.param == "name"


async def test_of_two_who_take_a_name_at_once_one_gets_it(identity: Identity, owner: Principal) -> None:
    results = await asyncio.gather(
        *(identity.create_principal(owner, "jane") for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results].count(Conflict) == 4


async def test_an_unknown_name_is_answered_with_near_ones(identity: Identity, owner: Principal) -> None:
    await identity.create_principal(owner, "jane.doe")
    await identity.create_group(owner, "clinicians")
    for write, message in (
        (identity.disable_principal(owner, "jane.do"), "There is no principal `jane.do`. Did you mean `jane.doe`?"),
        (
            identity.add_member(owner, "clinicans", "jane.doe"),
            "There is no group `clinicans`. Did you mean `clinicians`?",
        ),
        (identity.add_member(owner, "clinicians", "jan.doe"), "Did you mean `jane.doe`?"),
        (identity.add_member(owner, "jane.doe", "admin"), "There is no group `jane.doe`."),
        (identity.bind_role(owner, "jane.doe", "enginer"), "There is no role `enginer`. Did you mean `engineer`?"),
        (identity.create_key(owner, KeyRequest("clinicians")), "There is no user or service account `clinicians`."),
    ):
        with pytest.raises(HeadworksError) as caught:
            await write
        assert message in str(caught.value)


async def test_joining_and_leaving_twice_is_no_error_and_one_audit_event(
    identity: Identity, owner: Principal, as_superuser: Superuser
) -> None:
    await identity.create_group(owner, "night")
    for _ in range(2):
        assert (await identity.add_member(owner, "night", "admin")).members == ("admin",)
    for _ in range(2):
        assert (await identity.remove_member(owner, "night", "admin")).members == ()
    actions = as_superuser.execute("SELECT action FROM audit_event WHERE subject = 'principal:night' ORDER BY at")
    assert [action for (action,) in actions] == ["group.create", "group.add", "group.remove"]


async def test_a_disabled_user_is_shut_out_and_an_enabled_one_let_in_again(
    identity: Identity, owner: Principal, by_key: ByKey
) -> None:
    await identity.create_principal(owner, "jane")
    key = (await identity.create_key(owner, KeyRequest("jane"))).token
    session = (await identity.redeem_claim((await identity.create_claim(owner, "jane")).token)).token
    unused = (await identity.create_claim(owner, "jane")).token
    assert (await identity.disable_principal(owner, "jane")).disabled_at is not None
    for attempt in (by_key(key), identity.session(session), identity.redeem_claim(unused)):
        with pytest.raises(Unauthenticated):
            await attempt
    with pytest.raises(Conflict, match="`jane` is disabled"):
        await identity.create_key(owner, KeyRequest("jane"))
    assert (await identity.enable_principal(owner, "jane")).disabled_at is None
    assert (await by_key(key)).name == "jane"
    for attempt in (identity.session(session), identity.redeem_claim(unused)):
        with pytest.raises(Unauthenticated):
            await attempt


async def test_the_last_owner_stays(identity: Identity, owner: Principal) -> None:
    for write in (
        identity.disable_principal(owner, "admin"),
        identity.unbind_role(owner, "admin", "owner"),
    ):
        with pytest.raises(Conflict, match="would have no owner left") as caught:
            await write
        assert "`owner` first" in caught.value.next_step
    assert (await identity.show_principal(owner, "admin")).disabled_at is None


async def test_an_owner_may_go_when_another_stays(identity: Identity, owner: Principal) -> None:
    await identity.create_principal(owner, "jane", roles=["owner"])
    assert (await identity.unbind_role(owner, "admin", "owner")).roles == ()


async def test_who_owns_by_a_group_can_not_be_the_last_to_leave_it(identity: Identity, owner: Principal) -> None:
    await identity.create_group(owner, "owners")
    await identity.bind_role(owner, "owners", "owner")
    await identity.add_member(owner, "owners", "admin")
    await identity.unbind_role(owner, "admin", "owner")
    for write in (
        identity.remove_member(owner, "owners", "admin"),
        identity.disable_principal(owner, "owners"),
        identity.unbind_role(owner, "owners", "owner"),
    ):
        with pytest.raises(Conflict, match="no owner left"):
            await write


async def test_two_owners_who_disable_each_other_at_once_do_not_both_succeed(
    identity: Identity, owner: Principal, someone: Someone
) -> None:
    for number in range(5):
        name = f"owner{number}"
        other = await someone(name, roles=("owner",))
        results = await asyncio.gather(
            identity.disable_principal(owner, name), identity.disable_principal(other, "admin"), return_exceptions=True
        )
        assert [type(result) for result in results].count(Conflict) == 1
        await identity.enable_principal(owner, "admin")
        await identity.disable_principal(owner, name)


async def test_who_may_not_write_principals_writes_none(identity: Identity, someone: Someone) -> None:
    jane = await someone("jane", roles=("engineer",))
    for write in (
        identity.create_principal(jane, "john"),
        identity.create_group(jane, "night"),
        identity.add_member(jane, "everyone", "admin"),
        identity.remove_member(jane, "everyone", "admin"),
        identity.bind_role(jane, "jane", "owner"),
        identity.unbind_role(jane, "admin", "owner"),
        identity.disable_principal(jane, "admin"),
        identity.enable_principal(jane, "admin"),
        identity.list_principals(jane),
        identity.list_groups(jane),
        identity.show_principal(jane, "admin"),
    ):
        with pytest.raises(Forbidden, match="This key of `jane` lacks the permission `principal:write`"):
            await write
    assert (await identity.show_principal(jane, "jane")).name == "jane"


async def test_an_admin_can_not_make_anybody_an_owner(identity: Identity, owner: Principal, someone: Someone) -> None:
    bob = await someone("bob", roles=("admin",))
    await identity.create_group(owner, "owners")
    await identity.bind_role(owner, "owners", "owner")
    await identity.create_principal(owner, "ex-owner", roles=["owner"])
    await identity.disable_principal(owner, "ex-owner")
    for write in (
        identity.bind_role(bob, "bob", "owner"),
        identity.create_principal(bob, "mallory", roles=["owner"]),
        identity.create_principal(bob, "mallory", groups=["owners"]),
        identity.add_member(bob, "owners", "bob"),
        identity.enable_principal(bob, "ex-owner"),
        identity.create_claim(bob, "admin"),
    ):
        with pytest.raises(Forbidden, match="`tenant:create`, which you do not have yourself"):
            await write
    assert all(each.name != "mallory" for each in await identity.list_principals(bob)), "what failed left nothing"
    assert (await identity.bind_role(bob, "bob", "engineer")).roles == ("admin", "engineer")


async def test_a_key_that_is_narrowed_puts_nobody_into_other_groups(
    identity: Identity, owner: Principal, by_key: ByKey
) -> None:
    for group in ("clinicians", "lawyers"):
        await identity.create_group(owner, group)
        await identity.add_member(owner, group, "admin")
    narrowed = await by_key((await identity.create_key(owner, KeyRequest("admin", groups=("clinicians",)))).token)
    await identity.create_principal(owner, "jane")
    assert (await identity.add_member(narrowed, "clinicians", "jane")).members == ("admin", "jane")
    with pytest.raises(Forbidden, match="not narrowed to"):
        await identity.add_member(narrowed, "lawyers", "jane")


async def test_roles_of_a_workspace_are_defined_bound_changed_and_removed(
    identity: Identity, owner: Principal, by_key: ByKey
) -> None:
    await identity.define_roles(owner, {"triage": ["feature:call", "trace:read"], "unused": ["key:own"]})
    await identity.create_principal(owner, "jane", roles=["triage"])
    key = (await identity.create_key(owner, KeyRequest("jane"))).token
    assert (await by_key(key)).permissions == {"feature:call", "trace:read"}
    await identity.define_roles(owner, {"triage": ["feature:call"]})
    assert (await by_key(key)).permissions == {"feature:call"}
    with pytest.raises(InvalidRequest, match="There is no role `unused`"):
        await identity.bind_role(owner, "jane", "unused")
    with pytest.raises(Conflict, match="The role `triage` is still bound to `jane`"):
        await identity.define_roles(owner, {})
    await identity.unbind_role(owner, "jane", "triage")
    await identity.define_roles(owner, {})
    assert (await by_key(key)).permissions == MEMBER


async def test_projects_define_roles_for_the_whole_tenant_and_leave_each_others_alone(
    identity: Identity, owner: Principal
) -> None:
    await identity.create_project(owner, "claims")
    await identity.define_roles(owner, {"triage": ["feature:call"]})
    await identity.define_roles(owner, {"clerk": ["key:own"]}, "claims")
    await identity.create_principal(owner, "jane", roles=["triage", "clerk"])
    with pytest.raises(Conflict, match="The role `triage` is defined by the project `default`"):
        await identity.define_roles(owner, {"triage": ["key:own"]}, "claims")
    await identity.define_roles(owner, {"triage": ["trace:own"]})
    own = {each.name: each for each in await identity.list_roles(owner) if not each.is_built_in}
    assert {name: each.permissions for name, each in own.items()} == {"clerk": ("key:own",), "triage": ("trace:own",)}


async def test_roles_are_listed_with_what_they_allow_and_whose_they_are(
    identity: Identity, owner: Principal, someone: Someone
) -> None:
    await identity.define_roles(owner, {"triage": ["feature:call"]})
    auditor = await someone("jane", roles=("auditor", "triage"))
    await identity.create_group(owner, "builders")
    await identity.bind_role(owner, "builders", "triage")
    roles = {each.name: each for each in await identity.list_roles(auditor)}
    assert list(roles) == [*BUILT_IN_ROLES, "triage"]
    assert roles["owner"].bound_to == ("admin",)
    assert set(roles["owner"].permissions) == BUILT_IN_ROLES["owner"]
    assert (roles["triage"].bound_to, roles["triage"].is_built_in) == (("builders", "jane"), False)
    assert roles["reviewer"].bound_to == ()
    with pytest.raises(Forbidden, match="principal:write"):
        await identity.list_roles(await someone("john", roles=("engineer",)))


async def test_nobody_gets_more_rights_by_defining_his_own_role(
    identity: Identity, owner: Principal, someone: Someone
) -> None:
    await identity.define_roles(owner, {"builder": ["workspace:apply", "feature:call", "audit:read"]})
    jane = await someone("jane", roles=("builder",))
    with pytest.raises(Forbidden, match="The role `builder` would give `key:write`"):
        await identity.define_roles(jane, {"builder": ["workspace:apply", "feature:call", "audit:read", "key:write"]})
    await identity.define_roles(jane, {"builder": ["workspace:apply", "feature:call", "audit:read"]})
    john = await someone("john", roles=("engineer",))
    await identity.define_roles(john, {"builder": ["workspace:apply", "feature:call", "audit:read"]})
    await identity.define_roles(john, {"builder": ["workspace:apply", "audit:read"]})
    member = await someone("member")
    with pytest.raises(Forbidden, match="workspace:apply"):
        await identity.define_roles(member, {})


async def test_every_write_is_audited_with_who_did_it_and_by_which_key(
    identity: Identity, owner: Principal, as_superuser: Superuser
) -> None:
    as_superuser.execute("TRUNCATE audit_event")
    await identity.create_principal(owner, "jane", roles=["expert"])
    await identity.create_group(owner, "night")
    await identity.add_member(owner, "night", "jane")
    await identity.remove_member(owner, "night", "jane")
    await identity.unbind_role(owner, "jane", "expert")
    await identity.disable_principal(owner, "jane")
    await identity.enable_principal(owner, "jane")
    await identity.define_roles(owner, {"triage": ["key:own"]})
    await identity.define_roles(owner, {})
    await identity.create_project(owner, "claims")
    key = await identity.create_key(owner, KeyRequest("jane"))
    await identity.revoke_key(owner, key.key.prefix)
    rows = as_superuser.execute("SELECT action, principal_id, key_id, tenant_id FROM audit_event ORDER BY at, event_id")
    found = rows.fetchall()
    assert [row[0] for row in found] == [
        "principal.create", "role.bind", "group.create", "group.add", "group.remove", "role.unbind",
        "principal.disable", "principal.enable", "role.define", "role.remove", "project.create",
        "key.create", "key.revoke",
    ]  # fmt: skip
    assert {row[1:] for row in found} == {(owner.id, owner.key, owner.tenant)}
