"""Documents into chunks by their structure: sections, then paragraphs and table rows, then sentences, then words.

Every chunk is an exact slice of the stored text. It never crosses a heading, except that headings without a text of
their own stand with the first chunk of what follows below them. One pass, linear in the length of the text,
deterministic, and independent of any model: tokens are estimated.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from headworks.retrieval.parsers.contract import Heading, ParsedDocument
from headworks.retrieval.passages.sentences import Kind, blocks, sentences_of


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """How documents are cut; part of a generation and of a release's digest."""

    max_tokens: int = 200
    """Of the chunk itself, estimated. With the context this stays below the 256 word pieces that MiniLM reads."""
    overlap_sentences: int = 1
    """How many sentences of a section's chunk are repeated at the start of the next; they count in its budget."""
    context_tokens: int = 40
    """The most that title and headings may take in front of a chunk when it is indexed."""

    def __post_init__(self) -> None:
        if not 16 <= self.max_tokens <= 8192:
            raise ValueError("max_tokens of a chunk is between 16 and 8192.")
        if not 0 <= self.overlap_sentences <= 10:
            raise ValueError("overlap_sentences is between 0 and 10.")
        if not 0 <= self.context_tokens <= 512:
            raise ValueError("context_tokens is between 0 and 512.")


@dataclass(frozen=True, slots=True)
class ChunkSpan:
    """`document.text[start:end]` is the chunk, without space around it.

    `section` is the path of headings that it stands under. `context` names its document and section (and the header
    of a table that began before it) as far as the chunk's own text does not: see `indexed`.
    """

    ordinal: int
    start: int
    end: int
    section: tuple[str, ...]
    context: str

    def indexed(self, text: str) -> str:
        """What keyword index and embedding get for the chunk with this text."""
        return f"{self.context}\n\n{text}" if self.context else text


def chunk(document: ParsedDocument, settings: ChunkSettings) -> list[ChunkSpan]:
    """The chunks of a document in order; together they hold every character of its text that is not space."""
    found: list[ChunkSpan] = []
    for section in _sections(document):
        for start, end, header in _pieces(document.text, section, settings):
            text = document.text[start:end]
            context = _context(document.title, section, header, text, settings.context_tokens)
            found.append(ChunkSpan(len(found), start, end, section.path, context))
    return found


# About one token of a word-piece vocabulary: up to eight letters, up to three digits, any other character alone.
_TOKEN = re.compile(r"[a-zA-Z\u00c0-\u024f]{1,8}|[0-9]{1,3}|[^\sa-zA-Z0-9\u00c0-\u024f]")


_NOT_SPACE = re.compile(r"\S")


def estimated_tokens(text: str) -> int:
    """About how many word pieces a text has: cheap, and the same on every machine."""
    return len(_TOKEN.findall(text))


# ── Sections ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    end: int
    path: tuple[str, ...]


def _sections(document: ParsedDocument) -> Iterator[_Section]:
    text, headings = document.text, document.headings
    first = headings[0].start if headings else len(text)
    if not _is_blank(text, 0, first):
        yield _Section(0, first, ())
    path: list[Heading] = []
    carried: int | None = None
    for place, heading in enumerate(headings):
        following = headings[place + 1] if place + 1 < len(headings) else None
        end = following.start if following else len(text)
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
        start = heading.start if carried is None else carried
        carried = None
        if following and following.level > heading.level and _is_blank(text, heading.end, end):
            carried = start
        elif not _is_blank(text, start, end):
            yield _Section(start, end, tuple(each.text for each in path if each.text))


def _is_blank(text: str, start: int, end: int) -> bool:
    return _NOT_SPACE.search(text, start, end) is None


# ── Pieces of a section ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is never cut: a sentence or row, or a run of words of one that is over the budget by itself."""

    start: int
    end: int
    kind: Kind
    tokens: int
    rest: int
    """Tokens from here to the end of its block."""
    first: bool
    """Whether its block begins here."""
    header: str
    """The first row of the table that it goes on with, else empty."""


def _pieces(text: str, section: _Section, settings: ChunkSettings) -> Iterator[tuple[int, int, str]]:
    """Start and end of each chunk of a section, and the header of the table that it begins in the middle of."""
    units = [unit for block in _unit_blocks(text, section) for unit in _units(text, block, settings.max_tokens)]
    for begin, stop in _packed(units, settings):
        start, end = units[begin].start, units[stop - 1].end
        piece = text[start:end]
        if stripped := piece.strip():
            start += len(piece) - len(piece.lstrip())
            yield start, start + len(stripped), units[begin].header


@dataclass(frozen=True, slots=True)
class _UnitBlock:
    kind: Kind
    cuts: tuple[int, ...]
    """Where its sentences begin, and where the next block does."""
    header: str


