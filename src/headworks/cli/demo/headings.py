"""Questions from what a folder's documents say their parts are about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headworks.cli.demo.corpus import Question
from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.sandbox import ParserPool

MOST_FILES = 12
_LARGEST_BYTES = 5_000_000
_NUMBER = re.compile(r"^(?:[A-Z]?\d+(?:\.\d+)*[.)]?|[ivxIVX]+[.)])\s+")
_SHORTEST, _LONGEST = 8, 120


@dataclass(frozen=True, slots=True)
class Outline:
    """A document's headings without their numbers, or its first sentence where it has none."""

    path: str
    headings: tuple[str, ...]


async def read_outlines(folder: Path, paths: Sequence[str]) -> list[Outline]:
    """The outlines of some documents; those that can't be parsed are left out, ingestion will say why."""
    outlines = []
    pool = ParserPool()
    try:
        for path in paths:
            file = folder / path
            if file.stat().st_size > _LARGEST_BYTES:
                continue
            try:
                parsed = await pool.parse(path, file.read_bytes())
            except DocumentUnreadable:
                continue
            texts = [heading.text for heading in parsed.headings] or [_first_words(parsed.text)]
            outlines.append(Outline(path, tuple(dict.fromkeys(filter(None, map(_plain, texts))))))
    finally:
        await pool.close()
    return outlines


def choose(outlines: Iterable[Outline], count: int) -> list[Question]:
    """Headings of as many documents as possible, those first that say most and stand in one document only."""
    outlines = list(outlines)
    uses = Counter(heading.casefold() for outline in outlines for heading in outline.headings)
    ranked = {outline.path: sorted(outline.headings, key=lambda each: _rank(each, uses)) for outline in outlines}
    chosen: list[Question] = []
    while len(chosen) < count and any(ranked.values()):
        for path, headings in ranked.items():
            if headings and len(chosen) < count:
                chosen.append(Question(headings.pop(0), f"a heading of {path}"))
    return chosen


def _rank(heading: str, uses: Counter[str]) -> tuple[bool, int]:
    """Lower is better: in one document only, then the more words (up to eight)."""
    return uses[heading.casefold()] > 1, -min(8, len(heading.split()))


def _plain(heading: str) -> str:
    text = " ".join(_NUMBER.sub("", heading.strip()).split())
    return text if _SHORTEST <= len(text) <= _LONGEST else ""


def _first_words(text: str) -> str:
    return " ".join(text.split()[:12])
