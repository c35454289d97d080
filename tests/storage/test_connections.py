"""Connections under stress: cancelled requests, more requests than connections, a server that goes and comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from headworks.errors import DatabaseUnavailable, Unavailable
from headworks.storage.embedded import EmbeddedPostgres
from headworks.storage.pool import Database, DatabaseUrls, Tx
from headworks.types.identity import Principal
from headworks.types.ids import new_id

MakePrincipal = Callable[..., Principal]
Superuser = psycopg.Connection[tuple[Any, ...]]

WHO = "SELECT app_tenant() AS tenant, app_principal() AS principal, app_key() AS key"
ADD = "INSERT INTO project (tenant_id, project_id, name) VALUES (%(tenant)s, %(project)s, %(name)s)"
EVERYTHING = "SELECT name FROM project ORDER BY name"


async def add(tx: Tx, tenant: UUID, name: str) -> int:
    return await tx.run(ADD, tenant=tenant, project=new_id(), name=name)


# ── cancelled, and many at once ──


async def test_a_cancelled_statement_ends_in_the_server_and_its_connection_is_clean_or_closed(
    database_urls: DatabaseUrls, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    who = make_principal()
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE query LIKE '%%pg_sleep(30)%%' AND state = 'active' AND pid <> pg_backend_pid()"
    )
    async with Database(database_urls, pool_size=1) as database:

        async def sleep() -> None:
            async with database.tx(who) as tx:
                await add(tx, who.tenant, "lost")
                await tx.run("SELECT pg_sleep(30)")

        task = asyncio.create_task(sleep())
        await until(lambda: as_superuser.execute(sleeping).fetchone() == (1,))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: as_superuser.execute(sleeping).fetchone() == (0,))
        async with database.tx(who) as tx:
            assert await tx.fetch_all(EVERYTHING) == []


async def test_a_storm_of_cancelled_requests_of_two_tenants_never_crosses_and_loses_no_connection(
    database_urls: DatabaseUrls, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    both = [make_principal(), make_principal()]
    crossings: list[Any] = []
    finished = 0
    async with Database(database_urls, pool_size=4) as database:

        async def ask(who: Principal, number: int) -> None:
            nonlocal finished
            async with database.tx(who) as tx:
                row = await tx.fetch_one(WHO)
                await add(tx, who.tenant, f"{number}")
                seen = {row.tenant_id for row in await tx.fetch_all("SELECT tenant_id FROM project")}
                if row is None or row.tenant != who.tenant or row.principal != who.id or seen != {who.tenant}:
                    crossings.append((who, row, seen))
            finished += 1

        async def cancel_some(seed: int) -> None:
            chance = random.Random(seed)  # noqa: S311 -- no secret
            for number in range(60):
                task = asyncio.create_task(ask(chance.choice(both), seed * 1000 + number))
                if chance.random() < 0.5:
                    await asyncio.sleep(chance.random() * 0.004)
                    task.cancel()
                    if chance.random() < 0.3:
                        await asyncio.sleep(0)
                        task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()

        await asyncio.gather(*(cancel_some(seed) for seed in range(8)))
        assert crossings == []
        assert finished > 100
        # All four connections are there: four transactions at once, and none waits.
        together = asyncio.Barrier(4)

        async def meet() -> None:
            async with database.tx(both[0]) as tx:
                await tx.run("SELECT 1")
                await asyncio.wait_for(together.wait(), 10)

        await asyncio.gather(*(meet() for _ in range(4)))
    await until(lambda: connections_of(as_superuser) == 0)


async def test_those_who_wait_get_the_connection_in_turn(
    database_urls: DatabaseUrls, make_principal: MakePrincipal
) -> None:
    who = make_principal()
    order: list[int] = []
    async with Database(database_urls, pool_size=1) as database:

        async def ask(number: int) -> None:
            async with database.tx(who) as tx:
                await tx.run("SELECT 1")
                order.append(number)

        await asyncio.gather(*(ask(number) for number in range(20)))
    assert order == list(range(20))


async def test_when_all_connections_stay_in_use_a_request_is_refused_and_told_so(
    database_urls: DatabaseUrls, make_principal: MakePrincipal
) -> None:
    who = make_principal()
    async with Database(database_urls, pool_size=1) as database:
        connections = database._connections["app"]
        connections._settings = replace(connections._settings, wait_s=0.05)
        async with database.tx(who):
            with pytest.raises(Unavailable, match=r"in use.*pool_size") as raised:
                async with database.tx(who):
                    pass
        assert raised.value.code == "database_busy"
        async with database.tx(who) as tx:
            assert await tx.fetch_value("SELECT 1") == 1


async def test_idle_connections_are_closed_after_a_while(
    database_urls: DatabaseUrls, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    who = make_principal()
    async with Database(database_urls) as database:
        connections = database._connections["app"]
        connections._settings = replace(connections._settings, keep_idle_s=0.2)
        async with database.tx(who), database.tx(who):
            assert connections_of(as_superuser) == 2
        await until(lambda: connections_of(as_superuser) == 0)
        async with database.tx(who) as tx:
            assert await tx.fetch_value("SELECT 1") == 1


async def test_a_closed_database_lends_nothing_and_takes_back_what_was_lent(
    database_urls: DatabaseUrls, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    who = make_principal()
    database = Database(database_urls)
    async with database.tx(who) as tx:
        await database.close()
        assert await add(tx, who.tenant, "in flight") == 1
    with pytest.raises(DatabaseUnavailable, match="shutting down"):
        async with database.tx(who):
            pass
    await until(lambda: connections_of(as_superuser) == 0)
    assert as_superuser.execute("SELECT name FROM project").fetchall() == [("in flight",)]


# ── PostgreSQL goes away and comes back ──


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "data")
    server.start()
    yield server
    server.stop()


@dataclass(frozen=True)
class Nobody:
    """Asks for nothing that is stored."""

    tenant: UUID
    id: UUID
    key: UUID | None = None


async def test_a_database_that_is_away_refuses_at_once_and_heals_by_itself(own_server: EmbeddedPostgres) -> None:
    url = own_server.start().url("postgres")
    who = Nobody(new_id(), new_id())
    async with Database(DatabaseUrls(url, url, url, url)) as database:

        async def ask() -> int:
            async with database.tx(who) as tx:
                return int(await tx.fetch_value("SELECT 1"))

        async def answers() -> bool:
            try:
                return await ask() == 1
            except DatabaseUnavailable:
                return False

        assert await asyncio.gather(ask(), ask(), ask()) == [1, 1, 1]
        own_server.stop()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        results = await asyncio.gather(*(ask() for _ in range(50)), return_exceptions=True)
        assert {type(result) for result in results} == {DatabaseUnavailable}
        assert loop.time() - begun < 1.5  # 50 refusals, none of which waited
        own_server.start()
        await until_async(answers)
        assert await asyncio.gather(ask(), ask(), ask()) == [1, 1, 1]


async def test_a_restart_between_two_requests_is_not_noticed(own_server: EmbeddedPostgres) -> None:
    url = own_server.start().url("postgres")
    who = Nobody(new_id(), new_id())
    async with Database(DatabaseUrls(url, url, url, url)) as database:
        async with database.tx(who) as one, database.tx(who) as other:
            await one.run("SELECT 1")
            await other.run("SELECT 1")
        own_server.stop()
        own_server.start()
        for _ in range(3):
            async with database.tx(who) as tx:
                assert await tx.fetch_value("SELECT 1") == 1


async def test_a_server_that_goes_away_in_the_middle_is_an_outage_not_a_database_error(
    own_server: EmbeddedPostgres,
) -> None:
    url = own_server.start().url("postgres")
    async with Database(DatabaseUrls(url, url, url, url)) as database:

        async def ask() -> None:
            async with database.tx(Nobody(new_id(), new_id())) as tx:
                await tx.run("SELECT 1")
                await asyncio.to_thread(own_server.stop)
                await tx.run("SELECT 1")

        with pytest.raises(DatabaseUnavailable) as raised:
            await ask()
        assert raised.value.status == 503


async def test_a_connection_ended_by_an_administrator_before_commit_is_an_outage(
    database: Database, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    who = make_principal()

    async def ask() -> None:
        async with database.tx(who) as tx:
            await add(tx, who.tenant, "lost")
            pid = await tx.fetch_value("SELECT pg_backend_pid()")
            as_superuser.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    with pytest.raises(DatabaseUnavailable):
        await ask()
    async with database.tx(who) as tx:
        assert await tx.fetch_all(EVERYTHING) == []


# ── being woken ──


async def test_a_listener_wakes_at_once_after_a_notification_and_regularly_without(
    database: Database, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    make_principal()
    woken = 0
    async for _ in database.wakeups("headworks_snapshot", every_s=30.0):
        woken += 1
        if woken == 2:  # listens by now
            as_superuser.execute("NOTIFY headworks_snapshot")
        if woken == 3:
            break
    beats = 0
    async for _ in database.wakeups("another", every_s=0.01):
        beats += 1
        if beats == 5:
            break
    assert (woken, beats) == (3, 5)


async def test_a_listener_outlives_a_restart(own_server: EmbeddedPostgres) -> None:
    url = own_server.start().url("postgres")
    async with Database(DatabaseUrls(url, url, url, url)) as database:
        woken = 0
        async for _ in database.wakeups("channel", every_s=0.05):
            woken += 1
            if woken == 4:
                await asyncio.to_thread(own_server.stop)
            if woken == 8:
                await asyncio.to_thread(own_server.start)
            if woken == 14:
                break
        assert woken == 14


async def test_changes_to_who_may_what_move_the_version_of_their_tenant_only(
    database: Database, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    ours, theirs = make_principal(), make_principal()
    versions = dict(as_superuser.execute("SELECT tenant_id, version FROM snapshot_version").fetchall())
    async with database.tx(ours) as tx:
        await add(tx, ours.tenant, "a project")
    later = dict(as_superuser.execute("SELECT tenant_id, version FROM snapshot_version").fetchall())
    assert later == {**versions, ours.tenant: versions[ours.tenant] + 1, theirs.tenant: versions[theirs.tenant]}


def connections_of(as_superuser: Superuser) -> int:
    row = as_superuser.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'headworks'"
    ).fetchone()
    assert row is not None
    return int(row[0])


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    async def check() -> bool:
        return condition()

    await until_async(check, limit_s)


async def until_async(condition: Callable[[], Any], limit_s: float = 20.0) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while not await condition():
        assert loop.time() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)
