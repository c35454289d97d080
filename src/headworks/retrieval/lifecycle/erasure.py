"""Removing for good: what vanished long enough ago, a document, or what is of a person. Each leaves a receipt.

A receipt holds ids, hashes and numbers of rows, never text, paths or names, and can't be changed. While a legal hold
stands on a document, its collection or the person, nothing of it is removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from headworks.errors import InvalidRequest, LegalHold, NotFound
from headworks.identity.contract import Person
from headworks.records import erasing
from headworks.records.audit import note_audit
from headworks.retrieval import collections, freshness
from headworks.retrieval.contract import Directory
from headworks.retrieval.indexing import index, merging
from headworks.retrieval.indexing.situating import forget_written
from headworks.retrieval.store import SQL as RETRIEVAL_SQL
from headworks.retrieval.store import CollectionRow, delete_blobs, find_collection, lock_collection
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import TenantId, new_id
from headworks.types.storable import storable

SQL = load("headworks.retrieval.lifecycle", "erasure.sql")

_AT_ONCE = 200
_LONG_S = 300.0
_LONGEST_REASON = 1_000


class Eraser(Protocol):
    """Another room's store of text that quotes documents or is a person's."""

    async def forget_documents(self, tx: Tx, curator: Principal, documents: Sequence[UUID]) -> dict[str, int]:
        """Remove what may quote one of these documents; how many rows, by table."""
        ...

    async def forget_person(self, tx: Tx, curator: Principal, person: UUID) -> dict[str, int]:
        """Remove what is this principal's; how many rows, by table."""
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was removed for good. `subject` is `collection:…`, `document:…` or `person:…`, by id."""

    receipt: UUID
    kind: str
    subject: str
    policy: str
    asked_by: UUID
    at: datetime
    detail: Mapping[str, Any]


@dataclass(slots=True)
class _Removed:
    """What one transaction has removed so far."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    left: int = 0
    """Documents that the person had handed in, and that stay."""

    def as_detail(self) -> dict[str, Any]:
        rows = {table: number for table, number in sorted(self.rows.items()) if number}
        return {"documents": self.documents, "texts": self.texts, "rows": rows, "documents_left": self.left}


