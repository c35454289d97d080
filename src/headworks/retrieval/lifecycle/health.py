"""How a collection is: what waits, what failed, what can't be opened, what is stale, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from headworks.errors import SealBroken
from headworks.retrieval import collections, freshness
from headworks.retrieval.contract import Directory
from headworks.retrieval.lifecycle.failures import SQL
from headworks.retrieval.store import INGEST_SQL, CollectionRow, Payloads
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal

_OPENED = 200
"""Texts that are opened to see whether they can be: others each day."""
_LONG_LAG_S = 3_600.0
_OVERDUE_S = 3_600.0
_DEAD_SHARE = 0.5
_FEWEST_DEAD = 1_000


@dataclass(frozen=True, slots=True)
class Problem:
    """`needs_action`: somebody has to do something; else it is only worth knowing."""

    code: str
    message: str
    next_step: str
    needs_action: bool


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """A source's last sync that went through, and when the next one begins by itself."""

    source: str
    state: str
    synced_at: datetime | None
    due_at: datetime | None
    hidden_from: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """`lag_s` is the age of the oldest file that waits. Counts are of all documents, whoever may read them."""

    collection: str
    documents: int
    chunks: int
    queued: int
    lag_s: float
    failed: dict[str, int]
    missing_vectors: int
    orphaned_blobs: int
    dead_postings: int
    segments: int
    vanished: int
    stale: int
    review_due: int
    not_yet_valid: int
    expired: int
    opened: int
    unreadable: int
    sources: tuple[SourceHealth, ...]
    problems: tuple[Problem, ...]

    @property
    def needs_action(self) -> bool:
        """Whether somebody has to do something."""
        return any(each.needs_action for each in self.problems)


class Checkup:
    """For who may write to a collection: numbers only, no document is named."""

    def __init__(self, db: Database, keyring: Keyring, directory: Directory) -> None:
        self._db = db
        self._keyring = keyring
        self._directory = directory

    async def health(self, asker: Principal, collection: str) -> Health:
        """Raises NotFound."""
        curator = await self._directory.curator(asker.tenant)
        await self._keyring.ensure(self._db, asker.tenant)
        async with self._db.tx(curator, statement_timeout_s=120) as tx:
            row = await collections.find(tx, asker, collection)
            keys = {"tenant": asker.tenant, "collection": row.collection_id}
            of_index = {**keys, "generation": row.generation_id}
            queue = await tx.fetch_one(SQL.count_queue, **keys)
            failed = {each.code: each.number for each in await tx.fetch_all(SQL.count_failed, **keys)}
            documents = await tx.fetch_one(SQL.count_documents, **of_index, keep_s=freshness.keep_s(row.settings))
            indexed = await tx.fetch_one(SQL.count_index, **of_index)
            missing = await _count_missing(tx, of_index)
            orphaned = await tx.fetch_value(SQL.count_orphaned_blobs, tenant=asker.tenant)
            stale = await self._stale(tx, keys, row)
            texts = await tx.fetch_all(SQL.list_some_texts, **keys, limit=_OPENED)
            sources = await tx.fetch_all(SQL.list_sources, **keys)
        unreadable = sum(not self._opens(asker, each) for each in texts)
        dead = max(indexed.in_segments - indexed.chunks, 0)
        found = Health(
            collection=row.name, documents=documents.documents, chunks=indexed.chunks, queued=queue.queued,
            lag_s=0.0 if queue.oldest_at is None else (queue.now - queue.oldest_at).total_seconds(), failed=failed,
            missing_vectors=missing, orphaned_blobs=orphaned, dead_postings=dead, segments=indexed.segments,
            vanished=documents.vanished, stale=stale, review_due=documents.review_due,
            not_yet_valid=documents.not_yet_valid, expired=documents.expired, opened=len(texts), unreadable=unreadable,
            sources=tuple(_source(each) for each in sources), problems=(),
        )  # fmt: skip
        problems = (
            *_of_items(found),
            *_of_index(found, documents, row),
            *_of_time(found),
            *_of_sources(sources, queue.now),
        )
        return _with(found, problems)

    async def _stale(self, tx: Tx, keys: dict[str, Any], row: CollectionRow) -> int:
        """Documents that nobody has confirmed for longer than their source's `stale_after`."""
        number = 0
        for each in await tx.fetch_all(SQL.list_document_sources, **keys):
            after_s = freshness.stale_after_s(row.settings, each.source)
            if after_s is not None:
                counted = await tx.fetch_one(SQL.count_by_source, **keys, source=each.source, stale_s=after_s)
                number += counted.stale if counted is not None else 0
        return number

    def _opens(self, asker: Principal, row: Any) -> bool:  # noqa: ANN401 -- a row of `list_some_texts`
        try:
            Payloads(self._keyring, asker.tenant).open_text(row.document_id, row.version, row.content)
        except SealBroken:
            return False
        return True


async def _count_missing(tx: Tx, of_index: dict[str, Any]) -> int:
    counted: int = await tx.fetch_value(
        INGEST_SQL.count_without_vector, tenant=of_index["tenant"], generation=of_index["generation"]
    )
    return counted


