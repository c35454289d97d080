"""The index of a generation: chunks, their vectors, and their postings in segments, which `merging.py` merges."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

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
    await add_postings(tx, place, number, segment.blocks)


async def add_postings(tx: Tx, place: Place, segment: int, blocks: Mapping[str, bytes]) -> None:
    """Store these blocks, by their terms, in a segment that is there."""
    await tx.run(
        INGEST_SQL.add_postings,
        tenant=place.curator.tenant,
        collection=place.collection,
        segment=segment,
        terms=list(blocks),
        blocks=list(blocks.values()),
    )
