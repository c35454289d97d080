"""Pictures and scans: refused by name without OCR, read in a limited child with it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from parsed_tables import tables_of
from PIL import Image, ImageDraw, ImageFont

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers import catalog
from headworks.retrieval.parsers.isolation.sandbox import ParserPool
from headworks.retrieval.parsers.pdf import ocr

needs_ocr = pytest.mark.skipif(not catalog.ocr_is_installed(), reason="the extra `headworks[ocr]` is not installed")
LINES = ("The member pays nothing at all, whatever the clinic says,", "for preventive visits.")


def picture(*lines: str, size: tuple[int, int] = (820, 200)) -> Image.Image:
    found = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(found)
    for place, line in enumerate(lines):
        for column, cell in enumerate(line.split("|")):
            pen.text((40 + 200 * column, 30 + 40 * place), cell, fill="black", font=ImageFont.load_default(28))
    return found


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def code_of(name: str, data: bytes, mode: catalog.Ocr) -> tuple[str, str]:
    with pytest.raises(DocumentUnreadable) as refused:
        catalog.parse(name, data, mode)
    return refused.value.code, str(refused.value)


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    found = ParserPool()
    yield found
    await found.close()


def mixed_pdf() -> bytes:
    """Three pages of text, and a fourth that is a picture."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(300, 200))
    for page in range(3):
        canvas.drawString(20, 150, f"A page with text of its own, number {page}.")
        canvas.showPage()
    canvas.drawImage(ImageReader(picture(*LINES)), 10, 20, 280, 90)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


# ── Without OCR ──


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_a_picture_is_refused_and_says_what_to_do(kind: str) -> None:
    extension = {"JPEG": "jpg", "TIFF": "tif"}.get(kind, kind.lower())
    code, message = code_of(f"a.{extension}", saved(picture("x"), kind), "off")
    assert code == "needs_ocr"
    assert "parsing: {ocr: true}" in message


def test_what_only_calls_itself_a_picture_is_corrupt() -> None:
    assert code_of("a.png", b"plain text", "off")[0] == "corrupt"


def test_a_pdf_with_a_single_scanned_page_is_read_unless_ocr_is_wanted() -> None:
    document = catalog.parse("a.pdf", mixed_pdf())
    assert "number 2" in document.text
    assert document.metadata["unread_pages"] == [4]
    assert code_of("a.pdf", mixed_pdf(), "wanted") == ("needs_ocr", "Page 4 of the PDF is a picture.")


def test_without_the_extra_the_failure_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "find_spec", lambda _: None)
    for name, data in (("a.png", saved(picture("x"))), ("a.pdf", mixed_pdf())):
        code, message = code_of(name, data, "read")
        assert code == "needs_ocr"
        assert "headworks[ocr]" in message


# ── With it ──


@needs_ocr
async def test_each_frame_of_a_picture_is_a_page_whose_lines_have_boxes_and_whose_tables_are_tables(
    pool: ParserPool,
) -> None:
    rows = ["Drug|Dose|Days", "Alpha|500 mg|3 days", "Gamma|850 mg|7 days"]
    data = saved(picture(*LINES), "TIFF", save_all=True, append_images=[picture(*rows)])
    document = await pool.parse("a.tif", data, ocr=True)
    assert document.text.startswith("\n".join(LINES))
    assert (document.media_type, len(document.pages)) == ("image/tiff", 2)
    assert tables_of(document) == [([row.split("|") for row in rows], 1)]
    first = document.boxes[0]
    assert document.text[first.start : first.end] == LINES[0]
    assert (first.page, first.x0, first.y0) == (1, pytest.approx(40, abs=8), pytest.approx(35, abs=10))


@needs_ocr
async def test_scanned_pages_of_a_pdf_are_read_and_the_others_keep_their_text(pool: ParserPool) -> None:
    document = await pool.parse("a.pdf", mixed_pdf(), ocr=True)
    assert "number 2." in document.text
    assert document.text.endswith("\n".join(LINES))
    assert len(document.pages) == 4
    box = document.boxes[-1]
    assert box.page == 4
    # In points of the page: the picture stands from 10 to 290 across and from 90 to 180 down.
    assert (10 < box.x0 < 60, 90 < box.y0 < box.y1 < 180) == (True, True)


@needs_ocr
async def test_a_picture_without_text_is_empty_and_a_text_is_read_as_ever(pool: ParserPool) -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        await pool.parse("a.png", saved(picture("", size=(90, 90))), ocr=True)
    assert refused.value.code == "empty"
    assert "OCR finds no text" in str(refused.value)
    assert (await pool.parse("a.md", b"# A\n\ntext", ocr=True)).text == "# A\n\ntext"


@needs_ocr
def test_a_picture_of_too_many_points_is_not_unpacked() -> None:
    small = saved(Image.new("1", (8, 8)), "BMP")
    # The size stands in the file's head: 50,000 by 50,000.
    huge = small[:18] + (50_000).to_bytes(4, "little") * 2 + small[26:]
    assert code_of("a.bmp", huge, "read")[0] == "bomb"


@needs_ocr
@pytest.mark.parametrize("cut", [10, 40, 200])
def test_a_damaged_picture_is_corrupt(cut: int) -> None:
    assert code_of("a.png", saved(picture("some words"))[:cut], "read")[0] == "corrupt"
