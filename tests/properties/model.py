"""Who may read what, as a model: names, lists, edges between groups. Nothing in it reads the database.

Each piece of a document (its text, and what stands under its heading `Secret`) carries a canary, so that it is
recognised wherever it turns up, and a slot, from which its rank by keywords and its rank by vectors follow, each in an
order of its own. As long as no rule cuts the piece under the heading off, both are one document.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from headworks.retrieval.access.readers import matches
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId

PEOPLE = ("ann", "bob")
GROUPS = ("clinic", "board", "temps")
LISTED = (*PEOPLE, *GROUPS, "everyone")
PATHS = ("a.md", "b.md", "board/c.md", "board/d.md", "old.md")
PATTERN = "board/**"
QUESTION = "where does the heron stand"
HEADING = "Secret"
CUT_PATHS = ("a.md", PATTERN, "**")
"""Where a rule cuts sections off."""
SLOTS = 23
CANARY = re.compile("canary[a-z]{32}")
_LETTERS = str.maketrans("0123456789", "ghijklmnop")
_LENGTH = 120
"""Words of a piece: so many that a heading more in front of it moves no rank."""

Names = frozenset[str]


@dataclass(frozen=True)
class Piece:
    """What stands under one heading."""

    heading: str
    canary: str
    slot: int

    def text(self) -> str:
        """Always as many words, so that more herons rank higher."""
        words = ["heron"] * (self.slot + 1) + ["stone"] * (_LENGTH - self.slot)
        return f"{self.heading}\n\n{self.canary} slot{self.slot:02} {' '.join(words)}."


@dataclass
class Document:
    """What was handed in; `given` and `denied` are the lists given on upload (None: none was)."""

    pieces: tuple[Piece, ...]
    """Its own, and the one that a rule may cut off."""
    given: Names | None
    denied: Names | None

    def text(self) -> str:
        return joined(self.pieces)


@dataclass(frozen=True)
class Shown:
    """What is a document of its own in the database: a file, or a section that was cut off. `pieces` empty: not yet."""

    path: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Rule:
    """Sections under the heading `Secret` are read by these and closed to those, where the path matches."""

    documents: str
    readers: Names
    denied: Names


@dataclass(frozen=True)
class Kept:
    """The lists that a piece had when it was replaced or vanished: all of them admit, and nobody is denied."""

    admitting: tuple[Names, ...]
    denied: Names


def new_canary() -> str:
    """A word that nobody else has said, without digits: it is to be no number."""
    return f"canary{uuid.uuid4().hex.translate(_LETTERS)}"


def joined(pieces: Iterable[Piece]) -> str:
    return "\n\n".join(each.text() for each in pieces)


def vector_of(text: str, weights: int) -> list[float]:
    """A scripted embedding: a question lies across, and the higher a document's second rank, the nearer it comes.

    To vectors of other `weights` all are equally far.
    """
    found = re.search(r"slot(\d\d)", text)
    angle = math.pi / 2 if found is None else 0.05 * (vector_rank(int(found[1])) - SLOTS / 2)
    vector = [0.0] * 384
    vector[2 * weights : 2 * weights + 2] = math.cos(angle), math.sin(angle)
    return vector


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


@dataclass
class Judged:
    """An answer that an experiment gave once more, and what its asker said of both: all quote the same."""

    trace: Quoting
    experiment: uuid.UUID
    subjects: tuple[str, str]
    """How judgements name the experiment's answer, and the trace."""
    quoted: Names
    """The canaries of what was shown to the model."""


@dataclass(frozen=True)
class Lists:
    """What a collection's file says."""

    readers: Names = frozenset()
    denied: Names = frozenset()
    board: Names | None = None
    """The readers of `board/**`, if there are some."""
    board_denied: Names = frozenset()
    rule: Rule | None = None

    def rule_at(self, path: str) -> Rule | None:
        return self.rule if self.rule is not None and matches(self.rule.documents, path) else None


