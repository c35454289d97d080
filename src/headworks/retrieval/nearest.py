"""The leg of vectors: the nearest chunks of what the caller may read, and which of given chunks it may read.

All of it happens in the caller's own transaction, under row-level security: what is chosen here is a way to the answer,
never a permission.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headworks.retrieval.store import NEAREST_SQL
from headworks.storage.pool import Tx
from headworks.types.identity import Principal


@dataclass(frozen=True, slots=True)
class Within:
    """Who asks, and in which generation of a collection."""

    principal: Principal
    collection: UUID
    generation: UUID


class Nearest:
    """Asks for chunks by their vectors."""

    async def find(self, tx: Tx, within: Within, vector: str, limit: int) -> dict[int, float]:
        """The `limit` chunks nearest to a vector of length 1, nearest first, each with its similarity (cosine)."""
        rows = await tx.fetch_all(
            NEAREST_SQL.scan_all,
            tenant=within.principal.tenant,
            generation=within.generation,
            vector=vector,
            limit=limit,
        )
        return {row.chunk_id: -row.distance for row in rows}

    async def gate(self, tx: Tx, within: Within, chunks: Sequence[int], vector: str | None) -> dict[int, float | None]:
        """Those of these chunks that the caller may read, in any order, each with its similarity to the vector.

        None where the chunk has no vector yet, or where there is none to compare with.
        """
        rows = await tx.fetch_all(
            NEAREST_SQL.gate,
            tenant=within.principal.tenant,
            generation=within.generation,
            chunks=list(chunks),
            vector=vector,
        )
        return {row.chunk_id: None if row.distance is None else -row.distance for row in rows}
