"""Syncs that begin by themselves: durable, after downtime once, never two of a source at a time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from headworks.retrieval import freshness
from headworks.retrieval.contract import Directory
from headworks.retrieval.queueing import Queue
from headworks.retrieval.sources.asking import SourceSyncs
from headworks.retrieval.store import find_collection
from headworks.storage.pool import Database
from headworks.types.ids import TenantId


class Recrawls:
    """What the jobs process does when a source is due."""

    def __init__(self, db: Database, directory: Directory, queue: Queue, syncs: SourceSyncs) -> None:
        self._db = db
        self._directory = directory
        self._queue = queue
        self._syncs = syncs

    async def begin(self, tenant: TenantId, source: UUID, due_at: datetime) -> bool:
        """Ask for the sync that is due, and name the next time; False where that time is no longer meant.

        A sync that is under way is left alone: the next one comes at its time.
        """
        curator = await self._directory.curator(tenant)
        async with self._db.tx(curator) as tx:
            row = await tx.fetch_one(freshness.SQL.lock_due, tenant=tenant, source=source)
            if row is None or row.due_at != due_at:
                return False
            collection = await find_collection(tx, tenant, collection=row.collection_id)
            schedule = None if collection is None else freshness.recrawl_of(collection.settings, row.name)
            if collection is None or schedule is None:
                await tx.run(freshness.SQL.set_due, tenant=tenant, source=source, due_at=None)
                return False
            if row.sync_id is None:
                await self._syncs.begin(tx, curator, collection, row.name)
            due = freshness.next_due(schedule, source, row.now)
            await freshness.set_due(tx, tenant, source, due, row.now, self._queue)
        return True
