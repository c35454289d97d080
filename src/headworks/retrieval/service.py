"""Retrieval for the rest of the house: collections, handing in, search, citations, documents. A thin face."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from uuid import UUID

from headworks.config import RetrievalServerSettings
from headworks.errors import HeadworksError
from headworks.jobs.engine import Jobs
from headworks.retrieval import collections, finding
from headworks.retrieval.access.permissions import Explainer
from headworks.retrieval.contract import (
    CollectionView,
    Directory,
    DocumentAt,
    DocumentView,
    Explanation,
    Item,
    Progress,
    Ranking,
    SearchResult,
    Sync,
    Wanted,
)
from headworks.retrieval.freshness import plan_recrawls
from headworks.retrieval.indexing import vector_index
from headworks.retrieval.indexing.cutting import Cutting
from headworks.retrieval.indexing.generations import GenerationWork
from headworks.retrieval.indexing.situating import Situating
from headworks.retrieval.indexing.vector_index import Owner, VectorIndexes
from headworks.retrieval.ingestion.ingest import HandedIn, Ingestion
from headworks.retrieval.ingestion.working import ItemWork, Parsers
from headworks.retrieval.jobs import Runs, Works
from headworks.retrieval.lifecycle.service import LifeCycle
from headworks.retrieval.originals import Originals, is_drawable, no_document
from headworks.retrieval.parsers.contract import PagePicture
from headworks.retrieval.passages.counting import OfModel, Vocabularies
from headworks.retrieval.queueing import Queue
from headworks.retrieval.quoting import CitationStream
from headworks.retrieval.searching.filters import bound_filter
from headworks.retrieval.searching.search import Searcher
from headworks.retrieval.sources.asking import SourceSyncs, SourceView
from headworks.retrieval.sources.catalog import usual_openers
from headworks.retrieval.sources.recrawling import Recrawls
from headworks.retrieval.sources.stepping import SyncLimits, Tools
from headworks.retrieval.sources.syncing import Opener, SourceWork
from headworks.retrieval.store import INGEST_SQL, SQL, Payloads, StoredText, find_collection
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.features import RetrievalSettings
from headworks.types.identity import Principal
from headworks.types.ids import ProjectId, TenantId, TraceId
from headworks.types.models import Message, Models
from headworks.types.retrieval import Passage, Place, PlaceRead
from headworks.types.workspace import CollectionSpec

__all__ = ["HandedIn", "Retrieval"]

_log = logging.getLogger(__name__)

_ASK_FOR_VECTORS_EVERY_S = 60.0


class Retrieval:
    """What others may call. Reading needs no permission but the readers' lists, which PostgreSQL joins."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        models: Models,
        jobs: Jobs,
        directory: Directory,
        settings: RetrievalServerSettings,
        *,
        openers: Mapping[str, Opener] | None = None,
        vocabulary_of: OfModel | None = None,
    ) -> None:
        """`directory` is identity's service. `openers` make sources by their kind; else the usual ones.

        `vocabulary_of` knows how embedding models count; without it tokens are estimated.
        """
        self._db = db
        self._keyring = keyring
        self._models = models
        self._jobs = jobs
        self._directory = directory
        self._queue = Queue(jobs)
        self._searcher = Searcher(db, keyring, models, self._want_vectors, directory)
        self._declarer = collections.Declarer(db, directory, self._queue)
        self._explainer = Explainer(db, directory)
        self._originals = Originals(db, keyring)
        self._asked_for_vectors: dict[UUID, float] = {}
        self.ingestion = Ingestion(db, keyring, directory, self._queue, max_file_bytes=settings.max_file_mb << 20)
        self.sources = SourceSyncs(db, directory, self._queue, self.ingestion)
        self._cutting = Cutting(Vocabularies(vocabulary_of), Situating(db, keyring, models))
        self.lifecycle = LifeCycle(db, keyring, directory, self._queue, self.sources)
        self._openers = usual_openers(settings) if openers is None else openers
        self._sync_limits = SyncLimits(settings.max_file_mb << 20, settings.permissions_max_age_h * 3600.0)

    # ── Reading ──

    async def passages(
        self,
        principal: Principal,
        settings: RetrievalSettings,
        question: str,
        trace: UUID | None = None,
        *,
        history: Sequence[Message] = (),
        inputs: Mapping[str, object] | None = None,
    ) -> SearchResult:
        """What of a feature's collection the caller may read and what fits the question best, numbered from 1.

        InvalidRequest where the feature's filter can't compare with one of the inputs.
        """
        only = None if settings.filter is None else bound_filter(settings.filter, inputs or {})
        wanted = Wanted(only, settings=settings.search, history=history)
        return await self.search(principal, settings.collection, question, settings.k, trace=trace, wanted=wanted)

    async def search(
        self,
        principal: Principal,
        collection: str,
        query: str,
        k: int,
        *,
        ranking: Ranking = "hybrid",
        trace: UUID | None = None,
        wanted: Wanted | None = None,
    ) -> SearchResult:
        """The best `k` passages of a collection of the caller's tenant, and how they were ranked.

        Raises NotFound for a collection that is not there or not the caller's to read, which read the same.
        """
        of_trace = None if trace is None else TraceId(trace)
        return await self._searcher.search(
            principal, collection, query, k, ranking=ranking, trace=of_trace, wanted=wanted
        )

    def citing(self, principal: Principal, passages: Sequence[Passage]) -> CitationStream:
        """Resolves the markers of one answer under the caller's rights."""
        return CitationStream(self._db, self._keyring, principal, passages)

    async def document(
        self, principal: Principal, document: UUID, place: tuple[int, int] | None = None
    ) -> DocumentView:
        """A document's stored text, and where the characters of a `place` (start, end) stand on its pages.

        NotFound reads the same for one that is not there and one that is not for you.
        """
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            row = await tx.fetch_one(SQL.read_document, tenant=principal.tenant, document=document)
        if row is None:
            raise no_document()
        stored = Payloads(self._keyring, principal.tenant).open_text(row.document_id, row.version, row.content)
        return DocumentView(
            row.document_id, row.version, row.collection, row.path, row.title, stored.text, stored.headings,
            row.media_type,
            page=None if place is None else stored.page_of(place[0]),
            areas=() if place is None else stored.areas_of(*place),
            has_pictures=is_drawable(row),
        )  # fmt: skip

    async def read_places(self, principal: Principal, places: Collection[Place]) -> dict[Place, PlaceRead]:
        """What stands at these places, of what the caller may read now; the others are not among them."""
        if not places:
            return {}
        wanted = sorted({(each.document, each.version) for each in places})
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            rows = await tx.fetch_all(
                SQL.read_places,
                tenant=principal.tenant,
                documents=[document for document, _ in wanted],
                versions=[version for _, version in wanted],
            )
        payloads, found = Payloads(self._keyring, principal.tenant), {}
        for row in rows:
            of_document = [each for each in places if (each.document, each.version) == (row.document_id, row.version)]
            stored = None if row.content is None else payloads.open_text(row.document_id, row.version, row.content)
            for each in of_document:
                found[each] = _read_place(row.path, row.title, stored, each)
        return found

    async def page(self, principal: Principal, document: UUID, number: int) -> PagePicture:
        """A page of a PDF as it is printed; see `Originals.page`."""
        return await self._originals.page(principal, document, number)

    async def find_documents(self, principal: Principal, collection: str, paths: Sequence[str]) -> list[DocumentAt]:
        """Those of these paths that are documents the caller may read."""
        return await finding.find_documents(self._db, principal, collection, paths)

    async def list_collections(self, principal: Principal) -> list[CollectionView]:
        """The collections that the caller may read."""
        return await collections.listed(self._db, principal)

    async def explain(self, principal: Principal, collection: str | None, document: str, name: str) -> Explanation:
        """Why somebody may or may not read a document; needs `reader:explain` and is audited."""
        return await self._explainer.explain(principal, collection, document, name)

    # ── Handing in ──

    async def begin_sync(self, principal: Principal, collection: str, source: str) -> Sync:
        """A pass over a source, with what need not be handed in again."""
        return await self.ingestion.begin_sync(principal, collection, source)

    async def hand_in(self, principal: Principal, collection: str, file: HandedIn) -> Item:
        """Store one file for work; when this returns, it is not lost."""
        return await self.ingestion.hand_in(principal, collection, file)

    async def finish_sync(self, principal: Principal, sync: str, seen: Collection[str], *, collection: str) -> Progress:
        """What of the source was not seen vanishes."""
        return await self.ingestion.finish_sync(principal, collection, sync, seen)

    async def progress(self, principal: Principal, *, collection: str, sync: str | None = None) -> Progress:
        """How far the caller's own files are."""
        return await self.ingestion.progress(principal, collection, sync)

    async def sync_sources(
        self, principal: Principal, collection: str, *, confirms_deletions: bool = False
    ) -> list[SourceView]:
        """Ask for a sync of every source of the collection's file; done by durable work."""
        return await self.sources.ask(principal, collection, confirms_deletions=confirms_deletions)

    async def list_sources(self, principal: Principal, collection: str) -> list[SourceView]:
        """The sources of the collection's file, and how far their syncs are."""
        return await self.sources.views(principal, collection)

    # ── For releases, and for the processes ──

    async def check(self, principal: Principal, specs: Sequence[CollectionSpec]) -> None:
        """Raise what `declare` would of readers and settings, with nothing changed."""
        await self._declarer.check(principal, specs)

    async def declare(self, principal: Principal, project: ProjectId, specs: Sequence[CollectionSpec]) -> None:
        """Make the tenant's collections as declared; nothing is deleted. Unknown readers raise WorkspaceInvalid."""
        await self._declarer.declare(principal, project, specs)

    def register_work(self, parsers: Parsers, owner: Owner | None = None) -> None:
        """In the jobs process, before `jobs.start()`. Without a way to hw_owner no index of vectors is built."""
        shared = (self._db, self._keyring, self._models, self._directory, self._queue)
        items = ItemWork(*shared, parsers, cutting=self._cutting)
        generations = GenerationWork(*shared, cutting=self._cutting)
        tools = Tools(self._db, self._keyring, self._queue, self.ingestion, self._sync_limits)
        sources = SourceWork(tools, self._directory, self._openers)
        recrawls = Recrawls(self._db, self._directory, self._queue, self.sources)
        indexes = None if owner is None else VectorIndexes(self._db, self._directory, owner)
        works = Works(items, generations, sources, recrawls, self.lifecycle.erasure, indexes)
        Runs(self._db, self._directory, self._queue, works).register(self._jobs)

    async def close(self) -> None:
        """End what was started to draw pages."""
        await self._originals.close()

    async def catch_up(self) -> None:
        """At the server's start: ask for what no run is there for, e.g. vectors of a model that was installed since."""
        async with self._db.system("which collections wait for work") as tx:
            rows = await tx.fetch_all(INGEST_SQL.list_all_collections)
        for row in rows:
            await self._catch_up(TenantId(row.tenant_id), row.collection_id, lacks_vectors=row.lacks_vectors)
        for tenant in {TenantId(row.tenant_id) for row in rows}:
            async with self._db.tx(await self._directory.curator(tenant)) as tx:
                if await vector_index.is_wanted(tx, tenant):
                    await self._queue.vector_index(tx, tenant)

    async def _catch_up(self, tenant: TenantId, collection: UUID, *, lacks_vectors: bool) -> None:
        curator = await self._directory.curator(tenant)
        of_collection = {"tenant": tenant, "collection": collection}
        async with self._db.tx(curator) as tx:
            if await tx.fetch_value(INGEST_SQL.is_waiting, **of_collection):
                wave = await tx.fetch_value(INGEST_SQL.join_wave, **of_collection)
                await self._queue.ingest_again(tx, tenant, collection, wave)
            elif lacks_vectors:
                await self._queue.embed(tx, tenant, collection)
            for other in await tx.fetch_all(SQL.list_other_generations, **of_collection):
                await self._queue.rebuild(tx, tenant, collection, other.generation_id)
            await self.sources.resume(tx, tenant, collection)
            row = await find_collection(tx, tenant, collection=collection)
            if row is not None:
                await plan_recrawls(tx, tenant, collection, row.settings, self._queue, has_changed=False)

    async def _want_vectors(self, principal: Principal, collection: UUID) -> None:
        """The model answers, and chunks wait for it: ask for their vectors, now and then."""
        now = monotonic()
        if now - self._asked_for_vectors.get(collection, -_ASK_FOR_VECTORS_EVERY_S) < _ASK_FOR_VECTORS_EVERY_S:
            return
        self._asked_for_vectors[collection] = now
        try:
            async with self._db.tx(principal) as tx:
                await self._queue.embed(tx, principal.tenant, collection)
        except HeadworksError as error:
            _log.warning("Vectors could not be asked for: %s", error.code)


def _read_place(path: str, title: str, stored: StoredText | None, place: Place) -> PlaceRead:
    if stored is None:
        return PlaceRead(path, title)
    section = stored.section_of(place.start, place.end)
    return PlaceRead(path, title, section, stored.page_of(place.start), stored.text[place.start : place.end])
