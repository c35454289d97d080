"""From the chunks that were found to the passages that are shown: with their neighbours, or as large as their section.

A passage is put together from chunks that the caller may read, one after the other, and is the very slice of the
document's text from the first to the last of them. What the caller may not read ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from headworks.retrieval.store import Payloads, StoredChunk
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.retrieval import Passage

_SQL = load("headworks.retrieval.searching", "expanding.sql")
_WIDEST = 40
"""Chunks on each side that are looked at for the section around one."""
_SMALL_CHUNK_TOKENS = 40


@dataclass(frozen=True, slots=True)
class Expansion:
    """How much is shown around a chunk: its section up to so many tokens, or so many chunks on each side.

    All passages of a search have together at most `passages_tokens`; one that would take more is shown as its chunk.
    """

    parent_tokens: int
    neighbours: int
    passages_tokens: int

    @property
    def radius(self) -> int:
        """How many chunks on each side may matter."""
        return self.neighbours or min(_WIDEST, self.parent_tokens // _SMALL_CHUNK_TOKENS + 1)


def read_expansion(settings: Mapping[str, int] | None) -> Expansion | None:
    """What a collection's settings say of passages; None: they are the chunks."""
    return Expansion(**settings) if settings else None


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk of a document: where it stands, and what it says."""

    start: int
    end: int
    stored: StoredChunk

    def goes_on_with(self, following: Part) -> bool:
        """Whether the next chunk's text can be put behind this one's without anything missing between them."""
        return following.start <= self.end or following.start - self.end == len(following.stored.gap)


@dataclass(slots=True)
class _Run:
    """Neighbouring chunks of a document that are one passage: the first and the last, and the best of them."""

    first: int
    last: int
    best: Passage


class Around:
    """The readable chunks of one version of a document, as far as they were fetched."""

    def __init__(self, parts: Mapping[int, Part]) -> None:
        """`parts` by ordinal."""
        self.parts = parts

    def tokens(self, ordinals: Iterable[int]) -> int:
        """Of these chunks together."""
        return sum(self.parts[each].stored.tokens for each in ordinals)

    def extent(self, ordinal: int, how: Expansion) -> range:
        """The chunks that are shown for one that was found."""
        if how.neighbours:
            return self._while(ordinal, how.neighbours, lambda _: True)
        return self._section(ordinal, how)

    def text(self, ordinals: range) -> str:
        """The slice of the document's text from the first of these chunks to the end of the last."""
        found, end = [], self.parts[ordinals[0]].start
        for ordinal in ordinals:
            part = self.parts[ordinal]
            fresh = part.stored.text[max(0, end - part.start) :]
            found.append(fresh if part.start <= end else part.stored.gap + fresh)
            end = max(end, part.end)
        return "".join(found)

    def section(self, ordinals: range) -> tuple[str, ...]:
        """The headings that all of these chunks stand under."""
        paths = [self.parts[each].stored.section for each in ordinals]
        same = 0
        while all(len(path) > same and path[same] == paths[0][same] for path in paths):
            same += 1
        return paths[0][:same]

    def _section(self, ordinal: int, how: Expansion) -> range:
        """The widest section around a chunk that fits, else what fits of the innermost one, the chunk in the middle."""
        path = self.parts[ordinal].stored.section
        inside = range(ordinal, ordinal + 1)
        for depth in range(len(path) + 1):
            inside = self._while(
                ordinal, how.radius, lambda part, top=path[:depth]: part.stored.section[: len(top)] == top
            )
            is_whole = ordinal - inside[0] < how.radius and inside[-1] - ordinal < how.radius
            if is_whole and self.tokens(inside) <= how.parent_tokens:
                return inside
        return self._middle(ordinal, inside, how.parent_tokens)

    def _middle(self, ordinal: int, inside: range, budget: int) -> range:
        first = last = ordinal
        left = budget - self.tokens([ordinal])
        while True:
            nearest = [each for each in (last + 1, first - 1) if each in inside and self.tokens([each]) <= left]
            if not nearest:
                return range(first, last + 1)
            chosen = min(nearest, key=lambda each: abs(each - ordinal))
            left -= self.tokens([chosen])
            first, last = min(first, chosen), max(last, chosen)

    def _while(self, ordinal: int, most: int, belongs: Any) -> range:  # noqa: ANN401 -- a test of a part
        first = last = ordinal
        while first > ordinal - most and self._is_next(first - 1, first) and belongs(self.parts[first - 1]):
            first -= 1
        while last < ordinal + most and self._is_next(last, last + 1) and belongs(self.parts[last + 1]):
            last += 1
        return range(first, last + 1)

    def _is_next(self, ordinal: int, following: int) -> bool:
        one, other = self.parts.get(ordinal), self.parts.get(following)
        return one is not None and other is not None and one.goes_on_with(other)


