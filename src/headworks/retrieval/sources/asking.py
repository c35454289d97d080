"""Asking for the syncs of a collection's sources, and how far they are: for who may write to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headworks.jobs.control import JobControl
from headworks.retrieval import collections
from headworks.retrieval.configured import SQL, begin, configured_sources
from headworks.retrieval.contract import Directory, Progress
from headworks.retrieval.freshness import CONFIGURED
from headworks.retrieval.ingestion.ingest import Ingestion
from headworks.retrieval.queueing import Queue, lane_of_source
from headworks.retrieval.store import CollectionRow
from headworks.storage.pool import Database, Tx
from headworks.types.identity import Principal
from headworks.types.ids import TenantId, new_id


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source of a collection's file, and its sync that is under way, or was the last.

    `state` is `waiting` (never asked for), `changes` (reading what changed), `sweep` (finding out what is gone, and who
    may read), `done`, or `failed`. `trouble` says why it waits or failed. `looked_at` of `expected` documents: how far
    it is with the changes, where the source can tell. `hidden_from`: when its documents hide unless a sync goes through
    before; null where it does not tell who reads them. `progress` is of the documents that the sync brought.
    `held_back`: so many documents are no longer there that none was removed; who asks for the next sync may confirm it.
    `is_paused`: its syncs wait until somebody resumes its lane.
    """

    source: str
    kind: str
    state: str
    trouble: str
    looked_at: int
    expected: int | None
    synced_at: datetime | None
    hidden_from: datetime | None
    progress: Progress | None
    held_back: int | None = None
    is_paused: bool = False


class SourceSyncs:
    """Syncs run as durable work; nobody needs to wait for them."""

    def __init__(self, db: Database, directory: Directory, queue: Queue, ingestion: Ingestion) -> None:
        self._db = db
        self._directory = directory
        self._queue = queue
        self._ingestion = ingestion
        self._control = JobControl(db)

    async def ask(self, principal: Principal, collection: str, *, confirms_deletions: bool = False) -> list[SourceView]:
        """A sync of every source of the collection's file; of one that it no longer has, what came from it vanishes.

        One that is under way goes on at once. `confirms_deletions`: what was held back may go. Raises NotFound.
        """
        curator = await self._directory.curator(principal.tenant)
        async with self._db.tx(principal) as tx:
            row = await collections.find(tx, principal, collection)
            stored = await tx.fetch_all(SQL.list_sources, tenant=principal.tenant, collection=row.collection_id)
            names = sorted({*configured_sources(row.settings), *(each.name for each in stored)})
            for name in names:
                await self.begin(tx, principal, row, name, confirms_deletions=confirms_deletions)
        return await self._views(curator, row)

    async def begin(
        self, tx: Tx, principal: Principal, row: CollectionRow, name: str, *, confirms_deletions: bool = False
    ) -> None:
        """Ask for a sync of the source of that name; one that is under way goes on at once."""
        await begin(tx, principal, row.collection_id, name, self._queue, confirms_deletions=confirms_deletions)

    async def resume(self, tx: Tx, tenant: TenantId, collection: UUID) -> None:
        """Go on with the syncs that are under way, as the curator: at the server's start, their runs may be gone."""
        of_collection = {"tenant": tenant, "collection": collection}
        for each in await tx.fetch_all(SQL.list_under_way, **of_collection):
            chain = new_id()
            await tx.fetch_one(
                SQL.put_source,
                **of_collection, source=each.source_id, name=each.name, sync=new_id(), chain=chain, confirms=False,
            )  # fmt: skip
            await self._queue.sync(tx, tenant, each.source_id, chain)

    async def views(self, principal: Principal, collection: str) -> list[SourceView]:
        """The sources of the collection's file, by name; and one that it no longer has while that is being cleared."""
        curator = await self._directory.curator(principal.tenant)
        async with self._db.tx(principal) as tx:
            row = await collections.find(tx, principal, collection)
        return await self._views(curator, row)

    async def _views(self, curator: Principal, row: CollectionRow) -> list[SourceView]:
        of_collection = {"tenant": curator.tenant, "collection": row.collection_id}
        configured = configured_sources(row.settings)
        views = []
        paused = await self._control.paused_lanes(curator)
        async with self._db.tx(curator) as tx:
            stored = {each.name: each for each in await tx.fetch_all(SQL.list_sources, **of_collection)}
            syncs = {name: await tx.fetch_value(SQL.last_sync, **of_collection, name=name) for name in stored}
        for name in sorted({*configured, *(name for name, each in stored.items() if each.sync_id is not None)}):
            kind = configured[name]["kind"] if name in configured else "removed"
            if (now := stored.get(name)) is None:
                views.append(SourceView(_short(name), kind, "waiting", "", 0, None, None, None, None))
                continue
            progress = await self._ingestion.progress(curator, row.name, str(syncs[name]))
            views.append(
                SourceView(
                    _short(name), kind, now.phase, now.error_message or "", now.looked_at, now.expected, now.synced_at,
                    now.readable_until if now.carries_permissions else None, progress, now.held_back,
                    lane_of_source(now.source_id) in paused,
                )
            )  # fmt: skip
        return views


def _short(name: str) -> str:
    return name.removeprefix(CONFIGURED)
