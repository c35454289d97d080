from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from headworks.errors import Unavailable
from headworks.storage.pool import Database, DatabaseUrls, Tx, owner_connection
from headworks.types.identity import Principal
from headworks.types.ids import new_id

MakePrincipal = Callable[..., Principal]
Superuser = psycopg.Connection[tuple[Any, ...]]

WHO = "SELECT app_tenant() AS tenant, app_principal() AS principal, app_key() AS key"
ADD = "INSERT INTO project (tenant_id, project_id, name) VALUES (%(tenant)s, %(project)s, %(name)s)"
NAMES = "SELECT name FROM project WHERE tenant_id = %(tenant)s ORDER BY name"
EVERYTHING = "SELECT name FROM project ORDER BY name"


async def add(tx: Tx, tenant: UUID, name: str) -> int:
    return await tx.run(ADD, tenant=tenant, project=new_id(), name=name)


# ── who asks ──


async def test_a_transaction_knows_tenant_principal_and_key(database: Database, make_principal: MakePrincipal) -> None:
    who = make_principal(key=True)
    async with database.tx(who) as tx:
        assert await tx.fetch_one(WHO) == (who.tenant, who.id, who.key)
    async with database.tx(replace(who, key=None)) as tx:
        assert await tx.fetch_one(WHO) == (who.tenant, who.id, None)


async def test_nothing_of_one_transaction_is_left_for_the_next(
    database_urls: DatabaseUrls, make_principal: MakePrincipal
) -> None:
    who = make_principal(key=True)
    async with Database(database_urls, pool_size=1) as database:
        async with database.tx(who) as tx:
            first = await tx.fetch_value("SELECT pg_backend_pid()")
        connection = (await database._connections["app"].begin(b"SELECT 1")).connection
        try:
            row = await (await connection.execute(f"{WHO}, pg_backend_pid()")).fetchone()
        finally:
            database._connections["app"].give_back(connection)
        assert row == (None, None, None, first)


async def test_a_tenant_sees_and_changes_only_its_own_rows_whatever_the_statement_names(
    database: Database, make_principal: MakePrincipal
) -> None:
    ours, theirs = make_principal(), make_principal()
    for who in (ours, theirs):
        async with database.tx(who) as tx:
            assert await add(tx, who.tenant, f"of {who.name}") == 1
    async with database.tx(ours) as tx:
        assert await tx.fetch_all(EVERYTHING) == [(f"of {ours.name}",)]
        assert await tx.fetch_all(NAMES, tenant=theirs.tenant) == []
        assert await tx.run("UPDATE project SET name = 'stolen'") == 1
        assert await tx.run("DELETE FROM project WHERE tenant_id = %(tenant)s", tenant=theirs.tenant) == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.tx(ours) as tx:
            await add(tx, theirs.tenant, "planted")
    async with database.tx(theirs) as tx:
        assert await tx.fetch_all(EVERYTHING) == [(f"of {theirs.name}",)]


@pytest.mark.parametrize("field", ["tenant", "id", "key"])
async def test_an_id_that_is_no_uuid_never_reaches_a_statement(
    database: Database, make_principal: MakePrincipal, field: str
) -> None:
    who = replace(make_principal(), **{field: "x', true); DROP TABLE project --"})
    with pytest.raises(TypeError, match="are UUIDs, not str"):
        database.tx(who)