async def expand(
    tx: Tx, principal: Principal, payloads: Payloads, generation: UUID, found: Sequence[Passage], how: Expansion
) -> list[Passage]:
    """Passages that show more than the chunk that was found, best first and numbered from 1; what overlaps is one.

    Read again as the caller: what it may no longer read, or what was replaced in between, is left out.
    """
    rows = await tx.fetch_all(
        _SQL.read_around,
        tenant=principal.tenant,
        generation=generation,
        documents=[each.document for each in found],
        firsts=[max(0, each.chunk - how.radius) for each in found],
        lasts=[each.chunk + how.radius for each in found],
    )
    parts: dict[tuple[UUID, int], dict[int, Part]] = {}
    for row in rows:
        part = Part(row.start_offset, row.end_offset, payloads.open_chunk(row.chunk_id, row.content))
        parts.setdefault((row.document_id, row.version), {})[row.ordinal] = part
    return merged(found, {at: Around(each) for at, each in parts.items()}, how)


def merged(found: Sequence[Passage], documents: Mapping[tuple[UUID, int], Around], how: Expansion) -> list[Passage]:
    """The passages for these chunks, which come best first; `documents` by id and version."""
    runs: dict[tuple[UUID, int], list[_Run]] = {}
    order: list[_Run] = []
    left = how.passages_tokens
    for each in found:
        at = (each.document, each.version)
        around = documents.get(at)
        if around is None or each.chunk not in around.parts or _is_replaced(around, each):
            continue
        of_document = runs.setdefault(at, [])
        shown = {ordinal for run in of_document for ordinal in range(run.first, run.last + 1)}
        if each.chunk in shown:
            continue
        extent = around.extent(each.chunk, how)
        tokens = around.tokens(set(extent) - shown)
        if tokens > left:
            extent, tokens = range(each.chunk, each.chunk + 1), around.tokens([each.chunk])
        left -= tokens
        run = _Run(extent[0], extent[-1], each)
        touched = [other for other in of_document if _overlap(around, other, run)]
        order = [other for other in order if other not in touched[1:]]
        _join(of_document, order, touched, run)
    return [
        _passage(number, run, documents[(run.best.document, run.best.version)]) for number, run in enumerate(order, 1)
    ]


def _is_replaced(around: Around, passage: Passage) -> bool:
    """Whether it is another text that stands there now."""
    part = around.parts[passage.chunk]
    return (part.start, part.end, part.stored.text) != (passage.start, passage.end, passage.text)


def _overlap(around: Around, one: _Run, other: _Run) -> bool:
    first, second = (one, other) if one.first <= other.first else (other, one)
    if second.first <= first.last:
        return True
    before, after = around.parts[first.last], around.parts[second.first]
    return second.first == first.last + 1 and after.start < before.end


def _join(of_document: list[_Run], order: list[_Run], touched: list[_Run], run: _Run) -> None:
    """Make one run of what overlaps, in the place of the best of them."""
    if not touched:
        of_document.append(run)
        order.append(run)
        return
    kept = touched[0]
    kept.first = min(run.first, *(each.first for each in touched))
    kept.last = max(run.last, *(each.last for each in touched))
    for each in touched[1:]:
        of_document.remove(each)


def _passage(number: int, run: _Run, around: Around) -> Passage:
    ordinals = range(run.first, run.last + 1)
    text = around.text(ordinals)
    start = around.parts[run.first].start
    return replace(
        run.best, number=number, section=around.section(ordinals), start=start, end=start + len(text), text=text
    )
