"""The leg of vectors: the nearest chunks of what the caller may read, and which of given chunks it may read.

All of it happens in the caller's own transaction, under row-level security: what is chosen here is a way to the answer,
never a permission. There are three ways, and the planner does not choose among them:

    all    every vector of the generation is compared: exact
    few    the vectors of the documents that may be the caller's are compared: exact
    index  along the generation's own HNSW index, until enough is found that the caller may read

Which one is cheapest follows from how many chunks the caller may read. An index that does not give enough is no answer,
nor is one that was walked along too far: the order in which it gives things becomes rougher with the way. Then all are
compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal
from uuid import UUID

from headworks.retrieval.store import NEAREST_SQL
from headworks.storage.pool import Tx
from headworks.types.identity import Principal

Way = Literal["all", "few", "index"]

MANY = 20_000
"""Vectors of a generation that has an index; fewer are compared in a few milliseconds."""
_STEPS_PER_COMPARISON = 2.0
"""What a chunk come by along an index costs, in chunks compared by way of their documents: measured, 17 and 8 µs."""
_TRUSTED_PER_WANTED, _TRUSTED_PER_VECTOR = 50, 1 / 80
"""How many chunks a walk may come by and still be believed: among a million 11,000 do no harm, and 13,400 do."""
_SEEN_PER_TRUSTED = 3
"""Where a walk gives up, in chunks that it has compared: it compares three for each that it comes by."""
_ROOM = 0.8
_NARROWEST_EF, _WIDEST_EF = 100, 1000
_EF_PER_WANTED = 4
"""Of how many candidates a walk keeps in mind. With two, some questions among a million never leave their start."""
_FOUND_PER_WANTED = 2
"""Far from where a walk began the order is a rough one: of twice as many, the nearest are kept."""
_KEPT_S, _KEPT_WHATEVER_S = 60.0, 5.0
_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Within:
    """Who asks, and in which generation of a collection, as the collection's row said a moment ago."""

    principal: Principal
    collection: UUID
    generation: UUID
    epoch: int = 0
    dimension: int = 0
    vectors: int = 0

    @property
    def keys(self) -> dict[str, object]:
        """As parameters of a statement."""
        return {"tenant": self.principal.tenant, "generation": self.generation}


@dataclass(frozen=True, slots=True)
class _Surveyed:
    """What a caller's way is chosen by: how many chunks it may read (up to a number), whether there is an index."""

    readable: int
    counted_to: int
    has_index: bool
    epoch: int
    at: float = field(default_factory=monotonic)

    def still_holds(self, epoch: int, most: int) -> bool:
        age = monotonic() - self.at
        is_counted = self.counted_to >= most or self.readable < self.counted_to
        return is_counted and (age < _KEPT_WHATEVER_S or (self.epoch == epoch and age < _KEPT_S))


def index_name(generation: UUID) -> str:
    """The HNSW index of a generation, if it has one."""
    return f"nearest_{generation.hex}"


def trusted(vectors: int, limit: int) -> int:
    """How many chunks a walk may come by for its answer to count."""
    return max(_TRUSTED_PER_WANTED * limit, round(vectors * _TRUSTED_PER_VECTOR))


def crossover(vectors: int, limit: int) -> int:
    """Up to so many readable chunks it is better to compare each of them than to walk along an index.

    With a share r/n of n readable, an index comes by n/r chunks for each of `limit`: as dear at r = √(steps · limit ·
    n), and further than it is trusted, with room for those less lucky, at r = found · limit · n / (room · trusted). For
    100 of 100,000 that is 5,000, of a million 20,000.
    """
    as_dear = math.isqrt(round(_STEPS_PER_COMPARISON * limit * vectors))
    return max(as_dear, math.ceil(_FOUND_PER_WANTED * limit * vectors / (_ROOM * trusted(vectors, limit))))


