"""How fresh documents are: what they were, while what time they are valid, and when they are looked at again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from headworks.errors import InvalidRequest
from headworks.retrieval.metadata import DAY_US
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import TenantId, new_id
from headworks.types.schedules import Schedule, parse_schedule

SQL = load("headworks.retrieval", "freshness.sql")

USUAL_KEEP_S = 30 * 86_400
"""How long what vanished or was replaced is kept before it is purged, where the collection's file does not say."""
VALIDITY = ("valid_from", "valid_to", "review_at")
"""What metadata says of a document's time: dates. A `valid_to` without a time is valid that whole day."""
CONFIGURED = "source:"
"""What the names of sources begin with that a collection's file configures."""
_JITTER = 0.1
_MOST_JITTER_S = 600.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SyncQueue(Protocol):
    """What is asked of queueing.Queue."""

    async def recrawl(self, tx: Tx, tenant: TenantId, source: UUID, due_at: datetime, delay_s: float) -> None:
        """Ask for a sync by itself, at that time."""
        ...


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until before when a document may be read, and when somebody is to look at it again; None: no limit."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None
    review_at: datetime | None = None


def validity_of(metadata: Mapping[str, Any]) -> Validity:
    """What stored metadata says of a document's time. Raises InvalidRequest for what is no date, or ends too early."""
    moments: dict[str, datetime] = {}
    for key in VALIDITY:
        if (value := metadata.get(key)) is None:
            continue
        if not isinstance(value, dict):
            raise InvalidRequest(f"`{key}` is not a date like 2026-12-31 or 2026-12-31T08:00:00Z.", param="metadata")
        is_day = len(value["as"]) == len("2026-01-31")
        at_us = value["at"] + (DAY_US if is_day and key == "valid_to" else 0)
        try:
            moments[key] = _EPOCH + timedelta(microseconds=at_us)
        except OverflowError:
            raise InvalidRequest(f"`{key}` is too far away.", param="metadata") from None
    found = Validity(**moments)
    if found.valid_from and found.valid_to and found.valid_to <= found.valid_from:
        raise InvalidRequest("`valid_to` lies before `valid_from`: nobody could ever read it.", param="metadata")
    return found


async def confirm(tx: Tx, curator: Principal, document: UUID) -> None:
    """A document has been handed in again as it was; its time is what its metadata says now."""
    metadata = await tx.fetch_value(SQL.confirm_document, tenant=curator.tenant, document=document)
    await put_validity(tx, curator, document, metadata or {})


async def put_validity(tx: Tx, curator: Principal, document: UUID, metadata: Mapping[str, Any]) -> None:
    """Let the time of a document without one be what its metadata says; nobody reads one that contradicts itself."""
    if not any(key in metadata for key in VALIDITY):
        return
    try:
        found = validity_of(metadata)
    except InvalidRequest:  # what was said on upload and what the file says now contradict each other
        found = Validity(valid_to=_EPOCH)
    await tx.run(
        SQL.set_validity,
        tenant=curator.tenant, document=document, valid_from=found.valid_from, valid_to=found.valid_to,
        review_at=found.review_at,
    )  # fmt: skip


async def note_versions(tx: Tx, curator: Principal, versions: Mapping[UUID, int]) -> None:
    """Documents have new versions: who brought them, when, and their hashes stay known; the texts before, too."""
    numbers = list(versions.values())
    await tx.run(SQL.add_versions, tenant=curator.tenant, documents=list(versions), versions=numbers)


# ── What the collection's file says ──


def keep_s(settings: Mapping[str, Any]) -> int:
    """How long what vanished or was replaced is kept, in seconds."""
    kept: int = settings.get("freshness", {}).get("keep_s", USUAL_KEEP_S)
    return kept


def staleness(
    settings: Mapping[str, Any], source: str, confirmed_at: datetime, review_at: datetime | None, now: datetime
) -> str:
    """Why a document is stale, as a sentence for whoever reads it; empty: it is not."""
    if review_at is not None and review_at <= now:
        return f"Its review was due on {review_at.date().isoformat()}."
    after_s = stale_after_s(settings, source)
    if after_s is not None and (now - confirmed_at).total_seconds() > after_s:
        return f"Nobody has confirmed it since {confirmed_at.date().isoformat()}."
    return ""


def stale_after_s(settings: Mapping[str, Any], source: str) -> int | None:
    """After how many seconds without a confirmation a document of this source is stale; None: never."""
    after_s: int | None = _of_source(settings, source).get("stale_after_s")
    return after_s


def recrawl_of(settings: Mapping[str, Any], source: str) -> Schedule | None:
    """When a source of the collection's file is synced by itself; None: only when asked for."""
    text = _of_source(settings, source).get("recrawl")
    is_configured = any(f"{CONFIGURED}{each['name']}" == source for each in settings.get("sources", ()))
    return None if not text or text == "never" or not is_configured else parse_schedule(text)


def _of_source(settings: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """The collection's freshness, with what the source has of its own."""
    own: Mapping[str, Any] = {}
    for each in settings.get("sources", ()):
        if f"{CONFIGURED}{each['name']}" == source:
            own = each.get("freshness", {})
    return {**settings.get("freshness", {}), **own}


# ── Syncs that begin by themselves ──


def next_due(schedule: Schedule, source: UUID, now: datetime) -> datetime:
    """When a source is due after `now`: a little later than its schedule says, each source by another bit.

    The bit is at most a tenth of the time between two syncs, and ten minutes; the same for the same source and time.
    """
    due = schedule.next_after(now)
    gap_s = (schedule.next_after(due) - due).total_seconds()
    share = int.from_bytes(hashlib.sha256(f"{source} {due.isoformat()}".encode()).digest()[:4], "big") / 2**32
    return due + timedelta(seconds=round(share * min(_JITTER * gap_s, _MOST_JITTER_S), 3))


async def plan_recrawls(
    tx: Tx, tenant: TenantId, collection: UUID, settings: Mapping[str, Any], queue: SyncQueue, *, has_changed: bool
) -> None:
    """Let each source be due when its schedule says, as the curator; one that never was synced, now.

    At the server's start (`has_changed` false) what is due later stays as it is; what was due while it was down is due
    now, once.
    """
    of_collection = {"tenant": tenant, "collection": collection}
    for each in settings.get("sources", ()):
        name = f"{CONFIGURED}{each['name']}"
        if recrawl_of(settings, name) is not None:
            await tx.run(SQL.add_source, **of_collection, source=new_id(), name=name)
    now: datetime = await tx.fetch_value(SQL.the_time)
    for row in await tx.fetch_all(SQL.list_due, **of_collection):
        schedule = recrawl_of(settings, row.name)
        if schedule is None:
            if row.due_at is not None:
                await tx.run(SQL.set_due, tenant=tenant, source=row.source_id, due_at=None)
        elif has_changed or row.due_at is None or row.due_at <= now:
            due = now if row.synced_at is None else max(now, next_due(schedule, row.source_id, row.synced_at))
            await set_due(tx, tenant, row.source_id, due, now, queue)
        else:
            await queue.recrawl(tx, tenant, row.source_id, row.due_at, (row.due_at - now).total_seconds())


async def set_due(tx: Tx, tenant: TenantId, source: UUID, due: datetime, now: datetime, queue: SyncQueue) -> None:
    """Let a source be due then, and ask for it."""
    await tx.run(SQL.set_due, tenant=tenant, source=source, due_at=due)
    await queue.recrawl(tx, tenant, source, due, (due - now).total_seconds())
