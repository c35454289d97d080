"""Jobs processes as processes: they are killed, stopped and woken here."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headworks.jobs.engine import MOST_TAKEOVERS
from headworks.storage.pool import DatabaseUrls

_PROGRAM = Path(__file__).with_name("replica.py")
_INGESTING = Path(__file__).with_name("ingesting.py")
MASTER_KEY = bytes(range(32))


@pytest.fixture
def noted(as_superuser: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Where the work of `replica.py` is seen."""
    as_superuser.execute("CREATE TABLE public.noted (run text, step integer, what text)")
    as_superuser.execute("GRANT SELECT, INSERT ON public.noted TO hw_app")
    return as_superuser


StartReplica = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_replica(database_urls: DatabaseUrls) -> Iterator[StartReplica]:
    """Starts a jobs process, and returns when it takes work."""
    started: list[subprocess.Popen[str]] = []

    def start(idle_s: float = 120, most_takeovers: int = MOST_TAKEOVERS) -> subprocess.Popen[str]:
        arguments = [str(_PROGRAM), database_urls.app, str(idle_s), str(most_takeovers)]
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def until(condition: Callable[[], object], within_s: float = 40) -> float:
    """Wait for a condition; how long it took, in seconds. AssertionError after `within_s`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within_s, "it did not come true"
        time.sleep(0.05)
    return time.monotonic() - begun


def is_waited_for(connection: psycopg.Connection[Any]) -> bool:
    """Whether somebody waits for what this connection has locked."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
    ).fetchone()
    return bool(row and row[0])


StartIngesting = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_ingesting(database_urls: DatabaseUrls) -> Iterator[StartIngesting]:
    """Starts a jobs process of retrieval, and returns when it takes work."""
    started: list[subprocess.Popen[str]] = []

    def start(*folders: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(_INGESTING)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        given = {"urls": asdict(database_urls), "master": MASTER_KEY.hex(), "folders": [str(each) for each in folders]}
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        assert process.stdout.readline() == "working\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
