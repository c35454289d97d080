"""Text into blocks and sentences, with the exact offsets of each: what chunks are cut from and what a citation quotes.

It knows the layouts that stored texts have (paragraphs with wrapped lines, lists, numbered clauses, tables of `| … |`
rows, fenced code, headings) and the usual abbreviations. One pass, linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["prose", "item", "heading", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lines that belong together; `end` is before the line's end."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, a heading, a row of a table or a line of code: `text[start:end]` has no space around it.

    `cut` is where the text may be cut before it: `start`, or before the bullet of a list item.
    """

    start: int
    end: int
    kind: Kind
    cut: int


# ── Blocks ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}(?:\s+\S|\s*$)|\s*(\*\*|__)(?!\s)[^*_\n]{1,120}\1:?\s*$")
_UNDERLINE = re.compile(r"\s*(?:={3,}|-{3,}|~{3,}|\^{3,})\s*$")
_ROW = re.compile(r"\s*\|.*\|\s*$")
_RULE = re.compile(r"[\s|:+=_*-]*$")
_BULLET = re.compile(r"\s*[-*+•‣◦▪●·–]\s+(?=\S)")
_NUMBERED = re.compile(r"\s*(?:\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]|\d{1,3}(?:\.\d{1,3})+\.?|§\s?\d+\S*)\s+(?=\S)")

_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("code", _FENCE),
    ("heading", _HEADING),
    ("table", _ROW),
    ("item", _BULLET),
    ("item", _NUMBERED),
)


def blocks(text: str, start: int = 0, end: int | None = None) -> Iterator[Block]:
    """The blocks of a text in order; blank lines and rules (`---`) are in none."""
    reader = _BlockReader()
    for at, line in _lines(text, start, len(text) if end is None else end):
        yield from reader.read(at, line)
    if reader.opened is not None:
        yield reader.opened


class _BlockReader:
    """Goes through lines; `opened` is the block that the next one may go on with."""

    def __init__(self) -> None:
        self.opened: Block | None = None
        self._fence = ""

    def read(self, at: int, line: str) -> Iterator[Block]:
        """The blocks that end with this line, or before it."""
        last = at + len(line.rstrip())
        if self._fence:
            self._go_on(at, last, "code")
            if line.strip().startswith(self._fence) and not line.strip().strip(self._fence[0]):
                yield from self._end()
                self._fence = ""
        elif self.opened is not None and self.opened.kind == "prose" and _UNDERLINE.match(line):
            yield Block(self.opened.start, last, "heading")
            self.opened = None
        else:
            yield from self._read_plain(at + _indent(line), last, line)

    def _read_plain(self, first: int, last: int, line: str) -> Iterator[Block]:
        kind = _kind(line, self.opened)
        goes_on = self.opened is not None and kind == self.opened.kind
        if not goes_on or (kind == "item" and _starts_item(line)):
            yield from self._end()
        if kind == "heading":
            yield Block(first, last, "heading")
        elif kind is not None:
            self._go_on(first, last, kind)
            found = _FENCE.match(line)
            self._fence = found[1] if found else ""

    def _go_on(self, at: int, last: int, kind: Kind) -> None:
        before = self.opened
        self.opened = Block(before.start, max(last, before.start), before.kind) if before else Block(at, last, kind)

    def _end(self) -> Iterator[Block]:
        if self.opened is not None:
            yield self.opened
        self.opened = None


def _lines(text: str, start: int, stop: int) -> Iterator[tuple[int, str]]:
    at = start
    while at < stop:
        found = text.find("\n", at, stop)
        after = stop if found < 0 else found + 1
        yield at, text[at:after]
        at = after


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _kind(line: str, opened: Block | None) -> Kind | None:
    """The kind of a line outside fences; a plain line goes on with the paragraph or list item before it."""
    if _RULE.match(line):  # a blank line, too
        return "table" if opened is not None and opened.kind == "table" and line.strip() else None
    for kind, pattern in _PATTERNS:
        if pattern.match(line):
            return kind
    return opened.kind if opened is not None and opened.kind == "item" else "prose"


def _starts_item(line: str) -> bool:
    return bool(_BULLET.match(line) or _NUMBERED.match(line))


