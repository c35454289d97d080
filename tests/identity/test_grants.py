"""Features lent to other tenants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound
from headworks.identity.contract import Founded, Grant
from headworks.identity.service import Identity, IdentityTable
from headworks.types.identity import Principal
from headworks.types.ids import new_id

ByKey = Callable[[str], Awaitable[Principal]]
Someone = Callable[..., Awaitable[Principal]]


@pytest.fixture
async def acme(identity: Identity, owner: Principal) -> Founded:
    return await identity.create_tenant(owner, "acme")


@pytest.fixture
async def ada(acme: Founded, by_key: ByKey) -> Principal:
    """The owner of the second tenant."""
    return await by_key(acme.key)


async def test_a_grant_is_seen_from_both_ends_and_in_the_table(
    identity: Identity, owner: Principal, ada: Principal, load_table: Callable[[], Awaitable[IdentityTable]]
) -> None:
    given = await identity.create_grant(owner, "claims-assistant", "acme")
    assert (given.direction, given.feature, given.tenant, given.grantee) == (
        "given",
        "claims-assistant",
        owner.tenant,
        ada.tenant,
    )
    assert await identity.list_grants(owner) == [given]
    (received,) = await identity.list_grants(ada)
    assert (received.direction, received.feature, received.tenant) == ("received", "claims-assistant", owner.tenant)
    assert (await load_table()).grants == {ada.tenant: (Grant(owner.tenant, given.project, "claims-assistant"),)}


async def test_a_grant_is_given_once_and_taken_back_once(
    identity: Identity, owner: Principal, ada: Principal, load_table: Callable[[], Awaitable[IdentityTable]]
) -> None:
    await identity.create_grant(owner, "claims-assistant", str(ada.tenant))
    with pytest.raises(Conflict, match="granted to that tenant already"):
        await identity.create_grant(owner, "claims-assistant", "acme")
    await identity.revoke_grant(owner, "claims-assistant", "acme")
    assert await identity.list_grants(ada) == []
    assert (await load_table()).grants == {}
    with pytest.raises(NotFound, match="is not granted to that tenant"):
        await identity.revoke_grant(owner, "claims-assistant", "acme")


async def test_who_received_a_grant_can_not_pass_it_on_or_take_it_back(
    identity: Identity, owner: Principal, ada: Principal
) -> None:
    await identity.create_grant(owner, "claims-assistant", "acme")
    with pytest.raises(NotFound, match="not granted"):
        await identity.revoke_grant(ada, "claims-assistant", str(owner.tenant))
    own = await identity.create_grant(ada, "claims-assistant", str(owner.tenant))
    assert own.tenant == ada.tenant, "a grant is of one's own tenant's feature of that name"


async def test_a_tenant_without_the_operators_rights_can_not_find_out_which_tenants_there_are(
    identity: Identity, ada: Principal
) -> None:
    messages = set()
    for name in ("default", "nobody"):
        with pytest.raises(InvalidRequest) as caught:
            await identity.create_grant(ada, "feature", name)
        messages.add(str(caught.value).replace(name, "…"))
    assert len(messages) == 1
    assert "is not the id of a tenant" in messages.pop()
    await identity.create_grant(ada, "feature", str(new_id()))


async def test_an_unknown_tenant_is_answered_with_near_ones_to_the_operator(
    identity: Identity, owner: Principal, ada: Principal
) -> None:
    with pytest.raises(NotFound, match="There is no tenant `acm`. Did you mean `acme`"):
        await identity.create_grant(owner, "feature", "acm")
    with pytest.raises(NotFound, match="There is no tenant"):
        await identity.create_grant(owner, "feature", str(new_id()))


async def test_a_grant_needs_a_project_of_ones_own_a_name_and_another_tenant(
    identity: Identity, owner: Principal, ada: Principal
) -> None:
    with pytest.raises(NotFound, match="There is no project `claims`. There is `default`."):
        await identity.create_grant(owner, "feature", "acme", "claims")
    for feature in ("", "x" * 101, "a\x00"):
        with pytest.raises(InvalidRequest, match="`feature` is a name"):
            await identity.create_grant(owner, feature, "acme")
    with pytest.raises(InvalidRequest, match="no grant for its own features"):
        await identity.create_grant(owner, "feature", "default")


async def test_grants_need_the_permission(identity: Identity, someone: Someone, ada: Principal) -> None:
    jane = await someone("jane", roles=("engineer",))
    for attempt in (
        identity.create_grant(jane, "feature", str(ada.tenant)),
        identity.revoke_grant(jane, "feature", str(ada.tenant)),
        identity.list_grants(jane),
    ):
        with pytest.raises(Forbidden, match="grant:write"):
            await attempt
