"""The heartbeat of a jobs process, and the reaper of those whose heartbeat stopped: two threads, two connections."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg

from headworks.storage import queries

_sql = queries.load("headworks.jobs")
_log = logging.getLogger(__name__)

BEAT_S = 1.0
STALE_S = 3.0
"""A process whose last beat is older is dead; with one reaping a second it is taken over within about 5 s."""
_SESSION = "-c statement_timeout=5000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=10000"


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection for short statements, in autocommit. Raises psycopg.OperationalError."""
    return psycopg.connect(url, autocommit=True, connect_timeout=5, options=_SESSION)


class Pulse:
    """Says each second that this process lives, and hands the runs of dead ones to `recover`."""

    def __init__(self, url: str, executor_id: str, recover: Callable[[list[str]], object]) -> None:
        self._url = url
        self._executor_id = executor_id
        self._recover = recover
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Beat once before anything else, so that no run is ever taken by a process that seems dead."""
        with connect(self._url) as connection:
            self._beat(connection)
        self._run("heartbeat", BEAT_S, self._beat)

    def start_reaping(self) -> None:
        """From when runs can be recovered."""
        self._run("reaper", BEAT_S, self._reap)

    def stop(self) -> None:
        """End both threads. The last beat is withdrawn, so that what is still pending is taken up at once."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=10)
        try:
            with connect(self._url) as connection:
                connection.execute(_sql.leave, {"executor_id": self._executor_id})
        except psycopg.Error:
            _log.info("The heartbeat could not be withdrawn; it will be stale in %.0f s.", STALE_S)

    def _run(self, name: str, every_s: float, action: Callable[[psycopg.Connection[Any]], None]) -> None:
        thread = threading.Thread(target=self._repeat, args=(name, every_s, action), name=f"jobs-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _repeat(self, name: str, every_s: float, action: Callable[[psycopg.Connection[Any]], None]) -> None:
        """Until stopped; a lost connection is made again, for as long as it takes."""
        connection: psycopg.Connection[Any] | None = None
        while not self._stopping.wait(every_s):
            try:
                connection = connection or connect(self._url)
                action(connection)
            except psycopg.Error as error:
                _log.warning("The %s of the jobs process missed a turn: %s", name, type(error).__name__)
                if connection is not None:
                    connection.close()
                connection = None
            except Exception:  # noqa: BLE001 -- a thread that ends would be a dead process
                _log.exception("The %s of the jobs process missed a turn", name)
        if connection is not None:
            connection.close()

    def _beat(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(_sql.beat, {"executor_id": self._executor_id})

    def _reap(self, connection: psycopg.Connection[Any]) -> None:
        if not _dead(connection):
            return
        with connection.transaction():
            turn = connection.execute(_sql.may_reap).fetchone()
            if turn is not None and turn[0] and (dead := _dead(connection)):
                _log.warning("Taking over the runs of %d dead jobs process(es).", len(dead))
                self._recover(dead)


def _dead(connection: psycopg.Connection[Any]) -> list[str]:
    return [row[0] for row in connection.execute(_sql.dead_executors, {"stale_s": STALE_S})]
