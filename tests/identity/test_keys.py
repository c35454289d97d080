"""API keys: made, limited, listed, revoked."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from headworks.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from headworks.identity.contract import Founded, KeyRequest
from headworks.identity.roles import BUILT_IN_ROLES, MEMBER
from headworks.identity.service import Identity, IdentityTable
from headworks.identity.tokens import mint
from headworks.storage.pool import Database
from headworks.types.identity import Principal, ShownKey
from headworks.types.ids import new_id

Superuser = psycopg.Connection[tuple[object, ...]]
ByKey = Callable[[str], Awaitable[Principal]]
Someone = Callable[..., Awaitable[Principal]]

_ACTING_AS = "SELECT name FROM acting_as JOIN principal USING (principal_id) ORDER BY 1"


async def reads_as(database: Database, principal: Principal) -> list[str]:
    """The names by which PostgreSQL lets this principal read."""
    async with database.tx(principal) as tx:
        return [row.name for row in await tx.fetch_all(_ACTING_AS)]


async def test_a_key_for_oneself_has_all_of_ones_rights_and_follows_them(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    jane = await someone("jane")
    made = await identity.create_key(jane, KeyRequest(name="laptop"))
    assert (made.key.principal, made.key.name, made.key.permissions, made.key.groups) == ("jane", "laptop", None, None)
    assert made.token.startswith(made.key.prefix + "_")
    assert (await by_key(made.token)).permissions == MEMBER
    await identity.bind_role(owner, "jane", "engineer")
    assert (await by_key(made.token)).permissions == BUILT_IN_ROLES["engineer"]


async def test_an_owner_makes_keys_for_others_that_follow_their_rights(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    await someone("jane")
    token = (await identity.create_key(owner, KeyRequest("jane"))).token
    await identity.bind_role(owner, "jane", "expert")
    assert (await by_key(token)).permissions == BUILT_IN_ROLES["expert"]


async def test_a_key_made_by_somebody_else_never_grows_beyond_its_maker(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    await identity.define_roles(owner, {"key-desk": ["key:write", "feature:call", "model:call"]})
    desk = await someone("desk", roles=("key-desk",))
    await someone("jane", roles=("engineer",))
    made = await identity.create_key(desk, KeyRequest("jane"))
    assert made.key.permissions == ("feature:call", "model:call")
    await identity.bind_role(owner, "jane", "owner")
    assert (await by_key(made.token)).permissions == {"feature:call", "model:call"}


async def test_a_limited_key_can_not_make_an_unlimited_one(identity: Identity, someone: Someone, by_key: ByKey) -> None:
    jane = await someone("jane", roles=("engineer",))
    small = await by_key((await identity.create_key(jane, KeyRequest(permissions=("feature:call", "key:own")))).token)
    assert (await identity.create_key(small, KeyRequest())).key.permissions == ("feature:call", "key:own")
    with pytest.raises(Forbidden, match="This key would give `model:call`, which you do not have yourself"):
        await identity.create_key(small, KeyRequest(permissions=("model:call",)))
    without = await by_key((await identity.create_key(jane, KeyRequest(permissions=()))).token)
    assert without.permissions == frozenset()
    with pytest.raises(Forbidden, match="lacks the permission `key:own` or `key:write`"):
        await identity.create_key(without, KeyRequest())


async def test_a_key_can_not_have_what_its_principal_has_not(
    identity: Identity, owner: Principal, someone: Someone
) -> None:
    await someone("jane")
    with pytest.raises(InvalidRequest, match="`jane` may not `model:call`, so no key of it can") as caught:
        await identity.create_key(owner, KeyRequest("jane", permissions=("feature:call", "model:call")))
    assert caught.value.param == "permissions"


async def test_a_key_loses_what_its_principal_loses(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    await someone("jane", roles=("engineer",))
    token = (await identity.create_key(owner, KeyRequest("jane", permissions=("model:call", "feature:call")))).token
    await identity.unbind_role(owner, "jane", "engineer")
    assert (await by_key(token)).permissions == {"feature:call"}


async def test_an_unknown_permission_is_answered_with_near_ones(identity: Identity, owner: Principal) -> None:
    with pytest.raises(InvalidRequest, match=r"no permission `feature:cal`\. Did you mean `feature:call`"):
        await identity.create_key(owner, KeyRequest(permissions=("feature:cal",)))


async def test_who_has_key_own_alone_makes_keys_for_nobody_else_and_learns_no_names(
    identity: Identity, someone: Someone
) -> None:
    jane = await someone("jane")
    for name in ("admin", "nobody-there"):
        with pytest.raises(Forbidden, match="lacks the permission `key:write`"):
            await identity.create_key(jane, KeyRequest(name))
        with pytest.raises(Forbidden, match="lacks the permission `key:write`"):
            await identity.list_keys(jane, name)


async def test_a_narrowed_key_reads_through_its_groups_only(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey, database: Database
) -> None:
    jane = await someone("jane", groups=("clinicians", "lawyers"))
    assert await reads_as(database, jane) == ["clinicians", "everyone", "jane", "lawyers"]
    made = await identity.create_key(jane, KeyRequest(groups=("clinicians",)))
    assert made.key.groups == ("clinicians",)
    narrowed = await by_key(made.token)
    assert await reads_as(database, narrowed) == ["clinicians"]
    await identity.remove_member(owner, "clinicians", "jane")
    assert await reads_as(database, narrowed) == [], "from the next statement, with the principal of before"
    assert (await by_key(made.token)).groups == frozenset()


async def test_a_key_narrowed_to_nothing_reads_nothing(
    identity: Identity, someone: Someone, by_key: ByKey, database: Database
) -> None:
    jane = await someone("jane", groups=("clinicians",))
    made = await identity.create_key(jane, KeyRequest(groups=()))
    assert made.key.groups == ()
    assert await reads_as(database, await by_key(made.token)) == []


async def test_a_key_is_narrowed_to_groups_of_its_principal_only(
    identity: Identity, owner: Principal, someone: Someone
) -> None:
    jane = await someone("jane", groups=("clinicians",))
    await identity.create_group(owner, "lawyers")
    messages = []
    for name in ("lawyers", "no-such-group"):
        with pytest.raises(InvalidRequest) as caught:
            await identity.create_key(jane, KeyRequest(groups=(name,)))
        messages.append(str(caught.value).replace(name, "…"))
    assert messages[0] == messages[1], "a group that one is not in reads as one that is not there"
    assert "There are `clinicians`, `everyone`." in messages[0]
    with pytest.raises(InvalidRequest, match="Did you mean `clinicians`"):
        await identity.create_key(jane, KeyRequest(groups=("clinician",)))


async def test_a_narrowed_key_makes_only_keys_that_are_narrowed_as_much(
    identity: Identity, owner: Principal, by_key: ByKey
) -> None:
    for group in ("clinicians", "lawyers"):
        await identity.create_group(owner, group)
        await identity.add_member(owner, group, "admin")
    await identity.create_principal(owner, "jane", groups=["lawyers"])
    narrowed = await by_key((await identity.create_key(owner, KeyRequest(groups=("clinicians",)))).token)
    assert (await identity.create_key(narrowed, KeyRequest())).key.groups == ("clinicians",)
    assert (await identity.create_key(narrowed, KeyRequest("jane"))).key.groups == ()
    with pytest.raises(InvalidRequest, match="groups of this narrowed key"):
        await identity.create_key(narrowed, KeyRequest(groups=("lawyers",)))
    with pytest.raises(Forbidden, match="would not be limited as this key is"):
        await identity.create_claim(narrowed, "admin")


async def test_a_key_for_some_models_makes_only_keys_for_these(
    identity: Identity, someone: Someone, by_key: ByKey
) -> None:
    jane = await someone("jane", roles=("engineer",))
    made = await identity.create_key(jane, KeyRequest(models=("claims-assistant", "openai/gpt-5-mini")))
    assert made.key.models == ("claims-assistant", "openai/gpt-5-mini")
    limited = await by_key(made.token)
    assert limited.allowed_models == {"claims-assistant", "openai/gpt-5-mini"}
    assert (await identity.create_key(limited, KeyRequest())).key.models == made.key.models
    assert (await identity.create_key(limited, KeyRequest(models=("claims-assistant",)))).key.models is not None
    with pytest.raises(Forbidden, match="may not call `other`") as caught:
        await identity.create_key(limited, KeyRequest(models=("other",)))
    assert caught.value.next_step == "It may call: claims-assistant, openai/gpt-5-mini."


@pytest.mark.parametrize("models", [("",), ("a\x00b",), ("x" * 201,), tuple(map(str, range(201)))])
async def test_names_of_models_that_can_be_none_are_refused(
    identity: Identity, owner: Principal, models: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidRequest, match="`models` takes"):
        await identity.create_key(owner, KeyRequest(models=models))


@pytest.mark.parametrize("label", ["x" * 101, "two\nlines", "\x00", "\ud800"])
async def test_a_key_with_a_bad_label_is_refused(identity: Identity, owner: Principal, label: str) -> None:
    with pytest.raises(InvalidRequest, match="printable"):
        await identity.create_key(owner, KeyRequest(name=label))


async def test_a_key_expires(
    identity: Identity, owner: Principal, load_table: Callable[[], Awaitable[IdentityTable]]
) -> None:
    made = await identity.create_key(owner, KeyRequest(expires="30d"))
    assert made.key.expires_at is not None
    assert abs(made.key.expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
    table = await load_table()
    assert table.authenticate(ShownKey(made.token), time.time()).key == made.key.id
    with pytest.raises(Unauthenticated) as caught:
        table.authenticate(ShownKey(made.token), time.time() + 31 * 86400)
    assert caught.value.code == "expired_api_key"


@pytest.mark.parametrize(("expires", "message"), [("tomorrow", "is no expiry"), ("2001-01-01", "not in the future")])
async def test_a_bad_expiry_is_refused(identity: Identity, owner: Principal, expires: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        await identity.create_key(owner, KeyRequest(expires=expires))


async def test_a_key_that_ends_makes_no_key_that_lasts_longer(
    identity: Identity, someone: Someone, by_key: ByKey
) -> None:
    jane = await someone("jane", expires="10d")
    ends = (await identity.list_keys(jane))[0].expires_at
    assert (await identity.create_key(jane, KeyRequest())).key.expires_at == ends
    assert (await identity.create_key(jane, KeyRequest(expires="9d"))).key.expires_at is not None
    with pytest.raises(Forbidden, match="no key made with it can last longer"):
        await identity.create_key(jane, KeyRequest(expires="11d"))


async def test_an_expired_key_reads_nothing_whatever_a_worker_remembers(
    identity: Identity, someone: Someone, database: Database, as_superuser: Superuser
) -> None:
    jane = await someone("jane", expires="10d")
    assert "jane" in await reads_as(database, jane)
    as_superuser.execute("UPDATE api_key SET expires_at = now() WHERE key_id = %s", [jane.key])
    assert await reads_as(database, jane) == []
    (view,) = await identity.list_keys(jane)
    assert view.state == "expired"


@pytest.mark.parametrize("by", ["id", "prefix"])
async def test_a_revoked_key_is_refused_in_the_next_table_and_reads_nothing_at_once(
    identity: Identity, someone: Someone, by_key: ByKey, database: Database, by: str
) -> None:
    jane = await someone("jane")
    made = await identity.create_key(jane, KeyRequest())
    holder = await by_key(made.token)
    assert "jane" in await reads_as(database, holder)
    revoked = await identity.revoke_key(jane, str(getattr(made.key, by)))
    assert (revoked.state, revoked.id) == ("revoked", made.key.id)
    assert await reads_as(database, holder) == []
    with pytest.raises(Unauthenticated) as caught:
        await by_key(made.token)
    assert caught.value.code == "revoked_api_key"
    assert (await identity.revoke_key(jane, str(made.key.id))).revoked_at == revoked.revoked_at


async def test_nobody_revokes_or_finds_the_key_of_another_without_key_write(
    identity: Identity, owner: Principal, someone: Someone, founded: Founded
) -> None:
    jane, john = await someone("jane"), await someone("john")
    (key,) = await identity.list_keys(john)
    messages = set()
    for reference in (str(key.id), key.prefix, str(new_id()), "nonsense", "hw_" + "!" * 22, founded.key):
        with pytest.raises(NotFound) as caught:
            await identity.revoke_key(jane, reference)
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert (await identity.revoke_key(owner, key.prefix)).state == "revoked"


async def test_one_sees_ones_own_keys_and_who_may_write_keys_sees_all(
    identity: Identity, owner: Principal, someone: Someone
) -> None:
    jane = await someone("jane")
    await someone("john")
    assert [key.principal for key in await identity.list_keys(jane)] == ["jane"]
    assert [key.principal for key in await identity.list_keys(jane, "jane")] == ["jane"]
    assert [key.principal for key in await identity.list_keys(owner)] == ["admin", "jane", "john"]
    assert [key.principal for key in await identity.list_keys(owner, "john")] == ["john"]
    with pytest.raises(NotFound, match="Did you mean `john`"):
        await identity.list_keys(owner, "jon")


async def test_a_key_of_another_tenant_is_not_accepted_with_the_id_of_ours(
    identity: Identity, owner: Principal, by_key: ByKey, database: Database
) -> None:
    other = await by_key((await identity.create_tenant(owner, "acme")).key)
    crossed = replace(other, key=owner.key)
    assert await reads_as(database, crossed) == []


async def test_an_unknown_key_is_refused(by_key: ByKey, founded: Founded) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await by_key(mint("hw", new_id()).text())
    assert caught.value.code == "invalid_api_key"
