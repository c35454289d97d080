"""The index of a generation: chunks, their vectors, and their postings in segments that are merged now and then."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.passages import lexical
from headworks.retrieval.passages.analysis import terms_of, words
from headworks.retrieval.passages.chunking import ChunkSettings, chunk
from headworks.retrieval.passages.counting import CountTokens
from headworks.retrieval.passages.languages import languages_of
from headworks.retrieval.store import INGEST_SQL, Payloads, StoredChunk
from headworks.storage.pool import Database, Tx
from headworks.types.identity import Principal

AUTO = "auto"
_SEGMENTS_OF_A_SIZE = 8
"""So many segments of about the same size are merged into one of the next: each posting is rewritten log8(n) times."""
_MOST_MERGED_CHUNKS = 400_000
"""A segment larger than this is left alone: it would take hundreds of megabytes to merge."""
_DEAD_SHARE = 0.25
_FEWEST_DEAD = 64
_BLOCKS_AT_ONCE = 2_000
_LONGEST_GAP = 1_000
"""Characters of space between two chunks. Beyond it they are no neighbours any more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an index lies: the generation of a collection, written by the tenant's curator."""

    curator: Principal
    collection: UUID
    generation: UUID

    @property
    def keys(self) -> dict[str, object]:
        """As parameters of a statement."""
        return {"tenant": self.curator.tenant, "collection": self.collection, "generation": self.generation}


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk of a document, cut and ready to be stored."""

    ordinal: int
    start: int
    end: int
    stored: StoredChunk


@dataclass(frozen=True, slots=True)
class Indexed:
    """The chunks of some documents with the ids that they will have, and their postings."""

    pieces: list[list[Piece]]
    ids: list[list[int]]
    segment: lexical.Segment
    languages: frozenset[str]
    """That the chunks are analysed in."""

    def texts(self) -> list[str]:
        """What is embedded, in the order of the ids."""
        return [piece.stored.indexed for pieces in self.pieces for piece in pieces]

    def flat_ids(self) -> list[int]:
        """The ids of all chunks in order."""
        return [number for ids in self.ids for number in ids]


def cut(parsed: ParsedDocument, settings: ChunkSettings, count: CountTokens) -> list[Piece]:
    """The chunks of one document."""
    found: list[Piece] = []
    before = 0
    for span in chunk(parsed, settings, count):
        gap = parsed.text[before : span.start][:_LONGEST_GAP] if found else ""
        stored = StoredChunk(parsed.text[span.start : span.end], span.section, span.context, gap, span.tokens)
        found.append(Piece(span.ordinal, span.start, span.end, stored))
        before = span.end
    return found


async def prepare(
    db: Database, curator: Principal, documents: Sequence[Sequence[Piece]], language: str = AUTO
) -> Indexed:
    """Ids for the chunks of these documents (spent even if nothing is written) and their postings.

    `language` is that of all words in Latin letters, or they tell it themselves.
    """
    async with db.tx(curator) as tx:
        rows = await tx.fetch_all(INGEST_SQL.next_chunk_ids, number=sum(map(len, documents)))
    free = iter(sorted(row.chunk_id for row in rows))
    ids = [[next(free) for _ in pieces] for pieces in documents]
    segment, languages = await asyncio.to_thread(_segment, documents, ids, language)
    return Indexed([list(pieces) for pieces in documents], ids, segment, languages)


def _segment(
    documents: Sequence[Sequence[Piece]], ids: Sequence[Sequence[int]], language: str
) -> tuple[lexical.Segment, frozenset[str]]:
    used: set[str] = set()

    def analysed() -> Iterator[tuple[int, list[str]]]:
        for pieces, of_document in zip(documents, ids, strict=True):
            once: dict[str, str] = {}  # a long document has millions of words, and few different ones
            found = [[once.setdefault(word, word) for word in words(piece.stored.indexed)] for piece in pieces]
            languages = languages_of(found) if language == AUTO else [language] * len(found)
            used.update(languages)
            for chunk_id, of_chunk, its in zip(of_document, found, languages, strict=True):
                yield chunk_id, terms_of(of_chunk, its)

    segment = lexical.build_segment(analysed())
    return segment, frozenset(used)


async def write(tx: Tx, place: Place, payloads: Payloads, documents: Sequence[UUID | None], indexed: Indexed) -> int:
    """Store chunks and postings of these documents; None: that one is left out after all. The number of chunks.

    What is left out keeps its postings, which point at nothing, until the segment is merged.
    """
    rows = [
        (chunk_id, document, piece)
        for document, ids, pieces in zip(documents, indexed.ids, indexed.pieces, strict=True)
        if document is not None
        for chunk_id, piece in zip(ids, pieces, strict=True)
    ]
    if not rows:
        return 0
    await tx.run(
        INGEST_SQL.add_chunks,
        **place.keys,
        chunks=[chunk_id for chunk_id, _, _ in rows],
        documents=[document for _, document, _ in rows],
        ordinals=[piece.ordinal for _, _, piece in rows],
        starts=[piece.start for _, _, piece in rows],
        ends=[piece.end for _, _, piece in rows],
        contents=[payloads.seal_chunk(chunk_id, piece.stored) for chunk_id, _, piece in rows],
    )
    await _write_segment(tx, place, indexed.segment)
    of_generation = {"tenant": place.curator.tenant, "generation": place.generation}
    await tx.run(INGEST_SQL.note_languages, **of_generation, languages=sorted(indexed.languages))
    return len(rows)


async def write_vectors(tx: Tx, place: Place, ids: Sequence[int], vectors: Sequence[str]) -> None:
    """Store the vectors of those of these chunks that are still there."""
    keys = {"tenant": place.curator.tenant, "generation": place.generation}
    await tx.run(INGEST_SQL.add_vectors, **keys, chunks=list(ids), vectors=list(vectors))


async def _write_segment(tx: Tx, place: Place, segment: lexical.Segment) -> None:
    if not segment.blocks:
        return
    number = await tx.fetch_value(
        INGEST_SQL.add_segment, **place.keys, chunks=segment.chunks, total_length=segment.total_length
    )
    await tx.run(
        INGEST_SQL.add_postings,
        tenant=place.curator.tenant,
        collection=place.collection,
        segment=number,
        terms=list(segment.blocks),
        blocks=list(segment.blocks.values()),
    )


async def merge_segments(tx: Tx, place: Place) -> int:
    """Merge what has become many or mostly dead; how many segments went. The collection must be locked."""
    rows = await tx.fetch_all(INGEST_SQL.list_segments, **place.keys)
    sizes = {row.segment_id: row.chunks for row in rows}
    alive = await tx.fetch_value(INGEST_SQL.count_chunks, tenant=place.curator.tenant, generation=place.generation)
    chosen = chosen_segments(sizes, alive)
    if not chosen:
        return 0
    where = {"tenant": place.curator.tenant, "collection": place.collection, "segments": chosen}
    blocks: dict[int, dict[str, bytes]] = defaultdict(dict)
    for row in await tx.fetch_all(INGEST_SQL.list_segment_blocks, **where):
        blocks[row.segment_id][row.term] = row.block
    ids = await tx.fetch_all(INGEST_SQL.list_chunk_ids, tenant=place.curator.tenant, generation=place.generation)
    alive = np.fromiter((row.chunk_id for row in ids), dtype=np.int64, count=len(ids))
    merged = await asyncio.to_thread(_merged, [blocks[number] for number in chosen], alive)
    await tx.run(INGEST_SQL.delete_segments, **where)
    await _write_segment(tx, place, merged)
    return len(chosen)


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


def _merged(segments: Sequence[dict[str, bytes]], alive: NDArray[np.int64]) -> lexical.Segment:
    return lexical.merge_segments(segments, _dead(segments, alive))


def _dead(segments: Sequence[dict[str, bytes]], alive: NDArray[np.int64]) -> frozenset[int]:
    """The chunks in these segments that are gone. A few blocks at a time: each chunk stands in about a hundred."""
    blocks = [block for segment in segments for block in segment.values()]
    held = np.empty(0, np.int64)
    for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
        some = [lexical.unpack(block).chunks for block in blocks[start : start + _BLOCKS_AT_ONCE]]
        held = np.unique(np.concatenate([held, *some]))
    return frozenset(held[~np.isin(held, alive)].tolist())


async def drop_dead(tx: Tx, place: Place) -> int:
    """Write every segment anew that names a chunk which is gone, so that nothing of its words stays; how many were.

    The collection must be locked.
    """
    rows = await tx.fetch_all(INGEST_SQL.list_segments, **place.keys)
    of_tenant = {"tenant": place.curator.tenant}
    ids = await tx.fetch_all(INGEST_SQL.list_chunk_ids, **of_tenant, generation=place.generation)
    alive, changed = np.fromiter((row.chunk_id for row in ids), dtype=np.int64, count=len(ids)), 0
    for segment in rows:
        where = {**of_tenant, "collection": place.collection, "segments": [segment.segment_id]}
        blocks = {row.term: row.block for row in await tx.fetch_all(INGEST_SQL.list_segment_blocks, **where)}
        merged = await asyncio.to_thread(_without_dead, blocks, alive)
        if merged is None:
            continue
        await tx.run(INGEST_SQL.delete_segments, **where)
        await _write_segment(tx, place, merged)
        changed += 1
    return changed


def _without_dead(blocks: dict[str, bytes], alive: NDArray[np.int64]) -> lexical.Segment | None:
    """The segment with living chunks only; None: it has no others."""
    dead = _dead([blocks], alive)
    return lexical.merge_segments([blocks], dead) if dead else None
