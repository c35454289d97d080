"""Durable work by DBOS, which nothing else imports at run time.

A *run* is a registered function with arguments that are ids. It calls *steps*; a step that finished is not run again,
one that was cut off is: so steps are coarse, write through `Database.tx`, and may be repeated. Runs of one *partition*
go one after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import orjson

from headworks.errors import DatabaseUnavailable
from headworks.jobs.pulse import Pulse
from headworks.jobs.waking import Waking
from headworks.storage import queries
from headworks.storage.pool import Tx

_sql = queries.load("headworks.jobs")
_log = logging.getLogger(__name__)

SCHEMA = "dbos"
_APPLICATION = "headworks"
_VERSION = "1"
"""Constant: the default, a hash of the code, strands parked runs at every deploy. A changed body needs `DBOS.patch`."""
QUEUE = "work"
PAUSED_UNTIL_MS = 253_402_300_799_000
"""What is paused waits until the end of the year 9999: how it is told from what is due later, or was cancelled."""
_LOOK_S = 0.5
"""How often it is asked whether a run can begin."""
MOST_TAKEOVERS = 50
"""Of one run; what kills a process again and again is named and set aside by its own domain long before."""

Json = str | int | float | bool | None | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """What a registered function gets first."""

    id: str

    async def step(self, name: str, action: Callable[..., Awaitable[Any]], *arguments: Json, attempts: int = 1) -> Any:  # noqa: ANN401 -- what the action returns, as JSON
        """Do a part that is remembered: its result comes from memory when the run is taken up again.

        `attempts` > 1 tries again after 1, 2, 4 … 60 s. The result and the arguments are ids and numbers, never text.
        """
        from dbos import DBOS

        async def guarded() -> Any:  # noqa: ANN401 -- as above
            try:
                return await action(*arguments)
            except Exception as error:  # noqa: BLE001 -- every kind becomes one
                _log.exception("Step %s of run %s failed", name, self.id)
                # DBOS keeps the exception; its text may quote a row.
                raise StepFailed(type(error).__name__) from None

        options: Any = {"name": name}
        if attempts > 1:
            options |= {"retries_allowed": True, "max_attempts": attempts, "interval_seconds": 1.0, "backoff_rate": 2.0}
        return await DBOS.run_step_async(options, guarded)


class StepFailed(Exception):
    """A step raised; only the kind of the exception is kept."""


Work = Callable[..., Coroutine[Any, Any, Json]]


class Jobs:
    """Enqueues runs in any process, and works on them in the one that calls `start`."""

    def __init__(self, url: str = "", *, concurrency: int = 2, most_takeovers: int = MOST_TAKEOVERS) -> None:
        """`url` is of a login of hw_app, needed only where runs are worked on; `concurrency` is runs at once here.

        A run that ended its process is taken over by another, `most_takeovers` times; then it is dead.
        """
        self._url = url
        self._concurrency = concurrency
        self._most_takeovers = most_takeovers
        self._works: dict[str, Work] = {}
        self._pulse: Pulse | None = None
        self._waking: Waking | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._is_stopping = False

    def register(self, name: str, work: Work) -> None:
        """Let `work(run, *arguments)` do the runs of this name. Before `start`; the name is kept in the database."""
        if name in self._works:
            raise ValueError(f"Two kinds of durable work are named `{name}`.")
        self._works[name] = work

    async def enqueue(
        self, tx: Tx, name: str, workflow_id: str, *arguments: Json, partition: str = "", delay_s: float = 0
    ) -> None:
        """Ask for a run, atomic with the caller's transaction. Each id runs once; asking again does nothing.

        Runs of the same `partition` go one after the other; none given: each alone.
        """
        values: dict[str, object] = {
            "name": name,
            "queue": QUEUE,
            "arguments": [orjson.dumps(argument).decode() for argument in arguments],
            "workflow_id": workflow_id,
            "version": _VERSION,
            "partition": partition or workflow_id,
            "delay_s": delay_s,
            "application": _APPLICATION,
            "paused_until": PAUSED_UNTIL_MS,
        }
        await tx.run(_sql.share_lane, partition=values["partition"])
        await tx.run(_sql.enqueue, **values)

    async def start(self) -> None:
        """Begin to work on runs, also on those of dead processes. Raises DatabaseUnavailable."""
        import psycopg
        from dbos import DBOS
        from sqlalchemy.exc import DBAPIError

        _quiet()
        executor_id = str(uuid4())
        self._pulse = Pulse(self._url, executor_id, DBOS._recover_pending_workflows)  # noqa: SLF001 -- pinned, with a test
        try:
            await asyncio.to_thread(self._pulse.start)
            DBOS(config=self._config(executor_id))
            for name, work in self._works.items():
                self._make_workflow(name, work)
            DBOS.listen_queues([])
            DBOS.launch()  # on this thread: DBOS adopts the running loop for our coroutines
            queue = await DBOS.register_queue_async(
                QUEUE,
                worker_concurrency=self._concurrency,
                partition_concurrency=1,
                polling_interval_sec=_LOOK_S,
                on_conflict="always_update",
            )
        except (psycopg.Error, DBAPIError, OSError) as error:
            await self.stop()
            raise DatabaseUnavailable(f"Durable work can't start: {type(error).__name__}.") from error
        self._waking = Waking(self._url, QUEUE, lambda: len(self._running) >= self._concurrency)
        self._waking.start(partial(_take_over_from_clocks, queue))
        self._pulse.start_reaping()

    def _make_workflow(self, name: str, work: Work) -> None:
        from dbos import DBOS

        async def run(*arguments: Json) -> Json:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 -- a coroutine on a loop is in one
            if self._is_stopping:
                raise asyncio.CancelledError  # it was taken from the queue a moment ago
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            return await work(Run(DBOS.workflow_id or ""), *arguments)

        DBOS.workflow(name=name, max_recovery_attempts=self._most_takeovers)(run)

    async def stop(self) -> None:
        """End without waiting for steps in flight: they are done again by whoever takes the run up, at once."""
        from dbos import DBOS

        self._is_stopping, has_begun = True, self._waking is not None
        _use_own_threads()
        if self._waking is not None:
            await asyncio.to_thread(self._waking.stop)
            self._waking = None
        for task in (running := list(self._running)):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        _use_own_threads()  # a step that was about to begin may have changed them
        if has_begun:
            await _all_taken_up()
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        if self._pulse is not None:
            await asyncio.to_thread(self._pulse.stop)
            self._pulse = None

    async def run_until_idle(self, idle_s: float) -> None:
        """Return when there has been nothing to do, here or elsewhere, for `idle_s` seconds. Tidies up meanwhile."""
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._forget_finished)
        busy_at = tidied_at = loop.time()
        while loop.time() - busy_at < idle_s:
            await asyncio.sleep(min(1.0, idle_s))
            if self._running or self._waking is None or self._waking.is_busy:
                busy_at = loop.time()
            if loop.time() - tidied_at > 3600:
                await asyncio.to_thread(self._forget_finished)
                tidied_at = loop.time()

    def _forget_finished(self) -> None:
        """Delete runs that ended well an hour ago, or badly a week ago."""
        import psycopg
        from dbos import DBOS

        while True:
            with psycopg.connect(self._url, connect_timeout=5) as connection:
                ids = [row[0] for row in connection.execute(_sql.finished_runs, {"paused_until": PAUSED_UNTIL_MS})]
            if not ids:
                return
            DBOS.delete_workflows(ids)

    def _config(self, executor_id: str) -> Any:  # noqa: ANN401 -- DBOSConfig, not imported at this level
        from dbos import DBOSPortableJSONSerializer

        return {
            "name": _APPLICATION,
            "system_database_url": self._url,
            "dbos_system_schema": SCHEMA,
            "run_migrations": False,
            "executor_id": executor_id,
            "application_version": _VERSION,
            "sys_db_pool_size": 5,
            "max_executor_threads": 64,
            "serializer": DBOSPortableJSONSerializer(),
            "use_listen_notify": False,  # nothing here notifies, and to listen wakes it ten times a second
            "log_level": "WARNING",
        }


def _use_own_threads() -> None:
    """DBOS made its threads the loop's, and ends them: whoever else uses threads meanwhile needs others first."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="after-jobs"))


async def _all_taken_up() -> None:
    """What others have handed to DBOS's threads runs by now, and so ends well: only what waits is cancelled."""
    from dbos._dbos import _get_dbos_instance

    await asyncio.wrap_future(_get_dbos_instance()._executor.submit(int))  # noqa: SLF001 -- pinned, with a test


def _take_over_from_clocks(queue: Any, waking: Waking) -> None:  # noqa: ANN401 -- DBOS has no types
    """Do what DBOS's own threads would by the clock, when there is something to do: of theirs, none is left.

    They look for queues, for what is on them, for schedules, time limits and what is due: 25 ms of CPU a second.
    """
    from dbos._dbos import _get_dbos_instance
    from dbos._queue import queue_worker_thread

    dbos = _get_dbos_instance()
    for event in (*dbos.background_thread_stop_events, dbos._background_jobs_stop_event):  # noqa: SLF001 -- pinned, with a test
        event.set()
    stands_for_event: Any = waking
    queue_worker_thread(stands_for_event, dbos, queue)


def _quiet() -> None:
    """Let DBOS log through our handlers, from warnings up, instead of on the console."""
    log = logging.getLogger("dbos")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
