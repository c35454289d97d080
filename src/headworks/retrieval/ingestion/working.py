"""From files that were handed in to documents that are found: one batch at a time, as the tenant's curator.

A batch may be done twice, by a run that was taken over and by the one that took it: only items that are still queued
are written, in one transaction with everything that comes of them.
"""

from __future__ import annotations

import asyncio
import logging
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Protocol
from uuid import UUID

from headworks.errors import (
    DocumentUnreadable,
    HeadworksError,
    InvalidRequest,
    ModelMissing,
    NotFound,
    SealBroken,
    Unavailable,
)
from headworks.retrieval import collections, freshness
from headworks.retrieval.access import denials
from headworks.retrieval.access.readers import given_list, own_list, read_patterns
from headworks.retrieval.access.sections import Section, read_rules, split, without_text
from headworks.retrieval.contract import Directory, ItemState
from headworks.retrieval.embedding import Vectors, embed_texts
from headworks.retrieval.freshness import validity_of
from headworks.retrieval.indexing import index
from headworks.retrieval.indexing.cutting import Cutting, language_of
from headworks.retrieval.indexing.situating import Content, count_bare
from headworks.retrieval.ingestion import newest, parts
from headworks.retrieval.metadata import parsed_metadata
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.queueing import Queue
from headworks.retrieval.store import (
    INGEST_SQL,
    CollectionRow,
    Payloads,
    delete_blobs,
    find_collection,
    lock_collection,
)
from headworks.storage.blobs import Blobs
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId, new_id
from headworks.types.models import Models

_log = logging.getLogger(__name__)

_ITEMS = 32
_BYTES = 4 << 20
"""Of a batch: many small files cost few transactions, and large ones do not add up in memory."""
LOOKED_AT = 4 * _ITEMS
"""Of the oldest items, whether a newer one of the same path waits behind them."""
_MOST_ATTEMPTS = 8
_PARSED_AT_ONCE = 2
_EMBEDDED_AT_ONCE = 512
"""Chunks that are embedded before a batch is written; larger batches are found by keywords first."""
_EXTENSIONS = {"text/markdown": ".md", "text/plain": ".txt", "text/html": ".html", "application/octet-stream": ""}


class Parsers(Protocol):
    """Files into text, each in a process of its own with limits."""

    async def parse(self, name: str, data: bytes, *, ocr: bool = False) -> ParsedDocument:
        """Raises DocumentUnreadable. With `ocr`, what is a picture is read, too."""
        ...


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A row of `take_items`."""

    item_id: UUID
    source: str
    path: str
    media_type: str
    content_hash: str
    bytes: int
    blob_id: UUID
    readers: list[PrincipalId] | None
    denials: list[PrincipalId] | None
    metadata: dict[str, Any] | None
    attempts: int
    handed_in_by: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BeforeRow:
    """A row of `find_by_paths`: the document that an item may replace."""

    source: str
    path: str
    document_id: UUID
    content_hash: str
    given_readers: list[PrincipalId] | None
    blob_id: UUID | None
    is_gone: bool
    chunks: int


@dataclass(slots=True)
class _Text:
    """What becomes a document of its own: the file without its restricted sections, or one of those."""

    parsed: ParsedDocument
    pieces: list[index.Piece]
    bare: int
    """How many of them are without the context that a model was to write."""
    section: Section | None
    """None: the file."""
    document: UUID | None = None
    """Where it was written; None: not at all."""


@dataclass(slots=True)
class _Work:
    """An item on its way, and what became of it."""

    item: ItemRow
    before: BeforeRow | None = None
    state: ItemState = "done"
    code: str | None = None
    message: str | None = None
    data: bytes = b""
    """The file, until it is parsed."""
    texts: list[_Text] = field(default_factory=list)
    """The file's own first; none: there is nothing to be written."""

    def fail(self, code: str, message: str) -> None:
        self.state, self.code, self.message = "failed", code, message[:1000]
        self.texts = []