class Erasure:
    """Purges, and erases on request. Everything is written as the tenant's curator."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self._db = db
        self._directory = directory
        self._erasers: list[tuple[Eraser, bool]] = []

    def join(self, eraser: Eraser, *, on_request_only: bool = False) -> None:
        """Erase in this room, too: it lies above, and keeps text that quotes documents.

        `on_request_only`: what people have chosen to keep there, a purge leaves to them.
        """
        self._erasers.append((eraser, on_request_only))

    # ── Purging: what vanished or was replaced, after a while ──

    async def purge(
        self, tenant: TenantId, collection: UUID, *, asker: Principal | None = None, keep_s: int | None = None
    ) -> list[Receipt]:
        """Remove some of what has been kept long enough, with receipts; call again until there are none.

        `keep_s` instead of the collection's own time. What a legal hold stands on is left alone.
        """
        curator = await self._directory.curator(tenant)
        of_collection = {"tenant": tenant, "collection": collection}
        async with self._db.tx(curator, statement_timeout_s=_LONG_S) as tx:
            await tx.run(SQL.begin_removing, tenant=tenant)
            await lock_collection(tx, collection)
            row = await find_collection(tx, tenant, collection=collection)
            if row is None:
                return []
            kept_s = freshness.keep_s(row.settings) if keep_s is None else keep_s
            removed = _Removed()
            await self._remove_items(tx, curator, row, removed)
            old = {**of_collection, "keep_s": kept_s, "limit": _AT_ONCE}
            await self._remove_texts(tx, await tx.fetch_all(SQL.list_old_texts, **old), curator, removed)
            gone = await tx.fetch_all(SQL.list_purgeable, **old)
            await self._remove_documents(tx, curator, row, gone, removed)
            if not removed.documents and not removed.texts:
                return []
            policy = f"kept for {kept_s} s after it vanished or was replaced"
            by = curator if asker is None else asker
            return [await _add_receipt(tx, by, "purge", f"collection:{collection}", policy, removed)]

    async def purge_all(self, asker: Principal, collection: str, *, at_once: bool) -> list[Receipt]:
        """The same for a whole collection, until nothing is left to purge."""
        async with self._db.tx(asker) as tx:
            row = await collections.find(tx, asker, collection)
        receipts: list[Receipt] = []
        keep_s = 0 if at_once else None
        while more := await self.purge(asker.tenant, row.collection_id, asker=asker, keep_s=keep_s):
            receipts += more
        if receipts:
            await self.compact(asker.tenant, row.collection_id)
        return receipts

    async def compact(self, tenant: TenantId, collection: UUID) -> int:
        """Take the words of chunks that are gone out of the postings; how many segments were written anew."""
        curator = await self._directory.curator(tenant)
        async with self._db.tx(curator, statement_timeout_s=_LONG_S) as tx:
            await lock_collection(tx, collection)
            return await _drop_dead(tx, curator, await find_collection(tx, tenant, collection=collection))

    async def list_due(self, tenant: TenantId) -> list[UUID]:
        """The collections in which something has been kept for long enough."""
        async with self._db.tx(await self._directory.curator(tenant)) as tx:
            rows = await tx.fetch_all(SQL.list_with_old, tenant=tenant, usual_s=freshness.USUAL_KEEP_S)
        return [row.collection_id for row in rows]

    # ── Erasing on request ──

    async def erase_document(self, asker: Principal, collection: str | None, document: str, reason: str) -> Receipt:
        """Remove a document (by its id, or by its path in a collection) with every version and quote of it, now.

        Raises NotFound; LegalHold; InvalidRequest without a reason.
        """
        policy = _reason(reason)
        curator = await self._directory.curator(asker.tenant)
        wanted = _as_uuid(document)
        async with self._db.tx(curator, statement_timeout_s=_LONG_S) as tx:
            within = None if collection is None else (await collections.find(tx, asker, collection)).collection_id
            if wanted is None and within is None:
                raise InvalidRequest("A path alone is not enough.", next_step="Name its collection.", param="document")
            found = await _take(tx, asker, document=wanted, person=None, collection=within, path=storable(document))
            if not found:
                raise NotFound(
                    f"There is no document `{document[:200]}`.",
                    next_step="Name it by its id, or by its path and its collection.",
                    param="document",
                )
            await _refuse_held(tx, asker, _subjects(found))
            removed = await self._erase(tx, curator, found)
            return await _add_receipt(tx, asker, "erasure", f"document:{found[0].document_id}", policy, removed)

    async def erase_person(
        self, asker: Principal, name: str, reason: str, *, with_documents: bool, labels: Sequence[str] = ()
    ) -> Receipt:
        """Remove what is of a user or service account here; `with_documents` also the documents that it handed in.

        `labels` are what callers named this person by as end user, beside the name itself.
        Raises NotFound; LegalHold; Conflict for a group, oneself or an owner; InvalidRequest without a reason.
        """
        policy = _reason(reason)
        curator = await self._directory.curator(asker.tenant)
        async with self._db.tx(curator, statement_timeout_s=_LONG_S) as tx:
            person: Person = await self._directory.find_person(tx, asker, name)
            found = await _take(tx, asker, document=None, person=person.id, collection=None, path=None)
            held = _subjects(found) if with_documents else []
            await _refuse_held(tx, asker, [person.id, *held])
            removed = await self._erase(tx, curator, found) if with_documents else _Removed()
            removed.rows.update(await erasing.forget_person(tx, curator, person.id, [name, *map(storable, labels)]))
            for eraser, _ in self._erasers:
                removed.rows.update(await eraser.forget_person(tx, curator, person.id))
            removed.rows.update(await self._directory.forget(tx, asker, person))
            removed.left = 0 if with_documents else len(found)
            return await _add_receipt(tx, asker, "erasure", f"person:{person.id}", policy, removed)

    async def receipts(self, asker: Principal, receipt: UUID | None = None, limit: int = 1_000) -> list[Receipt]:
        """Receipts of the tenant, the newest first; or the one."""
        async with self._db.tx(asker) as tx:
            rows = await tx.fetch_all(SQL.list_receipts, tenant=asker.tenant, receipt=receipt, limit=limit)
        return [
            Receipt(row.receipt_id, row.kind, row.subject, row.policy, row.asked_by, row.at, row.detail) for row in rows
        ]

    # ── One transaction's parts ──

    async def _erase(self, tx: Tx, curator: Principal, found: Sequence[Any]) -> _Removed:
        """Documents of any collections, which are locked, with what is queued of them."""
        removed = _Removed()
        for collection in sorted({row.collection_id for row in found}):
            row = await find_collection(tx, curator.tenant, collection=collection)
            assert row is not None  # noqa: S101 -- its documents are there
            of_it = [each for each in found if each.collection_id == collection]
            await self._remove_documents(tx, curator, row, of_it, removed, everything=True)
            await _drop_dead(tx, curator, row)
        return removed

    async def _remove_documents(
        self,
        tx: Tx,
        curator: Principal,
        row: CollectionRow,
        gone: Sequence[Any],
        removed: _Removed,
        *,
        everything: bool = False,
    ) -> None:
        """`everything`: also what is still queued of them."""
        if not gone:
            return
        ids, of_tenant = [each.document_id for each in gone], {"tenant": curator.tenant}
        files = [each for each in gone if not each.part]  # a section that is gone leaves its file
        items = await tx.fetch_all(
            SQL.delete_items_of,
            **of_tenant, collection=row.collection_id, everything=everything,
            sources=[each.source for each in files], paths=[each.path for each in files],
        )  # fmt: skip
        blobs = [each.blob_id for each in (*gone, *items) if each.blob_id is not None]
        counted = await tx.fetch_one(SQL.count_rows, **of_tenant, documents=ids, blobs=blobs)
        removed.rows.update(counted._asdict())
        removed.rows["ingest_item"] += len(items)
        kept = await tx.fetch_all(SQL.list_kept_originals, **of_tenant, documents=ids)
        for rows in await self._forget_quotes(tx, curator, ids, on_request=everything):
            removed.rows.update(rows)
        removed.rows["document"] += await tx.run(SQL.delete_documents, **of_tenant, documents=ids)
        await delete_blobs(tx, curator.tenant, blobs)
        await tx.run(SQL.delete_originals, **of_tenant, blobs=[each.blob_id for each in kept])
        removed.documents += [_of_document(each) for each in gone]
        await collections.touch(tx, curator, row.collection_id)

    async def _forget_quotes(
        self, tx: Tx, curator: Principal, ids: Sequence[UUID], *, on_request: bool
    ) -> list[dict[str, int]]:
        """What quotes these documents elsewhere."""
        rows = [await erasing.forget_documents(tx, curator, ids)]
        joined = [eraser for eraser, on_request_only in self._erasers if on_request or not on_request_only]
        return rows + [await eraser.forget_documents(tx, curator, ids) for eraser in joined]

    async def _remove_texts(self, tx: Tx, old: Sequence[Any], curator: Principal, removed: _Removed) -> None:
        """Texts of versions that were replaced."""
        if not old:
            return
        of_these = {
            "tenant": curator.tenant,
            "documents": [each.document_id for each in old],
            "versions": [each.version for each in old],
        }
        removed.rows["document_text"] += await tx.run(SQL.delete_texts, **of_these)
        if kept := [each.blob_id for each in old if each.blob_id is not None]:
            await tx.run(SQL.give_up_originals, **of_these)
            removed.rows["blob"] += await tx.run(SQL.delete_originals, tenant=curator.tenant, blobs=kept)
        removed.texts += [
            {"document": str(each.document_id), "version": each.version, "content_sha256": each.content_hash}
            for each in old
        ]

    async def _remove_items(self, tx: Tx, curator: Principal, row: CollectionRow, removed: _Removed) -> None:
        """Rows of items that ended a month ago, and the originals of those that failed."""
        of_collection = {"tenant": curator.tenant, "subjects": [row.collection_id]}
        if await tx.fetch_all(SQL.find_holds, **of_collection):
            return
        old = await tx.fetch_all(SQL.delete_old_items, tenant=curator.tenant, collection=row.collection_id)
        await delete_blobs(tx, curator.tenant, [each.blob_id for each in old])
        removed.rows["ingest_item"] += len(old)


async def _take(tx: Tx, asker: Principal, **wanted: object) -> list[Any]:
    """The documents that are to be erased, as they are once nobody else changes them or places a hold."""
    await tx.run(SQL.begin_removing, tenant=asker.tenant)
    found = await tx.fetch_all(SQL.find_erasable, tenant=asker.tenant, **wanted)
    locked = sorted({row.collection_id for row in found})
    for collection in locked:
        await lock_collection(tx, collection)
    rows = await tx.fetch_all(SQL.find_erasable, tenant=asker.tenant, **wanted)
    return [row for row in rows if row.collection_id in locked]


async def _drop_dead(tx: Tx, curator: Principal, row: CollectionRow | None) -> int:
    """In every generation, also in one that is being made."""
    if row is None:
        return 0
    others = await tx.fetch_all(
        RETRIEVAL_SQL.list_other_generations, tenant=curator.tenant, collection=row.collection_id
    )
    generations = [row.generation_id, *(each.generation_id for each in others)]
    await forget_written(tx, curator.tenant, row.collection_id)
    return sum([await merging.drop_dead(tx, index.Place(curator, row.collection_id, each)) for each in generations])


def _of_document(row: Any) -> dict[str, Any]:  # noqa: ANN401 -- a row of `list_purgeable` or `find_erasable`
    return {
        "document": str(row.document_id),
        "version": row.version,
        "content_sha256": row.content_hash,
        "vanished_at": None if row.tombstoned_at is None else row.tombstoned_at.isoformat(),
    }


def _subjects(found: Sequence[Any]) -> list[UUID]:
    """What a legal hold may stand on."""
    return [each for row in found for each in (row.document_id, row.collection_id)]


async def _refuse_held(tx: Tx, asker: Principal, subjects: Sequence[UUID]) -> None:
    for held in await tx.fetch_all(SQL.find_holds, tenant=asker.tenant, subjects=list(subjects)):
        raise LegalHold(
            f"A legal hold stands on the {held.kind}, since {held.placed_at.date().isoformat()} ({held.reason}).",
            next_step=f"Whoever may do so releases it first: headworks hold release {held.hold_id}",
        )


async def _add_receipt(
    tx: Tx,
    asker: Principal,
    kind: str,
    subject: str,
    policy: str,
    removed: _Removed,
) -> Receipt:
    receipt, detail = new_id(), removed.as_detail()
    at = await tx.fetch_value(
        SQL.add_receipt,
        tenant=asker.tenant, receipt=receipt, kind=kind, subject=subject, policy=policy, by=asker.id, detail=detail,
    )  # fmt: skip
    action = "data.purge" if kind == "purge" else "data.erase"
    await note_audit(tx, asker, action, subject, {"receipt": str(receipt), "documents": len(removed.documents)})
    return Receipt(receipt, kind, subject, policy, asker.id, at, detail)


def _reason(reason: str) -> str:
    if not reason.strip() or len(reason) > _LONGEST_REASON:
        raise InvalidRequest(
            f"`reason` is 1 to {_LONGEST_REASON} characters: it stands on the receipt.",
            next_step="Say why, without naming the person, e.g. `GDPR Art. 17 request 2026-041`.",
            param="reason",
        )
    return storable(reason.strip())


def _as_uuid(document: str) -> UUID | None:
    try:
        return UUID(document)
    except ValueError:
        return None