@dataclass
class Tenant:
    """One tenant, and everything that is to be known of it."""

    name: str
    admin: Principal
    ids: dict[str, PrincipalId]
    lists: Lists = field(default_factory=Lists)
    documents: dict[str, Document] = field(default_factory=dict)
    queued: list[tuple[str, Document]] = field(default_factory=list)
    bare: set[str] = field(default_factory=set)
    """Whose rule is another since they were cut: nobody reads a word of them until they are cut anew."""
    edges: set[tuple[str, str]] = field(default_factory=set)
    """(who, the group that he, she or it is directly in)."""
    disabled: set[str] = field(default_factory=set)
    askers: list[Asker] = field(default_factory=list)
    traces: list[Quoting] = field(default_factory=list)
    responses: list[Quoting] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    kept: dict[str, Kept] = field(default_factory=dict)
    """Of what was replaced or vanished, by canary."""
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

    def shown(self) -> Iterator[Shown]:
        """The documents that the database has."""
        for path in self.documents:
            yield from self.shown_at(path)

    def shown_at(self, path: str) -> list[Shown]:
        """The file at a path, and the section that was cut off it."""
        own, *secret = pieces = self.documents[path].pieces
        if path in self.bare:
            return [Shown(path, ())]
        if not secret or self.lists.rule_at(path) is None:
            return [Shown(path, tuple(pieces))]
        return [Shown(path, (own,)), Shown(f"{path}#Note › {HEADING}", tuple(secret))]

    def visible(self, asker: Asker) -> dict[str, Shown]:
        """The documents that somebody may know of, by path: also those without a word."""
        if not self.may_enter(asker):
            return {}
        acting, denied_as = self.acting(asker), self.denied_as(asker)
        found: dict[str, Shown] = {}
        for path, document in self.documents.items():
            if not self._admits(path, document, acting) or self._denied(path, document) & denied_as:
                continue
            file, *sections = self.shown_at(path)
            found[path] = file
            rule = self.lists.rule_at(path)
            if rule is not None and acting & rule.readers and not denied_as & rule.denied:
                found |= {each.path: each for each in sections}
        return found

    def readable(self, asker: Asker) -> dict[str, Shown]:
        """The documents that somebody may read, by path."""
        return {path: each for path, each in self.visible(asker).items() if each.pieces}

    def pieces(self, asker: Asker) -> list[Piece]:
        """What somebody may read."""
        return [piece for each in self.readable(asker).values() for piece in each.pieces]

    def declare(self, lists: Lists) -> None:
        """What the collection's file says from now on."""
        self.bare |= {path for path in self.documents if lists.rule_at(path) != self.lists.rule_at(path)}
        self.lists = lists

    def declared(self, lists: Lists) -> Tenant:
        """As it will be when the collection's file says that."""
        later = replace(self, bare={*self.bare})
        later.declare(lists)
        return later

    def could_read(self, asker: Asker, canary: str) -> bool:
        """Whether the lists that an old piece had admit somebody, as who it acts now."""
        acting, kept = self.acting(asker), self.kept[canary]
        return all(acting & each for each in kept.admitting) and not self.denied_as(asker) & kept.denied

    def keep(self, path: str, document: Document) -> None:
        """What was at a path is no longer: it keeps the lists that it had."""
        own = self._own(path, document)
        for_all = (self.lists.readers, *([] if own is None else [own]))
        denied = self.lists.denied | self._denied(path, document)
        first, *cut = document.pieces
        self.kept[first.canary] = Kept(for_all, denied)
        rule = self.lists.rule_at(path)
        for piece in cut:
            of_rule = Kept(for_all, denied) if rule is None else Kept((*for_all, rule.readers), denied | rule.denied)
            self.kept[piece.canary] = of_rule

    def _admits(self, path: str, document: Document, acting: set[str]) -> bool:
        own = self._own(path, document)
        return own is None or bool(acting & own)

    def _own(self, path: str, document: Document) -> Names | None:
        of_pattern = self.lists.board if matches(PATTERN, path) else None
        return of_pattern if of_pattern is not None else document.given

    def _denied(self, path: str, document: Document) -> Names:
        of_pattern = self.lists.board_denied if matches(PATTERN, path) else frozenset()
        return of_pattern | (document.denied or frozenset())

    def best(self, asker: Asker, ranking: str, k: int) -> list[str]:
        """The canaries of the k best pieces that somebody may read, best first."""
        by = (lambda each: each.slot) if ranking == "keywords" else (lambda each: vector_rank(each.slot))
        ranked: Iterable[Piece] = sorted(self.pieces(asker), key=by, reverse=True)
        return [each.canary for each in ranked][:k]

    def free_slots(self, path: str, wanted: int) -> Iterator[int]:
        """Slots that no other document's pieces have, so that no two rank the same."""
        others = [*self.documents.items(), *self.queued]
        taken = {piece.slot for at, document in others if at != path for piece in document.pieces}
        return (slot % SLOTS for slot in range(wanted, wanted + SLOTS) if slot % SLOTS not in taken)

    def settle(self) -> None:
        """What was queued is there: lists that were not given stay as they were."""
        replaced = {path: self.documents[path] for path, _ in self.queued if path in self.documents}
        for path, document in self.queued:
            if (before := self.documents.get(path)) is not None:
                document.given = before.given if document.given is None else document.given
                document.denied = before.denied if document.denied is None else document.denied
            self.documents[path] = document
        for path, before in replaced.items():
            if self.documents[path].pieces != before.pieces:
                self.keep(path, before)
        self.queued.clear()
        self.bare.clear()
