"""Word documents (DOCX): paragraphs with their numbers, headings by style, tables, footnotes.

Written here because the libraries at hand lose text: kreuzberg 4.10 drops every `<`, `>` and `&`, joins words at tabs
and takes body text for headings, which in a guideline turns "BMI > 30" into "BMI 30".
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.archives import open_archive, read_entry
from headworks.retrieval.parsers.building import TextBuilder
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.grids import Cell, repeatable, spelled_out, write_table
from headworks.retrieval.parsers.office.numbering import Numbering
from headworks.retrieval.parsers.plain import with_numbered_headings

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT, _TRANSITIONAL = (
    re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/"),
    rb"http://schemas.openxmlformats.org/\1/2006/",
)
"""The two sets of names that office documents are written in."""
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_BODY_LEVEL = 9
_MOST_COLUMNS = 63
"""As many as Word allows."""
_UNSEEN = frozenset(["del", "moveFrom", "instrText", "delText", "delInstrText", "pPr", "rPr", "tblPr", "sectPr"])


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    archive = open_archive(data)
    body = read_xml(archive, "word/document.xml")
    if body is None:
        raise DocumentUnreadable("The file is no Word document: it has no body.", code="corrupt")
    core = read_xml(archive, "docProps/core.xml")
    title = core.findtext(f".//{_TITLE}") if core is not None else None
    reader = _Reader(_styles(archive), Numbering(read_xml(archive, "word/numbering.xml")), _notes(archive))
    root = body.find(f"{_W}body")
    reader.blocks(root if root is not None else body)
    reader.finish()
    return with_numbered_headings(reader.builder.finish(name, MEDIA_TYPE, title or reader.title))


def read_xml(archive: zipfile.ZipFile, path: str) -> ET.Element | None:
    """An XML part of a checked archive, without document type (which no office format has); None when it is absent."""
    data = read_entry(archive, path)
    if data is None:
        return None
    if b"<!DOCTYPE" in data[:4096]:
        raise DocumentUnreadable("The document has an XML part with a document type: none should.", code="corrupt")
    try:
        root = ET.fromstring(_STRICT.sub(_TRANSITIONAL, data))  # noqa: S314 -- no DTD, in a limited child
    except ET.ParseError as error:
        raise DocumentUnreadable(f"The document is damaged: {path}: {error}.", code="corrupt") from None
    return root


@dataclass(frozen=True, slots=True)
class _Style:
    """What a paragraph style says, after the styles that it is based on."""

    level: int | None = None
    """Outline level from 0; 9 is body text."""
    is_title: bool = False
    numbering: tuple[str, int] | None = None
    is_hidden: bool = False


def _styles(archive: zipfile.ZipFile) -> dict[str, _Style]:
    root = read_xml(archive, "word/styles.xml")
    found = {_value(style, "styleId"): style for style in root.iter(f"{_W}style")} if root is not None else {}
    return {identity: _style(found, identity) for identity in found}


def _style(found: dict[str, ET.Element], identity: str) -> _Style:
    level: int | None = None
    numbering: tuple[str, int] | None = None
    is_title = False
    seen: set[str] = set()
    at: str = identity
    while at in found and at not in seen:
        seen.add(at)
        style = found[at]
        name = _value(style.find(f"{_W}name")).lower()
        outline = _value(style.find(f"{_W}pPr/{_W}outlineLvl"))
        own = int(outline) if outline.isdigit() else None
        if own is None and name.startswith("heading ") and name[8:].isdigit():
            own = int(name[8:]) - 1
        level = own if level is None else level
        is_title = is_title or (name == "title" and at == identity)
        numbering = numbering or _number_of(style.find(f"{_W}pPr"))
        at = _value(style.find(f"{_W}basedOn"))
    return _Style(level, is_title, numbering)


def _value(element: ET.Element | None, attribute: str = "val") -> str:
    return "" if element is None else element.get(f"{_W}{attribute}", "")


def _number_of(properties: ET.Element | None) -> tuple[str, int] | None:
    """List and depth of a paragraph's (or style's) properties."""
    number = None if properties is None else properties.find(f"{_W}numPr")
    if number is None:
        return None
    depth = _value(number.find(f"{_W}ilvl"))
    return _value(number.find(f"{_W}numId")), int(depth) if depth.isdigit() else 0


def _notes(archive: zipfile.ZipFile) -> dict[str, ET.Element]:
    root = read_xml(archive, "word/footnotes.xml")
    if root is None:
        return {}
    return {_value(note, "id"): note for note in root.iter(f"{_W}footnote") if not _value(note, "type")}


class _Reader:
    def __init__(self, styles: dict[str, _Style], numbering: Numbering, notes: dict[str, ET.Element]) -> None:
        self.builder = TextBuilder()
        self.title = ""
        self._styles = styles
        self._numbering = numbering
        self._notes = notes
        self._cited: list[str] = []
        self._in_list = False

    def blocks(self, parent: ET.Element) -> None:
        """Adds the paragraphs and tables below an element, in order."""
        for child in parent:
            if child.tag == f"{_W}p":
                self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                self._table(child)
                self._in_list = False
            elif child.tag != _FALLBACK and _local(child) not in _UNSEEN:
                self.blocks(child)

    def finish(self) -> None:
        """Adds the footnotes that the text refers to."""
        for place, identity in enumerate(self._cited, 1):
            text = " ".join(self._text(paragraph) for paragraph in self._notes[identity].iter(f"{_W}p"))
            self.builder.block(f"Note {place}: {text.strip()}")

    def _paragraph(self, paragraph: ET.Element) -> None:
        style, level, listed = self._look(paragraph.find(f"{_W}pPr"))
        number = self._numbering.label(listed)
        text = self._text(paragraph)
        if not text.strip():
            return
        goes_on, self._in_list = self._in_list, False
        if style.is_title:
            self.title = self.title or text
            self.builder.heading(1, text)
        elif level < _BODY_LEVEL:
            # Below the title, if the document has one.
            self.builder.heading(level + (2 if self.title else 1), text if number == "-" else f"{number} {text}")
        else:
            self._in_list = bool(number)
            separator = "\n" if number and goes_on else "\n\n"
            self.builder.block(f"{number} {text.strip()}" if number else text, separator=separator)

    def _look(self, properties: ET.Element | None) -> tuple[_Style, int, tuple[str, int] | None]:
        """Style, outline level and list of a paragraph: its own word counts more than its style's."""
        if properties is None:
            return _Style(), _BODY_LEVEL, None
        style = self._styles.get(_value(properties.find(f"{_W}pStyle")), _Style())
        own = _value(properties.find(f"{_W}outlineLvl"))
        level = int(own) if own.isdigit() else style.level
        return style, _BODY_LEVEL if level is None else level, _number_of(properties) or style.numbering

    def _table(self, table: ET.Element) -> None:
        """A table; one with a single column is a frame around paragraphs."""
        rows = [list(self._cells(row)) for row in _near(table, "tr")]
        if max((sum(cell.columns for cell in row) for row in rows), default=0) <= 1:
            for cell in (cell for row in _near(table, "tr") for cell in _near(row, "tc")):
                self.blocks(cell)
            return
        marked = next((place for place, row in enumerate(rows) if not any(cell.is_header for cell in row)), len(rows))
        write_table(self.builder, spelled_out(_joined(rows)), marked or None)

    def _cells(self, row: ET.Element) -> Iterator[Cell]:
        """The cells of a row; `rows` is 0 for one that goes on with the cell above."""
        properties = row.find(f"{_W}trPr")
        is_header = _is_on(None if properties is None else properties.find(f"{_W}tblHeader"))
        before = _value(None if properties is None else properties.find(f"{_W}gridBefore"))
        if before.isdigit():
            yield Cell("", columns=min(int(before), _MOST_COLUMNS), is_header=is_header)
        for cell in _near(row, "tc"):
            span = _value(cell.find(f"{_W}tcPr/{_W}gridSpan"))
            merged = cell.find(f"{_W}tcPr/{_W}vMerge")
            goes_on = merged is not None and _value(merged) != "restart"
            text = "" if goes_on else " ".join(self._text(part) for part in cell.iter(f"{_W}p")).strip()
            yield Cell(text, int(not goes_on), min(int(span), _MOST_COLUMNS) if span.isdigit() else 1, is_header)

    def _text(self, element: ET.Element) -> str:
        parts: list[str] = []
        self._collect(element, parts)
        return "".join(parts)

    def _collect(self, element: ET.Element, parts: list[str]) -> None:
        for child in element:
            tag = _local(child)
            if tag == "t":
                parts.append(child.text or "")
            elif tag in {"tab", "ptab"}:
                parts.append("\t")
            elif tag in {"br", "cr"}:
                parts.append("\n")
            elif tag == "noBreakHyphen":
                parts.append("-")
            elif tag == "footnoteReference" and _value(child, "id") in self._notes:
                self._cited.append(_value(child, "id"))
                parts.append(f" (note {len(self._cited)})")
            elif tag == "r" and _is_hidden(child):
                continue
            elif tag not in _UNSEEN and child.tag != _FALLBACK:
                self._collect(child, parts)


def _is_hidden(run: ET.Element) -> bool:
    return _is_on(run.find(f"{_W}rPr/{_W}vanish"))


def _is_on(switch: ET.Element | None) -> bool:
    return switch is not None and _value(switch) not in {"0", "false", "off"}


def _joined(rows: list[list[Cell]]) -> list[list[Cell]]:
    """Word's cells that go on with the one above, told as cells that reach over more than one row."""
    above: dict[int, Cell] = {}  # by column
    found: list[list[Cell]] = []
    for row in rows:
        line: list[Cell] = []
        column = 0
        for cell in row:
            if cell.rows:
                above[column] = replace(cell, text=repeatable(cell.text))
            line.append(cell if cell.rows else replace(above.get(column, cell), columns=cell.columns))
            column += cell.columns
        found.append(line)
    return found


def _near(parent: ET.Element, name: str) -> Iterator[ET.Element]:
    """The nearest descendants with a name: not those of a table within a cell."""
    for child in parent:
        if child.tag == f"{_W}{name}":
            yield child
        elif _local(child) in {"sdt", "sdtContent", "ins", "customXml"}:
            yield from _near(child, name)


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
