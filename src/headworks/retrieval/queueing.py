"""Asks for durable work on a collection, atomic with the transaction that makes it needed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from headworks.jobs.engine import Jobs
from headworks.storage.pool import Tx
from headworks.types.ids import TenantId, new_id

INGEST = "retrieval.ingest"
TIDY = "retrieval.tidy"
EMBED = "retrieval.embed"
REBUILD = "retrieval.rebuild"
SYNC = "retrieval.sync"
RECRAWL = "retrieval.recrawl"
VECTOR_INDEX = "retrieval.vector_index"


class Queue:
    """Runs of one collection go one after the other; their arguments are ids and numbers."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def ingest(self, tx: Tx, tenant: TenantId, collection: UUID, wave: int) -> None:
        """Work on what is handed in to this wave; asked for by each file, run once."""
        arguments = (str(tenant), str(collection), wave)
        await self._jobs.enqueue(tx, INGEST, f"ingest:{collection}:{wave}", *arguments, partition=lane_of(collection))

    async def ingest_again(self, tx: Tx, tenant: TenantId, collection: UUID, wave: int) -> None:
        """Work on what is queued although the run of this wave is known: it failed, or has done its share."""
        await self._once(tx, INGEST, tenant, collection, wave)

    async def tidy(self, tx: Tx, tenant: TenantId, collection: UUID) -> None:
        """Remove for good what was tombstoned, and keep the postings compact."""
        await self._once(tx, TIDY, tenant, collection)

    async def embed(self, tx: Tx, tenant: TenantId, collection: UUID, attempt: int = 0, delay_s: float = 0) -> None:
        """Make the vectors that are missing."""
        name, partition = f"embed:{collection}:{new_id()}", lane_of(collection)
        arguments = (str(tenant), str(collection), attempt)
        await self._jobs.enqueue(tx, EMBED, name, *arguments, partition=partition, delay_s=delay_s)

    async def rebuild(self, tx: Tx, tenant: TenantId, collection: UUID, generation: UUID, delay_s: float = 0) -> None:
        """Fill a new generation from the stored texts, then let it serve."""
        await self._once(tx, REBUILD, tenant, collection, str(generation), delay_s=delay_s)

    async def sync(self, tx: Tx, tenant: TenantId, source: UUID, chain: UUID, delay_s: float = 0) -> None:
        """Go on with the sync of a source. Handing in does not wait for it: it has a partition of its own."""
        arguments, partition = (str(tenant), str(source), str(chain)), lane_of_source(source)
        await self._jobs.enqueue(tx, SYNC, f"sync:{new_id()}", *arguments, partition=partition, delay_s=delay_s)

    async def recrawl(self, tx: Tx, tenant: TenantId, source: UUID, due_at: datetime, delay_s: float) -> None:
        """Begin a sync by itself, at that time; asked for again, it is asked for once."""
        name = f"recrawl:{source}:{round(due_at.timestamp() * 1000)}"
        arguments = (str(tenant), str(source), due_at.isoformat())
        await self._jobs.enqueue(tx, RECRAWL, name, *arguments, delay_s=delay_s)

    async def vector_index(self, tx: Tx, tenant: TenantId) -> None:
        """Build and drop indexes of vectors; one at a time on the whole server, and no collection waits for it."""
        name = f"vector-index:{tenant}:{new_id()}"
        await self._jobs.enqueue(tx, VECTOR_INDEX, name, str(tenant), partition="vector-index")

    async def _once(
        self, tx: Tx, name: str, tenant: TenantId, collection: UUID, *more: str | int, delay_s: float = 0
    ) -> None:
        arguments, lane = (str(tenant), str(collection), *more), lane_of(collection)
        await self._jobs.enqueue(tx, name, f"{name}:{new_id()}", *arguments, partition=lane, delay_s=delay_s)


def lane_of(collection: UUID) -> str:
    """What the runs of a collection go one after the other in."""
    return f"collection:{collection}"


def lane_of_source(source: UUID) -> str:
    """The same of a source's syncs."""
    return f"source:{source}"