# ── Sentences ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# The end of a sentence: its stop, closing quotes and brackets, markers like [1] that belong to it, then space.
_STOP = re.compile(
    r"(?<![.!?…؟۔।॥])[.!?…؟۔।॥]++[\"'”’»)\]*_]*+(?:[ \u00a0\u202f]»)?+(?:\s?\[[\d, ]{1,12}\])*+(?=\s)"
    r"|[。！？｡]++[」』”）]*+"
)
_ABBREVIATIONS = """
e.g i.e cf vs viz approx dr mr mrs ms prof st rev hon gen fig figs eq eqs ref refs sec sect art para paras pp p ch chap
vol ed eds al dept est no nos nr tel ext resp incl excl max min jan feb mar apr jun jul aug sep sept oct nov dec
z.b d.h u.a u.u o.ä i.d.r bzw ca evtl ggf abs bspw sog inkl exkl zzgl kap lit vgl ziff str dipl hr mme mlle sra srta
núm pág aprox
"""
_CLOSERS = "usw etc inc ltd co corp llc plc jr sr a.m p.m u.s u.k e.u u.n ph.d m.d b.sc m.sc"
_OPENERS = """
the a an in it this that these those if for we you they he she there however when while where after before as at all any
each every no not to under your our its please note see members patients
"""
_NEVER_ENDS = frozenset(_ABBREVIATIONS.split())
_MAY_END = frozenset(_CLOSERS.split())  # it does when the next word looks like the first of a sentence
_USUAL_FIRST = frozenset(_OPENERS.split())
_WORD_BEFORE = re.compile(r"[\w.]*$")
_WORD_AFTER = re.compile(r"\s*[\"'“‘«(\[*_]*(\w*)")
_BEFORE_ORDINAL = re.compile(
    r"(?:^|\s)(?:am|im|der|die|das|dem|den|des|vom|zum|zur|ab|bis|beim|seit)\s+\d{1,2}$", re.IGNORECASE
)
_MONTHS = frozenset(
    "januar jänner februar märz april mai juni juli august september oktober november dezember".split()  # noqa: SIM905
)
_SAID = re.compile(r"[\u3040-\u309f]")  # a particle after a quotation: the sentence around it goes on
_ENUMERATOR = re.compile(r"[\s*_(]*(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z]|[ivxIVX]{1,5})")


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Sentence]:
    """The sentences of a text in order. What stands between them is only space, bullets, rules and fences' lines."""
    found: list[Sentence] = []
    for block in blocks(text, start, end):
        found.extend(sentences_of(text, block))
    return found


def sentences_of(text: str, block: Block) -> Iterator[Sentence]:
    """The sentences of one block, in order."""
    if block.kind == "heading":
        yield Sentence(block.start, block.end, "heading", block.start)
    elif block.kind in {"table", "code"}:
        for at, line in _lines(text, block.start, block.end):
            if not _RULE.match(line) and not _FENCE.match(line):
                first = at + _indent(line)
                yield Sentence(first, at + len(line.rstrip()), block.kind, at)
    else:
        bullet = _BULLET.match(text, block.start, block.end) if block.kind == "item" else None
        cut, at = block.start, bullet.end() if bullet else block.start
        for stop in _stops(text, at, block.end):
            yield Sentence(at, stop, block.kind, cut)
            cut = at = _skip_space(text, stop, block.end)
        if at < block.end:
            yield Sentence(at, block.end, block.kind, cut)


def _skip_space(text: str, at: int, end: int) -> int:
    while at < end and text[at].isspace():
        at += 1
    return at


def _stops(text: str, start: int, end: int) -> Iterator[int]:
    begun = start
    for found in _STOP.finditer(text, start, end):
        if found.start() >= begun and _is_end(text, begun, found):
            yield found.end()
            begun = _skip_space(text, found.end(), end)


def _is_end(text: str, begun: int, found: re.Match[str]) -> bool:
    """Whether a stop ends the sentence that begun there, judged by the words on both sides."""
    stop = found[0]
    if stop[0] in "。！？｡":
        return not (stop[-1] in "」』”）" and _SAID.match(text, found.end()))
    after = _WORD_AFTER.match(text, found.end(), found.end() + 60)
    following = after[1] if after else ""
    if following[:1].islower():
        return False
    if stop[0] != "." or stop.startswith(".."):
        return True
    return not _ENUMERATOR.fullmatch(text, begun, found.start()) and _full_stop(text, begun, found.start(), following)


def _full_stop(text: str, begun: int, at: int, following: str) -> bool:
    """Whether the single full stop there is one, and not part of an abbreviation or an initial."""
    before = _WORD_BEFORE.search(text, max(begun, at - 24), at)
    word = before[0].casefold() if before else ""
    if word == "no":
        return not following[:1].isdigit()
    if word in _NEVER_ENDS or _is_ordinal(text, max(begun, at - 24), at, following):
        return False
    is_initial = len(word) == 1 and text[at - 1].isupper()  # "J. Smith"
    is_acronym = len(word) > 2 and word[1] == "." and word.replace(".", "").isalpha()
    return following.casefold() in _USUAL_FIRST if word in _MAY_END or is_initial or is_acronym else True


def _is_ordinal(text: str, start: int, at: int, following: str) -> bool:
    """German writes "am 1. Januar" and "im 3. Quartal"."""
    if not text[at - 1 : at].isdigit():
        return False
    return following.casefold() in _MONTHS or _BEFORE_ORDINAL.search(text[start:at]) is not None
