"""Texts and sheets of OpenDocument (ODT, ODS): headings, paragraphs, lists and tables with merged cells spelled out."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.archives import open_archive, read_entry
from headworks.retrieval.parsers.building import TextBuilder, title_from
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.grids import Cell, Row, spelled_out, write_sheet, write_table
from headworks.retrieval.parsers.office.docx import read_xml
from headworks.retrieval.parsers.plain import with_numbered_headings

MEDIA_TYPE = "application/vnd.oasis.opendocument.text"
SHEETS = "application/vnd.oasis.opendocument.spreadsheet"
_NAMESPACE = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
_OFFICE, _TEXT, _TABLE, _STYLE = (_NAMESPACE % name for name in ("office", "text", "table", "style"))
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_UNSEEN = frozenset(
    [
        f"{_TEXT}tracked-changes",
        f"{_OFFICE}annotation",
        f"{_OFFICE}forms",
        f"{_TEXT}sequence-decls",
        f"{_TEXT}ruby-text",
    ]
)
_MOST_REPEATED = 1000
"""Columns or rows: a sheet's last ones are often said to be there a million times."""
_MOST_SPACES = 1000


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    archive = open_archive(data)
    if b"encryption-data" in (read_entry(archive, "META-INF/manifest.xml") or b""):
        raise DocumentUnreadable("The document is encrypted and needs a password.", code="encrypted")
    content, meta = read_xml(archive, "content.xml"), read_xml(archive, "meta.xml")
    body = content.find(f"{_OFFICE}body") if content is not None else None
    if content is None or body is None:
        raise DocumentUnreadable("The file is no OpenDocument: it has no content.", code="corrupt")
    title = (meta.findtext(f".//{_TITLE}") if meta is not None else None) or ""
    reader = _Reader(_titles(content))
    sheets = body.find(f"{_OFFICE}spreadsheet")
    if sheets is not None:
        reader.sheets(sheets)
        return reader.builder.finish(name, SHEETS, title or title_from(name))
    reader.blocks(body)
    reader.finish()
    return with_numbered_headings(reader.builder.finish(name, MEDIA_TYPE, title or reader.title))


def _titles(content: ET.Element) -> frozenset[str]:
    """The names of the styles that a title has."""
    based = [
        each.get(f"{_STYLE}name", "")
        for each in content.iter(f"{_STYLE}style")
        if each.get(f"{_STYLE}parent-style-name") == "Title"
    ]
    return frozenset(["Title", *based])


class _Reader:
    def __init__(self, titles: frozenset[str]) -> None:
        self.builder = TextBuilder()
        self.title = ""
        self._titles = titles
        self._notes: list[str] = []

    def sheets(self, body: ET.Element) -> None:
        """Adds each sheet under its name."""
        for sheet in body.iter(f"{_TABLE}table"):
            rows = _trimmed(self._rows(sheet))
            if rows:
                self.builder.heading(2, sheet.get(f"{_TABLE}name", ""))
                write_sheet(self.builder, rows)

    def blocks(self, parent: ET.Element) -> None:
        """Adds the paragraphs, lists and tables below an element, in order."""
        for child in parent:
            if child.tag in {f"{_TEXT}p", f"{_TEXT}h"}:
                self._paragraph(child)
            elif child.tag == f"{_TEXT}list":
                self._list(child, "\n\n")
            elif child.tag == f"{_TABLE}table":
                self._table(child)
            elif child.tag not in _UNSEEN:
                self.blocks(child)

    def finish(self) -> None:
        """Adds the notes that the text refers to."""
        for place, note in enumerate(self._notes, 1):
            self.builder.block(f"Note {place}: {note}")

    def _paragraph(self, paragraph: ET.Element) -> None:
        text = self._text(paragraph)
        level = paragraph.get(f"{_TEXT}outline-level", "1")
        if paragraph.get(f"{_TEXT}style-name") in self._titles and text.strip():
            self.title = self.title or text
            self.builder.heading(1, text)
        elif paragraph.tag == f"{_TEXT}h":
            self.builder.heading((int(level) if level.isdigit() else 1) + bool(self.title), text)
        else:
            self.builder.block(text)

    def _list(self, items: ET.Element, separator: str) -> None:
        for item in items:
            if item.tag not in {f"{_TEXT}list-item", f"{_TEXT}list-header"}:
                continue
            for child in item:
                if child.tag == f"{_TEXT}list":
                    self._list(child, "\n")
                elif child.tag == f"{_TEXT}h":
                    self._paragraph(child)
                elif text := self._text(child).strip():
                    self.builder.block(f"- {text}", separator=separator)
                    separator = "\n"

    def _table(self, table: ET.Element) -> None:
        rows = list(self._rows(table))
        headers = sum(1 for group in table.iter(f"{_TABLE}table-header-rows") for _ in group.iter(f"{_TABLE}table-row"))
        write_table(self.builder, spelled_out(rows), headers or None)

    def _rows(self, table: ET.Element) -> Iterator[list[Cell]]:
        for row in _near(table, "table-row"):
            cells = [cell for each in row for cell in self._cells(each)]
            yield from [cells] * (_times(row, "number-rows-repeated") if any(cell.text for cell in cells) else 1)

    def _cells(self, cell: ET.Element) -> list[Cell]:
        """A cell as often as it is repeated; those that another one reaches over are left out."""
        if cell.tag != f"{_TABLE}table-cell":
            return []
        text = " ".join(filter(None, (self._text(part).strip() for part in cell.iter(f"{_TEXT}p"))))
        spans = _times(cell, "number-rows-spanned"), _times(cell, "number-columns-spanned")
        return [Cell(text, *spans)] * _times(cell, "number-columns-repeated")

    def _text(self, element: ET.Element) -> str:
        return "".join(self._runs(element))

    def _runs(self, element: ET.Element) -> Iterator[str]:
        yield element.text or ""
        for child in element:
            if child.tag == f"{_TEXT}s":
                count = child.get(f"{_TEXT}c", "1")
                yield " " * (min(int(count), _MOST_SPACES) if count.isdigit() else 1)
            elif child.tag == f"{_TEXT}tab":
                yield "\t"
            elif child.tag == f"{_TEXT}line-break":
                yield "\n"
            elif child.tag == f"{_TEXT}note":
                body = child.find(f"{_TEXT}note-body")
                self._notes.append("".join(self._runs(body)).strip() if body is not None else "")
                yield f" (note {len(self._notes)})"
            elif child.tag not in _UNSEEN:
                yield from self._runs(child)
            yield child.tail or ""


def _near(parent: ET.Element, name: str) -> Iterator[ET.Element]:
    """The rows of a table: not those of a table within a cell."""
    for child in parent:
        if child.tag == f"{_TABLE}{name}":
            yield child
        elif child.tag in {f"{_TABLE}table-header-rows", f"{_TABLE}table-rows", f"{_TABLE}table-row-group"}:
            yield from _near(child, name)


def _times(element: ET.Element, name: str) -> int:
    given = element.get(f"{_TABLE}{name}", "1")
    return max(1, min(int(given), _MOST_REPEATED)) if given.isdigit() else 1


def _trimmed(rows: Iterator[list[Cell]]) -> list[Row]:
    """The rows of a sheet up to the last one with text."""
    found = spelled_out(list(rows))
    while found and not any(found[-1]):
        found.pop()
    return found