def chosen_way(vectors: int, readable: int, limit: int, *, has_index: bool) -> Way:
    """The cheapest way to the `limit` nearest of `readable` chunks among `vectors`."""
    if vectors < MANY:
        return "all"
    if readable <= crossover(vectors, limit):
        return "few"
    return "index" if has_index else "all"


class Nearest:
    """Asks for chunks by their vectors. Keeps for a while how many a caller may read, to choose a way by."""

    def __init__(self) -> None:
        self._surveyed: dict[tuple[object, ...], _Surveyed] = {}

    async def find(self, tx: Tx, within: Within, vector: str, limit: int) -> dict[int, float]:
        """The `limit` chunks nearest to a vector of length 1, nearest first, each with its similarity (cosine)."""
        way = await self._way(tx, within, limit)
        asked = {**within.keys, "vector": vector, "limit": limit}
        rows: list[Any] = []
        if way == "index":
            rows = await self._walk(tx, within, asked, limit)
        elif way == "few":
            rows = await tx.fetch_all(NEAREST_SQL.scan_few, **asked, collection=within.collection)
        if way == "all" or (way == "index" and len(rows) < limit):
            rows = await tx.fetch_all(NEAREST_SQL.scan_all, **asked)
        return {row.chunk_id: -row.distance for row in sorted(rows, key=lambda row: row.distance)[:limit]}

    async def gate(self, tx: Tx, within: Within, chunks: Sequence[int], vector: str | None) -> dict[int, float | None]:
        """Those of these chunks that the caller may read, in any order, each with its similarity to the vector.

        None where the chunk has no vector yet, or where there is none to compare with.
        """
        rows = await tx.fetch_all(NEAREST_SQL.gate, **within.keys, chunks=list(chunks), vector=vector)
        return {row.chunk_id: None if row.distance is None else -row.distance for row in rows}

    async def _way(self, tx: Tx, within: Within, limit: int) -> Way:
        if within.vectors < MANY:
            return "all"
        most = crossover(within.vectors, limit) + 1
        caller = within.principal
        key = (within.generation, caller.id, caller.key, caller.groups)
        found = self._surveyed.get(key)
        if found is None or not found.still_holds(within.epoch, most):
            found = await self._survey(tx, within, most)
            if len(self._surveyed) >= _MOST_KEPT:
                self._surveyed.clear()
            self._surveyed[key] = found
        return chosen_way(within.vectors, found.readable, limit, has_index=found.has_index)

    async def _survey(self, tx: Tx, within: Within, most: int) -> _Surveyed:
        readable = await tx.fetch_value(
            NEAREST_SQL.count_readable, **within.keys, collection=within.collection, most=most
        )
        has_index = await tx.fetch_value(NEAREST_SQL.has_index, index=f"headworks.{index_name(within.generation)}")
        return _Surveyed(readable, most, has_index, within.epoch)

    async def _walk(self, tx: Tx, within: Within, asked: dict[str, object], limit: int) -> list[Any]:
        """Up to twice as many as are wanted, none that the caller may not read; none at all if it had to go too far."""
        far = trusted(within.vectors, limit)
        ef = min(_WIDEST_EF, max(_NARROWEST_EF, _EF_PER_WANTED * limit))
        index = f"headworks.{index_name(within.generation)}"
        most = max(1, _SEEN_PER_TRUSTED * far)
        before = await tx.fetch_one(NEAREST_SQL.aim, ef=str(ef), tuples=str(most), index=index)
        wanted = {**asked, "limit": _FOUND_PER_WANTED * limit}
        rows = await tx.fetch_all(NEAREST_SQL.walk, **wanted, dimension=within.dimension)
        settings = ("plan_cache_mode", "enable_sort", "work_mem", "hash_mem_multiplier")
        after = await tx.fetch_one(NEAREST_SQL.unaim, **{name: getattr(before, name) for name in settings}, index=index)
        return rows if after.passed - before.passed <= far else []
