"""Generations of an index: vectors that are still missing, a new generation beside the live one, and tidying up."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal
from uuid import UUID

from headworks.errors import HeadworksError, ModelMissing
from headworks.retrieval import collections
from headworks.retrieval.contract import Directory
from headworks.retrieval.embedding import Vectors, embed_texts
from headworks.retrieval.indexing import index, merging
from headworks.retrieval.indexing.cutting import Cutting, language_of
from headworks.retrieval.indexing.situating import Content, Situated, count_bare, forget_written
from headworks.retrieval.queueing import Queue
from headworks.retrieval.store import (
    INGEST_SQL,
    SQL,
    CollectionRow,
    Payloads,
    find_collection,
    lock_collection,
)
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import TenantId
from headworks.types.models import Models

_log = logging.getLogger(__name__)

_VECTORS_AT_ONCE = 256
_DOCUMENTS_AT_ONCE = 64
_CHARACTERS_AT_ONCE = 2_000_000
_LONG_S = 300.0
_BETWEEN_WEIGHTS_S = 60.0
"""A model that answers by other weights each time is not to be asked for all vectors again and again."""

Outcome = Literal["more", "done", "waiting", "failed"]
"""more: call again; done; waiting: the model is not installed; failed: it did not answer."""


class GenerationWork:
    """The parts of durable work on an index. Each may be repeated, and does what is left to do."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        models: Models,
        directory: Directory,
        queue: Queue,
        *,
        cutting: Cutting,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._models = models
        self._directory = directory
        self._queue = queue
        self._cutting = cutting

    async def add_vectors(self, tenant: TenantId, collection: UUID) -> Outcome:
        """Embed some of the live generation's chunks that have no vector."""
        curator, row = await self._find(tenant, collection)
        if row is None:
            return "done"
        place = index.Place(curator, collection, row.generation_id)
        async with self._db.tx(curator) as tx:
            missing = await tx.fetch_all(
                INGEST_SQL.list_without_vector, tenant=tenant, generation=place.generation, limit=_VECTORS_AT_ONCE
            )
        if not missing:
            async with self._db.tx(curator) as tx:
                return "more" if await tx.fetch_value(INGEST_SQL.note_vectors, **place.keys) else "done"
        payloads = Payloads(self._keyring, tenant)
        texts = [payloads.open_chunk(each.chunk_id, each.content).indexed for each in missing]
        vectors = await self._embed(curator, row, texts)
        if not isinstance(vectors, Vectors):
            return vectors
        async with self._db.tx(curator) as tx:
            await lock_collection(tx, collection)
            row = await find_collection(tx, tenant, collection=collection)
            if row is None or row.generation_id != place.generation:
                return "more"
            if row.model_digest not in {None, vectors.digest}:
                await self._start_over(tx, curator, row)
                return "done"
            await collections.name_weights(tx, curator, place.generation, vectors)
            await index.write_vectors(tx, place, [each.chunk_id for each in missing], vectors.texts)
        return "more"

    async def _start_over(self, tx: Tx, curator: Principal, row: CollectionRow) -> None:
        """The weights are others than those of the live generation: make one with them, while this one serves."""
        keys = {"tenant": curator.tenant, "collection": row.collection_id}
        if not await tx.fetch_all(SQL.list_other_generations, **keys):
            made = await collections.add_generation(tx, curator, row.collection_id, row.model, row.chunking)
            await self._queue.rebuild(tx, curator.tenant, row.collection_id, made)

    async def fill(self, tenant: TenantId, collection: UUID, generation: UUID) -> Outcome:
        """Cut and embed some documents that a new generation does not have yet, from their stored texts."""
        curator, live = await self._find(tenant, collection)
        if live is None or live.generation_id == generation:
            return "waiting"
        async with self._db.tx(curator) as tx:
            target = await tx.fetch_one(SQL.find_generation, tenant=tenant, generation=generation)
            if target is None:
                return "waiting"  # the settings were changed again
            rows = await tx.fetch_all(
                INGEST_SQL.list_not_in_generation,
                tenant=tenant, collection=collection, generation=generation, limit=_DOCUMENTS_AT_ONCE,
                characters=_CHARACTERS_AT_ONCE,
            )  # fmt: skip
        if not rows:
            return "done"
        place = index.Place(curator, collection, generation)
        situated = [await self._pieces(place, target, row) for row in rows]
        documents = [each.pieces for each in situated]
        indexed = await index.prepare(self._db, curator, documents, language_of(target))
        vectors = await self._embed(curator, target, indexed.texts())
        if not isinstance(vectors, Vectors) and live.model_digest is not None:
            return vectors  # the live generation has vectors; the new one must not do without
        bare = [each.bare for each in situated]
        return await self._write_filled(place, list(zip(rows, bare, strict=True)), indexed, vectors)

    async def _pieces(self, place: index.Place, target: Any, row: Any) -> Situated:  # noqa: ANN401 -- rows
        payloads = Payloads(self._keyring, place.curator.tenant)
        stored = await asyncio.to_thread(payloads.open_text, row.document_id, row.version, row.content)
        content = Content(stored.as_parsed(row.title, row.media_type), row.content_hash)
        return await self._cutting.pieces(place, target, content)

    async def _write_filled(
        self, place: index.Place, filled: list[tuple[Any, int]], indexed: index.Indexed, vectors: Vectors | Outcome
    ) -> Outcome:
        curator, tenant = place.curator, place.curator.tenant
        rows = [row for row, _ in filled]
        async with self._db.tx(curator, statement_timeout_s=_LONG_S) as tx:
            await lock_collection(tx, place.collection)
            target = await tx.fetch_one(SQL.find_generation, tenant=tenant, generation=place.generation)
            if target is None:
                return "waiting"
            if isinstance(vectors, Vectors) and target.model_digest not in {None, vectors.digest}:
                await self._begin_again(tx, place, target)
                return "failed"
            ids = [row.document_id for row in rows]
            found = await tx.fetch_all(
                INGEST_SQL.list_fillable, tenant=tenant, documents=ids, generation=place.generation
            )
            now = {each.document_id: each.version for each in found}
            targets = [row.document_id if now.get(row.document_id) == row.version else None for row in rows]
            await index.write(tx, place, Payloads(self._keyring, tenant), targets, indexed)
            await count_bare(
                tx, place, sum(bare for (_, bare), at in zip(filled, targets, strict=True) if at is not None)
            )
            if isinstance(vectors, Vectors):
                await collections.name_weights(tx, curator, place.generation, vectors)
                await index.write_vectors(tx, place, indexed.flat_ids(), vectors.texts)
        return "more"

    async def _begin_again(self, tx: Tx, place: index.Place, target: Any) -> None:  # noqa: ANN401 -- a row
        """The weights have changed again while a generation was made: another takes its place, in a while."""
        curator, collection = place.curator, place.collection
        await tx.run(SQL.drop_generation, tenant=curator.tenant, collection=collection, generation=place.generation)
        made = await collections.add_generation(tx, curator, collection, target.model, target.chunking)
        await self._queue.rebuild(tx, curator.tenant, collection, made, _BETWEEN_WEIGHTS_S)

    async def switch(self, tenant: TenantId, collection: UUID, generation: UUID) -> bool:
        """Let a full generation serve and drop the one before; False while documents are missing in it."""
        curator = await self._directory.curator(tenant)
        async with self._db.tx(curator, statement_timeout_s=_LONG_S) as tx:
            await lock_collection(tx, collection)
            of_new = {"tenant": tenant, "collection": collection, "generation": generation}
            if await tx.fetch_all(INGEST_SQL.list_not_in_generation, **of_new, limit=1, characters=1):
                return False
            row = await find_collection(tx, tenant, collection=collection)
            target = await tx.fetch_one(SQL.find_generation, tenant=tenant, generation=generation)
            if row is None or target is None or target.is_live:
                return True
            await tx.run(SQL.set_live_generation, **of_new)
            await tx.run(SQL.drop_generation, tenant=tenant, collection=collection, generation=row.generation_id)
            await tx.fetch_value(INGEST_SQL.note_vectors, tenant=tenant, collection=collection)
        return True

    async def merge(self, tenant: TenantId, collection: UUID) -> bool:
        """Merge segments of postings that are many or mostly dead; whether there may be more to merge."""
        curator, row = await self._find(tenant, collection)
        if row is None:
            return False
        async with self._db.tx(curator, statement_timeout_s=_LONG_S) as tx:
            await lock_collection(tx, collection)
            await forget_written(tx, tenant, collection)
            return await merging.merge_segments(tx, index.Place(curator, collection, row.generation_id)) > 0

    async def _find(self, tenant: TenantId, collection: UUID) -> tuple[Principal, CollectionRow | None]:
        curator = await self._directory.curator(tenant)
        await self._keyring.ensure(self._db, tenant)
        async with self._db.tx(curator) as tx:
            return curator, await find_collection(tx, tenant, collection=collection)

    async def _embed(self, curator: Principal, generation: Any, texts: list[str]) -> Vectors | Outcome:  # noqa: ANN401
        """`generation` is a row with id, model and dimension."""
        try:
            return await embed_texts(self._models, curator, generation.model, texts, dimension=generation.dimension)
        except ModelMissing:
            return "waiting"
        except HeadworksError as error:
            _log.warning("Chunks could not be embedded, it is tried again later: %s", error.code)
            await collections.note_trouble(self._db, curator, generation.generation_id, error)
            return "failed"