def _unit_blocks(text: str, section: _Section) -> Iterator[_UnitBlock]:
    """The blocks of a section with nothing left between them: what is in no sentence goes with the one before it."""
    begin = section.start
    held: tuple[Kind, list[int], str] | None = None
    for block in blocks(text, section.start, section.end):
        found = list(sentences_of(text, block))
        if not found:
            continue
        cuts = [sentence.cut for sentence in found]
        if held is not None:
            yield _UnitBlock(held[0], (*held[1], cuts[0]), held[2])
        else:
            cuts[0] = begin
        header = text[found[0].start : found[0].end] if block.kind == "table" else ""
        held = (block.kind, cuts, header)
    kind, cuts, header = held or ("prose", [begin], "")
    yield _UnitBlock(kind, (*cuts, section.end), header)


def _units(text: str, block: _UnitBlock, budget: int) -> list[_Unit]:
    spans: list[tuple[int, int, int]] = []
    for start, end in pairwise(block.cuts):
        tokens = estimated_tokens(text[start:end])
        if tokens <= budget:
            spans.append((start, end, tokens))
        else:
            spans.extend((at, cut, estimated_tokens(text[at:cut])) for at, cut in _split(text, start, end, budget))
    units: list[_Unit] = []
    rest = sum(tokens for _, _, tokens in spans)
    for place, (start, end, tokens) in enumerate(spans):
        units.append(_Unit(start, end, block.kind, tokens, rest, place == 0, block.header if place else ""))
        rest -= tokens
    return units


def _split(text: str, start: int, end: int, budget: int) -> Iterator[tuple[int, int]]:
    """A sentence over the budget in parts within it: between words where there are any."""
    at = start
    while at < end:
        cut = _cut(text, at, end, budget)
        yield at, cut
        at = cut


def _cut(text: str, start: int, end: int, budget: int) -> int:
    gap = start
    for number, token in enumerate(_TOKEN.finditer(text, start, end)):
        at = token.start()
        if at > start and text[at - 1].isspace():
            gap = at
        if number == budget:
            return gap if gap > start else _between_characters(text, start, at)
    return end


def _between_characters(text: str, start: int, at: int) -> int:
    """The nearest place before `at` that parts no accent, joiner or low surrogate from what it belongs to."""
    for place in range(at, max(start, at - 16), -1):
        glued = text[place - 1] == "\u200d" or "\udc00" <= text[place] <= "\udfff"
        if not glued and text[place] != "\u200d" and not unicodedata.category(text[place]).startswith("M"):
            return place
    return at


def _packed(units: list[_Unit], settings: ChunkSettings) -> Iterator[tuple[int, int]]:
    """Which units make a chunk: (first, one after the last). Chunks of a section get about the same size."""
    budget = settings.max_tokens
    total = sum(unit.tokens for unit in units)
    target = total / max(1, ceil(total / budget))
    begin = filled = 0
    for place, unit in enumerate(units):
        if place and _is_full(filled, unit, target, budget):
            yield begin, place
            begin = _overlap(units, begin, place, settings)
            filled = sum(each.tokens for each in units[begin:place])
        filled += unit.tokens
    yield begin, len(units)


def _is_full(filled: int, unit: _Unit, target: float, budget: int) -> bool:
    parted = filled + unit.rest > budget  # the block does not fit as a whole
    return (
        filled + unit.tokens > budget
        or (filled >= target and (unit.first or parted))
        or (filled >= 0.6 * target and unit.first and parted and unit.rest <= budget)
    )


def _overlap(units: list[_Unit], begin: int, place: int, settings: ChunkSettings) -> int:
    """Where the chunk that goes on at `place` begins, so that it repeats whole sentences of the one before it."""
    room = min(settings.max_tokens - units[place].tokens, settings.max_tokens // 4)
    at = place
    while at - 1 > begin and place - at < settings.overlap_sentences:
        before = units[at - 1]
        room -= before.tokens
        if room < 0 or before.kind not in {"prose", "item"}:
            break
        at -= 1
    return at


# ── Context ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _context(title: str, section: _Section, header: str, text: str, budget: int) -> str:
    """Title, headings and table header as far as the chunk does not hold them; the nearest ones if they are many."""
    inside = text.casefold()
    names = dict.fromkeys(" ".join(name.split()) for name in (title, *section.path))
    kept = [name for name in names if name and name.casefold() not in inside]
    while len(kept) > 1 and estimated_tokens(" > ".join(kept)) > budget:
        kept.pop(0)
    path = _within(" > ".join(kept), budget)
    left = budget - estimated_tokens(path)
    return "\n".join(part for part in (path, _within(header, left) if left > 0 else "") if part)


def _within(text: str, budget: int) -> str:
    return text[: _cut(text, 0, len(text), budget)].rstrip() if budget else ""
