"""Segments of postings become fewer: many of about the same size are one, and what points at nothing goes.

A few terms at a time, so that it takes no more memory for a hundred thousand chunks than for a thousand.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headworks.retrieval.indexing.index import Place, add_postings
from headworks.retrieval.passages import lexical
from headworks.retrieval.store import INGEST_SQL
from headworks.storage.pool import Tx

_SEGMENTS_OF_A_SIZE = 8
"""So many segments of about the same size are merged into one of the next: each posting is rewritten log8(n) times."""
_MOST_MERGED_CHUNKS = 400_000
"""A segment larger than this is left alone: to write it anew would take minutes."""
_DEAD_SHARE = 0.25
_FEWEST_DEAD = 64
_BLOCKS_AT_ONCE = 2_000
_BYTES_AT_ONCE = 1 << 20
"""Of packed postings; to merge them takes some seventeen times that."""


async def merge_segments(tx: Tx, place: Place) -> int:
    """Merge what has become many or mostly dead; how many segments went. The collection must be locked."""
    rows = await tx.fetch_all(INGEST_SQL.list_segments, **place.keys)
    sizes = {row.segment_id: row.chunks for row in rows}
    of_generation = {"tenant": place.curator.tenant, "generation": place.generation}
    chosen = chosen_segments(sizes, await tx.fetch_value(INGEST_SQL.count_chunks, **of_generation))
    if not chosen:
        return 0
    await _write_anew(tx, place, chosen, await _alive(tx, place))
    return len(chosen)


async def drop_dead(tx: Tx, place: Place) -> int:
    """Write every segment anew that names a chunk which is gone, so that nothing of its words stays; how many were.

    The collection must be locked.
    """
    alive, changed = await _alive(tx, place), 0
    for row in await tx.fetch_all(INGEST_SQL.list_segments, **place.keys):
        if await _names_dead(tx, place, row.segment_id, alive):
            await _write_anew(tx, place, [row.segment_id], alive)
            changed += 1
    return changed


def chosen_segments(sizes: dict[int, int], alive: int) -> list[int]:
    """Which segments to merge into one: all when many of their chunks are gone, else those of a size that are many."""
    small = {number: size for number, size in sizes.items() if size <= _MOST_MERGED_CHUNKS}
    dead = sum(sizes.values()) - alive
    if dead > max(_FEWEST_DEAD, _DEAD_SHARE * sum(sizes.values())):
        return sorted(small)
    by_size: dict[int, list[int]] = defaultdict(list)
    for number, size in small.items():
        by_size[max(size, 1).bit_length() // 3].append(number)
    return sorted(next((group for group in by_size.values() if len(group) >= _SEGMENTS_OF_A_SIZE), []))


class _Lengths:
    """How long the chunks are that have been merged so far."""

    def __init__(self) -> None:
        self.chunks = np.empty(0, np.int64)
        self.lengths = np.empty(0, np.int64)

    def add(self, postings: Sequence[lexical.Postings]) -> None:
        """Those that are new are counted."""
        chunks = np.concatenate([self.chunks, *(each.chunks for each in postings)])
        lengths = np.concatenate([self.lengths, *(each.lengths.astype(np.int64) for each in postings)])
        self.chunks, first = np.unique(chunks, return_index=True)
        self.lengths = lengths[first]


async def _write_anew(tx: Tx, place: Place, segments: Sequence[int], alive: NDArray[np.int64]) -> None:
    """One segment instead of these, with living chunks only; none where no chunk of theirs lives."""
    number = await tx.fetch_value(INGEST_SQL.add_segment, **place.keys, chunks=0, total_length=0)
    lengths, after = _Lengths(), ""
    while blocks := await _next_blocks(tx, place, segments, after):
        after = next(reversed(blocks))
        merged = await asyncio.to_thread(_merged, blocks, alive, lengths)
        if merged:
            await add_postings(tx, place, number, merged)
    of_collection = {"tenant": place.curator.tenant, "collection": place.collection}
    gone = list(segments) if lengths.chunks.size else [*segments, number]
    await tx.run(INGEST_SQL.delete_segments, **of_collection, segments=gone)
    total = int(lengths.lengths.sum())
    await tx.run(
        INGEST_SQL.set_segment, **of_collection, segment=number, chunks=lengths.chunks.size, total_length=total
    )


async def _names_dead(tx: Tx, place: Place, segment: int, alive: NDArray[np.int64]) -> bool:
    after = ""
    while blocks := await _next_blocks(tx, place, [segment], after):
        after = next(reversed(blocks))
        if await asyncio.to_thread(_name_dead, blocks, alive):
            return True
    return False


async def _next_blocks(tx: Tx, place: Place, segments: Sequence[int], after: str) -> dict[str, list[bytes]]:
    """The blocks of the terms after this one in these segments, the oldest segment's first; empty: that was all."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for row in await tx.fetch_all(
        INGEST_SQL.list_next_blocks,
        tenant=place.curator.tenant, collection=place.collection, segments=list(segments), after=after,
        limit=_BLOCKS_AT_ONCE, bytes=_BYTES_AT_ONCE,
    ):  # fmt: skip
        found[row.term].append(row.block)
    return found


def _merged(blocks: Mapping[str, Sequence[bytes]], alive: NDArray[np.int64], lengths: _Lengths) -> dict[str, bytes]:
    merged = {term: lexical.merge(of_term, alive) for term, of_term in blocks.items()}
    merged = {term: block for term, block in merged.items() if lexical.count(block)}
    lengths.add([lexical.unpack(block) for block in merged.values()])
    return merged


def _name_dead(blocks: Mapping[str, Sequence[bytes]], alive: NDArray[np.int64]) -> bool:
    return any(
        not lexical.are_among(lexical.unpack(block).chunks, alive).all()
        for of_term in blocks.values()
        for block in of_term
    )


async def _alive(tx: Tx, place: Place) -> NDArray[np.int64]:
    """In ascending order."""
    packed = await tx.fetch_value(INGEST_SQL.pack_chunk_ids, tenant=place.curator.tenant, generation=place.generation)
    return np.sort(np.frombuffer(packed or b"", dtype=">i8").astype(np.int64))
