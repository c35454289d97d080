"""Documents into chunks by their structure: sections, then paragraphs and table rows, then sentences, then words.

Every chunk is an exact slice of the stored text. It never crosses a heading, except that headings without a text of
their own stand with the first chunk of what follows below them. Linear in the length of the text, and deterministic:
tokens are counted by whoever is given, the embedding model's vocabulary or an estimate.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from headworks.retrieval.parsers.contract import Heading, ParsedDocument
from headworks.retrieval.passages.counting import TOKEN, CountTokens, estimated_tokens
from headworks.retrieval.passages.sentences import Kind, blocks, sentences_of


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """How documents are cut; part of a generation and of a release's digest."""

    max_tokens: int = 200
    """Of the chunk itself. With the context this stays below the 256 tokens that MiniLM reads."""
    overlap_sentences: int = 1
    """How many sentences of a section's chunk are repeated at the start of the next; they count in its budget."""
    context_tokens: int = 40
    """The most that title, headings and the header of a table may take in front of a chunk when it is indexed."""
    has_headers: bool = True
    """Whether title and headings are indexed with each chunk; the header of a table always is."""
    has_whole_tables: bool = False
    """Whether a table is one chunk, of up to 1,024 tokens, instead of as many of its rows as fit."""

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
    of a table that began before it) as far as the chunk's own text does not: see `indexed`. `tokens` are its own.
    """

    ordinal: int
    start: int
    end: int
    section: tuple[str, ...]
    context: str
    tokens: int

    def indexed(self, text: str) -> str:
        """What keyword index and embedding get for the chunk with this text."""
        return f"{self.context}\n\n{text}" if self.context else text


def chunk(document: ParsedDocument, settings: ChunkSettings, count: CountTokens = estimated_tokens) -> list[ChunkSpan]:
    """The chunks of a document in order; together they hold every character of its text that is not space."""
    cutter = _Cutter(document, settings, count)
    found: list[ChunkSpan] = []
    for section in _sections(document):
        for start, end, header in cutter.pieces(section):
            text = document.text[start:end]
            context = cutter.context(section, header, text)
            found.append(ChunkSpan(len(found), start, end, section.path, context, count(text)))
    return found


_NOT_SPACE = re.compile(r"\S")
_WORD = re.compile(r"\S{1,64}")
_WHOLE_TABLE_TOKENS = 1024
_BEFORE_TABLE_TOKENS = 24
"""What stands before a whole table in its section goes with it if it is no longer than a heading."""


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
    """What is never cut: a sentence, row or whole table, or a run of words of one that is over the budget by itself."""

    start: int
    end: int
    kind: Kind
    tokens: int
    rest: int
    """Tokens from here to the end of its block."""
    first: bool
    """Whether its block begins here."""
    header: str
    """The rows that name the columns of the table that it goes on with, else empty."""


@dataclass(frozen=True, slots=True)
class _UnitBlock:
    kind: Kind
    cuts: tuple[int, ...]
    """Where its sentences begin, and where the next block does."""
    header: str


class _Cutter:
    """Cuts the sections of one document."""

    def __init__(self, document: ParsedDocument, settings: ChunkSettings, count: CountTokens) -> None:
        self._text = document.text
        self._title = document.title
        self._settings = settings
        self._count = count
        self._headers = {table.start: document.text[table.start : table.header_end] for table in document.tables}

    def pieces(self, section: _Section) -> Iterator[tuple[int, int, str]]:
        """Start and end of each chunk of a section, and the header of the table that it begins in the middle of."""
        text = self._text
        units = [unit for block in self._blocks(section) for unit in self._units(block)]
        for begin, stop in _packed(units, self._settings):
            for first, last in self._within_budget(units, begin, stop):
                start, end = units[first].start, units[last - 1].end
                piece = text[start:end]
                if stripped := piece.strip():
                    start += len(piece) - len(piece.lstrip())
                    yield start, start + len(stripped), units[first].header

    def _within_budget(self, units: list[_Unit], begin: int, stop: int) -> Iterator[tuple[int, int]]:
        """These units as one chunk, or two: parts of a word without spaces may count for more when they are joined."""
        joined = self._text[units[begin].start : units[stop - 1].end]
        together = sum(unit.tokens for unit in units[begin:stop])
        if stop - begin == 1 or self._count(joined) <= max(self._settings.max_tokens, together):
            yield begin, stop
        else:
            middle = (begin + stop) // 2
            yield from self._within_budget(units, begin, middle)
            yield from self._within_budget(units, middle, stop)

    def _blocks(self, section: _Section) -> Iterator[_UnitBlock]:
        """The blocks of a section with nothing left between them: what is in no sentence goes with the one before."""
        text, begin = self._text, section.start
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
            held = (block.kind, cuts, self._headers.get(block.start, header))
        kind, cuts, header = held or ("prose", [begin], "")
        yield _UnitBlock(kind, (*cuts, section.end), header)

    def _units(self, block: _UnitBlock) -> list[_Unit]:
        whole = self._whole_table(block)
        spans = whole or [span for start, end in pairwise(block.cuts) for span in self._spans(start, end)]
        units: list[_Unit] = []
        rest = sum(tokens for _, _, tokens in spans)
        for place, (start, end, tokens) in enumerate(spans):
            units.append(_Unit(start, end, block.kind, tokens, rest, place == 0, block.header if place else ""))
            rest -= tokens
        return units

    def _whole_table(self, block: _UnitBlock) -> list[tuple[int, int, int]]:
        """The table as one span, if it is one and not too long."""
        if not self._settings.has_whole_tables or block.kind != "table":
            return []
        start, end = block.cuts[0], block.cuts[-1]
        tokens = self._count(self._text[start:end])
        return [(start, end, tokens)] if tokens <= _WHOLE_TABLE_TOKENS else []

    def _spans(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """A sentence with its tokens, in parts where it is over the budget: between words where there are any."""
        tokens = self._count(self._text[start:end])
        if tokens <= self._settings.max_tokens:
            yield start, end, tokens
            return
        at = start
        while at < end:
            cut = _cut(self._text, at, end, self._settings.max_tokens, self._count)
            yield at, cut, self._count(self._text[at:cut])
            at = cut

    def context(self, section: _Section, header: str, text: str) -> str:
        """Title, headings and table header as far as the chunk does not hold them; the nearest if they are many."""
        budget = self._settings.context_tokens
        path = self._names(section, text, budget) if self._settings.has_headers else ""
        left = budget - self._count(path)
        return "\n".join(part for part in (path, first_tokens(header, left, self._count)) if part)

    def _names(self, section: _Section, text: str, budget: int) -> str:
        inside = text.casefold()
        names = dict.fromkeys(" ".join(name.split()) for name in (self._title, *section.path))
        kept = [name for name in names if name and name.casefold() not in inside]
        while len(kept) > 1 and self._count(" > ".join(kept)) > budget:
            kept.pop(0)
        return first_tokens(" > ".join(kept), budget, self._count)


def first_tokens(text: str, budget: int, count: CountTokens) -> str:
    """As much of the beginning of a text as the budget allows."""
    return text[: _cut(text, 0, len(text), budget, count)].rstrip() if text and budget > 0 else ""


def _cut(text: str, start: int, end: int, budget: int, count: CountTokens) -> int:
    """Where a part within the budget ends that is as long as can be: before a word, else between two characters.

    At least one character further on, whatever it counts.
    """
    at = _before_word(text, start, end, budget, count)
    if at == start:
        at = _inside_word(text, start, end, budget, count)
    while at - start > 1 and count(text[start:at]) > budget:  # together they may count for more than one by one
        at = _between_characters(text, start, at - max(1, (at - start) // 8))
    return at


def _before_word(text: str, start: int, end: int, budget: int, count: CountTokens) -> int:
    filled, gap = 0, start
    for word in _WORD.finditer(text, start, end):
        at = word.start()
        if at > start and text[at - 1].isspace():
            gap = at
        filled += count(word[0])
        if filled > budget:
            return gap
    return end


def _inside_word(text: str, start: int, end: int, budget: int, count: CountTokens) -> int:
    filled = 0
    for token in TOKEN.finditer(text, start, end):
        filled += count(token[0])
        if filled > budget and token.start() > start:
            return _between_characters(text, start, token.start())
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
    if unit.tokens > budget:  # a whole table
        return filled > _BEFORE_TABLE_TOKENS
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
