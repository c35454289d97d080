"""Durable work of a tenant with the names that people know: a lane is `handbook`, or `handbook/website` of a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from headworks.errors import NotFound
from headworks.jobs.control import OPEN, JobControl, RunState, RunView, StepView
from headworks.retrieval import collections, queueing
from headworks.retrieval.contract import Directory
from headworks.retrieval.freshness import CONFIGURED
from headworks.retrieval.lifecycle.failures import SQL as LIFECYCLE_SQL
from headworks.retrieval.sources.cancelling import cancel_sync
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.wording import counted

_OVER: tuple[RunState, ...] = ("done", "cancelled")


@dataclass(frozen=True, slots=True)
class RunInLane:
    """A run, with its lane as people name it."""

    lane: str
    run: RunView


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane: whether it is paused, and how far it is, where that is known (`3 files wait`, `looked at 12 of 40`)."""

    lane: str
    is_paused: bool
    progress: str


@dataclass(frozen=True, slots=True)
class WorkView:
    """Lanes in which something is to do, and the runs, the newest first."""

    lanes: list[LaneView]
    rows: list[RunInLane]


@dataclass(frozen=True, slots=True)
class RunTold:
    """A run with its last steps, the newest first."""

    lane: str
    run: RunView
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class LaneMoved:
    """How many runs of a lane were set aside, or go on."""

    lane: str
    runs: int


class Work:
    """Sees and moves the runs of the asker's tenant."""

    def __init__(self, db: Database, keyring: Keyring, directory: Directory) -> None:
        self._db = db
        self._keyring = keyring
        self._directory = directory
        self._control = JobControl(db)

    async def listed(self, asker: Principal, *, every: bool = False) -> WorkView:
        """What is to do or failed; `every`: also what is over."""
        runs = await self._control.listed(asker, OPEN + _OVER if every else OPEN)
        paused = await self._control.paused_lanes(asker)
        async with self._db.tx(await self._directory.curator(asker.tenant)) as tx:
            names = await _names(tx, asker)
            lanes = sorted(paused | {run.lane for run in runs if run.state not in _OVER})
            views = [
                LaneView(names.get(lane, lane), lane in paused, await _progress(tx, asker, lane)) for lane in lanes
            ]
        return WorkView(views, [RunInLane(names.get(run.lane, run.lane), run) for run in runs])

    async def show(self, asker: Principal, run: str) -> RunTold:
        """Raises NotFound."""
        found = await self._control.show(asker, run)
        async with self._db.tx(await self._directory.curator(asker.tenant)) as tx:
            names = await _names(tx, asker)
        return RunTold(names.get(found.run.lane, found.run.lane), found.run, found.steps)

    async def pause(self, asker: Principal, lane: str) -> LaneMoved:
        """Raises NotFound for a lane that is none."""
        moved = await self._control.pause(asker, await self._lane(asker, lane))
        return LaneMoved(lane, moved.runs)

    async def resume(self, asker: Principal, lane: str) -> LaneMoved:
        """Raises NotFound; Conflict for a lane that is not paused."""
        moved = await self._control.resume(asker, await self._lane(asker, lane))
        return LaneMoved(lane, moved.runs)

    async def cancel(self, asker: Principal, run: str) -> RunView:
        """Raises NotFound; Conflict for a run that is over. Of a sync, the sync ends: what it brought stays."""
        cancelled = await self._control.cancel(asker, run)
        if cancelled.kind == queueing.SYNC:
            curator = await self._directory.curator(asker.tenant)
            await self._keyring.ensure(self._db, asker.tenant)
            async with self._db.tx(curator) as tx:
                await cancel_sync(tx, self._keyring, curator, UUID(cancelled.lane.removeprefix("source:")))
        return cancelled

    async def retry(self, asker: Principal, run: str) -> RunView:
        """Raises NotFound; Conflict for a run in another state."""
        return await self._control.retry(asker, run)

    async def _lane(self, asker: Principal, name: str) -> str:
        """A lane by its name, or as it is stored."""
        async with self._db.tx(await self._directory.curator(asker.tenant)) as tx:
            names = await _names(tx, asker)
            if name in names:
                return name
            for lane, known in names.items():
                if known == name:
                    return lane
            collection, slash, source = name.partition("/")
            row = await collections.find(tx, asker, collection)
        if not slash:
            return queueing.lane_of(row.collection_id)
        raise NotFound(
            f"The collection `{collection}` has no source `{source[:100]}` that was ever synced.",
            next_step="Its file names its sources; headworks jobs list names lanes.",
            param="lane",
        )


async def _names(tx: Tx, asker: Principal) -> Mapping[str, str]:
    """Lanes of collections and sources, and what people call them."""
    names: dict[str, str] = {}
    for row in await tx.fetch_all(LIFECYCLE_SQL.list_lanes, tenant=asker.tenant):
        names[queueing.lane_of(row.collection_id)] = row.name
        if row.source_id is not None:
            names[queueing.lane_of_source(row.source_id)] = f"{row.name}/{row.source.removeprefix(CONFIGURED)}"
    return names


async def _progress(tx: Tx, asker: Principal, lane: str) -> str:
    kind, _, number = lane.partition(":")
    if kind == "collection":
        of_collection = {"tenant": asker.tenant, "collection": UUID(number)}
        queue = await tx.fetch_one(LIFECYCLE_SQL.count_queue, **of_collection)
        return counted(queue.queued, "file waits", "files wait") if queue.queued else ""
    if kind == "source":
        row = await tx.fetch_one(LIFECYCLE_SQL.find_sync_progress, tenant=asker.tenant, source=UUID(number))
        if row is None or not row.is_under_way:
            return ""
        return f"{row.phase}: looked at {row.looked_at:,}" + (f" of {row.expected:,}" if row.expected else "")
    return ""
