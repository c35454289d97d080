"""The HNSW indexes of vectors: one for each generation that has many, built after its load, dropped when it is gone.

An index is a partial one over the rows of one generation, so that no search ever walks over another tenant's or another
collection's vectors. Only hw_owner may make it; which ones there should be is asked as the tenant's curator. A build
that was interrupted leaves an index that PostgreSQL marks as invalid and never uses: it is dropped and made again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from headworks.errors import Unavailable
from headworks.retrieval.contract import Directory
from headworks.retrieval.indexing.nearest import MANY, index_name
from headworks.retrieval.store import NEAREST_SQL
from headworks.storage.pool import Database, Tx
from headworks.types.ids import TenantId

_log = logging.getLogger(__name__)

MOST_NUMBERS = 4_000
"""Of a vector that pgvector can index at half precision; larger ones are compared all."""
_VERY_MANY = 10 * MANY
"""Then an index is built although more is being handed in."""
_LINKS, _CANDIDATES = 11, 128
"""`m` and `ef_construction`: with up to 11 links, eight vectors of 384 numbers fit on a page, with 16 seven."""
_LOCK = 7_404_917_333
_LOCK_WAIT_S = 3600.0
_LEAST_MEMORY_KB, _MOST_MEMORY_KB = 64 << 10, 2 << 20

Owner = Callable[[], psycopg.Connection[Any]]
"""Gives a connection as hw_owner, with autocommit: see `storage.pool.owner_connection`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A generation that should have an index."""

    generation_id: UUID
    dimension: int
    vectors: int


@dataclass(frozen=True, slots=True)
class Unwanted:
    """An index whose generation is gone, or that a build has left unfinished."""

    name: str
    is_orphan: bool


async def is_wanted(tx: Tx, tenant: TenantId) -> bool:
    """Whether there is an index to build or to drop: one cheap look, as the tenant's curator."""
    wanted, unwanted = await _look(tx, tenant, None)
    return bool(wanted or unwanted)


class VectorIndexes:
    """Builds and drops indexes. Any number of processes may: one at a time does."""

    def __init__(self, db: Database, directory: Directory, owner: Owner) -> None:
        self._db = db
        self._directory = directory
        self._owner = owner

    async def keep(self, tenant: TenantId, generation: UUID | None = None) -> int:
        """Make a tenant's indexes be what they should be; how many were built or dropped.

        `generation` names one that does not serve yet but is full. Takes minutes for a million vectors; nobody waits:
        searches compare all vectors until an index is there. Raises Unavailable when others have built for an hour.
        """
        async with self._db.tx(await self._directory.curator(tenant)) as tx:
            wanted, unwanted = await _look(tx, tenant, generation)
        if not wanted and not unwanted:
            return 0
        work = _Work(await asyncio.to_thread(self._owner), tenant)
        task = asyncio.ensure_future(asyncio.to_thread(work.do, wanted, unwanted))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            work.stop()
            with suppress(psycopg.Error, Unavailable):
                await task
            raise


class _Work:
    """What is done by one connection, in a thread."""

    def __init__(self, connection: psycopg.Connection[Any], tenant: TenantId) -> None:
        self._connection = connection
        self._tenant = tenant
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End it as soon as PostgreSQL can; what is left unfinished is cleaned up the next time."""
        self._stopping.set()
        self._connection.cancel()

    def do(self, wanted: Sequence[Wanted], unwanted: Sequence[Unwanted]) -> int:
        """How many indexes were built or dropped."""
        with self._connection:
            self._wait_for_turn()
            # A backend whose client was killed would go on for minutes.
            self._connection.execute("SET client_connection_check_interval = '2s'")
            self._connection.execute("SET statement_timeout = 0")
            self._connection.execute("SET lock_timeout = 0")
            number = sum(self._drop(each.name) for each in unwanted if each.is_orphan or not self._is_valid(each.name))
            for each in wanted:
                number += self._build(each)
        return number

    def _wait_for_turn(self) -> None:
        """By asking again and again: a statement that waits holds a snapshot, and a build waits for all of those."""
        deadline = time.monotonic() + _LOCK_WAIT_S
        while self._connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
            if time.monotonic() > deadline or self._stopping.wait(1.0):
                raise Unavailable("Indexes of vectors are being built elsewhere.", next_step="It is tried again later.")

    def _build(self, wanted: Wanted) -> int:
        name = index_name(wanted.generation_id)
        if self._is_valid(name):
            return 0  # another process was first
        self._drop(name)
        begun = time.monotonic()
        # One core is left to those who search, and no shared memory is needed, of which containers have little.
        self._connection.execute("SET max_parallel_maintenance_workers = 0")
        self._connection.execute(sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(f"{memory_kb(wanted)}kB")))
        self._connection.execute(
            sql.SQL(_BUILD).format(
                name=sql.Identifier(name),
                dimension=sql.Literal(wanted.dimension),
                links=sql.Literal(_LINKS),
                candidates=sql.Literal(_CANDIDATES),
                tenant=sql.Literal(str(self._tenant)),
                generation=sql.Literal(str(wanted.generation_id)),
            )
        )
        _log.info("indexed %s vectors in %.0f s", wanted.vectors, time.monotonic() - begun)
        return 1

    def _is_valid(self, name: str) -> bool:
        found = self._connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [f"headworks.{name}"]
        ).fetchone()
        return found == (True,)

    def _drop(self, name: str) -> int:
        found = self._connection.execute("SELECT to_regclass(%s)", [f"headworks.{name}"]).fetchone()
        if found == (None,):
            return 0
        self._connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS headworks.{}").format(sql.Identifier(name)))
        return 1


_BUILD = """
    CREATE INDEX CONCURRENTLY {name} ON headworks.embedding USING hnsw ((vector::halfvec({dimension})) halfvec_ip_ops)
      WITH (m = {links}, ef_construction = {candidates})
     WHERE tenant_id = {tenant}::uuid AND generation_id = {generation}::uuid
"""


def memory_kb(wanted: Wanted) -> int:
    """What the graph takes while it is built, kB: beyond, pgvector goes on at a fraction of the speed."""
    needed = wanted.vectors * (2 * wanted.dimension + 800) * 5 // 4 // 1024
    return max(_LEAST_MEMORY_KB, min(_MOST_MEMORY_KB, needed))


async def _look(tx: Tx, tenant: TenantId, generation: UUID | None) -> tuple[list[Wanted], list[Unwanted]]:
    wanted = await tx.fetch_all(
        NEAREST_SQL.list_wanted,
        into=Wanted,
        tenant=tenant, generation=generation, many=MANY, very_many=_VERY_MANY, most_numbers=MOST_NUMBERS,
    )  # fmt: skip
    if wanted and not await tx.fetch_value(NEAREST_SQL.can_walk):
        wanted = []
    return wanted, await tx.fetch_all(NEAREST_SQL.list_unwanted, into=Unwanted, tenant=tenant)
