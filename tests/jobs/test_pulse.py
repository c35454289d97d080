"""The heartbeat: there before any work, kept up through lost connections, withdrawn at the end."""

from __future__ import annotations

from typing import Any

import psycopg

from headworks.jobs.pulse import Pulse
from headworks.storage.pool import DatabaseUrls

from .conftest import until


def _age_s(behind: psycopg.Connection[Any], executor: str) -> float | None:
    row = behind.execute(
        "SELECT extract(epoch FROM clock_timestamp() - beat_at) FROM replica WHERE executor_id = %s", [executor]
    ).fetchone()
    return None if row is None else float(row[0])


def test_a_process_beats_from_its_start_and_leaves_no_trace(
    database_urls: DatabaseUrls, as_superuser: psycopg.Connection[Any]
) -> None:
    pulse = Pulse(database_urls.app, "here", lambda _: None)
    pulse.start()
    try:
        assert _age_s(as_superuser, "here") is not None
        until(lambda: (_age_s(as_superuser, "here") or 9) < 0.5)
    finally:
        pulse.stop()
    assert _age_s(as_superuser, "here") is None


def test_a_heartbeat_comes_back_after_its_connection_was_cut(
    database_urls: DatabaseUrls, as_superuser: psycopg.Connection[Any]
) -> None:
    pulse = Pulse(database_urls.app, "cut", lambda _: None)
    pulse.start()
    try:
        until(lambda: (_age_s(as_superuser, "cut") or 9) < 0.5)
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s AND datname = %s"
        login = as_superuser.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE '%%_app' AND rolcanlogin", []
        ).fetchone()
        assert login is not None
        until(lambda: as_superuser.execute(cut, [login[0], as_superuser.info.dbname]).fetchone() != (0,))
        begun = as_superuser.execute("SELECT clock_timestamp()").fetchone()
        assert begun is not None
        until(
            lambda: (
                as_superuser.execute(
                    "SELECT EXISTS (SELECT FROM replica WHERE executor_id = 'cut' AND beat_at > %s)", [begun[0]]
                ).fetchone()
                == (True,)
            )
        )
    finally:
        pulse.stop()


def test_the_dead_are_told_apart_from_the_living(
    database_urls: DatabaseUrls, as_superuser: psycopg.Connection[Any]
) -> None:
    found: list[list[str]] = []
    for executor in ("dead", "alive"):
        as_superuser.execute(
            "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, executor_id) "
            "VALUES (%s, 'PENDING', 'x', %s)",
            [executor, executor],
        )
    pulse = Pulse(database_urls.app, "alive", found.append)
    pulse.start()
    pulse.start_reaping()
    try:
        until(lambda: found)
    finally:
        pulse.stop()
    assert found[0] == ["dead"]
    assert all("alive" not in each for each in found)
