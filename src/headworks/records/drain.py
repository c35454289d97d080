"""Copies journals to PostgreSQL: the living worker's in the background, those left behind by dead ones at `replay`."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg

from headworks.errors import HeadworksError, UnstorableText
from headworks.records.journal import read_journal, replayable
from headworks.records.lines import requests, split, within_bounds
from headworks.records.service import BATCH_BYTES, Records
from headworks.storage import queries
from headworks.storage.connections import first_line
from headworks.storage.partitions import Month
from headworks.storage.pool import Database, Tx

_SQL = queries.load(__package__)
_log = logging.getLogger(__name__)

_NO_ROW = (psycopg.DataError, psycopg.IntegrityError, UnstorableText, ValueError)
_NOT_SO = (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege, *_NO_ROW)
_APART = 4
"""In batch_s."""


async def append(db: Database, records: Sequence[bytes]) -> None:
    """Keep journal records that were never sent before, in one transaction.

    Raises what is in `_NOT_SO` where `store` has to do it.
    """
    batches = [(_month(name), batch) for name, batch in split(records).items()]
    async with db.ingest(_SQL["take_tables"]) as tx:
        for month, batch in batches:
            words = {"partition": month.of("usage"), "form": "FORMAT csv, NULL 'null'"}
            await _copy(tx, _SQL["append_usage"].format(**words), batch.usage)
            await _copy(tx, _SQL["append_usage"].format(**words | {"form": "FORMAT text"}), batch.odd_usage)
            await _copy(tx, _SQL["append_spans"].format(partition=month.of("span")), batch.spans)


def _month(name: str) -> Month:
    year, month = name.split("-")
    return Month(int(year), int(month))


async def store(db: Database, records: Sequence[bytes]) -> None:
    """Keep these journal records, in one transaction. Idempotent."""
    batches = split(records).values()
    async with db.ingest() as tx:
        if any(batch.usage or batch.odd_usage for batch in batches):
            await tx.run(_SQL["stage_usage"])
            for batch in batches:
                await _copy(tx, _SQL["copy_usage"], batch.usage)
                await _copy(tx, _SQL["copy_odd_usage"], batch.odd_usage)
            await tx.run(_SQL["keep_usage"])
        if any(batch.spans for batch in batches):
            await tx.run(_SQL["stage_spans"])
            for batch in batches:
                await _copy(tx, _SQL["copy_spans"], batch.spans)
            await tx.run(_SQL["keep_spans"])


async def _copy(tx: Tx, statement: str, lines: bytes) -> None:
    if lines:
        async with tx.copy_in(statement) as copy:
            await copy.write(lines)


async def append_all_good(db: Database, records: Sequence[bytes]) -> None:
    """As `store_all_good` for records that were never sent before: nearly always at half of its price."""
    try:
        await append(db, records)
    except _NOT_SO:
        await store_all_good(db, records)


async def store_all_good(db: Database, records: Sequence[bytes]) -> None:
    """Keep all that PostgreSQL takes; a request that it refuses is logged by its size and left out, the rest goes on.

    Numbers that no column holds are brought within what it holds.
    """
    try:
        await store(db, records)
    except _NO_ROW as error:
        if len(records) == 1 and len(apart := requests(records[0])) > 1:
            records = apart
        if len(records) == 1:
            if (held := within_bounds(records[0])) != records[0]:
                await store_all_good(db, [held])
                return
            _log.error(
                "a record of %d bytes is no row and is left out: %s", len(records[0]), type(error).__name__
            )  # a traceback would hold its text
            return
        middle = len(records) // 2
        await store_all_good(db, records[:middle])
        await store_all_good(db, records[middle:])


class Drain:
    """Copies one worker's records to PostgreSQL: `batch_s` after the first, or when there are many.

    While they keep coming, copies are four times as far apart: each costs as much as two dozen requests.
    What is copied is confirmed, and so deleted.
    """

    def __init__(self, db: Database, records: Records, batch_s: float) -> None:
        self._db = db
        self._records = records
        self._batch_s = batch_s
        self._copied = 0
        self._must_read = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to copy in the background."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Copy what is left, if PostgreSQL is there; what stays is replayed at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self.copy()
        except (HeadworksError, psycopg.Error) as error:
            shown = first_line(error) if isinstance(error, psycopg.Error) else error
            _log.warning("records stay in the journal until the next start: %s", shown)

    async def copy(self) -> None:
        """Copy all that was written up to now. After a failure, or when memory did not keep all, from the journal."""
        recent, position = self._records.take_recent()
        if position == self._copied:
            return
        if recent is None or self._must_read:
            self._must_read = True
            await self._copy_from_journal(position)
        else:
            self._must_read = True
            for batch in _in_batches((0, record) for record in recent):
                await append_all_good(self._db, [record for _, record in batch])
            self._done(position)
        self._must_read = False

    async def _copy_from_journal(self, until: int) -> None:
        batches = _in_batches(read_journal(self._records.journal.path, self._copied))
        while self._copied < until:
            batch = await asyncio.to_thread(next, batches, None)
            if batch is None:
                return
            await store_all_good(self._db, [payload for _, payload in batch])
            self._done(batch[-1][0])

    def _done(self, position: int) -> None:
        self._copied = position
        self._records.journal.confirm(position)

    async def _run(self) -> None:
        copied_at = -math.inf
        while True:
            await self._records.some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(self._batch_s, copied_at + _APART * self._batch_s - time.monotonic())):
                    await self._records.many.wait()
            try:
                await self.copy()
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next copy may succeed
                if isinstance(error, psycopg.Error):
                    _log.warning("records wait in the journal: %s", first_line(error))  # below it stands a row
                elif isinstance(error, HeadworksError):
                    _log.warning("records wait in the journal: %s", error)
                else:
                    _log.exception("records wait in the journal")
                self._records.some.set()
                await asyncio.sleep(1.0)
            copied_at = time.monotonic()


def _in_batches(records: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Records with their positions, as many as one transaction takes."""
    batch: list[tuple[int, bytes]] = []
    size = 0
    for each in records:
        batch.append(each)
        size += len(each[1])
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def replay(db: Database, folder: Path) -> int:
    """Copy every journal that no living worker owns; the number of records copied (some may have been there)."""
    count = 0
    for journal in replayable(folder):
        for batch in _in_batches(journal.records()):
            await store_all_good(db, [payload for _, payload in batch])
            journal.confirm(batch[-1][0])
            count += len(batch)
    return count
