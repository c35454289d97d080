"""Workbooks (XLSX): each sheet under its name, its cells as the sheet shows them, merged ones spelled out.

Read here, not by kreuzberg 4.10, which tells neither merged cells nor percentages and shows a date as
`2024-01-31 00:00:00`.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.archives import open_archive
from headworks.retrieval.parsers.building import TextBuilder, title_from
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.grids import Row, repeatable, write_sheet
from headworks.retrieval.parsers.office.docx import read_xml
from headworks.retrieval.parsers.office.pptx import relations

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_M = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_WORKBOOK = "xl/workbook.xml"
_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")
_MOST_CELLS = 5_000_000
_WIDEST = 16_384
_MOST_MERGED = 10_000
"""Of cells that one merged cell may fill with its text."""
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 -- what a sheet shows has no zone
_DATES = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
"""Of the built-in number formats, those that show dates and times."""
_PERCENTS = {9: 0, 10: 2}
"""Of the built-in number formats, those of per cent, with their decimals."""
_LITERAL = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    archive = open_archive(data)
    workbook = read_xml(archive, _WORKBOOK)
    if workbook is None:
        raise DocumentUnreadable("The file holds no sheets.", code="corrupt")
    parts = relations(archive, _WORKBOOK)
    book = _Book(archive, workbook)
    builder = TextBuilder()
    for sheet in workbook.iter(f"{_M}sheet"):
        path = parts.get(sheet.get(f"{_R}id", ""), ("", ""))[1]
        content = read_xml(archive, path) if path and sheet.get("state", "visible") == "visible" else None
        rows = book.rows(content) if content is not None else []
        if any(any(row) for row in rows):
            builder.heading(2, sheet.get("name", ""))
            write_sheet(builder, rows)
    core = read_xml(archive, "docProps/core.xml")
    title = core.findtext(f".//{_TITLE}") if core is not None else None
    return builder.finish(name, MEDIA_TYPE, title or title_from(name))  # "Sheet1" tells nothing


class _Book:
    """What the sheets of a workbook share: texts, and how numbers are shown."""

    def __init__(self, archive: zipfile.ZipFile, workbook: ET.Element) -> None:
        shared = read_xml(archive, "xl/sharedStrings.xml")
        self._texts = [_text(each) for each in shared.iter(f"{_M}si")] if shared is not None else []
        self._formats = _formats(read_xml(archive, "xl/styles.xml"))
        properties = workbook.find(f"{_M}workbookPr")
        is_1904 = properties is not None and properties.get("date1904") in {"1", "true"}
        self._epoch = _EPOCH_1904 if is_1904 else _EPOCH
        self._left = _MOST_CELLS

    def rows(self, sheet: ET.Element) -> list[Row]:
        """The cells of a sheet as text; those that are empty at the end of a row are left out."""
        found: dict[int, Row] = {}
        last = 0
        for row in sheet.iter(f"{_M}row"):
            given = row.get("r", "")
            last = int(given) if given.isdigit() else last + 1
            found[last] = self._row(row)
        _spell_out(found, sheet)
        return [found[number] for number in sorted(found)]

    def _row(self, row: ET.Element) -> Row:
        line: Row = []
        for cell in row.iter(f"{_M}c"):
            text = self._shown(cell)
            at = _place(cell.get("r", ""))
            column = len(line) if at is None else at[1]
            if text and column < _WIDEST:
                line += [""] * (column + 1 - len(line))
                line[column] = text
            self._left -= 1
        self._left -= len(line)
        if self._left < 0:
            raise DocumentUnreadable(f"The workbook has more than {_MOST_CELLS:,} cells.", code="too_large")
        return line

    def _shown(self, cell: ET.Element) -> str:
        kind, value = cell.get("t", "n"), cell.findtext(f"{_M}v") or ""
        if kind == "inlineStr":
            return _text(cell)
        if kind == "s":
            return self._texts[int(value)] if value.isdigit() and int(value) < len(self._texts) else ""
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        return self._number(value, cell.get("s", "")) if kind == "n" and value else value

    def _number(self, value: str, style: str) -> str:
        code = self._formats[int(style)] if style.isdigit() and int(style) < len(self._formats) else ""
        try:
            number = float(value)
            if code == "date":
                return _date(self._epoch + timedelta(days=number), number)
            if code.startswith("%"):
                return f"{number * 100:.{code[1:]}f}%"
        except (ValueError, OverflowError):
            return value
        return f"{number:.15g}" if "e" not in f"{number:.15g}" else value


def _spell_out(rows: dict[int, Row], sheet: ET.Element) -> None:
    """Repeats what merged cells say, except in one that is all of its row."""
    for merged in sheet.iter(f"{_M}mergeCell"):
        first, _, last = merged.get("ref", "").partition(":")
        begin, end = _place(first), _place(last)
        if begin is None or end is None or end[1] >= _WIDEST:
            continue
        said = (rows.get(begin[0]) or [])[begin[1] : begin[1] + 1]
        alone = sum(map(bool, rows.get(begin[0], ()))) == 1
        covered = (end[0] - begin[0] + 1) * (end[1] - begin[1] + 1)
        if said and repeatable(said[0]) and covered <= _MOST_MERGED and not (alone and begin[0] == end[0]):
            for number in range(begin[0], end[0] + 1):
                line = rows.setdefault(number, [])
                line += [""] * (end[1] + 1 - len(line))
                line[begin[1] : end[1] + 1] = said * (end[1] - begin[1] + 1)


def _place(reference: str) -> tuple[int, int] | None:
    """Row from 1 and column from 0 of a reference such as `B12`."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        return None
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(found[2]), column - 1


def _text(element: ET.Element) -> str:
    """The runs of a text without the readings (ruby) above them."""
    return "".join(_runs(element))


def _runs(element: ET.Element) -> Iterator[str]:
    for child in element:
        if child.tag == f"{_M}t":
            yield child.text or ""
        elif child.tag != f"{_M}rPh":
            yield from _runs(child)


def _formats(styles: ET.Element | None) -> list[str]:
    """How each style of cell shows numbers: `date`, `%2` (per cent with two decimals), or empty: as it is."""
    if styles is None:
        return []
    codes = {each.get("numFmtId", ""): each.get("formatCode", "") for each in styles.iter(f"{_M}numFmt")}
    cells = styles.find(f"{_M}cellXfs")
    return [_format(each.get("numFmtId", "0"), codes) for each in (cells if cells is not None else ())]


def _format(number: str, codes: dict[str, str]) -> str:
    if number not in codes:
        known = int(number) if number.isdigit() else 0
        return "date" if known in _DATES else f"%{_PERCENTS[known]}" if known in _PERCENTS else ""
    code = _LITERAL.sub("", codes[number].partition(";")[0]).lower()
    if "%" in code:
        return f"%{min(15, len(re.findall('[0#?]', code.partition('.')[2])))}"
    return "date" if re.search("[ymdhs]", code.replace("general", "")) else ""


def _date(moment: datetime, number: float) -> str:
    if number < 1:
        return f"{moment:%H:%M:%S}"
    return (
        f"{moment:%Y-%m-%d}" if number == int(number) else f"{moment + timedelta(milliseconds=500):%Y-%m-%d %H:%M:%S}"
    )
