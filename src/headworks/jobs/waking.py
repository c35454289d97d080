"""Wakes DBOS's queue when a run can begin.

By itself the queue looks by the clock, with statements that it builds anew each time: that is most of what an idle
process costs. Here one short question is asked instead, which is prepared.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg

from headworks.jobs.pulse import connect
from headworks.storage import queries

_sql = queries.load("headworks.jobs")
_log = logging.getLogger(__name__)


class Waking:
    """Stands for the event that DBOS's queue waits on between two looks: it wakes when there is something to begin."""

    def __init__(self, url: str, queue: str, is_full: Callable[[], bool]) -> None:
        """`is_full`: no more can begin here, whatever waits."""
        self._url = url
        self._queue = queue
        self._is_full = is_full
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self.is_busy = True
        """Whether there was any work, here or elsewhere, when it was last asked; without a database it is not known,
        and so that nobody leaves because of it, there is."""

    def start(self, look: Callable[[Waking], None]) -> None:
        """Let `look` do the queue's work in a thread, with this as its event, until `stop`."""
        self._thread = threading.Thread(target=look, args=(self,), name="jobs-queue", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nothing begins any more when this returns."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._disconnect()

    def is_set(self) -> bool:
        """As of an event: whether to stop."""
        return self._stopping.is_set()

    def wait(self, timeout: float) -> bool:
        """As of an event, but False only when a run can begin. Asks each `timeout` seconds; also moves on what is due.

        True: stop.
        """
        while not self._stopping.wait(timeout):
            if self._can_begin() and not self._is_full():
                return False
        return True

    def _can_begin(self) -> bool:
        try:
            self._connection = self._connection or connect(self._url)
            row = self._connection.execute(_sql.look, {"queue": self._queue}).fetchone()
        except psycopg.Error as error:
            _log.warning("The queue of durable work could not be looked at: %s", type(error).__name__)
            self._disconnect()
            row = None
        can_begin, self.is_busy = (False, True) if row is None else row
        return bool(can_begin)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
