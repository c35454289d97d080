"""Questions from what a folder's documents say their parts are about: pure functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"^(?:[A-Z]?\d+(?:\.\d+)*[.)]?|[ivxIVX]+[.)])\s+")
_SHORTEST, _LONGEST = 8, 120
_FIRST_WORDS = 12
_MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and where it comes from (empty: somebody wrote it)."""

    text: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """A document's headings without their numbers; where it has none that say something, its first words."""

    path: str
    headings: tuple[str, ...]
    is_heading: bool = True


def outline(path: str, text: str, headings: Iterable[str]) -> Outline:
    """The outline of a document as it is stored."""
    found = tuple(dict.fromkeys(filter(None, map(_plain, headings))))
    if found:
        return Outline(path, found)
    return Outline(path, (" ".join(text.split()[:_FIRST_WORDS]),), is_heading=False)


def choose(outlines: Sequence[Outline], count: int) -> list[Question]:
    """Headings of as many documents as possible, those first that say most and stand in one document only."""
    uses = Counter(heading.casefold() for each in outlines for heading in each.headings)
    ranked = [
        (each, sorted(each.headings, key=lambda heading: _rank(heading, uses)))
        for each in sorted(outlines, key=lambda each: not each.is_heading)
    ]
    chosen: list[Question] = []
    while len(chosen) < count and any(headings for _, headings in ranked):
        for each, headings in ranked:
            if headings and len(chosen) < count:
                kind = "a heading" if each.is_heading else "the first words"
                chosen.append(Question(headings.pop(0), f"{kind} of {each.path}"))
    return chosen


def _rank(heading: str, uses: Counter[str]) -> tuple[bool, int]:
    """Lower is better: in one document only, then the more words, up to a few."""
    return uses[heading.casefold()] > 1, -min(_MOST_WORDS, len(heading.split()))


def _plain(heading: str) -> str:
    text = " ".join(_NUMBER.sub("", heading.strip()).split())
    return text if _SHORTEST <= len(text) <= _LONGEST else ""
