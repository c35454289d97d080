"""What retrieval finds, and what an answer cites."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from headworks.types.ids import DocumentId

_NUMBERED = re.compile(r"(?<!\\)\[(?=[\s,;]*\d[\s\d,;]*\])")


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is shown to a model: its text, where it stands, and its number in the prompt (from 1).

    `start` and `end` are characters into the stored text of that version of the document; `text` is that very slice.
    """

    number: int
    document: DocumentId
    version: int
    path: str
    title: str
    section: tuple[str, ...]
    chunk: int
    start: int
    end: int
    text: str
    score: float


def without_markers(text: str) -> str:
    """What a document says, as it may stand beside our passage numbers: its own `[1]` is escaped as Markdown does it.

    So it heads no passage in a prompt, and is no citation where an answer repeats it.
    """
    return _NUMBERED.sub(r"\\[", text)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passage stands, without a word of it: characters `start` to `end` of a version of a document."""

    document: DocumentId
    version: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PlaceRead:
    """What stands at a place, for who may read it now. `text` is empty where the document is another version by now.

    `page` is the one that it begins on (from 1), None where the document has no pages.
    """

    path: str
    title: str
    section: tuple[str, ...] = ()
    page: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a page: corners in points (1/72 inch) from its top left; `page` counts from 1."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote that was re-read under the caller's rights and matches the stored text byte for byte.

    `start` and `end` are characters into the stored text of that version; `marker_start` and `marker_end` are
    characters into the answer's text; `sha256` is of the quote's UTF-8 bytes; `support` is how well it covers the
    claim (0 to 1). `page` is the one that the quote begins on, None where the document has no pages; `areas` are the
    lines of the page that it stands in, where the format knows their places. `stale` says why the document is not fresh
    any more: nobody has confirmed it for too long, or its review is due; empty: it is.
    """

    number: int
    document: DocumentId
    version: int
    path: str
    title: str
    section: tuple[str, ...]
    start: int
    end: int
    quote: str
    sha256: str
    support: float
    marker_start: int
    marker_end: int
    page: int | None = None
    areas: tuple[Area, ...] = ()
    stale: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A claim of an answer that is not cited, or not supported: characters `start` to `end` of the answer's text.

    `missing` are numbers, dates and names of the claim that its source does not have, as the claim writes them.
    """

    start: int
    end: int
    is_cited: bool
    support: float
    missing: tuple[str, ...] = ()


MOST_DOUBTS = 20
"""Of one answer that are told."""
MOST_PLACES = 40
"""Of an answer's claims that a judge gets to see."""


@dataclass(frozen=True, slots=True)
class Groundedness:
    """How well an answer stands on what was read for it, counted by words: a tripwire, which knows no negation.

    `claims` are its sentences that state something, `cited` those with a verified citation, `supported` those whose
    source (what they cite; else all passages) holds at least half of what they say. `support` is the mean over all
    claims, weighed by their words, `weakest` the lowest; None without claims. `wrong_numbers` and `wrong_names` count
    what claims say and their sources do not; `doubts` has the first claims that are not cited or not supported.
    `weight` is that of all claims' words, `places` where the first claims stand in the text. `unmeasured` counts
    characters beyond the length that is looked at.
    """

    claims: int = 0
    cited: int = 0
    supported: int = 0
    support: float | None = None
    weakest: float | None = None
    wrong_numbers: int = 0
    wrong_names: int = 0
    weight: float = 0.0
    unmeasured: int = 0
    doubts: tuple[Doubt, ...] = ()
    places: tuple[tuple[int, int], ...] = ()

    @property
    def presence(self) -> float | None:
        """The share of claims with a citation; None without claims."""
        return round(self.cited / self.claims, 4) if self.claims else None

    def counts(self) -> dict[str, float | int | None]:
        """All but the doubts: numbers, and nothing of the text."""
        told = {"claims": self.claims, "cited": self.cited, "supported": self.supported, "presence": self.presence}
        told |= {"support": self.support, "weakest": self.weakest}
        told |= {"wrong_numbers": self.wrong_numbers, "wrong_names": self.wrong_names}
        return told | ({"unmeasured": self.unmeasured} if self.unmeasured else {})


def together(parts: Sequence[tuple[int, Groundedness]]) -> Groundedness:
    """One answer out of parts that were measured by themselves, each with the place where it begins."""
    said = [(at, each) for at, each in parts if each.claims]
    total = sum(each.weight for _, each in said)
    held = sum(each.weight * (each.support or 0.0) for _, each in said)
    doubts = [
        Doubt(doubt.start + at, doubt.end + at, doubt.is_cited, doubt.support, doubt.missing)
        for at, each in said
        for doubt in each.doubts
    ]
    return Groundedness(
        claims=sum(each.claims for _, each in said),
        cited=sum(each.cited for _, each in said),
        supported=sum(each.supported for _, each in said),
        support=round(held / total, 4) if total else None,
        weakest=min((each.weakest for _, each in said if each.weakest is not None), default=None),
        wrong_numbers=sum(each.wrong_numbers for _, each in said),
        wrong_names=sum(each.wrong_names for _, each in said),
        weight=total,
        unmeasured=sum(each.unmeasured for _, each in parts),
        doubts=tuple(doubts[:MOST_DOUBTS]),
        places=tuple((start + at, end + at) for at, each in said for start, end in each.places)[:MOST_PLACES],
    )
