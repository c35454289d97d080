"""Handing in: what comes from a folder or an upload is stored, acknowledged, and worked on later.

A file is acknowledged when its sealed bytes, its row and the request for work are committed together.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from headworks.errors import BodyTooLarge, Conflict, HeadworksError, InvalidRequest, NotFound
from headworks.jobs.control import JobControl
from headworks.retrieval import collections
from headworks.retrieval.access.readers import AS_COLLECTION, read_patterns, refuse_given
from headworks.retrieval.configured import sweep
from headworks.retrieval.contract import Directory, Failure, Item, ItemState, Progress, Sync, check_path
from headworks.retrieval.freshness import CONFIGURED, validity_of
from headworks.retrieval.ingestion import parts
from headworks.retrieval.metadata import given_metadata
from headworks.retrieval.queueing import Queue, lane_of
from headworks.retrieval.store import INGEST_SQL, CollectionRow, lock_collection
from headworks.storage.blobs import Blobs
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, new_id
from headworks.types.storable import storable

UPLOAD = "upload"
_LONGEST_KEY = 200
_SHORT_BYTES = 64 << 10
"""Of what is no longer, a digest is made sooner than a thread is found for it."""
LIKE_COLLECTION = "*"
"""Instead of names of readers: take the document's own list away."""


@dataclass(frozen=True, slots=True)
class SyncRow:
    """A row of `find_sync`."""

    sync_id: UUID
    collection_id: UUID
    source: str
    collection: str
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class HandedIn:
    """One file as it comes. `readers` None: none are named; empty: nobody may read it.

    `metadata` is any JSON object of a caller, which `hand_in` checks; None: nothing is said. `idempotency_key`: the
    same one again is the same hand-in, for 30 days; empty: each is another.
    """

    path: str
    data: bytes
    media_type: str = ""
    readers: Sequence[str] | None = None
    sync: str | None = None
    source: str = UPLOAD
    metadata: Mapping[str, Any] | None = None
    denied: Sequence[str] | None = None
    """Whom it is closed to, whatever list admits them. None: as it was; empty: nobody by this upload."""
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class ItemBefore:
    """A row of `find_item`."""

    path: str
    said: str
    state: ItemState


