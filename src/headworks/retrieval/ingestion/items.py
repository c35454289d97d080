"""Items on their way from the queue to documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from headworks.retrieval.access.sections import Section
from headworks.retrieval.contract import ItemState
from headworks.retrieval.indexing import index
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.types.ids import PrincipalId


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A row of `take_items`."""

    item_id: UUID
    source: str
    path: str
    media_type: str
    content_hash: str
    bytes: int
    blob_id: UUID
    readers: list[PrincipalId] | None
    denials: list[PrincipalId] | None
    metadata: dict[str, Any] | None
    attempts: int
    handed_in_by: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BeforeRow:
    """A row of `find_by_paths`: the document that an item may replace."""

    source: str
    path: str
    document_id: UUID
    content_hash: str
    given_readers: list[PrincipalId] | None
    blob_id: UUID | None
    is_gone: bool
    chunks: int


@dataclass(slots=True)
class Text:
    """What becomes a document of its own: the file without its restricted sections, or one of those."""

    parsed: ParsedDocument
    pieces: list[index.Piece]
    bare: int
    """How many of them are without the context that a model was to write."""
    section: Section | None
    """None: the file."""
    document: UUID | None = None
    """Where it was written; None: not at all."""


@dataclass(slots=True)
class Work:
    """An item on its way, and what became of it."""

    item: ItemRow
    before: BeforeRow | None = None
    state: ItemState = "done"
    code: str | None = None
    message: str | None = None
    data: bytes = b""
    """The file, until it is parsed."""
    texts: list[Text] = field(default_factory=list)
    """The file's own first; none: there is nothing to be written."""

    @property
    def chunks(self) -> int:
        """How many there are of it."""
        if self.state == "unchanged" and self.before is not None:
            return self.before.chunks
        return sum(len(each.pieces) for each in self.texts)

    def fail(self, code: str, message: str) -> None:
        """Nothing comes of it."""
        self.state, self.code, self.message = "failed", code, message[:1000]
        self.texts = []
