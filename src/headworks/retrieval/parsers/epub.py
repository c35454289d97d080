"""Electronic books (EPUB): the chapters in reading order, each read as HTML."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.archives import open_archive, read_entry
from headworks.retrieval.parsers.building import TextBuilder
from headworks.retrieval.parsers.characters import decoded
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.html import declared_encoding, read_into
from headworks.retrieval.parsers.office.docx import read_xml

MEDIA_TYPE = "application/epub+zip"
_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    archive = open_archive(data)
    container = read_xml(archive, "META-INF/container.xml")
    root = container.find(f".//{_CONTAINER}rootfile") if container is not None else None
    path = root.get("full-path", "") if root is not None else ""
    package = read_xml(archive, path) if path else None
    if package is None:
        raise DocumentUnreadable("The file is no book: it has no list of contents.", code="corrupt")
    if read_entry(archive, "META-INF/rights.xml") is not None:
        raise DocumentUnreadable("The book is protected and can't be read.", code="encrypted")
    files = {item.get("id", ""): item.get("href", "") for item in package.iter(f"{_OPF}item")}
    builder = TextBuilder()
    for reference in package.iter(f"{_OPF}itemref"):
        chapter = posixpath.normpath(
            posixpath.join(posixpath.dirname(path), unquote(files.get(reference.get("idref", ""), "")))
        )
        content = read_entry(archive, chapter)
        if content:
            builder.page()
            read_into(builder, decoded(content, declared_encoding(content)))
    return builder.finish(name, MEDIA_TYPE, package.findtext(f".//{_TITLE}") or "")
