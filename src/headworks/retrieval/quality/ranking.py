"""From the passages of a search to a ranking that can be measured: which of what was looked for stands where.

A query that looks for whole documents ranks documents, each at the place of its best passage. One that looks for a
quote or a section ranks passages, as a model gets them: each takes a place, also after another of its document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headworks.errors import Conflict
from headworks.retrieval.quality.golden import GoldenQuery, Target


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage of a search, without its text. `start` and `end` are characters of that version's stored text."""

    document: str
    version: int
    path: str
    title: str
    section: tuple[str, ...]
    start: int
    end: int
    score: float

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Hit:
        """A row of `POST /api/search`."""
        return cls(
            row["document"], row["version"], row["path"], row["title"], tuple(row["section"]), row["start"],
            row["end"], row["score"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target is: one version of a document, and for a quote its places in the text as (start, end)."""

    document: str
    version: int
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Sought:
    """A target with all places where it is; none where the document is not there, or not the reader's to read."""

    target: Target
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A ranking as `measures` takes it, and the hits in it, each with the grade of the best target that it holds."""

    names: tuple[str, ...]
    grades: Mapping[str, int]
    hits: tuple[tuple[Hit, int | None], ...]


def rank(query: GoldenQuery, sought: Sequence[Sought], hits: Sequence[Hit]) -> Ranked:
    """The ranking that a search's hits, best first, are for a query.

    `sought` are its targets in their order. A hit that holds several of them stands for each, in the order of their
    grades. Conflict: a document with a quote has another version now, so nobody knows where the quote is in it.
    """
    by_documents = all(each.is_whole_document for each in query.targets)
    names: list[str] = []
    kept: list[tuple[Hit, int | None]] = []
    for number, hit in enumerate(hits):
        held = _held(sought, hit)
        news = [f"target {place}" for place in held if f"target {place}" not in names]
        other = f"document {hit.document}" if by_documents else f"hit {number}"
        if not news and by_documents and (held or other in names):
            continue
        names += news or [other]
        kept.append((hit, max((sought[place].target.grade for place in held), default=None)))
    return Ranked(tuple(names), {f"target {n}": each.target.grade for n, each in enumerate(sought)}, tuple(kept))


def quote_spans(text: str, quote: str) -> tuple[tuple[int, int], ...]:
    """Where a quote stands in a text, as (start, end); white space of any kind and length is the same."""
    pattern = r"\s+".join(re.escape(word) for word in quote.split())
    return tuple(found.span() for found in re.finditer(pattern, text))


def is_under(section: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the wanted headings stand directly one below the other among those of a passage."""
    headings = [" ".join(each.split()) for each in section]
    size = len(wanted)
    return any(headings[start : start + size] == list(wanted) for start in range(len(headings) - size + 1))


def _held(sought: Sequence[Sought], hit: Hit) -> list[int]:
    """The numbers of the targets that a hit holds, best grade first."""
    held = [number for number, each in enumerate(sought) if _is_in(each, hit) and _holds(each, hit)]
    return sorted(held, key=lambda number: -sought[number].target.grade)


def _is_in(each: Sought, hit: Hit) -> bool:
    return any(place.document == hit.document for place in each.places)


def _holds(each: Sought, hit: Hit) -> bool:
    if each.target.quote is None:
        return is_under(hit.section, each.target.section) if each.target.section else True
    return any(_covers(hit, place) for place in each.places if place.document == hit.document)


def _covers(hit: Hit, place: Place) -> bool:
    """Whether a passage has half of a quote or more: one that a chunk's end cuts in two is found by one of them."""
    if hit.version != place.version:
        raise Conflict(f"{hit.path} was changed while it was measured.", next_step="Run it again.")
    return any(2 * (min(hit.end, end) - max(hit.start, start)) >= end - start for start, end in place.spans)
