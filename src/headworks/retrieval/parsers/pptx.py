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
from headworks.retrieval.parsers.building import TextBuilder, table_rows
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.docx import read_xml

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_PRESENTATION = "ppt/presentation.xml"
_TITLES = frozenset(["title", "ctrTitle"])
_FURNITURE = frozenset(["dt", "ftr", "sldNum", "hdr", "sldImg"])


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    archive = open_archive(data)
    presentation = read_xml(archive, _PRESENTATION)
    if presentation is None:
        raise DocumentUnreadable("The file holds no slides.", code="corrupt")
    relations = _relations(archive, _PRESENTATION)
    builder = TextBuilder()
    for reference in presentation.iter(f"{_P}sldId"):
        path = relations.get(reference.get(f"{_R}id", ""), ("", ""))[1]
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
            rows = [[" ".join(_paragraphs(cell)) for cell in row.iter(f"{_A}tc")] for row in element.iter(f"{_A}tr")]
            builder.block(table_rows(rows))


def _lines(builder: TextBuilder, shape: ET.Element) -> None:
    found = [line for line in _paragraphs(shape) if line.strip()]
    bulleted = len(found) > 1
    for place, line in enumerate(found):
        builder.block(f"- {line.strip()}" if bulleted else line, separator="\n" if place else "\n\n")


def _notes(builder: TextBuilder, archive: zipfile.ZipFile, slide: str) -> None:
    for kind, path in _relations(archive, slide).values():
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


def _relations(archive: zipfile.ZipFile, path: str) -> dict[str, tuple[str, str]]:
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
