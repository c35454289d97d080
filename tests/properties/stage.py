"""The database under the machine of `isolation.py`, and the services that it asks, as the server puts them together."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import psycopg
import uvloop
from experiment_stage import Scripted
from psycopg import sql
from release_world import Declared, releases_over
from retrieval_world import World, make_world

from headworks.evaluation.datasets.promotion import Promotion
from headworks.evaluation.experiments.running import ExperimentRuns
from headworks.evaluation.service import Evaluation
from headworks.evaluation.suites.suite_files import suite_reader
from headworks.gateway.stored.service import StoredResponses
from headworks.guardrails.service import Guardrails
from headworks.observability.service import Traces
from headworks.review.service import Review
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring

from .model import vector_of

T = TypeVar("T")

_LOGGERS = ("", "headworks", "dbos", "psycopg", "psycopg.pool", "asyncio", "sqlalchemy")
"""All is heard at the root; these are told to say all that they can."""

_PLANS = "ALTER DATABASE {} SET plan_cache_mode = {}"
_BACKENDS = "FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE '%_app'"


class Heard(logging.Handler):
    """All that is logged, with what was raised."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Stage:
    """The database under the machine, kept from example to example; each example has tenants of its own."""

    def __init__(self, urls: DatabaseUrls, keyring: Keyring, plans: str = "force_generic_plan") -> None:
        """By default a statement is planned once for a connection, and so for all who ask by it, of whichever tenant.

        `auto` plans as the server does: for each of the first five anew, and for longer where that is better.
        """
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._owner = urls.owner
        with psycopg.connect(self._owner, autocommit=True) as owner:
            owner.execute(sql.SQL(_PLANS).format(sql.Identifier(owner.info.dbname), sql.Literal(plans)))
        self.behind = self._look_behind()
        self.db = Database(urls, pool_size=3, prepare_threshold=0)
        self.opened = [self.db]
        self.keyring = keyring
        self.world: World = self.run(make_world(self.db, keyring, self.behind))
        self.use_weights(0)
        self.traces = Traces(self.db, keyring)
        self.responses = StoredResponses(self.db, keyring)
        self._open_evaluation()
        self.count = itertools.count()
        self.tally: Counter[str] = Counter()
        """What has happened and what the checks have met, so that a run can show that it was not empty."""
        self.heard = Heard()
        self._levels = {logger: logger.level for logger in map(logging.getLogger, _LOGGERS)}
        logging.getLogger().addHandler(self.heard)
        for logger in self._levels:
            logger.setLevel(logging.DEBUG)

    def use_weights(self, number: int) -> None:
        """The embedding model has others from now on: it is told by their digest alone."""
        self.weights = number
        self.world.models.digest = f"sha256:weights-{number}"
        self.world.models._vector = partial(vector_of, weights=number)  # type: ignore[method-assign] # scripted

    def _open_evaluation(self) -> None:
        identity, jobs = self.world.identity, self.world.jobs
        releases = releases_over(self.db, self.keyring, identity, Declared())
        self.evaluation = Evaluation(self.db, self.keyring, jobs, releases, suite_reader(None))
        self.answerer = Scripted()
        self.runs = ExperimentRuns(self.db, self.keyring, identity, self.evaluation.experiments, self.answerer)
        self.runs.register(jobs)
        self.review = Review(
            self.db, self.keyring, identity, releases, self.traces, self.evaluation, self.world.retrieval
        )
        self.promotion = Promotion(self.traces, Guardrails())

    def _look_behind(self) -> psycopg.Connection[Any]:
        behind = psycopg.connect(self._owner, autocommit=True, connect_timeout=10, prepare_threshold=0)
        behind.execute("SET search_path = headworks, public")
        return behind

    def end_backends(self, *, also_idle: bool) -> None:
        """Whatever requests and jobs are doing ends here; `also_idle`: what waits in the pool, too."""
        which = "" if also_idle else "AND state <> 'idle'"
        self.behind.execute(f"SELECT pg_terminate_backend(pid) {_BACKENDS} {which}")

    def kill_a_backend(self) -> None:
        """As the kernel kills one: PostgreSQL ends all others, recovers, and lets nobody in until it has."""
        row = self.behind.execute(f"SELECT pid {_BACKENDS} ORDER BY state = 'active' DESC, pid").fetchone()
        if row is None:
            return
        os.kill(row[0], signal.SIGKILL)
        self.tally["killed outright"] += 1
        latest = time.monotonic() + 60
        with suppress(psycopg.OperationalError):  # until it ends this connection it has not noticed, and lets others in
            while time.monotonic() < latest:
                self.behind.execute("SELECT")
        self.behind.close()
        while True:
            try:
                self.behind = self.world.behind = self._look_behind()
            except psycopg.OperationalError:
                assert time.monotonic() < latest, "PostgreSQL did not come back"
                time.sleep(0.05)
            else:
                return

    def kept_by_dbos(self) -> str:
        """All that stands in the tables of durable work, which no policy binds."""
        tables = self.behind.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'dbos'::regnamespace AND relkind = 'r'"
        )
        return "\n".join(
            str(row[0])
            for (table,) in tables.fetchall()
            for row in self.behind.execute(sql.SQL("SELECT t::text FROM dbos.{} t").format(sql.Identifier(table)))
        )

    def open(self, urls: DatabaseUrls) -> Database:
        """Another pool on the same loop."""
        self.opened.append(Database(urls))
        return self.opened[-1]

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def close(self) -> None:
        logging.getLogger().removeHandler(self.heard)
        for logger, level in self._levels.items():
            logger.setLevel(level)
        for each in self.opened:
            self.run(each.close())
        self.runner.close()
        self.behind.close()

    @property
    def operations(self) -> int:
        """How many changes and reads there were."""
        return operations_of(self.tally)


def operations_of(tally: Counter[str]) -> int:
    """How many changes and reads were counted."""
    return sum(times for what, times in tally.items() if what.startswith(("change", "read")))