def _source(row: Any) -> SourceHealth:  # noqa: ANN401 -- a row of `list_sources`
    hidden = row.readable_until if row.carries_permissions else None
    name = row.name.removeprefix(freshness.CONFIGURED)
    return SourceHealth(name, row.phase, row.synced_at, row.due_at, hidden)


def _with(found: Health, problems: tuple[Problem, ...]) -> Health:
    return replace(found, problems=tuple(sorted(problems, key=lambda each: not each.needs_action)))


# ── What of it is a problem ──


def _of_items(found: Health) -> Iterator[Problem]:
    if found.lag_s > _LONG_LAG_S:
        yield Problem(
            "lag", f"{found.queued:,} files wait, the oldest for {timedelta(seconds=round(found.lag_s))}.",
            "See what durable work does: headworks jobs list", needs_action=True,
        )  # fmt: skip
    if found.failed:
        codes = ", ".join(f"{number:,} {code}" for code, number in found.failed.items())
        yield Problem(
            "failed", f"Files that could not be taken: {codes}.",
            f"headworks documents failed {found.collection}; then headworks documents retry {found.collection}",
            needs_action=True,
        )  # fmt: skip


def _of_index(found: Health, documents: Any, row: CollectionRow) -> Iterator[Problem]:  # noqa: ANN401 -- a row of counts
    if found.unreadable:
        yield Problem(
            "unreadable", f"{found.unreadable} of {found.opened} texts that were tried do not open: their key is gone "
            "or they were changed.", "Restore the master key and the table data_key that belong to this database.",
            needs_action=True,
        )  # fmt: skip
    if documents.without_text:
        yield Problem(
            "without_text", f"{documents.without_text:,} documents have no stored text.",
            "Hand them in again, or sync their source.", needs_action=True,
        )  # fmt: skip
    if documents.without_chunks:
        yield Problem(
            "without_chunks", f"{documents.without_chunks:,} documents are in no index.",
            "They are taken up when the server starts anew; headworks jobs list shows what failed.", needs_action=True,
        )  # fmt: skip
    if found.missing_vectors:
        yield Problem(
            "missing_vectors", f"{found.missing_vectors:,} chunks are found by keywords only: they have no vector.",
            f"Is the model {row.model} there? headworks models install, or see headworks jobs list",
            needs_action=not found.queued,
        )  # fmt: skip
    if found.orphaned_blobs:
        yield Problem(
            "orphaned", f"{found.orphaned_blobs:,} originals of this tenant belong to no document.",
            "They only take room. Please report it: it should not happen.", needs_action=False,
        )  # fmt: skip
    if found.dead_postings > max(_FEWEST_DEAD, _DEAD_SHARE * found.chunks):
        yield Problem(
            "dead_postings", f"{found.dead_postings:,} entries of the keyword index are of chunks that are gone.",
            f"headworks documents purge {found.collection}", needs_action=False,
        )  # fmt: skip
    if documents.purgeable:
        yield Problem(
            "purgeable", f"{documents.purgeable:,} documents vanished long enough ago to be purged, and are still "
            "here: the hourly purge has not come to them, or a legal hold stands on them.",
            "headworks hold list", needs_action=False,
        )  # fmt: skip


def _of_time(found: Health) -> Iterator[Problem]:
    if found.review_due:
        yield Problem(
            "review_due", f"{found.review_due:,} documents are past their review date: answers that cite them say so.",
            "Let their owners look at them, and hand them in with a new `review_at`.", needs_action=True,
        )  # fmt: skip
    if found.stale:
        yield Problem(
            "stale", f"{found.stale:,} documents were not confirmed for longer than `stale_after`: answers that cite "
            "them say so.", f"Sync their source: headworks ingest {found.collection}", needs_action=True,
        )  # fmt: skip


def _of_sources(sources: list[Any], now: datetime) -> Iterator[Problem]:
    for each in sources:
        name = each.name.removeprefix(freshness.CONFIGURED)
        if each.phase == "failed":
            yield Problem(
                "sync_failed", f"The last sync of `{name}` failed: {each.error_message}",
                "Mend what it says, then sync it again with headworks ingest.", needs_action=True,
            )  # fmt: skip
        elif each.error_code:
            yield Problem(
                "sync_waits", f"The sync of `{name}` waits: {each.error_message}", "It is tried again by itself.",
                needs_action=False,
            )  # fmt: skip
        if each.carries_permissions and each.readable_until is not None and each.readable_until <= now:
            yield Problem(
                "stale_permissions", f"What comes from `{name}` is hidden from everybody: it has not told its readers "
                f"since long before {each.readable_until.date().isoformat()}.", "Sync it: headworks ingest COLLECTION",
                needs_action=True,
            )  # fmt: skip
        if each.due_at is not None and (now - each.due_at).total_seconds() > _OVERDUE_S:
            yield Problem(
                "overdue", f"The sync of `{name}` was due on {each.due_at.isoformat(timespec='minutes')}.",
                "Is durable work paused or failing? headworks jobs list", needs_action=True,
            )  # fmt: skip
