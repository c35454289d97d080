"""The runs of durable work on collections. Each step may be repeated; arguments and results are ids and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headworks.jobs.engine import Jobs, Run
from headworks.retrieval import queueing
from headworks.retrieval.contract import Directory
from headworks.retrieval.indexing import vector_index
from headworks.retrieval.indexing.generations import GenerationWork
from headworks.retrieval.indexing.vector_index import VectorIndexes
from headworks.retrieval.ingestion.working import ItemWork
from headworks.retrieval.lifecycle.erasure import Erasure
from headworks.retrieval.queueing import Queue
from headworks.retrieval.sources.recrawling import Recrawls
from headworks.retrieval.sources.syncing import SourceWork
from headworks.storage.pool import Database
from headworks.types.ids import TenantId

_ATTEMPTS = 12
"""Of a step: about half an hour with the pauses between, so that a database may be away for long."""
_STEPS_OF_A_RUN = 50
"""Then a run queues up again behind what others have asked for meanwhile."""
_MOST_RETRIES = 8


@dataclass(frozen=True, slots=True)
class Works:
    """What the steps of runs are parts of."""

    items: ItemWork
    generations: GenerationWork
    sources: SourceWork
    recrawls: Recrawls
    erasure: Erasure
    vector_indexes: VectorIndexes | None = None
    """None: there is no way to hw_owner here, and all vectors are compared."""


class Runs:
    """What the jobs process does for retrieval."""

    def __init__(self, db: Database, directory: Directory, queue: Queue, works: Works) -> None:
        self._db = db
        self._directory = directory
        self._queue = queue
        self._items = works.items
        self._generations = works.generations
        self._sources = works.sources
        self._recrawls = works.recrawls
        self._erasure = works.erasure
        self._vector_indexes = works.vector_indexes

    def register(self, jobs: Jobs) -> None:
        """Before `jobs.start()`."""
        jobs.register(queueing.INGEST, self.ingest)
        jobs.register(queueing.EMBED, self.embed)
        jobs.register(queueing.REBUILD, self.rebuild)
        jobs.register(queueing.TIDY, self.tidy)
        jobs.register(queueing.SYNC, self.sync)
        jobs.register(queueing.RECRAWL, self.recrawl)
        jobs.register(queueing.VECTOR_INDEX, self.index_vectors)

    async def ingest(self, run: Run, tenant: str, collection: str, wave: int) -> None:
        """What is queued in a collection; after a while others have their turn first."""
        await run.step("close the wave", self._close_wave, tenant, collection, wave, attempts=_ATTEMPTS)
        for _ in range(_STEPS_OF_A_RUN):
            if not await run.step("work on a batch", self._batch, tenant, collection, attempts=_ATTEMPTS):
                break
        else:
            await run.step("go on later", self._ingest_later, tenant, collection, wave, attempts=_ATTEMPTS)
        await self._merge(run, tenant, collection)
        await self.embed(run, tenant, collection, 0)

    async def embed(self, run: Run, tenant: str, collection: str, attempt: int) -> None:
        """The vectors that are missing; a model that does not answer is asked again later, one not installed is not.

        Those of a large file take long: what is handed in meanwhile does not wait for them.
        """
        outcome = "more"
        while outcome == "more":
            outcome = await run.step("add vectors", self._add_vectors, tenant, collection, attempts=_ATTEMPTS)
            if outcome == "more":
                await run.step("work on a batch", self._batch, tenant, collection, attempts=_ATTEMPTS)
        if outcome == "failed" and attempt < _MOST_RETRIES:
            await run.step("ask again later", self._embed_later, tenant, collection, attempt + 1, attempts=_ATTEMPTS)
        await run.step("ask for an index", self._ask_for_index, tenant, attempts=_ATTEMPTS)

    async def rebuild(self, run: Run, tenant: str, collection: str, generation: str) -> None:
        """A new generation from the stored texts; the old one serves until it is full."""
        arguments = (tenant, collection, generation)
        for _ in range(_STEPS_OF_A_RUN):
            outcome = await run.step("fill", self._fill, *arguments, attempts=_ATTEMPTS)
            if outcome in {"waiting", "failed"}:
                return
            if outcome == "done":
                await run.step("index vectors", self._index_vectors, tenant, generation, attempts=_ATTEMPTS)
            if outcome == "done" and await run.step("switch", self._switch, *arguments, attempts=_ATTEMPTS):
                await self._merge(run, tenant, collection)
                await run.step("ask for an index", self._ask_for_index, tenant, attempts=_ATTEMPTS)
                return
        await run.step("go on later", self._rebuild_later, *arguments, attempts=_ATTEMPTS)

    async def tidy(self, run: Run, tenant: str, collection: str) -> None:
        """What vanished long enough ago is removed for good, and its words go from the postings."""
        has_purged = False
        while await run.step("purge", self._purge, tenant, collection, attempts=_ATTEMPTS):
            has_purged = True
        if has_purged:
            await run.step("compact", self._compact, tenant, collection, attempts=_ATTEMPTS)
        await self._merge(run, tenant, collection)

    async def sync(self, run: Run, tenant: str, source: str, chain: str) -> None:
        """A step of the sync of a source; the next one queues up behind what others have asked for meanwhile."""
        pause_s = await run.step("go on", self._advance, tenant, source, chain, attempts=_ATTEMPTS)
        if pause_s >= 0:
            await run.step("later", self._sync_later, tenant, source, chain, pause_s, attempts=_ATTEMPTS)

    async def recrawl(self, run: Run, tenant: str, source: str, due_at: str) -> None:
        """A source is due: its sync is asked for, and the next time is named."""
        await run.step("begin", self._begin_recrawl, tenant, source, due_at, attempts=_ATTEMPTS)

    async def index_vectors(self, run: Run, tenant: str) -> None:
        """Indexes of vectors of a tenant that are wanted are built, those of generations that are gone are dropped."""
        await run.step("index vectors", self._index_vectors, tenant, None, attempts=_ATTEMPTS)

    async def _merge(self, run: Run, tenant: str, collection: str) -> None:
        while await run.step("merge postings", self._merge_once, tenant, collection, attempts=_ATTEMPTS):
            pass

    # ── Steps: ids come as text ──

    async def _close_wave(self, tenant: str, collection: str, wave: int) -> None:
        await self._items.close_wave(TenantId(UUID(tenant)), UUID(collection), wave)

    async def _batch(self, tenant: str, collection: str) -> int:
        return await self._items.batch(TenantId(UUID(tenant)), UUID(collection))

    async def _add_vectors(self, tenant: str, collection: str) -> str:
        return await self._generations.add_vectors(TenantId(UUID(tenant)), UUID(collection))

    async def _fill(self, tenant: str, collection: str, generation: str) -> str:
        return await self._generations.fill(TenantId(UUID(tenant)), UUID(collection), UUID(generation))

    async def _switch(self, tenant: str, collection: str, generation: str) -> bool:
        return await self._generations.switch(TenantId(UUID(tenant)), UUID(collection), UUID(generation))

    async def _merge_once(self, tenant: str, collection: str) -> bool:
        return await self._generations.merge(TenantId(UUID(tenant)), UUID(collection))

    async def _purge(self, tenant: str, collection: str) -> int:
        return len(await self._erasure.purge(TenantId(UUID(tenant)), UUID(collection)))

    async def _compact(self, tenant: str, collection: str) -> int:
        return await self._erasure.compact(TenantId(UUID(tenant)), UUID(collection))

    async def _advance(self, tenant: str, source: str, chain: str) -> float:
        return await self._sources.advance(TenantId(UUID(tenant)), UUID(source), UUID(chain))

    async def _begin_recrawl(self, tenant: str, source: str, due_at: str) -> bool:
        return await self._recrawls.begin(TenantId(UUID(tenant)), UUID(source), datetime.fromisoformat(due_at))

    async def _index_vectors(self, tenant: str, generation: str | None) -> int:
        if self._vector_indexes is None:
            return 0
        return await self._vector_indexes.keep(TenantId(UUID(tenant)), UUID(generation) if generation else None)

    async def _ask_for_index(self, tenant: str) -> bool:
        """Whether there is one to build or to drop."""
        async with self._db.tx(await self._directory.curator(TenantId(UUID(tenant)))) as tx:
            is_wanted = self._vector_indexes is not None and await vector_index.is_wanted(tx, TenantId(UUID(tenant)))
            if is_wanted:
                await self._queue.vector_index(tx, TenantId(UUID(tenant)))
        return is_wanted

    async def _sync_later(self, tenant: str, source: str, chain: str, pause_s: float) -> None:
        async with self._db.tx(await self._directory.curator(TenantId(UUID(tenant)))) as tx:
            await self._queue.sync(tx, TenantId(UUID(tenant)), UUID(source), UUID(chain), pause_s)

    async def _ingest_later(self, tenant: str, collection: str, wave: int) -> None:
        async with self._db.tx(await self._directory.curator(TenantId(UUID(tenant)))) as tx:
            await self._queue.ingest_again(tx, TenantId(UUID(tenant)), UUID(collection), wave)

    async def _embed_later(self, tenant: str, collection: str, attempt: int) -> None:
        async with self._db.tx(await self._directory.curator(TenantId(UUID(tenant)))) as tx:
            delay_s = 30.0 * 2**attempt
            await self._queue.embed(tx, TenantId(UUID(tenant)), UUID(collection), attempt, delay_s)

    async def _rebuild_later(self, tenant: str, collection: str, generation: str) -> None:
        async with self._db.tx(await self._directory.curator(TenantId(UUID(tenant)))) as tx:
            await self._queue.rebuild(tx, TenantId(UUID(tenant)), UUID(collection), UUID(generation))
