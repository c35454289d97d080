"""One sync of one source, from where it was left: changes, then the sweep, then the end."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Literal, TypeVar
from uuid import UUID

from headworks.errors import InvalidRequest
from headworks.retrieval import collections
from headworks.retrieval.access import denials
from headworks.retrieval.access.readers import read_patterns
from headworks.retrieval.configured import sweep
from headworks.retrieval.contract import NO_PATH, check_path
from headworks.retrieval.ingestion.ingest import Ingestion, NewItem
from headworks.retrieval.metadata import parsed_metadata
from headworks.retrieval.queueing import Queue
from headworks.retrieval.sources.contract import (
    Access,
    Change,
    CursorExpired,
    Failed,
    Gone,
    Groups,
    Source,
    SourceError,
    Throttled,
    Unfetchable,
)
from headworks.retrieval.sources.mapping import NOBODY, Listed, Ours, listed_of
from headworks.retrieval.sources.position import Position, SourceRow, seal
from headworks.retrieval.sources.vanishing import TooManyGone, are_too_many
from headworks.retrieval.store import INGEST_SQL, CollectionRow, find_collection, lock_collection
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, new_id
from headworks.types.storable import storable

SQL = load("headworks.retrieval.sources", "syncing.sql")

DONE_S = -1.0
"""Instead of a pause: there is nothing left to do."""
STEP_S = 20.0
"""How long one step goes on; then others have their turn."""
_SHORT_PAUSE_S = 2.0
_SHORT_PAUSES = 5
"""So many in a row are waited within a step."""
_MOST_ERRORS = 6
_FIRST_PAUSE_S = 15.0
_LONGEST_PAUSE_S = 3_600.0
"""Whatever a source asks for: a date by a clock that is wrong can be years away."""
_PATIENCE_S = 6 * 3_600.0
"""For a source that asks for fewer requests each time that it is asked, and gives nothing in between."""
_MOST_RETRIED = 10_000
Phase = Literal["changes", "sweep"]
Result = TypeVar("Result")


class Overtaken(Exception):
    """Another run has gone on with this sync, or it is over: nothing is to be written."""


@dataclass(frozen=True, slots=True)
class SyncLimits:
    """`max_age_s`: how long the readers that a source told hold."""

    max_file_bytes: int
    max_age_s: float
    step_s: float = STEP_S


@dataclass(frozen=True, slots=True)
class Target:
    """Whose sync it is: the tenant's curator, the collection, the source as it is stored, and who is who of ours.

    `most_deletions`: the share of its documents that may vanish at once.
    """

    curator: Principal
    row: CollectionRow
    found: SourceRow
    ours: Ours
    most_deletions: float


@dataclass(frozen=True, slots=True)
class Tools:
    """What every sync works with."""

    db: Database
    keyring: Keyring
    queue: Queue
    ingestion: Ingestion
    limits: SyncLimits


class OneSync:
    """Goes on with one sync for a while."""

    def __init__(self, tools: Tools, target: Target, source: Source, position: Position) -> None:
        """`position` as it was stored."""
        self._tools = tools
        self._curator = target.curator
        self._row = target.row
        self._found = target.found
        self._ours = target.ours
        self._most_deletions = target.most_deletions
        self._source = source
        self._position = position
        self._groups = Groups()
        self._step = target.found.step
        self._phase: Phase = "sweep" if target.found.phase == "sweep" else "changes"
        self._looked_at = target.found.looked_at
        self._expected = target.found.expected

    @property
    def _keys(self) -> dict[str, UUID]:
        return {"tenant": self._curator.tenant, "collection": self._row.collection_id}

    @property
    def _this_step(self) -> dict[str, Any]:
        found = self._found
        return {"tenant": self._curator.tenant, "source": found.source_id, "sync": found.sync_id, "step": self._step}

    async def go_on(self) -> float:
        """After how many seconds to go on, or DONE_S. Raises SourceError, and Overtaken when there is nothing to do."""
        until = monotonic() + self._tools.limits.step_s
        now = await self._describe()
        self._groups = await _patiently(self._source.groups)
        if self._phase == "changes" and not await self._read_changes(until):
            return 0.0
        if not self._position.place:
            self._position.begin_sweep(now)
        await self._sweep()
        if not await self._catch_up(until):
            return 0.0
        await self._end()
        return DONE_S

    async def stumble(self, error: SourceError) -> float:
        """Keep what was reached when the source failed; after how many seconds to try again, or DONE_S to give up."""
        if isinstance(error, CursorExpired):
            if not self._position.cursor or self._position.has_restarted:
                return await self._give_up(error)
            self._position = Position(retry=self._position.retry, has_restarted=True)
            self._phase = "changes"
            await self._save()
            return 0.0
        if isinstance(error, Throttled):
            return await self._wait(error)
        self._position.errors += 1
        if error.is_lasting or self._position.errors >= _MOST_ERRORS:
            return await self._give_up(error)
        await self._save()
        await self._note(error)
        return _FIRST_PAUSE_S * 2.0 ** (self._position.errors - 1)

    async def _wait(self, error: Throttled) -> float:
        """As long as the source asks for, and twice as long as the last time at least; but not for ever."""
        position = self._position
        pause_s = min(max(error.retry_after_s, 2.0**position.refusals), _LONGEST_PAUSE_S)
        position.refusals += 1
        position.waited_s += pause_s
        if position.waited_s > _PATIENCE_S:
            hours = _PATIENCE_S / 3_600
            message = f"The source asked to slow down, {position.refusals} times in a row in {hours:.0f} hours."
            return await self._give_up(SourceError(message, code="throttled"))
        await self._save()
        await self._note(error)
        return pause_s

    # ── Changes ──

    async def _read_changes(self, until: float) -> bool:
        """Hand in what changed; whether that was all."""
        if not self._position.has_retried:
            await self._take_each([Change(path) for path in self._position.retry])
            self._position.has_retried = True
        while True:
            page = await _patiently(lambda: self._source.changes(self._position.cursor))
            self._expected = page.expected if page.expected is not None else self._expected
            await self._fail(page.failed)
            await self._take_each(page.changes)
            self._looked_at += len(page.changes)
            self._position.cursor, self._position.taken = page.cursor, []
            self._position.progressed()
            self._phase = "sweep" if page.is_last else "changes"
            self._position.place = ""  # a sweep that was cut off before changes were read again is not gone on with
            await self._save()
            if page.is_last:
                return True
            if monotonic() >= until:
                return False

    async def _take_each(self, changes: Iterable[Change]) -> None:
        """Those that were not taken when this page was cut off."""
        taken = set(self._position.taken)
        for change in changes:
            if change.path not in taken:
                await self._take(change, self._listed(change.access))
                self._position.taken.append(change.path)
                self._position.progressed()

    async def _take(self, change: Change, listed: Listed | None) -> None:
        """Fetch and hand in one document; whatever is wrong with it is its own failure."""
        try:
            await self._hand_in(change, listed)
        except Gone:
            self._forget(change.path)
        except InvalidRequest as error:
            await self._fail([Failed(storable(change.path[:1000]), NO_PATH, error.message)])
        except Unfetchable as error:
            await self._fail([Failed(change.path, error.code, error.message)])
            if change.path not in self._position.retry and len(self._position.retry) < _MOST_RETRIED:
                self._position.retry.append(change.path)
        else:
            self._forget(change.path)

    async def _hand_in(self, change: Change, listed: Listed | None) -> None:
        path, limit = check_path(change.path), self._tools.limits.max_file_bytes
        fetched = None
        if (change.size or 0) <= limit:
            fetched = await _patiently(lambda: self._source.fetch(change))
        if fetched is None or len(fetched.data) > limit:
            raise Unfetchable("too_large", f"It has more than the limit of {limit >> 20} MB.")
        digest = await asyncio.to_thread(_sha256, fetched.data)
        new = NewItem(
            new_id(), self._found.sync_id, self._found.name, path, fetched.data, digest,
            None if listed is None else listed.readers, fetched.media_type,
            None if fetched.metadata is None else parsed_metadata(fetched.metadata),
            None if listed is None else listed.denied,
        )  # fmt: skip
        async with self._tools.db.tx(self._curator) as tx:
            await self._tools.ingestion.put(tx, self._curator, self._row, new)
            if not await tx.fetch_value(SQL.is_under_way, **self._this_step):
                raise Overtaken

    def _forget(self, path: str) -> None:
        if path in self._position.retry:
            self._position.retry = [each for each in self._position.retry if each != path]

    async def _fail(self, failed: Sequence[Failed]) -> None:
        """List documents that can't be taken."""
        if not failed:
            return
        async with self._tools.db.tx(self._curator) as tx:
            for each in failed:
                await tx.run(
                    SQL.add_failed_item,
                    **self._keys, item=new_id(), sync=self._found.sync_id, source=self._found.name,
                    path=storable(each.path[:1000]), code=each.code[:100], message=each.message[:1000],
                    by=self._curator.id,
                )  # fmt: skip

    # ── The sweep ──

    async def _sweep(self) -> None:
        """Everything that is there, with its readers. A sweep that was cut off goes on where it was."""
        position = self._position
        while True:
            page = await _patiently(lambda: self._source.present(position.cursor, position.place))
            for each in page.documents:
                position.here[each.path] = _as_stored(self._listed(each.access))
            position.place = page.place
            position.progressed()
            if not page.place:
                break

    def _listed(self, access: Access | None) -> Listed | None:
        if not self._source.carries_permissions:
            return None
        return listed_of(access, self._groups, self._ours)

    async def _catch_up(self, until: float) -> bool:
        """Hand in what is there and was not among the changes: lost, or failed before; whether that was all."""
        async with self._tools.db.tx(self._curator) as tx:
            of_source = {**self._keys, "name": self._found.name}
            known = {row.path for row in await tx.fetch_all(SQL.list_documents, **of_source)}
            known |= {row.path for row in await tx.fetch_all(SQL.list_looked_at, **of_source, sync=self._found.sync_id)}
        for path, stored in self._position.here.items():
            if path not in known:
                await self._take(Change(path), _as_listed(stored))
            if monotonic() >= until:
                await self._save()  # what is here is then asked for anew: it may be long ago when all is caught up
                return False
        return True

    async def _end(self) -> None:
        """What is gone vanishes, everybody who is no longer a reader loses it, and the sync is over.

        Where more is gone than may vanish at once, nothing does: the sync has failed, and a person is to look.
        """
        seen, curator = sorted(_good_paths(self._position.here)), self._curator
        of_source = {**self._keys, "source": self._found.name, "seen": seen}
        async with self._tools.db.tx(curator, statement_timeout_s=300) as tx:
            await lock_collection(tx, self._row.collection_id)
            held = await self._held_back(tx, of_source)
            vanished = 0 if held else await sweep(tx, curator.tenant, of_source)
            if vanished:
                await self._tools.queue.tidy(tx, curator.tenant, self._row.collection_id)
            row = await find_collection(tx, curator.tenant, collection=self._row.collection_id) or self._row
            if await self._set_lists(tx, row) or vanished:
                await collections.touch(tx, curator, self._row.collection_id)
            await tx.run(INGEST_SQL.finish_sync, tenant=curator.tenant, sync=self._found.sync_id)
            await self._write_end(tx, "failed" if held else "done", self._position.ended(), held)

    async def _held_back(self, tx: Tx, of_source: Mapping[str, Any]) -> TooManyGone | None:
        """Why nothing may vanish now; somebody may have confirmed that so many are to go."""
        gone, here = await tx.fetch_value(SQL.count_gone, **of_source), len(of_source["seen"])
        is_confirmed = self._found.confirmed and gone <= (self._found.held_back or 0)
        if is_confirmed or not are_too_many(gone, here, self._most_deletions):
            return None
        return TooManyGone(self._row.name, gone, here, self._most_deletions)

    async def _set_lists(self, tx: Tx, row: CollectionRow) -> int:
        """Readers and deny entries as the source tells them now, also of what is still queued; how many are others."""
        if not self._source.carries_permissions:
            return 0
        of_source = {**self._keys, "name": self._found.name}
        queued: dict[Listed, list[str]] = defaultdict(list)
        for path, stored in self._position.here.items():
            queued[_as_listed(stored) or NOBODY].append(path)
        for now, paths in queued.items():
            of_paths = {"readers": list(now.readers), "denials": list(now.denied), "paths": paths}
            await tx.run(SQL.set_item_readers, **of_source, **of_paths)
        others: dict[Listed, list[UUID]] = defaultdict(list)
        for each in await tx.fetch_all(SQL.list_documents, **of_source):
            now = _as_listed(self._position.here.get(each.path)) or NOBODY
            is_told = each.restricted and each.readers_from == self._found.source_id
            before = Listed(tuple(sorted(each.given_readers or ())), tuple(sorted(each.given_denials)))
            if not is_told or before != now:
                others[now].append(each.document_id)
        for now, documents in others.items():
            of_these = {"tenant": self._curator.tenant, "documents": documents, "readers": list(now.readers)}
            await tx.run(SQL.set_given_readers, **of_these, source=self._found.source_id)
            await collections.set_readers(tx, self._curator, documents, now.readers)
            await denials.renew(tx, self._curator, row.collection_id, row.settings, documents, given=now.denied)
        return len(others)

    # ── Where it is ──

    async def _describe(self) -> datetime:
        """Say what kind of source it is before anything comes from it; the database's time, before readers are read."""
        if self._source.carries_permissions and (patterns := read_patterns(self._row.settings)):
            raise SourceError(
                f"The source tells who reads its documents, and so does the pattern `{patterns[0].pattern}` of the "
                "collection's file: take the patterns out, or give the source a collection of its own.",
                code="readers_twice",
                is_lasting=True,
            )
        async with self._tools.db.tx(self._curator) as tx:
            await tx.run(
                SQL.describe_source,
                tenant=self._curator.tenant, source=self._found.source_id, step=self._step,
                carries=self._source.carries_permissions, max_age_s=self._tools.limits.max_age_s,
            )  # fmt: skip
            now: datetime = await tx.fetch_value(SQL.the_time)
        return now

    async def _save(self) -> None:
        async with self._tools.db.tx(self._curator) as tx:
            written = await tx.run(
                SQL.save_state,
                **self._this_step, phase=self._phase, looked_at=self._looked_at, expected=self._expected,
                state=self._seal(self._position),
            )  # fmt: skip
        if not written:
            raise Overtaken
        self._step += 1

    async def _write_end(self, tx: Tx, phase: str, position: Position, held: TooManyGone | None = None) -> None:
        written = await tx.run(
            SQL.end_source,
            **self._this_step, phase=phase, state=self._seal(position), read_at=self._position.read_at,
            max_age_s=self._tools.limits.max_age_s, held_back=held and held.gone,
        )  # fmt: skip
        if not written:
            raise Overtaken
        if held:
            of_source = {"tenant": self._curator.tenant, "source": self._found.source_id}
            await tx.run(SQL.note_end, **of_source, code=held.code, message=str(held))

    async def _give_up(self, error: SourceError) -> float:
        """The sync ends without a sweep: nothing is removed. What was handed in stays, and the next one goes on."""
        position = self._position
        await self._note(error)
        async with self._tools.db.tx(self._curator) as tx:
            kept = Position(cursor=position.cursor, taken=position.taken, retry=position.retry)
            await tx.run(INGEST_SQL.finish_sync, tenant=self._curator.tenant, sync=self._found.sync_id)
            await self._write_end(tx, "failed", kept)
        return DONE_S

    async def _note(self, error: SourceError) -> None:
        async with self._tools.db.tx(self._curator) as tx:
            await tx.run(
                SQL.note_trouble,
                tenant=self._curator.tenant, source=self._found.source_id, sync=self._found.sync_id,
                code=error.code, message=str(error)[:1000],
            )  # fmt: skip

    def _seal(self, position: Position) -> bytes:
        return seal(self._tools.keyring, self._curator.tenant, self._found.source_id, position)


async def _patiently(call: Callable[[], Awaitable[Result]]) -> Result:
    """What a call gives; a few short pauses that the source asks for are waited here, a long one ends the step."""
    for _ in range(_SHORT_PAUSES):
        try:
            return await call()
        except Throttled as error:
            if error.retry_after_s > _SHORT_PAUSE_S:
                raise
            await asyncio.sleep(error.retry_after_s)
    return await call()


def _good_paths(paths: Iterable[str]) -> Iterable[str]:
    for path in paths:
        try:
            yield check_path(path)
        except InvalidRequest:
            continue


def _as_stored(listed: Listed | None) -> list[list[str]] | None:
    """What `_as_listed` reads."""
    return None if listed is None else [[str(each) for each in ids] for ids in (listed.readers, listed.denied)]


def _as_listed(stored: list[list[str]] | None) -> Listed | None:
    if stored is None:
        return None
    readers, denied = (tuple(PrincipalId(UUID(each)) for each in ids) for ids in stored)
    return Listed(readers, denied)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
