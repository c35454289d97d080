"""What retrieval tells others: the shapes that its service and HTTP answers are made of; and what it asks of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from headworks.errors import InvalidRequest
from headworks.identity.contract import Person, Way
from headworks.retrieval.parsers.contract import Heading
from headworks.storage.pool import Tx
from headworks.types.filters import Filter
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, PrincipalId, TenantId
from headworks.types.models import Message
from headworks.types.retrieval import Area, Passage

ItemState = Literal["queued", "done", "unchanged", "failed", "superseded"]
Ranking = Literal["hybrid", "keywords", "vectors"]
_LONGEST_PATH = 1_000
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
NO_PATH = "path"
"""The code of what can't be taken because its name is no path of a document."""


def check_path(path: str) -> str:
    """The path in NFC, if it is a plain relative one: patterns of readers must mean the same file that is stored."""
    normal = unicodedata.normalize("NFC", path)
    parts = normal.split("/")
    if len(normal) > _LONGEST_PATH or {"", ".", ".."} & set(parts) or _UNUSABLE.search(normal):
        raise InvalidRequest(
            f"{path[:80]!r} is not a path of a document.",
            next_step="Use a relative one such as `policies/claims.md`, without `..`, empty parts and control "
            f"characters, of at most {_LONGEST_PATH} characters.",
            code=NO_PATH,
            param="path",
        )
    return normal


@dataclass(frozen=True, slots=True)
class Sync:
    """One pass over a source. `known` are paths with the SHA-256 of a content that need not be handed in again."""

    id: str
    collection: str
    source: str
    known: dict[str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """A file that was handed in: stored, and worked on soon."""

    id: str
    path: str
    state: ItemState
    bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one file is not searchable. The message holds nothing of its text."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far what the caller handed in is: of one sync, or of all in a collection.

    `total` and `done` count files; `documents` and `chunks` are what is in the collection from that source. `notice`
    says so where some chunks have no vector yet, and only keywords find them. `is_paused`: what is not done waits until
    somebody resumes the collection's lane.
    """

    total: int
    done: int
    documents: int
    chunks: int
    failed: tuple[Failure, ...]
    notice: str = ""
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class CollectionView:
    """A collection that the caller may read, with how many of its documents."""

    name: str
    description: str
    documents: int
    epoch: int


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A stored document as text. Offsets anywhere in Headworks count the characters of `text`.

    Of the place that was asked for `page` is the one it begins on (from 1; None: the format has none), and `areas` are
    where its lines stand there. `has_pictures`: pages can be asked for as they are printed.
    """

    document: DocumentId
    version: int
    collection: str
    path: str
    title: str
    text: str
    headings: tuple[Heading, ...]
    media_type: str
    page: int | None = None
    areas: tuple[Area, ...] = ()
    has_pictures: bool = False


@dataclass(frozen=True, slots=True)
class DocumentAt:
    """A document that the caller may read, as it is found by its path."""

    path: str
    document: DocumentId
    version: int
    title: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search is asked for beside its query.

    `filter` is over what is known of documents. `settings` are a feature's in place of the collection's own, and
    `changes` the caller's in place of both, as JSON says them. `history` are the turns before the query; `explains`
    asks for a reason per passage.
    """

    filter: Filter | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Message] = ()
    explains: bool = False


@dataclass(frozen=True, slots=True)
class LegScore:
    """What one leg says of a passage: its rank among what the caller may read (None: not among its best), and score.

    Vectors: the cosine. Keywords: BM25, for who has `reader:explain`; for others its share of the best passage's, since
    BM25 counts words of documents that they may not read.
    """

    rank: int | None
    score: float
    is_share: bool = False


@dataclass(frozen=True, slots=True)
class DecayScore:
    """What age left of a score, and by which date (as ISO 8601; None: the document has none)."""

    field: str
    date: str | None
    factor: float


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a passage stands where it does, and why the caller may read it.

    `fused` is both legs together, before decay and reranking. `query` is what found it. `readable_by` are those of the
    caller's own name and groups that the collection's list admits, `admitted_by` those that the document's own list
    does (None: it has none). Nothing here is about what the caller may not read.
    """

    query: str
    keywords: LegScore | None
    vectors: LegScore | None
    fused: float
    decay: DecayScore | None
    reranked: float | None
    filters: tuple[str, ...]
    readable_by: tuple[str, ...]
    admitted_by: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages, best first, numbered from 1, and how they were ranked. `notice` says what kept something out of it.

    `metadata` is what is known of each document beside its text. `reasons` are by document and chunk, where asked for.
    `queries` are what was looked for, where a model made something else of the query.
    """

    passages: list[Passage]
    ranking: Ranking
    notice: str = ""
    metadata: Mapping[DocumentId, Mapping[str, Any]] = field(default_factory=dict)
    reasons: Mapping[tuple[DocumentId, int], Reasons] = field(default_factory=dict)
    queries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """One of the lists that a reader must be on: the collection's, the document's own, and a section's.

    `origin` says where the list comes from. `listed` are the names on it, `by` those of them that admit the
    principal; a document without a list of its own admits whom the collection admits. `ways` are the groups on the way
    from the principal to each of `by`, that one last; of the principal's own name there is none. `denied` are the names
    of the deny entries beside the list, `denied_by` those of them that hold for the principal: they go first.
    """

    kind: Literal["collection", "document", "section"]
    origin: str
    listed: tuple[str, ...]
    by: tuple[str, ...]
    admits: bool
    ways: tuple[tuple[str, ...], ...] = ()
    denied: tuple[str, ...] = ()
    denied_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a principal may or may not read a document: for administrators, since it names both.

    `obstacles` are reasons why nobody reads it, whatever the lists say: it is gone, not valid yet or any more, or its
    source has not told its readers for too long, or not since the collection's file names others for them.
    """

    document: DocumentId
    collection: str
    path: str
    title: str
    principal: str
    may_read: bool
    reason: str
    admissions: tuple[Admission, ...]
    obstacles: tuple[str, ...] = ()


class Directory(Protocol):
    """What retrieval asks of identity; `headworks.identity.service.Identity` is one."""

    async def curator(self, tenant: TenantId) -> Principal:
        """The tenant's writer of documents."""
        ...

    async def as_reader(self, principal: Principal, name: str) -> Principal:
        """Somebody without any permission, to find out what he may read."""
        ...

    async def seen_as(self, principal: Principal, name: str, what: str) -> Principal:
        """Somebody as an administrator sees what he sees: audited before it is given."""
        ...

    async def ways_up(self, principal: Principal, of: PrincipalId) -> dict[PrincipalId, Way]:
        """The groups that somebody is in, also through groups, each with the way there."""
        ...

    async def principals_named(self, principal: Principal, names: Iterable[str]) -> dict[str, PrincipalId]:
        """Ids by name; NotFound with near names."""
        ...

    async def names_of(self, principal: Principal, ids: Iterable[PrincipalId]) -> dict[PrincipalId, str]:
        """Names by id, without those that are not there."""
        ...

    async def people_among(self, principal: Principal, ids: Iterable[PrincipalId]) -> frozenset[PrincipalId]:
        """Those of these that are users or service accounts, not groups."""
        ...

    async def find_person(self, tx: Tx, asker: Principal, name: str) -> Person:
        """Whom an erasure is about; NotFound, or Conflict for who can't be erased."""
        ...

    async def forget(self, tx: Tx, asker: Principal, person: Person) -> dict[str, int]:
        """Take away what identity knows of a person; how many rows, by table."""
        ...
