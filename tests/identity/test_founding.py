"""First start, tenants, projects, and the curator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound
from headworks.identity.contract import Founded, KeyRequest
from headworks.identity.service import Identity, IdentityTable
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal, ShownKey

Superuser = psycopg.Connection[tuple[object, ...]]
ByKey = Callable[[str], Awaitable[Principal]]


async def test_the_first_start_founds_a_tenant_with_an_owner_and_two_ways_in(
    identity: Identity, founded: Founded, owner: Principal
) -> None:
    assert (founded.name, founded.user, owner.name, owner.kind) == ("default", "admin", "admin", "user")
    (view,) = [each for each in await identity.list_principals(owner) if each.kind == "user"]
    assert view.roles == ("owner",)
    assert view.groups == ("administrators", "everyone")
    assert [each.name for each in await identity.list_projects(owner)] == ["default"]
    session = await identity.redeem_claim(founded.claim)
    assert (session.principal, session.tenant) == ("admin", "default")


async def test_a_second_start_founds_nothing(identity: Identity, founded: Founded) -> None:
    assert await identity.bootstrap() is None


async def test_of_two_servers_that_start_at_once_one_founds(database: Database, keyring: Keyring) -> None:
    servers = [Identity(database, keyring, b"p" * 32) for _ in range(4)]
    results = await asyncio.gather(*(server.bootstrap() for server in servers))
    assert len([result for result in results if result is not None]) == 1


async def test_a_new_tenant_has_a_data_key_and_a_snapshot_version(
    founded: Founded, keyring: Keyring, as_superuser: Superuser
) -> None:
    assert keyring.knows(founded.tenant)
    assert as_superuser.execute("SELECT tenant_id FROM snapshot_version").fetchall() == [(founded.tenant,)]
    assert as_superuser.execute("SELECT tenant_id FROM data_key").fetchall() == [(founded.tenant,)]


async def test_nothing_that_is_stored_lets_anybody_in(founded: Founded, as_superuser: Superuser) -> None:
    stored = b"".join(
        bytes(value) if isinstance(value, bytes) else str(value).encode()
        for table in ("api_key", "claim", "audit_event", "web_session")
        for row in as_superuser.execute(f"SELECT * FROM {table}").fetchall()
        for value in row
    )
    for token in (founded.key, founded.claim):
        assert token.encode() not in stored
        assert token[-49:-6].encode() not in stored
        assert token not in repr(founded)


async def test_the_owner_of_the_first_tenant_creates_another_with_an_owner_of_its_own(
    identity: Identity, owner: Principal, by_key: ByKey, keyring: Keyring
) -> None:
    acme = await identity.create_tenant(owner, "acme", "ada")
    ada = await by_key(acme.key)
    assert (ada.tenant, ada.name) == (acme.tenant, "ada")
    assert ada.permissions == owner.permissions - {"tenant:create"}
    assert keyring.knows(acme.tenant)
    assert [each.name for each in await identity.list_tenants(owner)] == ["default", "acme"]
    assert [each.is_operator for each in await identity.list_tenants(owner)] == [True, False]


async def test_the_owner_of_another_tenant_creates_none_and_sees_only_his_own(
    identity: Identity, owner: Principal, by_key: ByKey
) -> None:
    ada = await by_key((await identity.create_tenant(owner, "acme")).key)
    with pytest.raises(Forbidden, match="tenant:create"):
        await identity.create_tenant(ada, "mine")
    assert [each.name for each in await identity.list_tenants(ada)] == ["acme"]


async def test_two_tenants_share_no_names_keys_or_principals(
    identity: Identity, owner: Principal, by_key: ByKey
) -> None:
    ada = await by_key((await identity.create_tenant(owner, "acme")).key)
    await identity.create_principal(owner, "jane")
    await identity.create_principal(ada, "jane")
    with pytest.raises(NotFound, match="no user or service account `bob`"):
        await identity.create_key(ada, KeyRequest("bob"))
    theirs = (await identity.list_keys(owner))[0]
    with pytest.raises(NotFound, match="There is no such key"):
        await identity.revoke_key(ada, str(theirs.id))
    assert [each.name for each in await identity.list_principals(ada) if each.kind == "user"] == ["admin", "jane"]


@pytest.mark.parametrize("name", ["default", "acme"])
async def test_a_tenants_name_is_given_once(identity: Identity, owner: Principal, name: str) -> None:
    await identity.create_tenant(owner, "acme")
    with pytest.raises(Conflict, match=f"already a tenant `{name}`"):
        await identity.create_tenant(owner, name)
    assert len(await identity.list_tenants(owner)) == 2


async def test_many_tenants_at_once_are_all_founded(identity: Identity, owner: Principal) -> None:
    await asyncio.gather(*(identity.create_tenant(owner, f"tenant-{number}") for number in range(12)))
    assert len(await identity.list_tenants(owner)) == 13


@pytest.mark.parametrize(("name", "user"), [("Acme", "admin"), ("acme", "Ada"), ("acme", "curator"), ("", "admin")])
async def test_a_tenant_with_a_bad_name_is_not_founded(
    identity: Identity, owner: Principal, name: str, user: str
) -> None:
    with pytest.raises(InvalidRequest):
        await identity.create_tenant(owner, name, user)
    assert len(await identity.list_tenants(owner)) == 1


async def test_a_new_tenant_stands_in_both_audit_trails(
    identity: Identity, owner: Principal, as_superuser: Superuser
) -> None:
    acme = await identity.create_tenant(owner, "acme")
    rows = as_superuser.execute(
        "SELECT tenant_id, principal_id, key_id FROM audit_event WHERE action IN ('tenant.create', 'tenant.found') "
        "AND subject = %s ORDER BY at",
        [f"tenant:{acme.tenant}"],
    ).fetchall()
    assert rows == [(owner.tenant, owner.id, owner.key), (acme.tenant, None, None)]


async def test_a_project_is_created_found_and_not_doubled(identity: Identity, owner: Principal) -> None:
    claims = await identity.create_project(owner, "claims")
    assert await identity.find_project(owner, "claims") == claims
    with pytest.raises(Conflict, match="already a project `claims`"):
        await identity.create_project(owner, "claims")
    with pytest.raises(NotFound, match="Did you mean `claims`"):
        await identity.find_project(owner, "clams")
    with pytest.raises(InvalidRequest):
        await identity.create_project(owner, "Claims")


async def test_the_curator_is_not_to_be_seen_named_or_given_a_key(identity: Identity, owner: Principal) -> None:
    curator = await identity.curator(owner.tenant)
    assert (curator.kind, curator.name, curator.key) == ("curator", "curator", None)
    assert await identity.curator(owner.tenant) is curator
    assert all(each.name != "curator" for each in await identity.list_principals(owner))
    for write in (
        identity.create_key(owner, KeyRequest("curator")),
        identity.create_claim(owner, "curator"),
        identity.bind_role(owner, "curator", "owner"),
        identity.add_member(owner, "everyone", "curator"),
        identity.disable_principal(owner, "curator"),
    ):
        with pytest.raises(NotFound, match="`curator`"):
            await write


async def test_a_tenant_that_is_not_there_has_no_curator(identity: Identity, founded: Founded) -> None:
    with pytest.raises(Forbidden, match="no curator"):
        await identity.curator(founded.tenant.__class__(int=9))  # type: ignore[arg-type]  # any UUID


async def test_a_table_can_be_renewed_for_changed_tenants_alone(
    identity: Identity, owner: Principal, database: Database, load_table: Callable[[], Awaitable[IdentityTable]]
) -> None:
    acme = await identity.create_tenant(owner, "acme")
    before = await load_table()
    keys = await identity.list_keys(owner)
    await identity.revoke_key(owner, str(keys[0].id))
    async with database.system("test", repeatable=True) as tx:
        other = await identity.load(tx, before, [acme.tenant])
        both = await identity.load(tx, before, [acme.tenant, owner.tenant])
    assert not other._tenants[owner.tenant].keys[keys[0].id].is_revoked
    assert both._tenants[owner.tenant].keys[keys[0].id].is_revoked
    assert both.authenticate(ShownKey(acme.key), 0.0).tenant == acme.tenant


async def test_who_may_explain_gets_a_reader_without_any_permission(identity: Identity, owner: Principal) -> None:
    await identity.create_principal(owner, "jane", roles=["owner"])
    jane = await identity.as_reader(owner, "jane")
    assert (jane.name, jane.permissions, jane.key) == ("jane", frozenset(), None)
    with pytest.raises(Forbidden, match="reader:explain"):
        await identity.as_reader(jane, "admin")


async def test_names_and_ids_are_found_for_each_other(identity: Identity, owner: Principal) -> None:
    ids = await identity.principals_named(owner, ["admin", "everyone"])
    assert ids["admin"] == owner.id
    assert await identity.names_of(owner, ids.values()) == {ids["admin"]: "admin", ids["everyone"]: "everyone"}
    with pytest.raises(NotFound, match="Did you mean `everyone`"):
        await identity.principals_named(owner, ["everyon"])


async def test_the_operators_command_line_acts_as_an_enabled_user_who_may_everything(
    identity: Identity, owner: Principal
) -> None:
    await identity.create_tenant(owner, "acme")
    await identity.define_roles(owner, {"founder": ["tenant:create"]})
    await identity.create_principal(owner, "early", roles=["founder"])
    await identity.create_principal(owner, "jane", roles=["owner"])
    await identity.disable_principal(owner, "admin")
    operator = await identity.operator()
    assert (operator.tenant, operator.name, operator.key) == (owner.tenant, "jane", None)


async def test_a_server_without_a_tenant_has_no_operator(identity: Identity) -> None:
    with pytest.raises(Forbidden, match="no owner"):
        await identity.operator()