class ItemWork:
    """Works on the queue of items of one collection after the other."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        models: Models,
        directory: Directory,
        queue: Queue,
        parsers: Parsers,
        *,
        cutting: Cutting,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._blobs = Blobs(keyring)
        self._models = models
        self._directory = directory
        self._queue = queue
        self._parsers = parsers
        self._cutting = cutting
        self._parsing = asyncio.Semaphore(_PARSED_AT_ONCE)

    async def close_wave(self, tenant: TenantId, collection: UUID, wave: int) -> None:
        """What is handed in from now on joins the next wave, whose run sees it."""
        curator = await self._directory.curator(tenant)
        async with self._db.tx(curator) as tx:
            await tx.run(INGEST_SQL.close_wave, tenant=tenant, collection=collection, wave=wave)

    async def batch(self, tenant: TenantId, collection: UUID) -> int:
        """Work on the oldest items, up to 32; how many were taken up (0: none is left)."""
        curator = await self._directory.curator(tenant)
        await self._keyring.ensure(self._db, tenant)
        async with self._db.tx(curator) as tx:
            row = await find_collection(tx, tenant, collection=collection)
            if row is None:
                return 0
            work = await self._take(tx, curator, row)
        if not work:
            return 0
        await self._fetch(curator, work)
        ended = await asyncio.gather(*(self._read(curator, row, each) for each in work), return_exceptions=True)
        if failures := [each for each in ended if each is not None]:
            raise failures[0]
        written = [text for each in work for text in each.texts]
        indexed = await index.prepare(self._db, curator, [each.pieces for each in written], language_of(row))
        vectors = await self._embed(curator, row, indexed)
        async with self._db.tx(curator, statement_timeout_s=300) as tx:
            await self._write(tx, curator, row, work, indexed, vectors)
        return len(work)

    async def _take(self, tx: Tx, curator: Principal, row: CollectionRow) -> list[_Work]:
        of_collection = {"tenant": curator.tenant, "collection": row.collection_id}
        while await newest.supersede(tx, curator, row.collection_id, LOOKED_AT) > LOOKED_AT - _ITEMS:
            pass  # until what is taken now was looked at
        items = await tx.fetch_all(INGEST_SQL.take_items, into=ItemRow, **of_collection, number=_ITEMS, bytes=_BYTES)
        work = [_Work(item) for item in sorted(items, key=lambda item: (item.created_at, item.item_id))]
        await _look_again(tx, curator, row, work)
        return work

    async def _fetch(self, curator: Principal, work: Sequence[_Work]) -> None:
        """The bytes of the files that are to be read, in one transaction; a batch is small."""
        async with self._db.tx(curator) as tx:
            for each in work:
                before = each.before
                is_there = before is not None and not before.is_gone and before.chunks
                if is_there and before is not None and before.content_hash == each.item.content_hash:
                    each.state = "unchanged"
                elif each.item.attempts > _MOST_ATTEMPTS:
                    each.fail("crashed", f"Working on it ended the process {_MOST_ATTEMPTS} times; it was set aside.")
                else:
                    try:
                        each.data = await self._blobs.get(tx, curator.tenant, each.item.blob_id)
                    except (NotFound, SealBroken) as error:
                        _log.exception("An original could not be read")
                        each.fail("internal_error", _internal(error))

    async def _read(self, curator: Principal, row: CollectionRow, work: _Work) -> None:
        """Parse and cut one file; whatever goes wrong with it is its own failure."""
        if work.state != "done":
            return
        try:
            async with self._parsing:
                ocr = bool(row.settings.get("parsing", {}).get("ocr"))
                parsed = await self._parsers.parse(_name(work.item), work.data, ocr=ocr)
            work.data = b""
            rest, sections = await asyncio.to_thread(split, work.item.path, parsed, read_rules(row.settings))
            work.texts = [await self._cut(curator, row, work.item, rest, None)]
            work.texts += [await self._cut(curator, row, work.item, each.parsed, each) for each in sections]
            validity_of({**parsed_metadata(parsed.metadata), **(work.item.metadata or {})})
            if not any(each.pieces for each in work.texts):
                work.fail("empty", "There is no text in it.")
        except DocumentUnreadable as error:
            work.fail(error.code, str(error))
        except InvalidRequest as error:
            work.fail("validity", error.message)
        except Unavailable:
            raise  # nothing is wrong with the file
        except Exception as error:  # noqa: BLE001 -- whatever it is, the other files go on
            _log.exception("An item could not be read")
            work.fail("internal_error", _internal(error))

    async def _cut(
        self, curator: Principal, row: CollectionRow, item: ItemRow, parsed: ParsedDocument, section: Section | None
    ) -> _Text:
        place = index.Place(curator, row.collection_id, row.generation_id)
        situated = await self._cutting.pieces(place, row, Content(parsed, item.content_hash))
        if not situated.pieces:
            parsed = without_text(parsed)
        return _Text(parsed, situated.pieces, situated.bare, section and replace(section, parsed=parsed))

    async def _embed(self, curator: Principal, row: CollectionRow, indexed: index.Indexed) -> Vectors | None:
        """Vectors of all chunks, or None where they are made later: keywords find them until then."""
        texts = indexed.texts()
        if not texts or len(texts) > _EMBEDDED_AT_ONCE:
            return None
        try:
            return await embed_texts(self._models, curator, row.model, texts, dimension=row.dimension)
        except ModelMissing:
            return None
        except HeadworksError as error:
            _log.warning("Chunks could not be embedded, it is tried again later: %s", error.code)
            await collections.note_trouble(self._db, curator, row.generation_id, error)
            return None

    async def _write(
        self,
        tx: Tx,
        curator: Principal,
        row: CollectionRow,
        work: Sequence[_Work],
        indexed: index.Indexed,
        vectors: Vectors | None,
    ) -> None:
        tenant, collection = curator.tenant, row.collection_id
        await newest.begin_replacing(tx, curator)
        await lock_collection(tx, collection)
        now = await find_collection(tx, tenant, collection=collection) or row
        live = await self._still_wanted(tx, curator, row, now, work)
        await newest.keep_held(tx, curator, [each.before.document_id for each in live if each.texts and each.before])
        for each in live:
            if each.state == "unchanged":
                await self._keep(tx, curator, now, each)
            elif each.texts:
                await self._put(tx, curator, now, each)
            await self._settle(tx, curator, collection, each)
        await newest.supersede_older_than(
            tx, curator, collection, [each.item.item_id for each in live if each.state != "failed"]
        )
        written = [text for each in work for text in each.texts]
        place = index.Place(curator, collection, row.generation_id)
        await index.write(tx, place, Payloads(self._keyring, tenant), [each.document for each in written], indexed)
        await count_bare(tx, place, sum(each.bare for each in written if each.document is not None))
        has_written = any(each.document is not None for each in written)
        lacks = await self._write_vectors(tx, place, now, indexed, vectors) if has_written else False
        await collections.touch(tx, curator, collection, lacks_vectors=lacks)

    async def _still_wanted(
        self, tx: Tx, curator: Principal, row: CollectionRow, now: CollectionRow, work: Sequence[_Work]
    ) -> list[_Work]:
        """Those that are to be written as they were read, beside the documents that are there now; the others wait on.

        By other rules something else is to be written, and a document that is no longer the one with the same content
        (its rules went to and fro, it was deleted) is to be written anew.
        """
        of_items = {"tenant": curator.tenant, "items": [each.item.item_id for each in work]}
        queued = {found.item_id: found for found in await tx.fetch_all(INGEST_SQL.lock_items, **of_items)}
        read_as = {each.item.item_id: each.before for each in work}
        await _look_again(tx, curator, row, work)
        is_same = read_rules(now.settings) == read_rules(row.settings)
        is_current = is_same and now.generation_id == row.generation_id
        live = []
        for each in work:
            if (found := queued.get(each.item.item_id)) is None:
                continue
            each.item = replace(each.item, readers=found.readers, denials=found.denials, metadata=found.metadata)
            is_as_read = each.state != "unchanged" or _is_the_same(read_as[each.item.item_id], each.before)
            if is_as_read and (is_current or (is_same and not each.texts)):
                live.append(each)
        left = set(queued) - {each.item.item_id for each in live}
        if left:
            await tx.run(INGEST_SQL.give_back, tenant=curator.tenant, items=list(left))
        return live

    async def _write_vectors(
        self,
        tx: Tx,
        place: index.Place,
        row: CollectionRow,
        indexed: index.Indexed,
        vectors: Vectors | None,
    ) -> bool:
        """Whether chunks are left without a vector, or with one of other weights, which are not stored."""
        if vectors is None or row.model_digest not in {None, vectors.digest}:
            return True
        await collections.name_weights(tx, place.curator, place.generation, vectors)
        await index.write_vectors(tx, place, indexed.flat_ids(), vectors.texts)
        return False

    async def _put(self, tx: Tx, curator: Principal, row: CollectionRow, work: _Work) -> None:
        """A new document, or a new version: what was there of the old one goes. Its sections follow it."""
        item, parsed, before = work.item, work.texts[0].parsed, work.before
        given = given_list(before.given_readers if before and not before.is_gone else None, item.readers)
        own = own_list(item.path, read_patterns(row.settings), given)
        put = await tx.fetch_one(
            INGEST_SQL.put_document,
            tenant=curator.tenant, document=new_id(), collection=row.collection_id, source=item.source, path=item.path,
            title=parsed.title[:500], media_type=parsed.media_type, content_hash=item.content_hash,
            restricted=own is not None, given=None if given is None else list(given), by=item.handed_in_by,
            characters=len(parsed.text), blob=item.blob_id, own_metadata=parsed_metadata(parsed.metadata),
            metadata=item.metadata,
        )  # fmt: skip
        document: UUID = put.document_id
        of_document = {"tenant": curator.tenant, "document": document, "version": put.version}
        await tx.run(INGEST_SQL.delete_chunks, tenant=curator.tenant, documents=[document])
        await freshness.note_version(tx, curator, document, put.version)
        await freshness.put_validity(tx, curator, document)
        payloads = Payloads(self._keyring, curator.tenant)
        sealed = payloads.seal_text(document, put.version, parsed)
        await tx.run(INGEST_SQL.put_text, **of_document, content=sealed)
        await collections.set_readers(tx, curator, [document], None if own is None else own.readers)
        await denials.renew(tx, curator, row.collection_id, row.settings, [document], given=item.denials)
        if before is not None and before.blob_id != item.blob_id:
            await delete_blobs(tx, curator.tenant, [before.blob_id])
        work.texts[0].document = document
        sections = [text.section for text in work.texts if text.section is not None]
        await parts.drop_others(tx, curator, document, sections)
        for text in work.texts:
            if text.section is not None:
                text.document = await parts.put(tx, curator, payloads, document, text.section)

    async def _keep(self, tx: Tx, curator: Principal, row: CollectionRow, work: _Work) -> None:
        """The same content again: its readers may be others now."""
        item, before = work.item, work.before
        assert before is not None  # noqa: S101 -- else nothing could be unchanged
        given = given_list(before.given_readers, item.readers)
        own = own_list(item.path, read_patterns(row.settings), given)
        await tx.run(
            INGEST_SQL.keep_document,
            tenant=curator.tenant, document=before.document_id, restricted=own is not None,
            given=None if given is None else list(given), by=item.handed_in_by, metadata=item.metadata,
        )  # fmt: skip
        await freshness.put_validity(tx, curator, before.document_id)
        await collections.set_readers(tx, curator, [before.document_id], None if own is None else own.readers)
        await denials.renew(tx, curator, row.collection_id, row.settings, [before.document_id], given=item.denials)
        await delete_blobs(tx, curator.tenant, [item.blob_id])

    async def _settle(self, tx: Tx, curator: Principal, collection: UUID, work: _Work) -> None:
        number = (
            work.before.chunks
            if work.before and work.state == "unchanged"
            else sum(len(each.pieces) for each in work.texts)
        )
        await tx.run(
            INGEST_SQL.settle_item,
            tenant=curator.tenant, item=work.item.item_id, state=work.state, chunks=number, code=work.code,
            message=work.message,
        )  # fmt: skip
        # What failed keeps its original until it is retried, replaced or purged; nobody needs that of the one before.
        of_path = {
            "collection": collection, "source": work.item.source, "path": work.item.path,
            "created_at": work.item.created_at,
        }  # fmt: skip
        gone = await tx.fetch_all(INGEST_SQL.forget_failed, tenant=curator.tenant, item=work.item.item_id, **of_path)
        await delete_blobs(tx, curator.tenant, [each.blob_id for each in gone])


async def _look_again(tx: Tx, curator: Principal, row: CollectionRow, work: Sequence[_Work]) -> None:
    """What each may replace, as it is now."""
    rows = await tx.fetch_all(
        INGEST_SQL.find_by_paths,
        into=BeforeRow,
        tenant=curator.tenant, collection=row.collection_id, generation=row.generation_id,
        sources=[each.item.source for each in work], paths=[each.item.path for each in work],
    )  # fmt: skip
    there = {(each.source, each.path): each for each in rows}
    for each in work:
        each.before = there.get((each.item.source, each.item.path))


def _is_the_same(read: BeforeRow | None, now: BeforeRow | None) -> bool:
    """Whether a document is still there with the content that it had."""
    if read is None or now is None or now.is_gone:
        return False
    return (read.document_id, read.content_hash) == (now.document_id, now.content_hash)


def _internal(error: Exception) -> str:
    return f"An internal error ({type(error).__name__}); the server's log has more."


def _name(item: ItemRow) -> str:
    """The path, with an extension by the media type where it has none: that is what parsers are chosen by."""
    name = PurePosixPath(item.path)
    if name.suffix:
        return item.path
    kind = item.media_type.partition(";")[0].strip().lower()
    return f"{item.path}{_EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or ''}"
