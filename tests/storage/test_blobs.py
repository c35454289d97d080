from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from headworks.errors import NotFound, SealBroken
from headworks.storage.blobs import Blobs
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import new_id

Superuser = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
async def who(database: Database, keyring: Keyring, make_principal: Callable[..., Principal]) -> Principal:
    principal = make_principal()
    await keyring.ensure(database, principal.tenant)
    return principal


@pytest.fixture
def blobs(keyring: Keyring) -> Blobs:
    return Blobs(keyring)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_500_000])
async def test_a_blob_comes_back_as_it_went_in(database: Database, blobs: Blobs, who: Principal, size: int) -> None:
    data = hashlib.shake_128(b"text").digest(size)
    blob_id = new_id()
    async with database.tx(who) as tx:
        await blobs.put(tx, who.tenant, blob_id, data)
    async with database.tx(who) as tx:
        assert await blobs.get(tx, who.tenant, blob_id) == data
        pieces = await tx.fetch_value("SELECT count(*) FROM blob WHERE tenant_id = %(t)s", t=who.tenant)
    assert pieces == max(1, -(-size // (1 << 20)))


async def test_a_blob_that_is_rolled_back_or_deleted_is_gone(database: Database, blobs: Blobs, who: Principal) -> None:
    blob_id = new_id()

    async def put_and_fail() -> None:
        async with database.tx(who) as tx:
            await blobs.put(tx, who.tenant, blob_id, b"text")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await put_and_fail()
    async with database.tx(who) as tx:
        with pytest.raises(NotFound):
            await blobs.get(tx, who.tenant, blob_id)
        await blobs.put(tx, who.tenant, blob_id, b"text")
        assert await blobs.delete(tx, who.tenant, blob_id) is True
        assert await blobs.delete(tx, who.tenant, blob_id) is False


async def test_nothing_of_a_blob_can_be_read_from_the_disk(
    database: Database, blobs: Blobs, who: Principal, as_superuser: Superuser
) -> None:
    async with database.tx(who) as tx:
        await blobs.put(tx, who.tenant, new_id(), b"a patient's secret" * 1000)
    stored = as_superuser.execute("SELECT content FROM blob").fetchone()
    assert stored is not None
    assert b"patient" not in stored[0]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM blob WHERE piece = 2",
        "DELETE FROM blob WHERE piece = 0",
        "UPDATE blob SET piece = CASE piece WHEN 0 THEN 1 ELSE 0 END WHERE piece < 2",
        "UPDATE blob SET content = set_byte(content, 100, (get_byte(content, 100) + 1) % 256) WHERE piece = 1",
        "INSERT INTO blob SELECT tenant_id, blob_id, 3, content FROM blob WHERE piece = 0",
    ],
)
async def test_pieces_lost_exchanged_changed_or_added_do_not_open(
    database: Database, blobs: Blobs, who: Principal, as_superuser: Superuser, damage: str
) -> None:
    blob_id = new_id()
    async with database.tx(who) as tx:
        await blobs.put(tx, who.tenant, blob_id, bytes(5 << 19))
    as_superuser.execute("ALTER TABLE blob DROP CONSTRAINT blob_pkey")
    as_superuser.execute(damage.encode())
    async with database.tx(who) as tx:
        with pytest.raises(SealBroken):
            await blobs.get(tx, who.tenant, blob_id)


async def test_another_tenants_blob_does_not_exist(
    database: Database, blobs: Blobs, keyring: Keyring, who: Principal, make_principal: Callable[..., Principal]
) -> None:
    other = make_principal()
    await keyring.ensure(database, other.tenant)
    blob_id = new_id()
    async with database.tx(who) as tx:
        await blobs.put(tx, who.tenant, blob_id, b"text")
    async with database.tx(other) as tx:
        for tenant in (other.tenant, who.tenant):
            with pytest.raises(NotFound):
                await blobs.get(tx, tenant, blob_id)
        assert await blobs.delete(tx, who.tenant, blob_id) is False


async def test_a_blob_is_written_once(database: Database, blobs: Blobs, who: Principal) -> None:
    blob_id = new_id()
    digests = set()
    async with database.tx(who) as tx:
        await blobs.put(tx, who.tenant, blob_id, b"first")
        digests.add(hashlib.sha256(await blobs.get(tx, who.tenant, blob_id)).digest())
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with database.tx(who) as tx:
            await blobs.put(tx, who.tenant, blob_id, b"second")
    async with database.tx(who) as tx:
        digests.add(hashlib.sha256(await blobs.get(tx, who.tenant, blob_id)).digest())
    assert len(digests) == 1
