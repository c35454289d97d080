"""How a collection is: what waits, what failed, what can't be opened, what is stale, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from headworks.errors import SealBroken
from headworks.jobs.control import JobControl, RunView
from headworks.retrieval import collections, freshness
from headworks.retrieval.contract import Directory
from headworks.retrieval.lifecycle.failures import SQL
from headworks.retrieval.queueing import lane_of, lane_of_source
from headworks.retrieval.store import INGEST_SQL, CollectionRow, Payloads
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.wording import counted

_OPENED = 200
"""Texts that are opened to see whether they can be: others each day."""
_LONG_LAG_S = 3_600.0
_LONG_STEP_S = 900.0
"""No step of a run takes so long: one that does is tried again and again, or hangs."""
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
        self._control = JobControl(db)

    async def health(self, asker: Principal, collection: str) -> Health:
        """Raises NotFound."""
        curator = await self._directory.curator(asker.tenant)
        await self._keyring.ensure(self._db, asker.tenant)
        runs = await self._control.listed(asker)
        paused = await self._control.paused_lanes(asker)
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
        whole = lane_of(row.collection_id)
        lanes = {whole: row.name}
        lanes |= {lane_of_source(each.source_id): f"{row.name}/{_source(each).source}" for each in sources}
        own = [each for each in runs if each.lane in lanes]
        problems = (
            *_of_items(found),
            *_of_pauses([name for lane, name in lanes.items() if lane in paused], found),
            *_of_work(own, queue.now),
            *_of_index(found, documents),
            *(() if whole in paused else _of_vectors(found, row, own)),
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
            "lag", f"{counted(found.queued, 'file waits', 'files wait')}, the oldest for "
            f"{timedelta(seconds=round(found.lag_s))}.",
            "See what durable work does: headworks jobs list", needs_action=True,
        )  # fmt: skip
    if found.failed:
        codes = ", ".join(f"{number:,} {code}" for code, number in found.failed.items())
        yield Problem(
            "failed", f"Files that could not be taken: {codes}.",
            f"headworks documents failed {found.collection}; then headworks documents retry {found.collection}",
            needs_action=True,
        )  # fmt: skip


def _of_pauses(lanes: list[str], found: Health) -> Iterator[Problem]:
    """Lanes, as people name them, in which nothing is done until somebody says so."""
    for each in lanes:
        waiting = ""
        if each == found.collection and found.queued:
            waiting = f" {counted(found.queued, 'file waits', 'files wait')}."
        yield Problem(
            "paused", f"Work on `{each}` is paused.{waiting}", f"Let it go on: headworks jobs resume {each}",
            needs_action=True,
        )  # fmt: skip


def _of_work(runs: list[RunView], now: datetime) -> Iterator[Problem]:
    """Runs of the collection and its sources that gave up, or that don't come further than one step."""
    for each in runs:
        since = max(each.moved_at, each.stepped_at or each.moved_at)
        if each.state in {"failed", "dead"}:
            yield Problem(
                "work_failed", f"Durable work failed on {_day(each.moved_at)}: {each.run}.",
                f"The server's log says why; then headworks jobs retry {each.run}", needs_action=True,
            )  # fmt: skip
        elif each.state == "running" and (now - since).total_seconds() > _LONG_STEP_S:
            yield Problem(
                "work_stuck", f"Durable work has been at one step since {_day(since)}: {each.run}. It fails again and "
                "again, or hangs.", f"The server's log says why; headworks jobs show {each.run}", needs_action=True,
            )  # fmt: skip


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _of_vectors(found: Health, row: CollectionRow, runs: list[RunView]) -> Iterator[Problem]:
    """Chunks without a vector: being made while somebody works on it, else missing."""
    if not found.missing_vectors:
        return
    if found.queued or any(each.state in {"queued", "running"} for each in runs):
        yield Problem(
            "vectors_being_made", f"Vectors are being made: {found.chunks - found.missing_vectors:,} of "
            f"{counted(found.chunks, 'chunk has its own', 'chunks have theirs')}. The others are found by keywords "
            "meanwhile.", "Nothing is to be done: headworks jobs list shows how far it is.", needs_action=False,
        )  # fmt: skip
        return
    yield Problem(
        "missing_vectors",
        f"{counted(found.missing_vectors, 'chunk is', 'chunks are')} found by keywords only: no vector was made.",
        f"Is the model {row.model} there? headworks models install, or see headworks jobs list", needs_action=True,
    )  # fmt: skip


def _of_index(found: Health, documents: Any) -> Iterator[Problem]:  # noqa: ANN401 -- a row of counts
    if found.unreadable:
        yield Problem(
            "unreadable", f"{found.unreadable} of {found.opened} texts that were tried do not open: their key is gone "
            "or they were changed.", "Restore the master key and the table data_key that belong to this database.",
            needs_action=True,
        )  # fmt: skip
    if documents.without_text:
        yield Problem(
            "without_text", f"{counted(documents.without_text, 'document has', 'documents have')} no stored text.",
            "Hand them in again, or sync their source.", needs_action=True,
        )  # fmt: skip
    if documents.without_chunks:
        yield Problem(
            "without_chunks", f"{counted(documents.without_chunks, 'document is', 'documents are')} in no index.",
            "They are taken up when the server starts anew; headworks jobs list shows what failed.", needs_action=True,
        )  # fmt: skip
    if found.orphaned_blobs:
        yield Problem(
            "orphaned", f"{counted(found.orphaned_blobs, 'original', 'originals')} of this tenant without a document.",
            "That only takes room. Please report it: it should not happen.", needs_action=False,
        )  # fmt: skip
    if found.dead_postings > max(_FEWEST_DEAD, _DEAD_SHARE * found.chunks):
        yield Problem(
            "dead_postings",
            f"The keyword index has {counted(found.dead_postings, 'entry', 'entries')} of chunks that are gone.",
            f"headworks documents purge {found.collection}", needs_action=False,
        )  # fmt: skip
    if documents.purgeable:
        yield Problem(
            "purgeable", f"{counted(documents.purgeable, 'document')} vanished long enough ago to be purged, and not "
            "purged yet: the hourly purge comes, or a legal hold stands.",
            "headworks hold list", needs_action=False,
        )  # fmt: skip


def _of_time(found: Health) -> Iterator[Problem]:
    if found.review_due:
        due = counted(found.review_due, "document is", "documents are")
        yield Problem(
            "review_due", f"{due} past the date of review: answers that cite them say so.",
            "Let their owners look at them, and hand them in with a new `review_at`.", needs_action=True,
        )  # fmt: skip
    if found.stale:
        stale = counted(found.stale, "document was", "documents were")
        yield Problem(
            "stale", f"{stale} not confirmed for longer than `stale_after`: answers that cite them say so.",
            f"Sync their source: headworks ingest {found.collection}", needs_action=True,
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
                "stale_permissions", f"What comes from `{name}` is hidden from everybody since "
                f"{each.readable_until.date().isoformat()}: its readers were told too long ago, or before the "
                "collection's file named others for them.", "Sync it: headworks ingest COLLECTION", needs_action=True,
            )  # fmt: skip
        if each.due_at is not None and (now - each.due_at).total_seconds() > _OVERDUE_S:
            yield Problem(
                "overdue", f"The sync of `{name}` was due on {each.due_at.isoformat(timespec='minutes')}.",
                "Is durable work paused or failing? headworks jobs list", needs_action=True,
            )  # fmt: skip
