"""Durable work as people see and steer it: what runs, pause and resume of a lane, cancel, and dead letters tried again.

A *lane* is what runs go one after the other in: a collection's ingestion, a source's syncs. All of it is kept in the
database: a lane that is paused stays paused when every process has been restarted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from headworks.errors import Conflict, NotFound
from headworks.jobs.engine import PAUSED_UNTIL_MS, QUEUE
from headworks.records.audit import note_audit
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal

_sql = load("headworks.jobs", "control.sql")

RunState = Literal["queued", "later", "running", "paused", "done", "cancelled", "failed", "dead"]
_STATES: dict[str, RunState] = {
    "ENQUEUED": "queued",
    "DELAYED": "later",
    "PENDING": "running",
    "SUCCESS": "done",
    "CANCELLED": "cancelled",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "dead",
}
_STEPS_SHOWN = 50
MOST_LISTED = 1_000
OPEN: tuple[RunState, ...] = ("queued", "later", "running", "paused", "failed", "dead")
"""What is not over, or needs somebody."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run. failed: a step gave up. dead: it ended its process again and again. `due_at`: when a later one is queued.

    `taken_up`: by how many processes. `steps`: how many are done. `moved_at`: when its state last changed.
    `stepped_at`: when its last step was done.
    """

    run: str
    kind: str
    lane: str
    state: RunState
    steps: int
    taken_up: int
    asked_at: datetime
    moved_at: datetime
    due_at: datetime | None
    stepped_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepView:
    """A step that is over."""

    name: str
    started_at: datetime | None
    ended_at: datetime | None
    has_failed: bool


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with its last 50 steps, the newest first."""

    run: RunView
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """How many runs of a lane were set aside, or go on."""

    lane: str
    runs: int


class JobControl:
    """Sees and moves only the runs of the asker's tenant."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def listed(
        self, asker: Principal, states: Sequence[RunState] = OPEN, *, limit: int = MOST_LISTED
    ) -> list[RunView]:
        """Runs in these states, the newest first. What ended well is forgotten after an hour."""
        wanted = [status for status, state in _STATES.items() if state in states]
        if "paused" in states:
            wanted += ["CANCELLED", "DELAYED"]
        async with self._db.tx(asker) as tx:
            rows = await self._rows(tx, asker, statuses=sorted(set(wanted)), limit=limit)
        return [run for run in map(_view, rows) if run.state in states]

    async def show(self, asker: Principal, run: str) -> RunDetail:
        """Raises NotFound."""
        async with self._db.tx(asker) as tx:
            found = await self._find(tx, asker, run)
            steps = await tx.fetch_all(_sql.list_steps, tenant=asker.tenant, run=run, limit=_STEPS_SHOWN)
        return RunDetail(
            found, tuple(StepView(row.name, row.started_at, row.ended_at, row.has_failed) for row in steps)
        )

    async def paused_lanes(self, asker: Principal) -> frozenset[str]:
        """The lanes in which nothing runs until they are resumed."""
        async with self._db.tx(asker) as tx:
            return frozenset(row.lane for row in await tx.fetch_all(_sql.list_pauses, tenant=asker.tenant))

    async def pause(self, asker: Principal, lane: str) -> Moved:
        """Let nothing more run in a lane, also nothing that is asked for later. A step that runs ends first."""
        of_lane = {"tenant": asker.tenant, "lane": lane}
        async with self._db.tx(asker) as tx:
            await tx.run(_sql.lock_lane, **of_lane)
            await tx.run(_sql.add_pause, **of_lane, by=asker.id)
            moved = await tx.run(_sql.set_aside, **of_lane, paused=PAUSED_UNTIL_MS)
            await note_audit(tx, asker, "job.pause", lane)
        return Moved(lane, moved)

    async def resume(self, asker: Principal, lane: str) -> Moved:
        """Go on in a lane where it was paused. Raises Conflict for one that is not paused."""
        of_lane = {"tenant": asker.tenant, "lane": lane}
        async with self._db.tx(asker) as tx:
            await tx.run(_sql.lock_lane, **of_lane)
            if not await tx.run(_sql.delete_pause, **of_lane):
                raise Conflict("It is not paused.", next_step="headworks jobs list shows what is.")
            moved = await tx.run(_sql.take_up, **of_lane, paused=PAUSED_UNTIL_MS, queue=QUEUE)
            await note_audit(tx, asker, "job.resume", lane)
        return Moved(lane, moved)

    async def cancel(self, asker: Principal, run: str) -> RunView:
        """End a run after the step that it is in. Raises NotFound; Conflict for one that is over."""
        async with self._db.tx(asker) as tx:
            found = await self._find(tx, asker, run)
            if not await tx.run(_sql.cancel_run, tenant=asker.tenant, run=run, paused=PAUSED_UNTIL_MS):
                raise Conflict(f"The run is {found.state} already.", next_step="headworks jobs show RUN")
            await note_audit(tx, asker, "job.cancel", run)
            return await self._find(tx, asker, run)

    async def retry(self, asker: Principal, run: str) -> RunView:
        """Try a run again that failed, died or was cancelled; steps that went well are not done again.

        Raises NotFound; Conflict for one that is in another state.
        """
        of_run = {"tenant": asker.tenant, "run": run}
        async with self._db.tx(asker) as tx:
            found = await self._find(tx, asker, run)
            paused = {row.lane for row in await tx.fetch_all(_sql.list_pauses, tenant=asker.tenant)}
            is_moved = await tx.run(
                _sql.retry_run, **of_run, paused=PAUSED_UNTIL_MS, queue=QUEUE, is_paused=found.lane in paused
            )
            if not is_moved:
                raise Conflict(f"The run is {found.state}.", next_step="Only one that failed, died or was cancelled.")
            await tx.run(_sql.forget_failed_steps, **of_run)
            await tx.run(_sql.forget_outcome, **of_run)
            await note_audit(tx, asker, "job.retry", run)
            return await self._find(tx, asker, run)

    async def _find(self, tx: Tx, asker: Principal, run: str) -> RunView:
        rows = await self._rows(tx, asker, run=run[:200].replace("\0", ""), limit=1)
        if not rows:
            raise NotFound("There is no such run.", next_step="headworks jobs list --all", param="run")
        return _view(rows[0])

    async def _rows(
        self, tx: Tx, asker: Principal, *, limit: int, run: str | None = None, statuses: list[str] | None = None
    ) -> list[Any]:
        return await tx.fetch_all(
            _sql.list_runs,
            tenant=asker.tenant, run=run, statuses=statuses, paused=PAUSED_UNTIL_MS, limit=limit,
        )  # fmt: skip


def _view(row: Any) -> RunView:  # noqa: ANN401 -- a row of `list_runs`
    state = "paused" if row.is_paused and row.status in {"CANCELLED", "DELAYED"} else _STATES[row.status]
    return RunView(
        row.run, row.kind, row.lane, state, row.steps, row.taken_up, row.asked_at, row.moved_at, row.due_at,
        row.stepped_at,
    )  # fmt: skip
