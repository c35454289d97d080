"""Durable work on real processes: taken over after kill -9, done once per id, forgotten when it is old."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from headworks.errors import DatabaseUnavailable
from headworks.jobs.demand import has_work
from headworks.jobs.engine import Jobs
from headworks.storage.pool import Database, DatabaseUrls
from headworks.types.identity import Principal

from .conftest import StartReplica, until

MakePrincipal = Callable[..., Principal]


def _status(noted: psycopg.Connection[Any], run: str) -> str | None:
    row = noted.execute("SELECT status FROM dbos.workflow_status WHERE workflow_uuid = %s", [run]).fetchone()
    return None if row is None else str(row[0])


def _counted(noted: psycopg.Connection[Any], run: str, what: str) -> dict[int, int]:
    rows = noted.execute("SELECT step, count(*) FROM noted WHERE run = %s AND what = %s GROUP BY 1", [run, what])
    return {int(step): int(number) for step, number in rows.fetchall()}


async def _enqueue(database: Database, who: Principal, run: str, *arguments: Any, **options: Any) -> None:
    async with database.tx(who) as tx:
        await Jobs().enqueue(tx, "count", run, *arguments, **options)


async def test_a_run_that_is_asked_for_twice_is_done_once(
    database: Database, noted: Any, make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who = make_principal()
    for _ in range(3):
        await _enqueue(database, who, "a", 2, 0)
    process = start_replica(idle_s=1)
    await _enqueue(database, who, "a", 2, 0)
    assert process.wait(40) == 0
    assert _status(noted, "a") == "SUCCESS"
    assert _counted(noted, "a", "ended") == {0: 1, 1: 1}


async def test_what_is_rolled_back_is_not_asked_for(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal
) -> None:
    with contextlib.suppress(KeyError):
        async with database.tx(make_principal()) as tx:
            await Jobs().enqueue(tx, "count", "rolled back", 1, 0)
            raise KeyError
    assert _status(noted, "rolled back") is None
    assert not has_work(noted)


async def test_the_supervisor_sees_work_and_sees_none(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who = make_principal()
    assert not has_work(noted)
    await _enqueue(database, who, "later", 1, 0, delay_s=3600)
    assert not has_work(noted), "what is not due needs no process"
    await _enqueue(database, who, "now", 1, 0)
    assert has_work(noted)
    process = start_replica(idle_s=1)
    assert process.wait(40) == 0
    assert not has_work(noted)
    assert _status(noted, "later") == "DELAYED"


async def test_after_kill_9_another_process_goes_on_where_the_first_was(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who = make_principal()
    await _enqueue(database, who, "long", 4, 0.6)
    first = start_replica()
    until(lambda: _counted(noted, "long", "begun").get(2))  # so the outcome of the one before is stored
    first.kill()
    first.wait()
    start_replica(idle_s=2)
    until(lambda: _status(noted, "long") == "SUCCESS")
    ended, begun = _counted(noted, "long", "ended"), _counted(noted, "long", "begun")
    assert ended.keys() == {0, 1, 2, 3}, "nothing is lost"
    assert ended[0] == ended[1] == 1, "steps that had ended are not done again"
    assert sum(begun.values()) <= 5, "only the step in flight was repeated"


async def test_a_dead_process_is_noticed_although_nobody_asks_for_more_work(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    await _enqueue(database, make_principal(), "left", 1, 60)
    process = start_replica()
    until(lambda: _counted(noted, "left", "begun"))
    assert not has_work(noted), "it is being worked on"
    process.kill()
    process.wait()
    until(lambda: has_work(noted))


async def test_a_process_that_was_stopped_and_woken_changes_no_outcome(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    await _enqueue(database, make_principal(), "fenced", 3, 0.5)
    first = start_replica()
    until(lambda: _counted(noted, "fenced", "begun").get(1))
    os.kill(first.pid, signal.SIGSTOP)
    try:
        start_replica()
        until(lambda: _status(noted, "fenced") == "SUCCESS")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    row = noted.execute(
        "SELECT count(*), count(DISTINCT function_id) FROM dbos.operation_outputs WHERE workflow_uuid = 'fenced'"
    ).fetchone()
    assert row == (3, 3), "each step has one result"


async def test_a_process_that_is_told_to_stop_gives_its_run_back_at_once(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who = make_principal()
    await _enqueue(database, who, "given back", 1, 60)
    process = start_replica()
    until(lambda: _counted(noted, "given back", "begun"))
    for number in range(20):  # some are taken from the queue while it stops
        await _enqueue(database, who, f"more {number}", 1, 60)
    process.terminate()
    assert process.wait(40) == 0
    assert _status(noted, "given back") == "PENDING"
    assert has_work(noted), "without waiting for a heartbeat to grow old"


async def test_runs_of_one_partition_go_one_after_the_other(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who = make_principal()
    for run in ("p1", "p2", "p3"):
        await _enqueue(database, who, run, 2, 0.2, partition="p")
    process = start_replica(idle_s=1)
    assert process.wait(60) == 0
    order = [row[0] for row in noted.execute("SELECT run FROM noted").fetchall()]
    assert order == ["p1"] * 4 + ["p2"] * 4 + ["p3"] * 4


async def test_a_failed_step_leaves_no_text_of_its_error_behind(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    async with database.tx(make_principal()) as tx:
        await Jobs().enqueue(tx, "fail", "failing")
    process = start_replica(idle_s=1)
    assert process.wait(40) == 0
    assert _status(noted, "failing") == "ERROR"
    everything = noted.execute(
        "SELECT string_agg(o::text, '') || string_agg(s::text, '') "
        "FROM dbos.workflow_status s, dbos.operation_outputs o"
    ).fetchone()
    assert everything is not None
    assert "StepFailed" in everything[0]
    assert "patient" not in everything[0]


async def test_old_finished_runs_are_forgotten_and_young_ones_kept(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who = make_principal()
    await _enqueue(database, who, "old", 1, 0)
    assert start_replica(idle_s=1).wait(40) == 0
    noted.execute("UPDATE dbos.workflow_status SET updated_at = updated_at - 2 * 3600 * 1000")
    await _enqueue(database, who, "young", 1, 0)
    assert start_replica(idle_s=1).wait(40) == 0
    assert _status(noted, "old") is None
    assert _status(noted, "young") == "SUCCESS"
    left = noted.execute("SELECT count(*) FROM dbos.workflow_input WHERE workflow_uuid = 'old'").fetchone()
    assert left == (0,)


async def test_others_may_use_threads_until_everything_is_down(start_replica: StartReplica) -> None:
    process = start_replica(idle_s=1)
    assert process.wait(40) == 0
    assert process.stdout is not None
    assert process.stdout.read() == "idle\n"


async def test_work_can_not_start_without_a_database(database_urls: DatabaseUrls) -> None:
    jobs = Jobs(database_urls.app.replace("/test_", "/no_such_database_"))
    with pytest.raises(DatabaseUnavailable, match="Durable work can't start"):
        await jobs.start()


def test_two_kinds_of_work_can_not_have_one_name() -> None:
    async def nothing(_: Any) -> None: ...

    jobs = Jobs()
    jobs.register("kind", nothing)
    with pytest.raises(ValueError, match="kind"):
        jobs.register("kind", nothing)
