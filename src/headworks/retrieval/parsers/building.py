"""Bytes to characters, and blocks to a document with exact offsets: what the parsers share."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import PurePosixPath

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.contract import Box, Heading, ParsedDocument, Table

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_STRAY = "headworks-windows-1252"
"""The name of `_as_windows` among the ways to go on after a byte that can't be decoded."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MOST_CONTROLS = 0.01
"""Of the characters: text has none, files of other kinds have many."""
_DEEPEST = 9
"""Of headings."""
_CELL_END = re.compile(r"(?<!\\)\|")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def decoded(data: bytes, encoding: str | None = None) -> str:
    """The characters of a text file: by its byte order mark, else by `encoding`, else UTF-8, UTF-16 or Windows-1252.

    A file may be of UTF-8 here and Windows-1252 there. Line ends become line feeds. Raises DocumentUnreadable
    `corrupt` when it is no text, and `empty` without a byte.
    """
    if not data:
        raise DocumentUnreadable("The file has no bytes.", code="empty")
    text = _characters(data, encoding)
    if "\0" in text or len(_CONTROL.findall(text)) > _MOST_CONTROLS * len(text):
        raise DocumentUnreadable("The file is not text: it holds bytes that no text has.", code="corrupt")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _characters(data: bytes, encoding: str | None) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    for name in filter(None, (encoding, "utf-8", _utf16_without_mark(data))):
        try:
            text = data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text:
            return text
    return data.decode("utf-8", _STRAY)


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no UTF-8, as the characters that they are in Windows-1252: texts are sometimes of both."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_STRAY, _as_windows)


def _utf16_without_mark(data: bytes) -> str | None:
    """UTF-16 if nearly every other byte is zero, as it is in Latin text."""
    sample = data[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    most = 0.4 * len(sample) / 2
    if odd > most and not even:
        return "utf-16-le"
    return "utf-16-be" if even > most and not odd else None


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
