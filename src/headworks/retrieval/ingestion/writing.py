"""Writes what came of a batch of items, in the transaction that takes them from the queue: few statements for many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from headworks.retrieval import collections, freshness
from headworks.retrieval.access import denials
from headworks.retrieval.access.readers import PatternReaders, given_list, own_list, read_patterns
from headworks.retrieval.ingestion import parts
from headworks.retrieval.ingestion.items import Work
from headworks.retrieval.metadata import parsed_metadata
from headworks.retrieval.store import INGEST_SQL, CollectionRow, Payloads, delete_blobs
from headworks.storage.pool import Tx
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, new_id

Readers = tuple[PrincipalId, ...] | None
"""A list of readers; None: there is none."""


async def put(tx: Tx, curator: Principal, row: CollectionRow, payloads: Payloads, work: Sequence[Work]) -> None:
    """New documents, or new versions: what was there of the old ones goes. Their sections follow them."""
    versions: dict[UUID, int] = {}
    replaced: list[UUID] = []
    by_list: dict[Readers, list[UUID]] = defaultdict(list)
    patterns = read_patterns(row.settings)
    for each in work:
        given, own = _lists(each, patterns)
        stored = await _put_document(tx, curator, row, each, given, is_restricted=own is not None)
        document: UUID = stored.document_id
        each.texts[0].document = document
        versions[document] = stored.version
        sealed = payloads.seal_text(document, stored.version, each.texts[0].parsed)
        of_version = {"tenant": curator.tenant, "document": document, "version": stored.version}
        await tx.run(INGEST_SQL.put_text, **of_version, content=sealed)
        await freshness.put_validity(tx, curator, document, stored.metadata)
        if each.before is not None:
            replaced.append(document)
        if each.before is not None or own is not None:
            by_list[own].append(document)
    if replaced:
        await tx.run(INGEST_SQL.delete_chunks, tenant=curator.tenant, documents=replaced)
    await freshness.note_versions(tx, curator, versions)
    await _write_lists(tx, curator, row, by_list, list(zip(versions, work, strict=True)))
    olds = [(each.before.blob_id, each.item.blob_id) for each in work if each.before is not None]
    await delete_blobs(tx, curator.tenant, [before for before, now in olds if before != now])
    for each in work:
        await _put_sections(tx, curator, payloads, each)


async def keep(tx: Tx, curator: Principal, row: CollectionRow, work: Sequence[Work]) -> None:
    """The same contents again: their readers may be others now."""
    kept: list[tuple[UUID, Work]] = []
    by_list: dict[Readers, list[UUID]] = defaultdict(list)
    patterns = read_patterns(row.settings)
    for each in work:
        assert each.before is not None  # noqa: S101 -- else nothing could be unchanged
        document = each.before.document_id
        given, own = _lists(each, patterns)
        await tx.run(
            INGEST_SQL.keep_document,
            tenant=curator.tenant, document=document, restricted=own is not None,
            given=None if given is None else list(given), by=each.item.handed_in_by, metadata=each.item.metadata,
        )  # fmt: skip
        await freshness.confirm(tx, curator, document)
        by_list[own].append(document)
        kept.append((document, each))
    await _write_lists(tx, curator, row, by_list, kept)
    await delete_blobs(tx, curator.tenant, [each.item.blob_id for each in work])


async def settle(tx: Tx, curator: Principal, row: CollectionRow, work: Sequence[Work]) -> None:
    """What became of them. Of older ones at their paths that failed, nobody needs the originals any more."""
    items = [each.item.item_id for each in work]
    await tx.run(
        INGEST_SQL.settle_items,
        tenant=curator.tenant,
        items=items,
        states=[each.state for each in work],
        chunks=[each.chunks for each in work],
        codes=[each.code for each in work],
        messages=[each.message for each in work],
    )
    of_collection = {"tenant": curator.tenant, "collection": row.collection_id}
    gone = await tx.fetch_all(INGEST_SQL.forget_failed, **of_collection, items=items)
    await delete_blobs(tx, curator.tenant, [each.blob_id for each in gone])


def _lists(work: Work, patterns: Sequence[PatternReaders]) -> tuple[Readers, Readers]:
    """The list that was given on upload, and the one that is the document's own."""
    before = work.before
    given = given_list(before.given_readers if before and not before.is_gone else None, work.item.readers)
    own = own_list(work.item.path, patterns, given)
    return given, None if own is None else own.readers


async def _put_document(
    tx: Tx, curator: Principal, row: CollectionRow, work: Work, given: Readers, *, is_restricted: bool
) -> Any:  # noqa: ANN401 -- a row of `put_document`
    item, parsed = work.item, work.texts[0].parsed
    return await tx.fetch_one(
        INGEST_SQL.put_document,
        tenant=curator.tenant, document=new_id(), collection=row.collection_id, source=item.source, path=item.path,
        title=parsed.title[:500], media_type=parsed.media_type, content_hash=item.content_hash,
        restricted=is_restricted, given=None if given is None else list(given), by=item.handed_in_by,
        characters=len(parsed.text), blob=item.blob_id, own_metadata=parsed_metadata(parsed.metadata),
        metadata=item.metadata,
    )  # fmt: skip


async def _write_lists(
    tx: Tx,
    curator: Principal,
    row: CollectionRow,
    by_list: dict[Readers, list[UUID]],
    documents: Sequence[tuple[UUID, Work]],
) -> None:
    """Readers, and deny entries: by the collection's patterns, and those given just now where some were."""
    for readers, several in by_list.items():
        await collections.set_readers(tx, curator, several, readers)
    for document, work in documents:
        if (given := work.item.denials) is not None:
            await denials.renew(tx, curator, row.collection_id, row.settings, [document], given=given)
    if others := [document for document, work in documents if work.item.denials is None]:
        await denials.renew(tx, curator, row.collection_id, row.settings, others)


async def _put_sections(tx: Tx, curator: Principal, payloads: Payloads, work: Work) -> None:
    """The documents that the file's sections become; those that it no longer has vanish."""
    document, sections = work.texts[0].document, [text for text in work.texts if text.section is not None]
    assert document is not None  # noqa: S101 -- the file has been written
    if work.before is not None:
        await parts.drop_others(tx, curator, document, [each.section for each in sections if each.section])
    for each in sections:
        assert each.section is not None  # noqa: S101 -- it was chosen by it
        each.document = await parts.put(tx, curator, payloads, document, each.section)
