"""From files that were handed in to documents that are found: one batch at a time, as the tenant's curator.

A batch may be done twice, by a run that was taken over and by the one that took it: only items that are still queued
are written, in one transaction with everything that comes of them.
"""

from __future__ import annotations

import asyncio
import logging
import mimetypes
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Protocol
from uuid import UUID

from headworks.errors import (
    DocumentUnreadable,
    HeadworksError,
    InvalidRequest,
    ModelMissing,
    Unavailable,
)
from headworks.retrieval import collections
from headworks.retrieval.access.sections import Section, read_rules, split, without_text
from headworks.retrieval.contract import Directory
from headworks.retrieval.embedding import Vectors, embed_texts
from headworks.retrieval.freshness import validity_of
from headworks.retrieval.indexing import index
from headworks.retrieval.indexing.cutting import Cutting, language_of
from headworks.retrieval.indexing.situating import Content, count_bare
from headworks.retrieval.ingestion import newest, writing
from headworks.retrieval.ingestion.items import BeforeRow, ItemRow, Text, Work
from headworks.retrieval.metadata import parsed_metadata
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.queueing import Queue
from headworks.retrieval.store import (
    INGEST_SQL,
    CollectionRow,
    Payloads,
    find_collection,
    lock_collection,
)
from headworks.storage.blobs import Blobs
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import TenantId
from headworks.types.models import Models

_log = logging.getLogger(__name__)

_ITEMS = 128
_BYTES = 4 << 20
"""Of a batch: many small files cost few transactions, and large ones do not add up in memory."""
_FEW = 32
_LITTLE_BYTES = 64 << 10
"""A batch has more than a few only as long as they are together no longer than this: then it is soon done."""
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
        """Work on the oldest items, up to 128; how many were taken up (0: none is left)."""
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

    async def _take(self, tx: Tx, curator: Principal, row: CollectionRow) -> list[Work]:
        of_collection = {"tenant": curator.tenant, "collection": row.collection_id}
        while await newest.supersede(tx, curator, row.collection_id, _ITEMS):
            pass  # until what is taken now was looked at
        items = await tx.fetch_all(
            INGEST_SQL.take_items,
            into=ItemRow,
            **of_collection,
            number=_ITEMS,
            bytes=_BYTES,
            few=_FEW,
            little=_LITTLE_BYTES,
        )
        items = sorted(items, key=lambda item: (item.created_at, item.item_id))
        firsts = set({(item.source, item.path): item.item_id for item in reversed(items)}.values())
        work = [Work(item) for item in items if item.item_id in firsts]
        if len(work) < len(items):  # another content of the same file came a moment ago: it is the next batch's
            later = [item.item_id for item in items if item.item_id not in firsts]
            await tx.run(INGEST_SQL.give_back, tenant=curator.tenant, items=later)
        await _look_again(tx, curator, row, work)
        return work

    async def _fetch(self, curator: Principal, work: Sequence[Work]) -> None:
        """The bytes of the files that are to be read, in one statement; a batch is small."""
        wanted = []
        for each in work:
            before = each.before
            is_there = before is not None and not before.is_gone and before.chunks
            if is_there and before is not None and before.content_hash == each.item.content_hash:
                each.state = "unchanged"
            elif each.item.attempts > _MOST_ATTEMPTS:
                each.fail("crashed", f"Working on it ended the process {_MOST_ATTEMPTS} times; it was set aside.")
            else:
                wanted.append(each)
        if not wanted:
            return
        async with self._db.tx(curator) as tx:
            found = await self._blobs.get_all(tx, curator.tenant, [each.item.blob_id for each in wanted])
        for each in wanted:
            data = found[each.item.blob_id]
            if isinstance(data, bytes):
                each.data = data
            else:
                _log.error("An original could not be read", exc_info=data)
                each.fail("internal_error", _internal(data))

    async def _read(self, curator: Principal, row: CollectionRow, work: Work) -> None:
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
    ) -> Text:
        place = index.Place(curator, row.collection_id, row.generation_id)
        situated = await self._cutting.pieces(place, row, Content(parsed, item.content_hash))
        if not situated.pieces:
            parsed = without_text(parsed)
        return Text(parsed, situated.pieces, situated.bare, section and replace(section, parsed=parsed))

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
        work: Sequence[Work],
        indexed: index.Indexed,
        vectors: Vectors | None,
    ) -> None:
        tenant, collection, payloads = curator.tenant, row.collection_id, Payloads(self._keyring, curator.tenant)
        await newest.begin_replacing(tx, curator)
        await lock_collection(tx, collection)
        now = await find_collection(tx, tenant, collection=collection) or row
        live = await self._still_wanted(tx, curator, row, now, work)
        await newest.keep_held(tx, curator, [each.before.document_id for each in live if each.texts and each.before])
        await writing.keep(tx, curator, now, [each for each in live if each.state == "unchanged"])
        await writing.put(tx, curator, now, payloads, [each for each in live if each.texts])
        await writing.settle(tx, curator, now, live)
        await newest.supersede_older_than(
            tx, curator, collection, [each.item.item_id for each in live if each.state != "failed"]
        )
        written = [text for each in work for text in each.texts]
        place = index.Place(curator, collection, row.generation_id)
        await index.write(tx, place, payloads, [each.document for each in written], indexed)
        await count_bare(tx, place, sum(each.bare for each in written if each.document is not None))
        has_written = any(each.document is not None for each in written)
        lacks = await self._write_vectors(tx, place, now, indexed, vectors) if has_written else False
        await collections.touch(tx, curator, collection, lacks_vectors=lacks)

    async def _still_wanted(
        self, tx: Tx, curator: Principal, row: CollectionRow, now: CollectionRow, work: Sequence[Work]
    ) -> list[Work]:
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


async def _look_again(tx: Tx, curator: Principal, row: CollectionRow, work: Sequence[Work]) -> None:
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
    known = _EXTENSIONS.get(kind)
    return f"{item.path}{(mimetypes.guess_extension(kind) or '') if known is None else known}"
