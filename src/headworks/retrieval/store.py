"""The stored forms of retrieval: sealed texts and chunks, vectors as PostgreSQL reads them, rows of collections."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any
from uuid import UUID

import orjson

from headworks.retrieval.parsers.contract import Box, Heading, ParsedDocument, Table
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.ids import TenantId
from headworks.types.retrieval import Area
from headworks.types.storable import storable

SQL = load("headworks.retrieval")
INGEST_SQL = load("headworks.retrieval.ingestion", "ingest.sql")
SEARCH_SQL = load("headworks.retrieval.searching", "search.sql")
NEAREST_SQL = load("headworks.retrieval.indexing", "nearest.sql")

MOST_NUMBERS = 16_000
"""Of a vector that can be stored."""


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection with its live generation, as `find_collection` gives it."""

    collection_id: UUID
    name: str
    project_id: UUID
    settings: dict[str, Any]
    generation_id: UUID
    wave: int
    lacks_vectors: bool
    epoch: int
    model: str
    model_digest: str | None
    dimension: int | None
    trouble: str | None
    chunking: dict[str, Any]
    bare_chunks: int


@dataclass(frozen=True, slots=True)
class StoredText:
    """What a version of a document says: the text that offsets point into, with its structure as ParsedDocument's."""

    text: str
    headings: tuple[Heading, ...]
    pages: tuple[int, ...]
    boxes: tuple[Box, ...] = ()
    tables: tuple[Table, ...] = ()

    def page_of(self, offset: int) -> int | None:
        """The page (from 1) that a character stands on; None where the format has no pages."""
        return bisect_right(self.pages, offset) or None

    def section_of(self, start: int, end: int) -> tuple[str, ...]:
        """The headings that these characters stand under or begin with, the outermost first."""
        path: list[Heading] = []
        for heading in self.headings:
            if heading.start > start or heading.start >= end:
                break
            while path and path[-1].level >= heading.level:
                path.pop()
            path.append(heading)
            if heading.end > start:
                start = heading.end + len(self.text[heading.end : end]) - len(self.text[heading.end : end].lstrip())
        return tuple(each.text for each in path if each.text)

    def areas_of(self, start: int, end: int) -> tuple[Area, ...]:
        """Where the lines stand that hold these characters."""
        first = bisect_right(self.boxes, start, key=lambda box: box.end)
        held = takewhile(lambda box: box.start < end, islice(self.boxes, first, None))
        return tuple(Area(box.page, box.x0, box.y0, box.x1, box.y1) for box in held)

    def as_parsed(self, title: str, media_type: str) -> ParsedDocument:
        """The document as its parser gave it."""
        return ParsedDocument(self.text, title, self.headings, media_type, self.pages, self.boxes, self.tables)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk's text, the headings it stands under, and the context that it is indexed with.

    `gap` is the space between the chunk before it and this one, so that neighbours can be put together again; `tokens`
    are those of its text.
    """

    text: str
    section: tuple[str, ...]
    context: str
    gap: str = ""
    tokens: int = 0

    @property
    def indexed(self) -> str:
        """What keyword index and embedding get."""
        return f"{self.context}\n\n{self.text}" if self.context else self.text


class Payloads:
    """Seals and opens what one tenant's documents say. The keyring must know the tenant."""

    def __init__(self, keyring: Keyring, tenant: TenantId) -> None:
        self._keyring = keyring
        self._tenant = tenant

    def seal_text(self, document: UUID, version: int, parsed: ParsedDocument) -> bytes:
        """A value for `document_text.content`."""
        headings = [(each.level, each.text, each.start, each.end) for each in parsed.headings]
        found: dict[str, Any] = {"text": parsed.text, "headings": headings, "pages": parsed.pages}
        if parsed.boxes:
            found["boxes"] = list(_packed(parsed.boxes))
        if parsed.tables:
            found["tables"] = [(each.start, each.end, each.header_end) for each in parsed.tables]
        data = orjson.dumps(found)
        return self._keyring.seal(self._tenant, "document_text.content", f"{document}/{version}", data)

    def open_text(self, document: UUID, version: int, sealed: bytes) -> StoredText:
        """The text of a version. Raises SealBroken."""
        found = orjson.loads(self._keyring.open(self._tenant, "document_text.content", f"{document}/{version}", sealed))
        return StoredText(
            found["text"],
            tuple(Heading(*each) for each in found["headings"]),
            tuple(found["pages"]),
            tuple(_unpacked(found.get("boxes", ()))),
            tuple(Table(*each) for each in found.get("tables", ())),
        )

    def seal_chunk(self, chunk: int, stored: StoredChunk) -> bytes:
        """A value for `chunk.content`."""
        found: dict[str, Any] = {"text": stored.text, "section": stored.section, "context": stored.context}
        if stored.gap:
            found["gap"] = stored.gap
        data = orjson.dumps(found | {"tokens": stored.tokens})
        return self._keyring.seal(self._tenant, "chunk.content", chunk, data)

    def open_chunk(self, chunk: int, sealed: bytes) -> StoredChunk:
        """A chunk as it was stored. Raises SealBroken."""
        found = orjson.loads(self._keyring.open(self._tenant, "chunk.content", chunk, sealed))
        return StoredChunk(
            found["text"], tuple(found["section"]), found["context"], found.get("gap", ""), found.get("tokens", 0)
        )


_BOX_NUMBERS = 7
_POINT_PARTS = 10
"""Corners of boxes are stored in tenths of a point."""


def _packed(boxes: Iterable[Box]) -> Iterator[int]:
    """Boxes as small numbers: each start counts from the end before, each end from its start, each page likewise."""
    at, page = 0, 0
    for box in boxes:
        yield from (box.start - at, box.end - box.start, box.page - page)
        yield from (round(corner * _POINT_PARTS) for corner in (box.x0, box.y0, box.x1, box.y1))
        at, page = box.end, box.page


def _unpacked(numbers: Sequence[int]) -> Iterator[Box]:
    at, page = 0, 0
    for place in range(0, len(numbers), _BOX_NUMBERS):
        gap, length, turned, *corners = numbers[place : place + _BOX_NUMBERS]
        start, page = at + gap, page + turned
        at = start + length
        yield Box(start, at, page, *(corner / _POINT_PARTS for corner in corners))


def vector_text(vector: Iterable[float]) -> str:
    """A vector as pgvector reads it; half precision has no more than four digits."""
    return "[" + ",".join([f"{value:.5g}" for value in vector]) + "]"


async def lock_collection(tx: Tx, collection: UUID) -> None:
    """Be the only one that changes this collection's documents, readers or index until the transaction ends."""
    await tx.run(SQL.lock_collection, collection=collection)


async def delete_blobs(tx: Tx, tenant: UUID, blobs: Sequence[UUID | None]) -> None:
    """Remove originals that nothing names any more."""
    if wanted := [blob for blob in blobs if blob is not None]:
        await tx.run(INGEST_SQL.delete_blobs, tenant=tenant, blobs=wanted)


async def find_collection(
    tx: Tx, tenant: UUID, *, name: str | None = None, collection: UUID | None = None
) -> CollectionRow | None:
    """A collection by its name or id, whether the caller reads it or not."""
    return await tx.fetch_one(
        SQL.find_collection,
        into=CollectionRow,
        tenant=tenant,
        name=None if name is None else storable(name),
        collection=collection,
    )