# ── rows ──


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A row of `project`."""

    project_id: UUID
    name: str


async def test_rows_are_named_tuples_or_what_they_are_read_into(
    database: Database, make_principal: MakePrincipal
) -> None:
    who = make_principal()
    async with database.tx(who) as tx:
        added = await tx.run_many(
            ADD, [{"tenant": who.tenant, "project": new_id(), "name": name} for name in ("b", "a", "c")]
        )
        assert added == 3
        assert [row.name for row in await tx.fetch_all(NAMES, tenant=who.tenant)] == ["a", "b", "c"]
        statement = "SELECT project_id, name FROM project WHERE name = %(name)s"
        row = await tx.fetch_one(statement, into=ProjectRow, name="b")
        assert isinstance(row, ProjectRow)
        assert row.name == "b"
        assert await tx.fetch_one(statement, into=ProjectRow, name="z") is None
        assert await tx.fetch_value(statement, name="z") is None
        assert await tx.fetch_all(statement, into=ProjectRow, name="b") == [row]


async def test_values_travel_as_what_they_are(database: Database, make_principal: MakePrincipal) -> None:
    sent = {
        "bytes": b"\0\xff",
        "json": {"a": [1, 2.5, None, "ä"], "b": {}},
        "texts": ["x", "y"],
        "ids": [new_id(), new_id()],
        "float": 1.5,
        "true": True,
        "big": 2**40,
        "text": "100 %",
        "none": None,
    }
    casts = {"texts": "::text[]", "ids": "::uuid[]", "big": "::bigint", "text": "::text", "none": "::text"}
    columns = ", ".join(f'%({name})s{casts.get(name, "")} AS "{name}"' for name in sent)
    async with database.tx(make_principal()) as tx:
        row = await tx.fetch_one(f"SELECT {columns}", **sent)
    assert row is not None
    assert dict(zip(sent, row, strict=True)) == sent


async def test_rows_copied_in_are_stored(database: Database, make_principal: MakePrincipal) -> None:
    async with database.tx(make_principal()) as tx:
        async with tx.copy_in("COPY replica (executor_id, beat_at) FROM STDIN") as copy:
            for name in ("one", "two"):
                await copy.write_row((name, "2026-01-01 00:00:00+00"))
        assert await tx.fetch_value("SELECT count(*) FROM replica") == 2


async def test_copying_into_a_table_with_row_level_security_is_refused(
    database: Database, make_principal: MakePrincipal
) -> None:
    async def copy_projects() -> None:
        async with database.tx(make_principal()) as tx, tx.copy_in("COPY project FROM STDIN"):
            pass

    with pytest.raises(psycopg.errors.FeatureNotSupported):
        await copy_projects()


# ── the end of a transaction ──


async def test_an_error_rolls_back_and_leaves_the_connection_usable(
    database_urls: DatabaseUrls, make_principal: MakePrincipal
) -> None:
    who = make_principal()
    async with Database(database_urls, pool_size=1) as database:

        async def fail(statement: str) -> None:
            async with database.tx(who) as tx:
                await add(tx, who.tenant, "lost")
                await tx.run(statement)
                raise LookupError

        with pytest.raises(LookupError):
            await fail("SELECT 1")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await fail("SELECT 1/0")
        async with database.tx(who) as tx:
            assert await tx.fetch_all(EVERYTHING) == []


async def test_an_error_that_was_swallowed_is_raised_at_the_end_since_nothing_was_stored(
    database: Database, make_principal: MakePrincipal
) -> None:
    who = make_principal()

    async def swallow() -> None:
        async with database.tx(who) as tx:
            await add(tx, who.tenant, "lost")
            with pytest.raises(psycopg.errors.DivisionByZero):
                await tx.run("SELECT 1/0")

    with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="nothing was stored"):
        await swallow()
    async with database.tx(who) as tx:
        assert await tx.fetch_all(EVERYTHING) == []


async def test_what_fails_inside_a_savepoint_is_undone_and_the_rest_stays(
    database: Database, make_principal: MakePrincipal
) -> None:
    who = make_principal()

    async def add_twice(tx: Tx, name: str) -> None:
        async with tx.savepoint():
            await add(tx, who.tenant, name)
            async with tx.savepoint():
                await add(tx, who.tenant, f"{name}, inner")
            await add(tx, who.tenant, "first")

    async with database.tx(who) as tx:
        await add(tx, who.tenant, "first")
        with pytest.raises(psycopg.errors.UniqueViolation):
            await add_twice(tx, "second")
        async with tx.savepoint():
            await add(tx, who.tenant, "third")
    async with database.tx(who) as tx:
        assert [row.name for row in await tx.fetch_all(NAMES, tenant=who.tenant)] == ["first", "third"]


async def test_what_is_prepared_outlives_a_refusal_and_no_failure(
    database_urls: DatabaseUrls, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    who = make_principal()
    everything = "SELECT * FROM project"
    async with Database(database_urls, pool_size=1, prepare_threshold=0) as database:

        async def ask(last: str = everything) -> None:
            async with database.tx(who) as tx:
                await tx.fetch_all(everything)
                await tx.run(last)
                raise LookupError

        async def is_prepared() -> bool:
            async with database.tx(who) as tx:
                found = "SELECT EXISTS (SELECT FROM pg_prepared_statements WHERE statement = %(text)s)"
                return bool(await tx.fetch_value(found, text=everything))

        with pytest.raises(LookupError):
            await ask()
        assert await is_prepared()
        with pytest.raises(psycopg.errors.DivisionByZero):
            await ask("SELECT 1/0")
        assert not await is_prepared()
        with pytest.raises(LookupError):
            await ask()
        as_superuser.execute("ALTER TABLE headworks.project ADD COLUMN another int")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="must not change result type"):
            await ask()
        with pytest.raises(LookupError):
            await ask()


async def test_a_table_that_a_transaction_takes_with_it_is_made_again(database_urls: DatabaseUrls) -> None:
    async with Database(database_urls, prepare_threshold=0) as database:

        async def arrive(kind: str) -> None:
            async with database.ingest() as tx:
                await tx.run(f"CREATE TEMPORARY TABLE arrived (what {kind}) ON COMMIT DELETE ROWS")
                await tx.run("INSERT INTO arrived VALUES ('1')")
                assert str(await tx.fetch_value("SELECT what FROM arrived")) == "1"
                raise LookupError

        for kind in ("text", "text"):
            with pytest.raises(LookupError):
                await arrive(kind)
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="must not change result type"):
            await arrive("int")
        with pytest.raises(LookupError):
            await arrive("int")


async def test_all_statements_of_a_repeatable_transaction_see_one_moment(
    database: Database, make_principal: MakePrincipal
) -> None:
    who = make_principal()
    async with database.tx(who, repeatable=True) as before:
        assert await before.fetch_all(EVERYTHING) == []
        async with database.tx(who) as tx:
            await add(tx, who.tenant, "meanwhile")
        assert await before.fetch_all(EVERYTHING) == []
    async with database.tx(who) as tx:
        assert await tx.fetch_all(EVERYTHING) == [("meanwhile",)]


async def test_a_statement_that_takes_too_long_is_ended_with_a_reason(
    database: Database, make_principal: MakePrincipal
) -> None:
    who = make_principal()

    async def sleep() -> None:
        async with database.tx(who, statement_timeout_s=0.05) as tx:
            await tx.run("SELECT pg_sleep(20)")

    with pytest.raises(Unavailable, match="took too long") as raised:
        await sleep()
    assert raised.value.code == "database_timeout"
    async with database.tx(who) as tx:
        assert await tx.fetch_value("SHOW statement_timeout") == "30s"


# ── other roles ──


async def test_system_reads_all_tenants_and_can_write_nothing(
    database: Database, make_principal: MakePrincipal
) -> None:
    tenants = {make_principal().tenant, make_principal().tenant}
    async with database.system("a test") as tx:
        assert {row.tenant_id for row in await tx.fetch_all("SELECT tenant_id FROM tenant")} == tenants
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            async with tx.savepoint():
                await tx.run("UPDATE tenant SET name = 'x'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with tx.savepoint():
                await tx.fetch_all("SELECT * FROM document_text")


async def test_a_glance_reads_what_system_reads_and_keeps_no_connection(
    database_urls: DatabaseUrls, make_principal: MakePrincipal
) -> None:
    told: list[str] = []
    who = make_principal()
    async with Database(database_urls, on_system=told.append) as database:
        for _ in range(5):  # more than there are connections
            rows = dict(await database.glance("a test", "SELECT tenant_id, version FROM snapshot_version"))
            assert rows[who.tenant] > 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await database.glance("a test", "DELETE FROM snapshot_version")
        assert await database.glance("a test", "SELECT 1") == [(1,)]
    assert told == ["a test"] * 7


async def test_the_reason_of_a_system_transaction_is_told_before_it_begins(
    database_urls: DatabaseUrls, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    async with Database(database_urls, on_system=told.append) as database:
        database.system("why")
        assert told == ["why"]
    caplog.set_level(logging.INFO)
    async with Database(database_urls) as database, database.system("in the log") as tx:
        await tx.run("SELECT 1")
    assert "in the log" in caplog.text


async def test_ingest_appends_for_any_tenant_and_reads_nothing(
    database: Database, make_principal: MakePrincipal
) -> None:
    who = make_principal()
    statement = (
        "INSERT INTO audit_event (tenant_id, event_id, action, subject) "
        "VALUES (%(tenant)s, %(event)s, 'made', 'it') ON CONFLICT DO NOTHING"
    )
    event = new_id()
    async with database.ingest() as tx:
        assert await tx.run(statement, tenant=who.tenant, event=event) == 1
        assert await tx.run(statement, tenant=who.tenant, event=event) == 0
        for forbidden in ("SELECT * FROM audit_event", "DELETE FROM audit_event", "SELECT * FROM tenant"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with tx.savepoint():
                    await tx.run(forbidden)
    async with database.tx(who) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM audit_event WHERE tenant_id = %(t)s", t=who.tenant) == 1


async def test_an_app_cannot_make_tables_or_temporary_ones_or_empty_any(
    database: Database, make_principal: MakePrincipal
) -> None:
    async with database.tx(make_principal()) as tx:
        for forbidden in (
            "CREATE TABLE headworks.mine (n int)",
            "CREATE TABLE public.mine (n int)",
            "CREATE TEMPORARY TABLE mine (n int)",
            "TRUNCATE project",
            "DROP TABLE project",
            "ALTER TABLE project DISABLE ROW LEVEL SECURITY",
            "SET ROLE hw_owner",
            "SET LOCAL session_replication_role = replica",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with tx.savepoint():
                    await tx.run(forbidden)


def test_the_owner_works_as_hw_owner_in_our_schema(database_urls: DatabaseUrls) -> None:
    with owner_connection(database_urls) as connection:
        row = connection.execute("SELECT current_user, current_schema").fetchone()
    assert row == ("hw_owner", "headworks")


def test_passwords_are_not_shown(database_urls: DatabaseUrls) -> None:
    assert "password" not in repr(database_urls)
    assert "postgresql" not in repr(database_urls)
