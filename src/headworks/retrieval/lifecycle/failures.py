"""What could not be read: listed by name, tried again from the original that was kept; and deletion by path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headworks.errors import InvalidRequest
from headworks.retrieval import collections
from headworks.retrieval.contract import Directory, check_path
from headworks.retrieval.freshness import CONFIGURED
from headworks.retrieval.queueing import Queue
from headworks.retrieval.sources.asking import SourceSyncs
from headworks.retrieval.store import INGEST_SQL, CollectionRow, delete_blobs, lock_collection
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.storable import storable

SQL = load("headworks.retrieval.lifecycle")

MOST_LISTED = 10_000
MOST_PATHS = 10_000
SEES_ALL = "data:erase"
"""Who has this permission sees what others handed in, too."""


@dataclass(frozen=True, slots=True)
class FailedItem:
    """A file that could not be taken. `has_original`: it can be tried again; else its source is asked again."""

    path: str
    source: str
    code: str
    message: str
    bytes: int
    failed_at: datetime | None
    has_original: bool


@dataclass(frozen=True, slots=True)
class Retried:
    """How many originals are queued again, and which sources are asked anew for the rest."""

    queued: int
    sources: tuple[str, ...]
    left: int
    """Failures that nothing can be done about here: hand the file in again."""


class Failures:
    """For who may write to a collection: what failed of its own, and of the sources of the collection's file."""

    def __init__(self, db: Database, directory: Directory, queue: Queue, syncs: SourceSyncs) -> None:
        self._db = db
        self._directory = directory
        self._queue = queue
        self._syncs = syncs

    async def listed(self, asker: Principal, collection: str) -> list[FailedItem]:
        """By path, at most 10,000. Raises NotFound."""
        curator = await self._directory.curator(asker.tenant)
        async with self._db.tx(curator) as tx:
            row = await collections.find(tx, asker, collection)
            rows = await self._failed(tx, asker, row, None, None)
        return [
            FailedItem(
                each.path, each.source, each.error_code, each.error_message, each.bytes, each.finished_at,
                each.has_original,
            )
            for each in rows
        ]  # fmt: skip

    async def retry(
        self, asker: Principal, collection: str, codes: Sequence[str] | None, paths: Sequence[str] | None
    ) -> Retried:
        """Try again what failed: all, or those with one of these codes, or at one of these paths. Raises NotFound."""
        curator = await self._directory.curator(asker.tenant)
        async with self._db.tx(curator) as tx:
            row = await collections.find(tx, asker, collection)
            rows = await self._failed(tx, asker, row, codes, paths)
            with_original = [each.item_id for each in rows if each.has_original]
            queued = await tx.run(SQL.queue_again, tenant=asker.tenant, items=with_original) if with_original else 0
            if queued:
                wave = await tx.fetch_value(INGEST_SQL.join_wave, tenant=asker.tenant, collection=row.collection_id)
                await self._queue.ingest(tx, asker.tenant, row.collection_id, wave)
            without = [each.source for each in rows if not each.has_original]
            sources = sorted({each for each in without if each.startswith(CONFIGURED)})
            for source in sources:
                await self._syncs.begin(tx, curator, row, source)
        left = sum(not each.startswith(CONFIGURED) for each in without)
        return Retried(queued, tuple(each.removeprefix(CONFIGURED) for each in sources), left)

    async def delete(self, asker: Principal, collection: str, source: str | None, paths: Sequence[str]) -> int:
        """Let documents vanish by their paths, with what is queued at them; how many there were.

        Of one source; of None: of every hand-in, not of sources of the collection's file. They are purged later. What
        others brought and the asker may not read is not there for him, unless he may erase.
        Raises NotFound; InvalidRequest for a source of the collection's file.
        """
        if source is not None and source.startswith(CONFIGURED):
            raise InvalidRequest(
                "What comes from a source of the collection's file vanishes when it is gone there.",
                next_step="Remove it at the source; or erase it: headworks erase --document ID",
                param="source",
            )
        if len(paths) > MOST_PATHS:
            raise InvalidRequest(f"At most {MOST_PATHS:,} paths at a time.", param="paths")
        wanted = [check_path(path) for path in paths]
        curator = await self._directory.curator(asker.tenant)
        async with self._db.tx(curator) as tx:
            row = await collections.find(tx, asker, collection)
        of_paths: dict[str, Any] = {"tenant": asker.tenant, "collection": row.collection_id, "paths": wanted}
        async with self._db.tx(asker) as tx:
            readable = [each.document_id for each in await tx.fetch_all(SQL.list_readable, **of_paths)]
        of_paths |= {"readable": readable, "by": asker.id, "everything": asker.may(SEES_ALL)}
        async with self._db.tx(curator) as tx:
            await lock_collection(tx, row.collection_id)
            of_paths |= {"source": None if source is None else storable(source), "configured": CONFIGURED}
            items = await tx.fetch_all(SQL.supersede_paths, **of_paths)
            await delete_blobs(tx, asker.tenant, [each.blob_id for each in items])
            gone = await tx.fetch_all(SQL.tombstone_paths, **of_paths)
            if gone:
                await collections.touch(tx, curator, row.collection_id)
                await self._queue.tidy(tx, asker.tenant, row.collection_id)
        return len({each.path for each in (*gone, *items)})

    async def _failed(
        self, tx: Tx, asker: Principal, row: CollectionRow, codes: Sequence[str] | None, paths: Sequence[str] | None
    ) -> list[Any]:
        return await tx.fetch_all(
            SQL.list_failed,
            tenant=asker.tenant, collection=row.collection_id, by=asker.id, everything=asker.may(SEES_ALL),
            codes=None if codes is None else [storable(each) for each in codes],
            paths=None if paths is None else [storable(each) for each in paths],
            limit=MOST_LISTED,
        )  # fmt: skip
