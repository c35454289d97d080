"""PDF, by pypdfium2: the text of its pages, or (where it is asked for) what OCR reads on those that are pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.building import one_line
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.facts import pdf_facts
from headworks.retrieval.parsers.pdf import ocr
from headworks.retrieval.parsers.pdf.page import Line, lines_of, rules_of, sheet_of
from headworks.retrieval.parsers.pdf.tables import Grid, with_tables
from headworks.retrieval.parsers.pdf.text import document_of

MEDIA_TYPE = "application/pdf"
_FEWEST_CHARACTERS = 5
"""Per page: a page with pictures and less text than this is a scan."""
_MOST_PAGES = 20_000
_NO_TITLE = re.compile(
    r"untitled|\(?anonymous\)?|\(?unspecified\)?|microsoft |.*\.(?:docx?|indd|pdf|qxd|pptx?|tex)$", re.IGNORECASE
)

Pictures = Literal["told", "refused", "read"]
"""What becomes of pages that are pictures: with most pages so the document is refused, with any, or OCR reads them."""


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser: a document that is mostly pictures is refused."""
    return _parse(name, data, "told")


def parse_whole(name: str, data: bytes) -> ParsedDocument:
    """As `parse`, but a single page that is a picture is enough to raise `needs_ocr`."""
    return _parse(name, data, "refused")


def parse_with_ocr(name: str, data: bytes) -> ParsedDocument:
    """As `parse`, with the text of pages that are pictures; raises `needs_ocr` without the extra for it."""
    ocr.refuse_missing()
    return _parse(name, data, "read")


def _parse(name: str, data: bytes, pictures: Pictures) -> ParsedDocument:
    import pypdfium2

    if b"%PDF-" not in data[:1024]:
        raise DocumentUnreadable("The file is no PDF document.", code="corrupt")
    try:
        document = pypdfium2.PdfDocument(data)
        if len(document) > _MOST_PAGES:
            raise DocumentUnreadable(
                f"The PDF has {len(document):,} pages, more than {_MOST_PAGES:,}.",
                next_step="Split it.",
                code="too_large",
            )
        pages = [_read_page(document, number, pictures) for number in range(len(document))]
        if pictures == "told" and sum(map(_characters, pages)) < _FEWEST_CHARACTERS * len(pages):
            _refuse_scan(document, pages)
        unread = _unread(document, pages) if pictures == "told" else []
        information = document.get_metadata_dict()
    except pypdfium2.PdfiumError as error:
        if "assword" in str(error):
            raise DocumentUnreadable("The PDF is encrypted and needs a password.", code="encrypted") from None
        raise DocumentUnreadable(f"The PDF is damaged: {one_line(str(error))}", code="corrupt") from None
    title = one_line(information.get("Title", ""))
    found = document_of(name, MEDIA_TYPE, "" if _NO_TITLE.match(title) else title, pages)
    facts: dict[str, Any] = {**pdf_facts(information)}
    return replace(found, metadata=facts | ({"unread_pages": unread} if unread else {}))


def _characters(page: Sequence[Line | Grid]) -> int:
    """How many there are on a page, without spaces."""
    texts = (each.text.split() if isinstance(each, Line) else chain(*each.rows) for each in page)
    return sum(map(len, chain(*texts)))


def _read_page(document: Any, number: int, pictures: Pictures) -> list[Line | Grid]:  # noqa: ANN401 -- pypdfium2 has no types
    page = document[number]
    try:
        sheet = sheet_of(page, number + 1)
        lines = list(lines_of(sheet))
        found = with_tables(lines, rules_of(sheet)) if lines else []
        if pictures != "told" and _characters(found) < _FEWEST_CHARACTERS and _shows(page, any_thing=not lines):
            if pictures == "refused":
                raise DocumentUnreadable(f"Page {number + 1} of the PDF is a picture.", code="needs_ocr")
            found = ocr.read_sheet(sheet)
    finally:
        page.close()
    return [replace(each, words=()) if isinstance(each, Line) else each for each in found]


def _shows(page: Any, *, any_thing: bool) -> bool:  # noqa: ANN401 -- as above
    """Whether a page has a picture, or anything at all."""
    import pypdfium2.raw as pdfium

    return any(True for _ in page.get_objects(filter=None if any_thing else [pdfium.FPDF_PAGEOBJ_IMAGE]))


def _unread(document: Any, pages: Sequence[Sequence[Line | Grid]]) -> list[int]:  # noqa: ANN401 -- as above
    """The pages, from 1, that are a picture with next to no text."""
    few = [number for number, page in enumerate(pages) if _characters(page) < _FEWEST_CHARACTERS]
    return [number + 1 for number in few if _shows(document[number], any_thing=False)]


def _refuse_scan(document: Any, pages: Sequence[Sequence[Line | Grid]]) -> None:  # noqa: ANN401 -- as above
    """Raises `needs_ocr` for pages that show something but hold (nearly) no characters."""
    any_text = any(page for page in pages)
    shown = sum(_shows(document[number], any_thing=not any_text) for number in range(len(document)))
    if shown * 2 >= len(document) and shown:
        raise DocumentUnreadable(
            f"The PDF is a scan: {len(document)} pages, but no text.",
            next_step="Turn OCR on for the collection (`parsing: {ocr: true}`), or run the file through a tool such as "
            "OCRmyPDF first.",
            code="needs_ocr",
        )
