from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headworks.errors import SealBroken
from headworks.storage.pool import Database
from headworks.storage.sealing import OVERHEAD_BYTES, Keyring
from headworks.types.identity import Principal

MakePrincipal = Callable[..., Principal]
Superuser = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
async def tenants(database: Database, keyring: Keyring, make_principal: MakePrincipal) -> tuple[UUID, UUID]:
    """Two tenants whose data keys the keyring knows."""
    ours, theirs = make_principal().tenant, make_principal().tenant
    await keyring.ensure(database, ours)
    await keyring.ensure(database, theirs)
    return ours, theirs


@dataclass(frozen=True)
class Value:
    """Something to seal and where."""

    column: str
    row_id: str
    data: bytes


values = st.builds(
    Value,
    column=st.sampled_from(["document.text", "chunk.content", "span.payload"]),
    row_id=st.uuids().map(str) | st.integers(0, 2**40).map(str),
    data=st.binary(max_size=300),
)


def test_what_is_sealed_opens_in_its_place_and_in_no_other(keyring: Keyring, tenants: tuple[UUID, UUID]) -> None:
    ours, theirs = tenants

    @given(values, values)
    def check(one: Value, other: Value) -> None:
        sealed = keyring.seal(ours, one.column, one.row_id, one.data)
        assert keyring.open(ours, one.column, one.row_id, sealed) == one.data
        assert len(sealed) == len(one.data) + OVERHEAD_BYTES
        with pytest.raises(SealBroken):
            keyring.open(theirs, one.column, one.row_id, sealed)
        assume((one.column, one.row_id) != (other.column, other.row_id))
        with pytest.raises(SealBroken):
            keyring.open(ours, other.column, other.row_id, sealed)

    check()


def test_a_value_changed_anywhere_does_not_open(keyring: Keyring, tenants: tuple[UUID, UUID]) -> None:
    ours, _ = tenants

    @given(values, st.data())
    def check(value: Value, data: st.DataObject) -> None:
        sealed = bytearray(keyring.seal(ours, value.column, value.row_id, value.data))
        position = data.draw(st.integers(0, len(sealed) - 1), label="position")
        sealed[position] ^= data.draw(st.integers(1, 255), label="bits")
        with pytest.raises(SealBroken):
            keyring.open(ours, value.column, value.row_id, bytes(sealed))

    check()


def test_a_value_cut_short_or_made_up_does_not_open(keyring: Keyring, tenants: tuple[UUID, UUID]) -> None:
    ours, _ = tenants

    @given(values, st.integers(0, 400), st.binary(max_size=80))
    def check(value: Value, length: int, made_up: bytes) -> None:
        sealed = keyring.seal(ours, value.column, value.row_id, value.data)
        assume(length < len(sealed))
        for wrong in (sealed[:length], sealed + b"\0", made_up):
            with pytest.raises(SealBroken):
                keyring.open(ours, value.column, value.row_id, wrong)

    check()


def test_the_same_text_never_looks_the_same_twice(keyring: Keyring, tenants: tuple[UUID, UUID]) -> None:
    sealed = {keyring.seal(tenants[0], "chunk.content", 1, b"the same") for _ in range(200)}
    assert len(sealed) == 200
    assert not any(b"the same" in value for value in sealed)


def test_the_error_holds_neither_the_text_nor_the_key(keyring: Keyring, tenants: tuple[UUID, UUID]) -> None:
    sealed = keyring.seal(tenants[0], "chunk.content", 1, b"a patient's secret")
    with pytest.raises(SealBroken) as broken:
        keyring.open(tenants[0], "chunk.content", 2, sealed)
    assert str(broken.value) == "A value of `chunk.content` was changed, or was sealed for another place."
    assert (broken.value.status, broken.value.code) == (500, "seal_broken")