@dataclass(frozen=True, slots=True)
class NewItem:
    """A file that has been looked at: its path is good, its readers are ids, its metadata is as it is stored."""

    item: UUID
    sync: UUID | None
    source: str
    path: str
    data: bytes
    content_hash: str
    readers: Sequence[PrincipalId] | None
    media_type: str
    metadata: Mapping[str, Any] | None = None
    denied: Sequence[PrincipalId] | None = None
    said: str = ""
    """A digest of all of it, where it came with an idempotency key."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """A file as it came, of which nothing is wrong by itself: names are ids, metadata is as it is stored."""

    file: HandedIn
    path: str
    digest: str
    metadata: Mapping[str, Any] | None
    readers: list[PrincipalId] | None
    denied: list[PrincipalId] | None


class Ingestion:
    """What a caller with `collection:write` does; whether it may read the collection is another matter."""

    def __init__(
        self, db: Database, keyring: Keyring, directory: Directory, queue: Queue, *, max_file_bytes: int
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._blobs = Blobs(keyring)
        self._directory = directory
        self._queue = queue
        self._control = JobControl(db)
        self.max_file_bytes = max_file_bytes

    async def begin_sync(self, principal: Principal, collection: str, source: str) -> Sync:
        """A pass over a source; `known` is what the caller may read of it or handed in itself.

        What the caller neither may read nor brought is not told, and is simply handed in again.
        """
        _check_source(source)
        sync = new_id()
        curator = await self._directory.curator(principal.tenant)
        async with self._db.tx(principal) as tx:
            row = await collections.find(tx, principal, collection)
            of_source = {"tenant": principal.tenant, "collection": row.collection_id, "source": source}
            await tx.run(INGEST_SQL.add_sync, **of_source, sync=sync, by=principal.id)
            readable = await tx.fetch_all(INGEST_SQL.list_known, **of_source, by=None)
            waiting = await tx.fetch_all(INGEST_SQL.list_waiting, **of_source)
        async with self._db.tx(curator) as tx:
            brought = await tx.fetch_all(INGEST_SQL.list_known, **of_source, by=principal.id)
        known = {each.path: each.content_hash for each in (*readable, *brought, *waiting)}
        return Sync(str(sync), row.name, source, known)

    async def hand_in(self, principal: Principal, collection: str, file: HandedIn) -> Item:
        """Store a file for work: when this returns, it is not lost.

        Raises BodyTooLarge; InvalidRequest for a bad path or readers; NotFound; Unavailable when nothing was stored.
        """
        (found,) = await self.hand_in_several(principal, collection, [file])
        if isinstance(found, HeadworksError):
            raise found
        return found

    async def hand_in_several(
        self, principal: Principal, collection: str, files: Sequence[HandedIn]
    ) -> list[Item | HeadworksError]:
        """As `hand_in`, in one transaction: each file is taken, or instead of it stands what `hand_in` would raise."""
        looked = [await self._look(principal, each) for each in files]
        if all(isinstance(each, HeadworksError) for each in looked):
            return [each for each in looked if isinstance(each, HeadworksError)]
        try:
            await self._keyring.ensure(self._db, principal.tenant)
            async with self._db.tx(principal) as tx:
                return await self._take_all(tx, principal, collection, looked)
        except HeadworksError as error:
            return [each if isinstance(each, HeadworksError) else error for each in looked]

    async def _look(self, principal: Principal, file: HandedIn) -> _Looked | HeadworksError:
        """What can be said of a file before anything is stored."""
        try:
            path = check_path(file.path)
            _check_source(file.source)
            if len(file.data) > self.max_file_bytes:
                raise too_large(self.max_file_bytes)
            metadata = None if file.metadata is None else given_metadata(file.metadata)
            validity_of(metadata or {})
            readers = await self._readers(principal, file.readers)
            denied = None if file.denied is None else await self._named(principal, file.denied, "deny")
        except HeadworksError as error:
            return error
        is_short = len(file.data) <= _SHORT_BYTES
        digest = _sha256(file.data) if is_short else await asyncio.to_thread(_sha256, file.data)
        return _Looked(file, path, digest, metadata, readers, denied)

    async def _take_all(
        self, tx: Tx, principal: Principal, collection: str, looked: Sequence[_Looked | HeadworksError]
    ) -> list[Item | HeadworksError]:
        row = await collections.find(tx, principal, collection)
        wave = await self._join_wave(tx, principal, row)
        syncs: dict[str, SyncRow] = {}
        taken: list[Item | HeadworksError] = []
        is_any = False
        for each in looked:
            if isinstance(each, HeadworksError):
                taken.append(each)
                continue
            if (sync := each.file.sync) is not None and sync not in syncs:
                syncs[sync] = await self._find_sync(tx, principal, collection, sync)
            try:
                new = await self._new_item(tx, principal, row, each, None if sync is None else syncs[sync])
            except (Conflict, InvalidRequest) as error:
                taken.append(error)
                continue
            if isinstance(new, Item):
                taken.append(new)
                continue
            await self._store(tx, principal, row, new)
            taken.append(Item(str(new.item), new.path, "queued", len(new.data)))
            is_any = True
        if is_any:
            await self._queue.ingest(tx, principal.tenant, row.collection_id, wave)
        return taken

    async def _new_item(
        self, tx: Tx, principal: Principal, row: CollectionRow, looked: _Looked, sync: SyncRow | None
    ) -> NewItem | Item:
        """What is to be stored; or what was, with the same idempotency key."""
        file, path, readers = looked.file, looked.path, looked.readers
        if readers is not None and readers != [AS_COLLECTION]:
            refuse_given(path, read_patterns(row.settings))
        source = sync.source if sync else file.source
        item, said = _item_id(principal, row, file.idempotency_key), ""
        if file.idempotency_key:
            said = _said(path, looked.digest, source, readers, looked.denied, looked.metadata)
            if (before := await self._handed_in_before(tx, principal, item)) is not None:
                if before.said != said:
                    raise Conflict(
                        "Something else was handed in with this idempotency key.",
                        next_step="Each file, and each new content, reader or metadata of it, needs a key of its own.",
                    )
                return Item(str(item), path, before.state, len(file.data))
        return NewItem(
            item, sync.sync_id if sync else None, source, path, file.data, looked.digest, readers, file.media_type,
            looked.metadata, looked.denied, said,
        )  # fmt: skip

    async def check(self, principal: Principal, collection: str) -> None:
        """Raises NotFound, with near names, for a collection that is not there."""
        async with self._db.tx(principal) as tx:
            await collections.find(tx, principal, collection)

    async def _handed_in_before(self, tx: Tx, principal: Principal, item: UUID) -> ItemBefore | None:
        """What was handed in with the same idempotency key. Two at once wait for each other."""
        await tx.run(INGEST_SQL.lock_key, item=item)
        return await tx.fetch_one(INGEST_SQL.find_item, into=ItemBefore, tenant=principal.tenant, item=item)

    async def put(self, tx: Tx, principal: Principal, row: CollectionRow, new: NewItem) -> None:
        """Store a file and ask for work on it, both when the transaction commits. The keyring must know the tenant."""
        wave = await self._join_wave(tx, principal, row)
        await self._store(tx, principal, row, new)
        await self._queue.ingest(tx, principal.tenant, row.collection_id, wave)

    async def _join_wave(self, tx: Tx, principal: Principal, row: CollectionRow) -> int:
        wave: int = await tx.fetch_value(INGEST_SQL.join_wave, tenant=principal.tenant, collection=row.collection_id)
        return wave

    async def _store(self, tx: Tx, principal: Principal, row: CollectionRow, new: NewItem) -> None:
        blob = new_id()
        await self._blobs.put(tx, principal.tenant, blob, new.data)
        await tx.run(
            INGEST_SQL.add_item,
            tenant=principal.tenant, item=new.item, sync=new.sync, collection=row.collection_id, source=new.source,
            path=new.path, media_type=storable(new.media_type[:200]), bytes=len(new.data), blob=blob,
            content_hash=new.content_hash, readers=None if new.readers is None else list(new.readers), by=principal.id,
            metadata=new.metadata, denials=None if new.denied is None else list(new.denied), said=new.said,
        )  # fmt: skip

    async def finish_sync(self, principal: Principal, collection: str, sync: str, seen: Collection[str]) -> Progress:
        """Everything of this source that was not seen vanishes at once, and for good a little later."""
        curator = await self._directory.curator(principal.tenant)
        async with self._db.tx(principal) as tx:
            row = await self._find_sync(tx, principal, collection, sync)
        paths = [check_path(path) for path in seen]
        of_source = {"tenant": principal.tenant, "collection": row.collection_id, "source": row.source, "seen": paths}
        async with self._db.tx(curator) as tx:
            await lock_collection(tx, row.collection_id)
            if await sweep(tx, principal.tenant, of_source):
                await collections.touch(tx, curator, row.collection_id)
                await self._queue.tidy(tx, principal.tenant, row.collection_id)
            await tx.run(INGEST_SQL.finish_sync, tenant=principal.tenant, sync=row.sync_id)
        return await self.progress(principal, collection, sync)

    async def progress(self, principal: Principal, collection: str, sync: str | None = None) -> Progress:
        """How far the caller's own files are: of a sync it began, else of all that it handed in to the collection.

        To a finished sync belongs also what still waits of an earlier one of its source, which was not sent again.
        `documents` and `chunks` are those that came of these files; of a finished sync, all that its source has.
        """
        async with self._db.tx(principal) as tx:
            begun = None if sync is None else await self._find_sync(tx, principal, collection, sync)
            row = await collections.find(tx, principal, collection)
            of_items = {
                "tenant": principal.tenant, "collection": row.collection_id, "sync": begun.sync_id if begun else None,
            }  # fmt: skip
            whole = begun.source if begun is not None and begun.finished_at is not None else None
            counts = await tx.fetch_one(INGEST_SQL.count_items, **of_items, whole=whole)
            failures = await tx.fetch_all(INGEST_SQL.list_failures, **of_items)
        here = (counts.documents, counts.chunks)
        if counts.done == counts.total and begun is not None and begun.finished_at is not None:
            here = await self._of_source(principal, row, begun.source)
        failed = tuple(Failure(each.path, each.error_code, each.error_message) for each in failures)
        is_paused = counts.done < counts.total and await self._is_paused(principal, row)
        return Progress(counts.total, counts.done, *here, failed, await self._notice(row, principal), is_paused)

    async def _is_paused(self, principal: Principal, row: CollectionRow) -> bool:
        return lane_of(row.collection_id) in await self._control.paused_lanes(principal)

    async def _notice(self, row: CollectionRow, principal: Principal) -> str:
        idle = ""
        if row.settings.get("sections"):
            async with self._db.tx(await self._directory.curator(principal.tenant)) as tx:
                of_collection = {"tenant": principal.tenant, "collection": row.collection_id}
                used = [each.cut_by for each in await tx.fetch_all(parts.SQL.list_used, **of_collection)]
            idle = parts.unused(row.settings, used)
        return " ".join(each for each in (_lacking(row), _bare(row), idle) if each)

    async def _of_source(self, principal: Principal, row: CollectionRow, source: str) -> tuple[int, int]:
        """Documents and chunks of a source: those that the caller brought, or those it may read, if they are more."""
        curator = await self._directory.curator(principal.tenant)
        counted: list[tuple[int, int]] = []
        for asker, by in ((principal, None), (curator, principal.id)):
            async with self._db.tx(asker) as tx:
                found = await tx.fetch_one(
                    INGEST_SQL.count_documents,
                    tenant=principal.tenant, collection=row.collection_id, generation=row.generation_id,
                    source=source, by=by,
                )  # fmt: skip
            counted.append((found.documents, found.chunks))
        return max(counted)

    async def _readers(self, principal: Principal, names: Sequence[str] | None) -> list[PrincipalId] | None:
        if names is None:
            return None
        if list(names) == [LIKE_COLLECTION]:
            return [AS_COLLECTION]
        return await self._named(principal, names, "readers")

    async def _named(self, principal: Principal, names: Sequence[str], param: str) -> list[PrincipalId]:
        try:
            return sorted((await self._directory.principals_named(principal, names)).values())
        except NotFound as error:
            raise InvalidRequest(error.message, next_step=error.next_step, param=param) from None

    async def _find_sync(self, tx: Tx, principal: Principal, collection: str, sync: str) -> SyncRow:
        try:
            wanted = UUID(sync)
        except ValueError:
            wanted = UUID(int=0)
        row = await tx.fetch_one(INGEST_SQL.find_sync, into=SyncRow, tenant=principal.tenant, sync=wanted)
        if row is None or row.collection != collection:
            raise NotFound(
                "There is no such sync of yours of this collection.", next_step="Begin one first.", param="sync"
            )
        return row


def _bare(row: CollectionRow) -> str:
    if not row.bare_chunks:
        return ""
    return (
        f"{row.bare_chunks} chunks were indexed without what {row.chunking.get('context')} was to write about them: "
        "it did not answer."
    )


def _lacking(row: CollectionRow) -> str:
    if not row.lacks_vectors:
        return ""
    if row.trouble:
        return f"Some documents are found by keywords only, it is tried again later: {row.trouble}"
    return (
        f"Some documents are found by keywords only: their vectors are made when the model {row.model} is there "
        "(`headworks models install` for a built-in one)."
    )


def _item_id(principal: Principal, row: CollectionRow, key: str) -> UUID:
    """A new id; or the one that this principal's idempotency key stands for in this collection."""
    if len(key) > _LONGEST_KEY:
        raise InvalidRequest(f"An idempotency key has at most {_LONGEST_KEY} characters.", param="idempotency_key")
    return uuid5(principal.id, f"{row.collection_id} {key}") if key else new_id()


def _said(*what: object) -> str:
    """What was handed in, and for whom: the same key stands for nothing else."""
    return _sha256(orjson.dumps(what, option=orjson.OPT_SORT_KEYS))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def too_large(limit: int) -> BodyTooLarge:
    """The error for a file over the limit."""
    return BodyTooLarge(
        f"The file is larger than {limit // (1 << 20)} MB.",
        next_step="Split it, or raise `max_file_mb` in [retrieval] of headworks.toml.",
        param="body",
    )


def _check_source(source: str) -> None:
    if source.startswith(CONFIGURED):
        raise InvalidRequest(
            f"`{source[:80]}` is a source of the collection's file, which only its own syncs bring documents from.",
            next_step="Give your own source another name, e.g. `folder:handbook`.",
            param="source",
        )
    if not source or len(source) > 300 or not source.isprintable():
        raise InvalidRequest("`source` is 1 to 300 printable characters, e.g. `folder:handbook`.", param="source")
