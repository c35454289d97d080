from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.storage.partitions import TABLES, Month, ensure_partitions
from headworks.storage.pool import Database, DatabaseUrls, owner_connection
from headworks.types.identity import Principal
from headworks.types.ids import new_id

Superuser = psycopg.Connection[tuple[Any, ...]]

INSERT = """
    INSERT INTO span (tenant_id, arrived_at, trace_id, span_id, name, started_at, duration_us)
    VALUES (%(tenant)s, %(at)s, %(trace)s, %(span)s, 'stage', %(at)s, 1) ON CONFLICT DO NOTHING
"""


@pytest.fixture
def owner(database_urls: DatabaseUrls) -> Iterator[psycopg.Connection[Any]]:
    with owner_connection(database_urls) as connection:
        yield connection


def where(as_superuser: Superuser) -> list[str]:
    return [str(row[0]) for row in as_superuser.execute("SELECT tableoid::regclass FROM span ORDER BY arrived_at")]


async def arrive(database: Database, who: Principal, *moments: datetime) -> None:
    async with database.ingest() as tx:
        for at in moments:
            assert await tx.run(INSERT, tenant=who.tenant, at=at, trace=new_id(), span=new_id()) == 1


def test_this_month_and_the_next_two_are_made_and_nothing_twice(owner: psycopg.Connection[Any]) -> None:
    made = ensure_partitions(owner, date(2031, 11, 30))
    assert made == [f"{table}_{month}" for table in TABLES for month in ("2031_11", "2031_12", "2032_01")]
    assert ensure_partitions(owner, date(2031, 11, 30)) == []
    assert ensure_partitions(owner, date(2031, 12, 1)) == [f"{table}_2032_02" for table in TABLES]


async def test_rows_go_to_the_month_they_arrived_in_by_utc(
    database: Database,
    owner: psycopg.Connection[Any],
    as_superuser: Superuser,
    make_principal: Callable[..., Principal],
) -> None:
    ensure_partitions(owner, date(2031, 11, 30))
    last = datetime(2031, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    await arrive(database, make_principal(), last, datetime(2031, 12, 1, tzinfo=UTC))
    assert where(as_superuser) == ["span_2031_11", "span_2031_12"]


async def test_what_arrives_without_a_partition_is_kept_and_moved_when_there_is_one(
    database: Database,
    owner: psycopg.Connection[Any],
    as_superuser: Superuser,
    make_principal: Callable[..., Principal],
) -> None:
    who = make_principal()
    moments = [datetime(2035, month, 15, tzinfo=UTC) for month in (3, 4, 9)]
    await arrive(database, who, *moments)
    assert where(as_superuser) == ["span_default"] * 3
    ensure_partitions(owner, date(2035, 3, 1))
    assert where(as_superuser) == ["span_2035_03", "span_2035_04", "span_default"]
    async with database.tx(who) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM span WHERE tenant_id = %(t)s", t=who.tenant) == 3


async def test_nobody_may_go_around_the_parent(
    database: Database, owner: psycopg.Connection[Any], make_principal: Callable[..., Principal]
) -> None:
    who = make_principal()
    now = datetime(2031, 11, 30, tzinfo=UTC)
    ensure_partitions(owner, now.date())
    await arrive(database, who, now)
    for statement in ("SELECT * FROM span_2031_11", "SELECT * FROM span_default", "DELETE FROM span_2031_11"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.tx(who) as tx:
                await tx.fetch_all(statement)
    into_month = INSERT.replace("span (", "span_2031_11 (").replace("ON CONFLICT DO NOTHING", "")
    row = {"tenant": who.tenant, "at": now, "trace": new_id(), "span": new_id()}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.tx(who) as tx:
            await tx.run(into_month, **row)
    async with database.ingest() as tx:  # what arrives is appended there
        assert await tx.run(into_month, **row) == 1
    for statement in ("SELECT * FROM span_2031_11", "DELETE FROM span_2031_11", "UPDATE span_2031_11 SET name = ''"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.ingest() as tx:
                await tx.fetch_all(statement)
    with pytest.raises(psycopg.errors.CheckViolation):
        async with database.ingest() as tx:
            await tx.run(into_month, **row | {"at": datetime(2031, 12, 1, tzinfo=UTC)})


def test_two_replicas_that_make_them_at_once_both_succeed(database_urls: DatabaseUrls) -> None:
    def make(_: int) -> list[str]:
        with owner_connection(database_urls) as connection:
            return ensure_partitions(connection, date(2040, 1, 1))

    with ThreadPoolExecutor() as pool:
        made = [name for names in pool.map(make, range(4)) for name in names]
    assert sorted(made) == sorted(f"{table}_2040_{month:02d}" for table in TABLES for month in (1, 2, 3))


def test_a_table_that_stays_busy_is_left_for_later(
    owner: psycopg.Connection[Any], as_superuser: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headworks.storage.partitions._LOCK_TIMEOUT", "50ms")
    with as_superuser.transaction():
        as_superuser.execute("LOCK TABLE usage IN ACCESS SHARE MODE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            ensure_partitions(owner, date(2041, 1, 1))
    assert len(ensure_partitions(owner, date(2041, 1, 1))) == 6


@given(st.dates(date(1970, 1, 1), date(9000, 1, 1)))
def test_months_follow_one_another_without_a_gap(day: date) -> None:
    month = Month(day.year, day.month)
    after = month.next()
    assert month.begins()[:10] <= day.isoformat() < after.begins()[:10]
    assert (after.year - month.year) * 12 + after.month - month.month == 1