async def test_data_keys_outlive_the_process_and_are_wrapped_in_the_database(
    database: Database, keyring: Keyring, tenants: tuple[UUID, UUID], as_superuser: Superuser
) -> None:
    sealed = keyring.seal(tenants[0], "chunk.content", 1, b"text")
    later = Keyring(bytes(range(32)))
    assert not later.knows(tenants[0])
    await later.ensure(database, tenants[0])
    assert later.open(tenants[0], "chunk.content", 1, sealed) == b"text"
    rows = as_superuser.execute("SELECT key_id, length(wrapped) FROM data_key").fetchall()
    assert rows == [(1, 1 + 8 + 12 + 32 + 16)] * 2


async def test_many_processes_that_need_a_new_tenants_key_at_once_agree_on_one(
    database: Database, make_principal: MakePrincipal
) -> None:
    tenant = make_principal().tenant
    keyrings = [Keyring(bytes(range(32))) for _ in range(6)]
    await asyncio.gather(*(keyring.ensure(database, tenant) for keyring in keyrings))
    sealed = keyrings[0].seal(tenant, "chunk.content", 1, b"text")
    assert {keyring.open(tenant, "chunk.content", 1, sealed) for keyring in keyrings} == {b"text"}


async def test_another_master_key_is_told_what_is_wrong(database: Database, tenants: tuple[UUID, UUID]) -> None:
    with pytest.raises(SealBroken, match=r"made under another master key.*Bring back") as broken:
        await Keyring(b"x" * 32).ensure(database, tenants[0])
    assert broken.value.code == "other_master_key"


async def test_a_data_key_that_was_changed_or_moved_to_another_tenant_does_not_unwrap(
    database: Database, tenants: tuple[UUID, UUID], as_superuser: Superuser
) -> None:
    ours, theirs = tenants
    as_superuser.execute(
        "UPDATE data_key SET wrapped = (SELECT wrapped FROM data_key WHERE tenant_id = %s) WHERE tenant_id = %s",
        [theirs, ours],
    )
    with pytest.raises(SealBroken, match="was changed"):
        await Keyring(bytes(range(32))).ensure(database, ours)


async def test_a_destroyed_data_key_makes_everything_under_it_unreadable_for_ever(
    database: Database, keyring: Keyring, tenants: tuple[UUID, UUID], as_superuser: Superuser
) -> None:
    ours, _ = tenants
    sealed = keyring.seal(ours, "chunk.content", 1, b"text")
    as_superuser.execute("DELETE FROM data_key WHERE tenant_id = %s", [ours])
    keyring.forget(ours)
    with pytest.raises(SealBroken, match="are not loaded"):
        keyring.open(ours, "chunk.content", 1, sealed)
    await keyring.ensure(database, ours)
    with pytest.raises(SealBroken):
        keyring.open(ours, "chunk.content", 1, sealed)


async def test_a_retired_key_still_opens_and_a_newer_one_seals(
    database: Database, keyring: Keyring, tenants: tuple[UUID, UUID], as_superuser: Superuser
) -> None:
    ours, theirs = tenants
    old = keyring.seal(ours, "chunk.content", 1, b"old")
    as_superuser.execute("UPDATE data_key SET retired_at = now() WHERE tenant_id = %s", [ours])
    with pytest.raises(SealBroken, match="Every data key"):
        await keyring.refresh(database, ours)
    newer = keyring._wrap(ours, 2, bytes(32))
    as_superuser.execute("INSERT INTO data_key (tenant_id, key_id, wrapped) VALUES (%s, 2, %s)", [ours, newer])
    stale = Keyring(bytes(range(32)))
    await stale.ensure(database, theirs)
    await keyring.refresh(database, ours)
    new = keyring.seal(ours, "chunk.content", 1, b"new")
    assert [keyring.open(ours, "chunk.content", 1, sealed) for sealed in (old, new)] == [b"old", b"new"]
    assert (old[4], new[4]) == (1, 2)


def test_a_value_of_a_key_that_is_not_known_says_so(keyring: Keyring, tenants: tuple[UUID, UUID]) -> None:
    sealed = bytearray(keyring.seal(tenants[0], "chunk.content", 1, b"text"))
    sealed[4] = 9
    with pytest.raises(SealBroken, match="data key 9, which is not there") as broken:
        keyring.open(tenants[0], "chunk.content", 1, bytes(sealed))
    assert broken.value.code == "data_key_missing"
