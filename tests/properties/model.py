"""Who may read what, as a model: names, lists, edges between groups. Nothing in it reads the database.

A document's text carries a canary, so that it is recognised wherever it turns up, and a slot, from which its rank by
keywords and its rank by vectors follow, each in an order of its own.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from headworks.retrieval.access.readers import matches
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId

PEOPLE = ("ann", "bob")
GROUPS = ("clinic", "board", "temps")
LISTED = (*PEOPLE, *GROUPS, "everyone")
PATHS = ("a.md", "b.md", "board/c.md", "board/d.md", "old.md")
PATTERN = "board/**"
QUESTION = "where does the heron stand"
SLOTS = 19
_LENGTH = 24

Names = frozenset[str]


@dataclass
class Document:
    """What is known of a document; `given` and `denied` are the lists given on upload (None: none was)."""

    canary: str
    slot: int
    given: Names | None
    denied: Names | None

    def text(self) -> str:
        """Always as many words, so that more herons rank higher."""
        words = ["heron"] * (self.slot + 1) + ["stone"] * (_LENGTH - self.slot)
        return f"# Note\n\n{self.canary} slot{self.slot:02} {' '.join(words)}."


def vector_of(text: str) -> list[float]:
    """A scripted embedding: a question lies across, and the higher a document's second rank, the nearer it comes."""
    found = re.search(r"slot(\d\d)", text)
    angle = math.pi / 2 if found is None else 0.05 * (vector_rank(int(found[1])) - SLOTS / 2)
    return [math.cos(angle), math.sin(angle)] + [0.0] * 382


def vector_rank(slot: int) -> int:
    """The order by vectors, other than that by keywords: higher is nearer."""
    return slot * 7 % SLOTS


@dataclass
class Asker:
    """Somebody with a key. `through` are the groups that the key is narrowed to."""

    principal: Principal
    name: str
    through: Names | None = None
    is_revoked: bool = False


@dataclass
class Quoting:
    """A recorded request or stored response: whose it is, and the documents that it may quote."""

    id: uuid.UUID
    name: str
    documents: list[uuid.UUID]
    canary: str


@dataclass(frozen=True)
class Lists:
    """What a collection's file says."""

    readers: Names = frozenset()
    denied: Names = frozenset()
    board: Names | None = None
    """The readers of `board/**`, if there are some."""
    board_denied: Names = frozenset()


@dataclass
class Tenant:
    """One tenant, and everything that is to be known of it."""

    name: str
    admin: Principal
    ids: dict[str, PrincipalId]
    lists: Lists = field(default_factory=Lists)
    documents: dict[str, Document] = field(default_factory=dict)
    queued: list[tuple[str, Document]] = field(default_factory=list)
    edges: set[tuple[str, str]] = field(default_factory=set)
    """(who, the group that he, she or it is directly in)."""
    disabled: set[str] = field(default_factory=set)
    askers: list[Asker] = field(default_factory=list)
    traces: list[Quoting] = field(default_factory=list)
    responses: list[Quoting] = field(default_factory=list)
    chunking: int = 0
    """Moves with every new generation."""

    def groups(self, name: str, *, is_open: bool = True) -> set[str]:
        """The groups that somebody is in, also through groups; `is_open`: by no group that is disabled."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            here = waiting.pop()
            for inner, outer in self.edges:
                if inner == here and outer not in found and not (is_open and outer in self.disabled):
                    found.add(outer)
                    waiting.append(outer)
        return found

    def acting(self, asker: Asker) -> set[str]:
        """The names that somebody reads as."""
        if asker.is_revoked or asker.name in self.disabled:
            return set()
        groups = self.groups(asker.name)
        return groups | {asker.name} if asker.through is None else groups & asker.through

    def denied_as(self, asker: Asker) -> set[str]:
        """The names whose deny entries hold: narrowing and disabling open nothing."""
        return {asker.name, *self.groups(asker.name, is_open=False)}

    def may_enter(self, asker: Asker) -> bool:
        return bool(self.acting(asker) & self.lists.readers) and not self.denied_as(asker) & self.lists.denied

    def readable(self, asker: Asker) -> dict[str, Document]:
        """The documents that somebody may read, by path."""
        if not self.may_enter(asker):
            return {}
        acting, denied_as = self.acting(asker), self.denied_as(asker)
        return {
            path: document
            for path, document in self.documents.items()
            if self._admits(path, document, acting) and not self._denied(path, document) & denied_as
        }

    def _admits(self, path: str, document: Document, acting: set[str]) -> bool:
        of_pattern = self.lists.board if matches(PATTERN, path) else None
        own = of_pattern if of_pattern is not None else document.given
        return own is None or bool(acting & own)

    def _denied(self, path: str, document: Document) -> Names:
        of_pattern = self.lists.board_denied if matches(PATTERN, path) else frozenset()
        return of_pattern | (document.denied or frozenset())

    def best(self, asker: Asker, ranking: str, k: int) -> list[str]:
        """The canaries of the k best documents that somebody may read, best first."""
        by = (lambda each: each.slot) if ranking == "keywords" else (lambda each: vector_rank(each.slot))
        ranked: Iterable[Document] = sorted(self.readable(asker).values(), key=by, reverse=True)
        return [each.canary for each in ranked][:k]

    def free_slot(self, path: str, wanted: int) -> int:
        """A slot that no other document has, so that no two rank the same."""
        others = [*self.documents.items(), *self.queued]
        taken = {document.slot for at, document in others if at != path}
        return next(slot % SLOTS for slot in range(wanted, wanted + SLOTS) if slot % SLOTS not in taken)

    def settle(self) -> None:
        """What was queued is there: lists that were not given stay as they were."""
        for path, document in self.queued:
            if (before := self.documents.get(path)) is not None:
                document.given = before.given if document.given is None else document.given
                document.denied = before.denied if document.denied is None else document.denied
            self.documents[path] = document
        self.queued.clear()
