"""What wakes the queue of durable work: a run that can begin, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from headworks.jobs.engine import Jobs
from headworks.jobs.waking import Waking
from headworks.storage.pool import DatabaseUrls

from .conftest import until


@pytest.fixture
def full() -> threading.Event:
    """Set: no more runs can begin here."""
    return threading.Event()


@pytest.fixture
def woken() -> list[bool]:
    """What each wait gave."""
    return []


@pytest.fixture
def waking(database_urls: DatabaseUrls, full: threading.Event, woken: list[bool]) -> Iterator[Waking]:
    """One that has found nothing to do yet."""

    def look(event: Waking) -> None:
        while not event.is_set():
            woken.append(event.wait(0.02))

    found = Waking(database_urls.app, "work", full.is_set)
    found.start(look)
    until(lambda: not found.is_busy)
    yield found
    found.stop()


def _add(behind: psycopg.Connection[Any], run: str, status: str, lane: str, due_ms: int | None = None) -> None:
    behind.execute(
        "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, queue_name, queue_partition_key, "
        "delay_until_epoch_ms) VALUES (%s, %s, 'x', 'work', %s, %s)",
        [run, status, lane, due_ms],
    )


def test_a_run_behind_another_of_its_lane_wakes_nobody_until_that_is_over(
    waking: Waking, woken: list[bool], as_superuser: psycopg.Connection[Any]
) -> None:
    with as_superuser.transaction():
        _add(as_superuser, "first", "PENDING", "a")
        _add(as_superuser, "second", "ENQUEUED", "a")
    until(lambda: waking.is_busy)
    assert woken == []
    as_superuser.execute("UPDATE dbos.workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = 'first'")
    until(lambda: woken)
    assert not any(woken), "there is something to begin, and no reason to stop"


def test_what_has_become_due_is_queued_and_what_is_due_later_is_left(
    waking: Waking, woken: list[bool], as_superuser: psycopg.Connection[Any]
) -> None:
    _add(as_superuser, "later", "DELAYED", "a", 253_402_300_799_000)
    assert not woken
    _add(as_superuser, "due", "DELAYED", "b", 1)
    until(lambda: woken)
    rows = as_superuser.execute("SELECT workflow_uuid, status FROM dbos.workflow_status ORDER BY 1").fetchall()
    assert rows == [("due", "ENQUEUED"), ("later", "DELAYED")]
    assert waking.is_busy


def test_a_process_that_can_take_no_more_is_not_woken(
    waking: Waking, woken: list[bool], full: threading.Event, as_superuser: psycopg.Connection[Any]
) -> None:
    full.set()
    _add(as_superuser, "waits", "ENQUEUED", "a")
    until(lambda: waking.is_busy)
    assert woken == []
    full.clear()
    until(lambda: woken)


def test_a_database_that_is_away_counts_as_work_until_it_is_back(
    waking: Waking, database_urls: DatabaseUrls, as_superuser: psycopg.Connection[Any]
) -> None:
    url, waking._url = waking._url, database_urls.app.replace("/test_", "/no_such_database_")
    cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s"
    until(lambda: as_superuser.execute(cut, [as_superuser.info.dbname]).fetchone() != (0,))
    until(lambda: waking.is_busy)
    waking._url = url
    until(lambda: not waking.is_busy)


def test_it_stops_at_once(waking: Waking, woken: list[bool]) -> None:
    waking.stop()
    assert woken == [True]


async def test_nothing_of_dbos_looks_by_the_clock_any_more(database_urls: DatabaseUrls) -> None:
    jobs = Jobs(database_urls.app)
    await jobs.start()
    try:
        names = {"queue-worker-_dbos_internal_queue", "queue-worker-work", "dbos-background-jobs"}
        until(lambda: not names & {each.name for each in threading.enumerate()})
        assert "jobs-queue" in {each.name for each in threading.enumerate()}
    finally:
        await jobs.stop()
    assert "jobs-queue" not in {each.name for each in threading.enumerate()}
