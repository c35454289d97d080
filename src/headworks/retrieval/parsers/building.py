"""Blocks to a document with exact offsets: what the parsers share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import PurePosixPath

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.contract import Box, Heading, ParsedDocument, Table

_DEEPEST = 9
"""Of headings."""
_CELL_END = re.compile(r"(?<!\\)\|")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    """Text that can be stored: no NUL, no half of a surrogate pair, line feeds at line ends."""
    return _SURROGATE.sub("\ufffd", text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """Text on a single line, with single spaces."""
    return " ".join(clean(text).split())


def title_from(name: str) -> str:
    """The title of last resort: the file's name without folder and extension."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return one_line(stem.replace("_", " ")) or "Untitled"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands on its page (from 1), in points from the top left as `contract.Box` has it."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float

    def around(self, other: Place) -> Place:
        """The smallest place that holds both, on this one's page."""
        return Place(
            self.page, min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1)
        )


class TextBuilder:
    """Collects blocks, separated by blank lines, and knows where each heading, page, table and line begins.

    `places` are those of a block's lines, as many as it has: then each of them has a box.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._last = 0  # where the last part begins
        self._headings: list[Heading] = []
        self._pages: list[int] = []
        self._boxes: list[Box] = []
        self._tables: list[Table] = []

    def block(self, text: str, *, separator: str = "\n\n", places: Sequence[Place] = ()) -> None:
        """Adds a paragraph, an item, a row: lines of its own. Blank ones are left out."""
        self._append(clean(text).strip("\n").rstrip(), separator)
        self._place(places)

    def table(self, lines: Sequence[str], header_rows: int, *, places: Sequence[Place] = ()) -> None:
        """Adds a table by its lines of `| a | b |`, of which the first ones name the columns: a rule follows them."""
        head = "\n".join(lines[:header_rows])
        rule = [f"|{' --- |' * (len(_CELL_END.findall(lines[0])) - 1)}"] if header_rows else []
        text = "\n".join([*lines[:header_rows], *rule, *lines[header_rows:]])
        self._append(text, "\n\n")
        start = self._length - len(text)
        self._tables.append(Table(start, self._length, start + len(head)))
        if places:
            self._place([*places[:header_rows], *[None] * len(rule), *places[header_rows:]])

    def enclose(self, document: ParsedDocument, below: int) -> None:
        """Adds another document's text with its tables and its headings, which lie so much deeper; not its pages."""
        self._append(document.text, "\n\n")
        start = self._length - len(document.text)
        for each in document.headings:
            level = min(each.level + below, _DEEPEST)
            self._headings.append(Heading(level, each.text, each.start + start, each.end + start))
        for table in document.tables:
            self._tables.append(Table(table.start + start, table.end + start, table.header_end + start))

    def heading(self, level: int, text: str, *, places: Sequence[Place] = ()) -> None:
        """Adds a heading on a line of its own."""
        line = one_line(text)
        if line:
            self._append(line, "\n\n")
            if places:
                self._place([reduce(Place.around, places)])
            self._headings.append(Heading(max(1, min(level, _DEEPEST)), line, self._length - len(line), self._length))

    def page(self) -> None:
        """Notes that a page begins with the next block."""
        self._pages.append(self._length)

    @property
    def first_heading(self) -> str:
        """The text of the first of the outermost headings; empty without any."""
        outermost = min((heading.level for heading in self._headings), default=0)
        return next((heading.text for heading in self._headings if heading.level == outermost), "")

    def finish(self, name: str, media_type: str, title: str = "") -> ParsedDocument:
        """The document; `empty` when nothing was added. Without a title it is the first heading, else the name."""
        text = "".join(self._parts)
        chosen = one_line(title) or self.first_heading or title_from(name)
        pages = tuple(min(page, max(0, self._length - 1)) for page in self._pages)
        boxes, tables = tuple(self._boxes), tuple(self._tables)
        return finished(ParsedDocument(text, chosen, tuple(self._headings), media_type, pages, boxes, tables))

    def _place(self, places: Sequence[Place | None]) -> None:
        """Gives the lines of the text that was added last their boxes."""
        start = self._last
        for place, line in zip(places, "".join(self._parts[-1:]).split("\n"), strict=False):
            if place is not None and line:
                self._boxes.append(Box(start, start + len(line), place.page, place.x0, place.y0, place.x1, place.y1))
            start += len(line) + 1

    def _append(self, text: str, separator: str) -> None:
        if not text.strip():
            return
        if self._parts:
            self._parts.append(separator)
            self._length += len(separator)
        # A page that was noted before this block begins with the block itself.
        before = self._length - len(separator) if len(self._parts) else 0
        for place in range(len(self._pages) - 1, -1, -1):
            if self._pages[place] != before or not self._parts:
                break
            self._pages[place] = self._length
        self._parts.append(text)
        self._last = self._length
        self._length += len(text)


def finished(document: ParsedDocument) -> ParsedDocument:
    """The document itself, unless it holds no text: then DocumentUnreadable `empty`."""
    if not document.text.strip():
        raise DocumentUnreadable("The file holds no text.", code="empty")
    return document
