"""Usage and spans are append-only but for what erasure takes out of them, and only the curator does that."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from headworks.errors import HeadworksError
from headworks.identity.service import Identity
from headworks.records import erasing
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal


@pytest.fixture
async def people(
    database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any]
) -> tuple[Principal, Principal, UUID]:
    """The administrator, the curator, and a document that a span quotes; one usage row names an end user."""
    identity, quoted = Identity(database, keyring, b"pepper of records"), uuid4()
    await identity.bootstrap()
    admin = await identity.operator()
    for documents in ([quoted], [uuid4()]):
        as_superuser.execute(
            "INSERT INTO headworks.span (tenant_id, arrived_at, trace_id, span_id, principal_id, name, started_at, "
            "duration_us, documents, payload) VALUES "
            "(%s, now(), gen_random_uuid(), gen_random_uuid(), %s, 'answer', now(), 1, %s, 'sealed')",
            [admin.tenant, admin.id, documents],
        )
    as_superuser.execute(
        "INSERT INTO headworks.usage (tenant_id, arrived_at, request_id, trace_id, surface, purpose, asked_model, "
        "status, streamed, total_us, end_user) VALUES "
        "(%s, now(), gen_random_uuid(), gen_random_uuid(), 'chat', 'answer', 'm', 200, false, 1, 'jane')",
        [admin.tenant],
    )
    return admin, await identity.curator(admin.tenant), quoted


async def test_payloads_and_labels_are_forgotten_and_the_rows_stay(
    database: Database, people: tuple[Principal, Principal, UUID], as_superuser: psycopg.Connection[Any]
) -> None:
    _, curator, quoted = people
    async with database.tx(curator) as tx:
        assert await erasing.forget_documents(tx, curator, [quoted]) == {"span.payload": 1}
        assert await erasing.forget_documents(tx, curator, [quoted]) == {"span.payload": 0}
        forgotten = await erasing.forget_person(tx, curator, uuid4(), ["jane", "joe"])
    assert forgotten == {"span.payload": 0, "usage.end_user": 1}
    rows = as_superuser.execute("SELECT count(*), count(payload) FROM headworks.span").fetchone()
    assert rows == (2, 1)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE span SET name = 'x'",
        "UPDATE span SET payload = 'other'",
        "UPDATE span SET payload = NULL, duration_us = 2",
        "UPDATE usage SET cost_micro_usd = 0",
        "UPDATE usage SET end_user = 'joe'",
        "DELETE FROM span",
    ],
)
async def test_nothing_else_of_a_record_is_ever_changed(
    database: Database, people: tuple[Principal, Principal, UUID], change: str
) -> None:
    with pytest.raises((psycopg.Error, HeadworksError)):
        async with database.tx(people[1]) as tx:
            await tx.run(change)


async def test_nobody_but_the_curator_forgets(
    database: Database, people: tuple[Principal, Principal, UUID], as_superuser: psycopg.Connection[Any]
) -> None:
    async with database.tx(people[0]) as tx:
        assert await tx.run("UPDATE span SET payload = NULL") == 0
    assert as_superuser.execute("SELECT count(payload) FROM headworks.span").fetchone() == (2,)
