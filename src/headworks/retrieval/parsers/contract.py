"""What a parser gives: the text that offsets point into, and its structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: `start` and `end` are the characters of its whole line in the document's text.

    `level` counts from 1, the outermost; `text` is the heading without its markup.
    """

    level: int
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Box:
    """Where a line of a document's text stands on its page: the characters from `start` to `end` of the text.

    `page` counts from 1. The corners are in points (1/72 inch) from the top left of the page as a viewer shows it,
    `x0` and `y0` the upper left one, `x1` and `y1` the lower right one. A row of a table has one box.
    """

    start: int
    end: int
    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Table:
    r"""A table within a document's text: lines of `| a | b |`, with a `|` within a cell written as `\|`.

    The characters from `start` to `end` are all of its rows, those from `start` to `header_end` the rows that name its
    columns (without the rule of `| --- |` below them, which is part of the table): none when it is equal to `start`.
    """

    start: int
    end: int
    header_end: int


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as text. `text` is what is stored: each offset anywhere in Headworks counts its characters.

    `headings` are in order of `start`; `pages` holds the offset at which each page starts, and is empty where the
    format has no pages. `boxes` (in order of `start`, none overlaps another) are there where lines have a place on a
    page: in PDFs and pictures. `tables` are in order of `start`. `metadata` is what the
    file says of itself, for filters: text, numbers, truth values and lists of those by key.
    """

    text: str
    title: str
    headings: tuple[Heading, ...]
    media_type: str
    pages: tuple[int, ...] = ()
    boxes: tuple[Box, ...] = ()
    tables: tuple[Table, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page of a PDF as it is printed: a file in PNG, and the page's size in points, as boxes have them.

    `pages` are those of the whole document. Without bytes there is no such page.
    """

    png: bytes
    width: float
    height: float
    pages: int


class Parser(Protocol):
    """Turns the bytes of one file into a document.

    It runs in a child process with limits (`sandbox.py`), reads nothing but its arguments, and raises
    DocumentUnreadable with one of the codes below; any other exception is reported as `corrupt`.
    """

    def __call__(self, name: str, data: bytes) -> ParsedDocument:
        """The document in `data`; `name` is only for the extension and for a title of last resort."""
        ...


FAILURE_CODES = (
    "unsupported",  # no parser for this kind of file
    "empty",  # no bytes, or no text at all
    "corrupt",  # not what its kind says it is
    "encrypted",  # needs a password
    "needs_ocr",  # pages, but (nearly) no characters
    "too_large",  # more bytes, or more text, than the limits allow
    "bomb",  # an archive made to explode
    "timeout",  # more CPU or wall-clock time than the limits allow
    "memory",  # more memory than the limits allow
    "crashed",  # the child process died without a word
)
"""Every `code` of a DocumentUnreadable that parsing raises."""
