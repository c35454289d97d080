"""Slides (PPTX): each slide's title as a heading, its text and tables, the speaker's notes.

Read here, not by kreuzberg 4.10, which gives neither the titles nor where a slide begins.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.archives import open_archive
from headworks.retrieval.parsers.building import TextBuilder
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.grids import Cell, spelled_out, write_table
from headworks.retrieval.parsers.office.docx import read_xml

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_PRESENTATION = "ppt/presentation.xml"
_WIDEST_SPAN = 1000
_TITLES = frozenset(["title", "ctrTitle"])
_FURNITURE = frozenset(["dt", "ftr", "sldNum", "hdr", "sldImg"])


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    archive = open_archive(data)
    presentation = read_xml(archive, _PRESENTATION)
    if presentation is None:
        raise DocumentUnreadable("The file holds no slides.", code="corrupt")
    parts = relations(archive, _PRESENTATION)
    builder = TextBuilder()
    for reference in presentation.iter(f"{_P}sldId"):
        path = parts.get(reference.get(f"{_R}id", ""), ("", ""))[1]
        slide = read_xml(archive, path) if path else None
        if slide is not None and slide.get("show") != "0":
            builder.page()
            _slide(builder, slide)
            _notes(builder, archive, path)
    core = read_xml(archive, "docProps/core.xml")
    title = core.findtext(f".//{_TITLE}") if core is not None else None
    return builder.finish(name, MEDIA_TYPE, title or "")


def _slide(builder: TextBuilder, slide: ET.Element) -> None:
    shapes = list(slide.iter(f"{_P}sp"))
    for shape in shapes:
        if _placeholder(shape) in _TITLES:
            builder.heading(1, " ".join(_paragraphs(shape)))
    for element in slide.iter():
        if element.tag == f"{_P}sp" and _placeholder(element) not in _TITLES | _FURNITURE:
            _lines(builder, element)
        elif element.tag == f"{_A}tbl":
            _table(builder, element)


def _lines(builder: TextBuilder, shape: ET.Element) -> None:
    found = [line for line in _paragraphs(shape) if line.strip()]
    bulleted = len(found) > 1
    for place, line in enumerate(found):
        builder.block(f"- {line.strip()}" if bulleted else line, separator="\n" if place else "\n\n")


def _table(builder: TextBuilder, table: ET.Element) -> None:
    """A table; cells that others reach over are there in the file, too, and are left out."""
    rows = [
        [
            Cell(" ".join(_paragraphs(cell)), _span(cell, "rowSpan"), _span(cell, "gridSpan"))
            for cell in row.iter(f"{_A}tc")
            if not {cell.get("hMerge"), cell.get("vMerge")} & {"1", "true"}
        ]
        for row in table.iter(f"{_A}tr")
    ]
    properties = table.find(f"{_A}tblPr")
    named = properties is not None and properties.get("firstRow") in {"1", "true"}
    write_table(builder, spelled_out(rows), 1 if named else None)


def _span(cell: ET.Element, name: str) -> int:
    given = cell.get(name, "")
    return min(int(given), _WIDEST_SPAN) if given.isdigit() else 1


def _notes(builder: TextBuilder, archive: zipfile.ZipFile, slide: str) -> None:
    for kind, path in relations(archive, slide).values():
        notes = read_xml(archive, path) if kind.endswith("/notesSlide") else None
        if notes is not None:
            said = [
                line for shape in notes.iter(f"{_P}sp") if _placeholder(shape) == "body" for line in _paragraphs(shape)
            ]
            builder.block("Notes: " + " ".join(said) if any(map(str.strip, said)) else "")


def _placeholder(shape: ET.Element) -> str:
    found = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return "" if found is None else found.get("type", "body")


def _paragraphs(parent: ET.Element) -> Iterator[str]:
    for paragraph in parent.iter(f"{_A}p"):
        parts = [
            "\n" if element.tag == f"{_A}br" else element.text or ""
            for element in paragraph.iter()
            if element.tag in {f"{_A}t", f"{_A}br"}
        ]
        yield "".join(parts)


def relations(archive: zipfile.ZipFile, path: str) -> dict[str, tuple[str, str]]:
    """Of a part: identity to (kind, path of the other part)."""
    folder, _, file = path.rpartition("/")
    root = read_xml(archive, f"{folder}/_rels/{file}.rels")
    return {
        each.get("Id", ""): (each.get("Type", ""), _target(folder, each.get("Target", "")))
        for each in (root.iter(_RELATION) if root is not None else ())
        if each.get("TargetMode") != "External"
    }


def _target(folder: str, target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
