"""Stored responses on PostgreSQL: each is its principal's alone, sealed, and a conversation is found link by link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest

from headworks.errors import Conflict, InvalidRequest, NotFound, SealBroken, UpstreamError
from headworks.formats.responses.format import RESPONSES
from headworks.gateway.stored import service
from headworks.gateway.stored.service import StoredResponses, new_response_id
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import new_id

Superuser = psycopg.Connection[tuple[Any, ...]]
MakePrincipal = Callable[..., Principal]
SECRET = "the patient's name is Ada"


@pytest.fixture
def stored(database: Database, keyring: Keyring) -> StoredResponses:
    return StoredResponses(database, keyring)


@pytest.fixture
def ada(make_principal: MakePrincipal) -> Principal:
    return make_principal()


def item(text: str) -> msgspec.Raw:
    return RESPONSES.input_items(json.dumps({"input": text}).encode())[0]


def body(response_id: str, text: str) -> bytes:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    return json.dumps({"id": response_id, "object": "response", "output": [message]}).encode()


async def keep(stored: StoredResponses, who: Principal, said: str, previous: str | None = None) -> str:
    response_id = new_response_id()
    await stored.keep(who, response_id, [item(said)], body(response_id, f"re: {said}"), previous=previous)
    return response_id


def texts(items: list[msgspec.Raw]) -> list[str]:
    return [json.loads(bytes(each))["content"][0]["text"] for each in items]


async def test_what_a_provider_keeps_is_found_with_its_target(stored: StoredResponses, ada: Principal) -> None:
    await stored.remember_owner(ada, "resp_67cc", "openai/gpt-5.6")
    found = await stored.find(ada, "resp_67cc")
    assert (found.id, found.target, found.items, found.body) == ("resp_67cc", "openai/gpt-5.6", (), b"")
    assert (found.expires_at - found.created_at).days == 30


async def test_what_we_keep_is_found_as_it_was(stored: StoredResponses, ada: Principal) -> None:
    response_id = await keep(stored, ada, "Hello.")
    found = await stored.find(ada, response_id)
    assert found.target is None
    assert found.body == body(response_id, "re: Hello.")
    assert texts(list(found.items)) == ["Hello."]


def test_ids_of_ours_are_told_from_others() -> None:
    made = new_response_id()
    assert made.startswith("resp_")
    assert UUID(made.removeprefix("resp_")).version == 7


async def test_nobody_else_finds_it(stored: StoredResponses, ada: Principal, make_principal: MakePrincipal) -> None:
    ours, theirs = await keep(stored, ada, SECRET), "resp_67cc"
    await stored.remember_owner(ada, theirs, "openai/gpt-5.6")
    colleague = make_principal(tenant=ada.tenant, permissions=["tenant:admin", "model:call"])
    stranger = make_principal()
    namesake = make_principal(tenant=ada.tenant, kind="curator")
    for other in (colleague, stranger, namesake):
        for response_id in (ours, theirs):
            with pytest.raises(NotFound) as caught:
                await stored.find(other, response_id)
            with pytest.raises(NotFound) as unknown:
                await stored.find(other, "resp_0")
            assert str(caught.value).replace(response_id, "resp_0") == str(unknown.value)
            with pytest.raises(NotFound):
                await stored.conversation(other, response_id)
            with pytest.raises(NotFound):
                await stored.delete(other, response_id)
        with pytest.raises(Conflict):
            await keep(stored, other, "go on", previous=ours)
    assert (await stored.find(ada, ours)).id == ours


async def test_row_level_security_alone_keeps_it_from_others(
    stored: StoredResponses, database: Database, ada: Principal, make_principal: MakePrincipal
) -> None:
    await keep(stored, ada, SECRET)
    everything = "SELECT count(*) FROM stored_response"
    async with database.tx(ada) as tx:
        assert await tx.fetch_value(everything) == 1
    for other in (make_principal(tenant=ada.tenant), make_principal()):
        async with database.tx(other) as tx:
            assert await tx.fetch_value(everything) == 0
            assert await tx.run("UPDATE stored_response SET target = 'x', content = NULL") == 0
            assert await tx.run("DELETE FROM stored_response") == 0


async def test_nobody_stores_in_anothers_name(
    database: Database, ada: Principal, make_principal: MakePrincipal
) -> None:
    other = make_principal(tenant=ada.tenant)
    statement = (
        "INSERT INTO stored_response (tenant_id, principal_id, response_id, target, expires_at) "
        "VALUES (%(tenant)s, %(principal)s, 'resp_1', 't', now())"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.tx(other) as tx:
            await tx.run(statement, tenant=ada.tenant, principal=ada.id)


async def test_two_principals_may_know_the_same_id(
    stored: StoredResponses, ada: Principal, make_principal: MakePrincipal
) -> None:
    other = make_principal(tenant=ada.tenant)
    await stored.remember_owner(ada, "resp_1", "openai/a")
    await stored.remember_owner(other, "resp_1", "openai/b")
    assert (await stored.find(ada, "resp_1")).target == "openai/a"
    assert (await stored.find(other, "resp_1")).target == "openai/b"


async def test_what_we_keep_is_sealed_at_rest(stored: StoredResponses, ada: Principal, as_superuser: Superuser) -> None:
    await keep(stored, ada, SECRET)
    rows = as_superuser.execute("SELECT content, s::text FROM stored_response s").fetchall()
    for content, row in rows:
        assert isinstance(content, bytes)
        assert b"Ada" not in content
        assert "Ada" not in row


async def test_what_was_moved_to_another_response_does_not_open(
    stored: StoredResponses, ada: Principal, as_superuser: Superuser
) -> None:
    first, second = await keep(stored, ada, "one"), await keep(stored, ada, "two")
    as_superuser.execute(
        "UPDATE stored_response SET content = (SELECT content FROM stored_response WHERE response_id = %s) "
        "WHERE response_id = %s",
        [first, second],
    )
    with pytest.raises(SealBroken):
        await stored.find(ada, second)


async def test_what_was_deleted_is_gone(stored: StoredResponses, ada: Principal, as_superuser: Superuser) -> None:
    response_id = await keep(stored, ada, SECRET)
    await stored.delete(ada, response_id)
    with pytest.raises(NotFound):
        await stored.find(ada, response_id)
    with pytest.raises(NotFound):
        await stored.delete(ada, response_id)
    assert as_superuser.execute("SELECT count(*) FROM stored_response").fetchone() == (0,)


@pytest.mark.parametrize("said", ["", "resp_0", "\x00", "é", "x" * 513, "resp_\n1", "' OR true --"])
async def test_what_is_no_id_is_not_found(stored: StoredResponses, ada: Principal, said: str) -> None:
    for act in (stored.find, stored.conversation, stored.delete):
        with pytest.raises(NotFound):
            await act(ada, said)


@pytest.mark.parametrize("said", ["", "\x00", "x" * 513])
async def test_an_id_that_can_not_be_one_is_the_providers_fault(
    stored: StoredResponses, ada: Principal, said: str
) -> None:
    with pytest.raises(UpstreamError):
        await stored.remember_owner(ada, said, "openai/a")


async def test_an_owner_is_remembered_anew_and_never_takes_what_is_ours(
    stored: StoredResponses, ada: Principal
) -> None:
    await stored.remember_owner(ada, "resp_1", "openai/a")
    await stored.remember_owner(ada, "resp_1", "openai/b")
    assert (await stored.find(ada, "resp_1")).target == "openai/b"
    ours = await keep(stored, ada, "Hello.")
    await stored.remember_owner(ada, ours, "openai/a")
    assert (await stored.find(ada, ours)).target is None


async def test_an_id_is_used_once(stored: StoredResponses, ada: Principal) -> None:
    response_id = await keep(stored, ada, "one")
    with pytest.raises(Conflict):
        await stored.keep(ada, response_id, [item("two")], body(response_id, "x"))
    assert texts(list((await stored.find(ada, response_id)).items)) == ["one"]


# Conversations.


async def test_a_conversation_is_what_was_said_in_its_order(stored: StoredResponses, ada: Principal) -> None:
    first = await keep(stored, ada, "1")
    second = await keep(stored, ada, "2", previous=first)
    aside = await keep(stored, ada, "2b", previous=first)
    third = await keep(stored, ada, "3", previous=second)
    assert texts(await stored.conversation(ada, third)) == ["1", "re: 1", "2", "re: 2", "3", "re: 3"]
    assert texts(await stored.conversation(ada, aside)) == ["1", "re: 1", "2b", "re: 2b"]


async def test_a_conversation_goes_into_the_next_request(stored: StoredResponses, ada: Principal) -> None:
    first = await keep(stored, ada, "1")
    asked = {"model": "m", "instructions": "Be brief.", "input": "2", "previous_response_id": first}
    request = RESPONSES.read_request(json.dumps(asked).encode())
    whole = RESPONSES.following(request, await stored.conversation(ada, first))
    said = json.loads(RESPONSES.write_request(whole).body)
    assert said["instructions"] == "Be brief."
    assert "previous_response_id" not in said
    assert [each["content"][0]["text"] for each in said["input"][:2]] == ["1", "re: 1"]
    assert [turn.role for turn in whole.turns] == ["system", "user", "assistant", "user"]


async def test_what_is_to_be_followed_has_to_be_there_and_ours(stored: StoredResponses, ada: Principal) -> None:
    await stored.remember_owner(ada, "resp_1", "openai/a")
    for previous in ("resp_0", "resp_1"):
        with pytest.raises(Conflict):
            await keep(stored, ada, "x", previous=previous)


async def test_a_conversation_with_a_hole_is_refused(stored: StoredResponses, ada: Principal) -> None:
    first = await keep(stored, ada, "1")
    second = await keep(stored, ada, "2", previous=first)
    await stored.delete(ada, first)
    with pytest.raises(NotFound) as caught:
        await stored.conversation(ada, second)
    assert first in caught.value.message
    assert (await stored.find(ada, second)).previous == first


async def test_what_a_target_keeps_has_no_conversation_here(stored: StoredResponses, ada: Principal) -> None:
    await stored.remember_owner(ada, "resp_1", "openai/a")
    with pytest.raises(InvalidRequest) as caught:
        await stored.conversation(ada, "resp_1")
    assert caught.value.param == "previous_response_id"


async def test_links_never_lead_in_a_circle(stored: StoredResponses, ada: Principal, as_superuser: Superuser) -> None:
    first = await keep(stored, ada, "1")
    second = await keep(stored, ada, "2", previous=first)
    await stored.delete(ada, first)
    await stored.keep(ada, first, [item("again")], body(first, "x"), previous=second)
    for response_id in (first, second):
        with pytest.raises(NotFound):
            await asyncio.wait_for(stored.conversation(ada, response_id), 10)
    as_superuser.execute("UPDATE stored_response SET previous_id = response_id WHERE response_id = %s", [second])
    with pytest.raises(NotFound):
        await asyncio.wait_for(stored.conversation(ada, second), 10)


async def test_an_endless_conversation_is_refused(
    stored: StoredResponses, ada: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LONGEST_CHAIN", 3)
    last = None
    for number in range(3):
        last = await keep(stored, ada, str(number), previous=last)
    assert last is not None
    assert len(await stored.conversation(ada, last)) == 6
    last = await keep(stored, ada, "one too many", previous=last)
    with pytest.raises(InvalidRequest):
        await stored.conversation(ada, last)


async def test_many_at_once_are_all_kept(stored: StoredResponses, ada: Principal) -> None:
    first = await keep(stored, ada, "1")
    made = await asyncio.gather(*(keep(stored, ada, str(number), previous=first) for number in range(20)))
    for number, response_id in enumerate(made):
        assert texts(await stored.conversation(ada, response_id))[2] == str(number)


# Retention.


async def test_what_has_expired_is_gone_and_is_removed_by_the_curator(
    stored: StoredResponses, ada: Principal, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    curator = make_principal(tenant=ada.tenant, kind="curator")
    elsewhere = make_principal()
    old, young, foreign = await keep(stored, ada, "1"), await keep(stored, ada, "2"), await keep(stored, elsewhere, "3")
    await stored.remember_owner(ada, "resp_1", "openai/a")
    as_superuser.execute(
        "UPDATE stored_response SET expires_at = now() - interval '1 second' WHERE response_id = ANY (%s)",
        [[old, foreign, "resp_1"]],
    )
    for response_id in (old, "resp_1"):
        with pytest.raises(NotFound):
            await stored.find(ada, response_id)
    assert await stored.remove_expired(ada) == 2  # one's own
    as_superuser.execute(
        "UPDATE stored_response SET expires_at = now() - interval '1 second' WHERE response_id = %s", [young]
    )
    assert await stored.remove_expired(make_principal(tenant=ada.tenant)) == 0
    assert await stored.remove_expired(curator) == 1
    assert as_superuser.execute("SELECT response_id FROM stored_response").fetchall() == [(foreign,)]


async def test_what_is_kept_for_less_expires_earlier(database: Database, keyring: Keyring, ada: Principal) -> None:
    stored = StoredResponses(database, keyring, kept_s=60.0)
    found = await stored.find(ada, await keep(stored, ada, "x"))
    assert (found.expires_at - found.created_at).total_seconds() == 60


async def test_who_is_removed_takes_theirs_along(
    stored: StoredResponses, ada: Principal, as_superuser: Superuser
) -> None:
    await keep(stored, ada, SECRET)
    as_superuser.execute("DELETE FROM principal WHERE principal_id = %s", [ada.id])
    assert as_superuser.execute("SELECT count(*) FROM stored_response").fetchone() == (0,)


async def test_a_key_of_the_principal_finds_what_another_key_asked(stored: StoredResponses, ada: Principal) -> None:
    response_id = await keep(stored, ada, "x")
    by_key = Principal(ada.tenant, ada.id, ada.name, ada.kind, ada.permissions, key=None, groups=frozenset({new_id()}))
    assert (await stored.find(by_key, response_id)).id == response_id
