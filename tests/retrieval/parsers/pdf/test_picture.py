"""A page of a PDF as a picture: the lines of its text stand where the boxes of citations say."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hostile_documents import raw_pdf
from PIL import Image
from sample_documents import encrypted_pdf, pdf, scanned_pdf

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.isolation.sandbox import ParseLimits, ParserPool
from headworks.retrieval.parsers.pdf.document import parse
from headworks.retrieval.parsers.pdf.picture import draw_page

LINES = [(12, 150, "The trial lasts ninety days."), (12, 400, "After it the device is rented."), (12, 640, "Or not.")]
DARK = 128


def turned(data: bytes, rotation: int, crop: tuple[float, float, float, float]) -> bytes:
    """The first page rotated and cropped, as pages of scanned books and slides are."""
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    document[0].set_rotation(rotation)
    document[0].set_cropbox(*crop)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def opened(png: bytes) -> Any:
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    return picture.convert("L")


def ink_of(picture: Any, edges: tuple[float, float, float, float]) -> int:
    """How many dark pixels lie in a part of the picture."""
    return sum(picture.crop(tuple(map(round, edges))).histogram()[:DARK])


def assert_ink_is_in_boxes(parsed: ParsedDocument, data: bytes) -> None:
    drawn = draw_page(data, 1)
    picture = opened(drawn.png)
    scale = picture.width / drawn.width
    boxes = [[scale * each for each in (box.x0 - 1, box.y0 - 1, box.x1 + 1, box.y1 + 1)] for box in parsed.boxes]
    inside = [ink_of(picture, (x0, y0, x1, y1)) for x0, y0, x1, y1 in boxes]
    assert all(ink > 100 for ink in inside), "each box holds its line"
    assert sum(inside) == ink_of(picture, (0, 0, *picture.size)), "and no line stands elsewhere"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [(0, 0, 595, 842), (40, 120, 500, 800)], ids=["whole", "cropped"])
def test_the_ink_of_a_line_lies_in_its_box(rotation: int, crop: tuple[float, float, float, float]) -> None:
    data = turned(pdf([LINES]), rotation, crop)
    parsed = parse("a.pdf", data)
    assert len(parsed.boxes) == len(LINES)
    assert_ink_is_in_boxes(parsed, data)
    across, down = round(crop[2] - crop[0], 1), round(crop[3] - crop[1], 1)
    drawn = draw_page(data, 1)
    assert (drawn.width, drawn.height) == ((down, across) if rotation % 180 else (across, down))
    assert drawn.pages == 1


def test_a_page_that_is_not_there_is_an_empty_picture_that_says_how_many_there_are() -> None:
    data = pdf([LINES, LINES])
    assert [bool(draw_page(data, number).png) for number in (1, 2, 3, 1_000_000)] == [True, True, False, False]
    assert draw_page(data, 3).pages == 2


def test_a_poster_is_drawn_coarser_and_a_stamp_not_finer() -> None:
    huge = raw_pdf(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 14400 14400] >>",
    )
    poster = draw_page(huge, 1)
    assert max(opened(poster.png).size) <= 2200
    assert (poster.width, poster.height) == (14400, 14400)
    assert opened(draw_page(pdf([LINES]), 1).png).size == (1190, 1684)


def test_a_scan_is_drawn_too() -> None:
    assert opened(draw_page(scanned_pdf(), 2).png).size == (1191, 1684)


@pytest.mark.parametrize("data", [b"no PDF", b"%PDF-1.7 torn", encrypted_pdf()], ids=["none", "torn", "encrypted"])
def test_what_can_t_be_drawn_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="can't be drawn") as refused:
        draw_page(data, 1)
    assert refused.value.code == "corrupt"


async def test_pages_are_drawn_in_a_child_with_limits() -> None:
    pool = ParserPool(ParseLimits(memory_mb=512, cpu_s=10), only_draws=True)
    try:
        assert opened((await pool.draw(pdf([LINES]), 1)).png).size == (1190, 1684)
        with pytest.raises(DocumentUnreadable, match="can't be drawn"):
            await pool.draw(b"%PDF-1.7 torn", 1)
        with pytest.raises(DocumentUnreadable, match="no bytes"):
            await pool.draw(b"", 1)
    finally:
        await pool.close()
    tight = ParserPool(ParseLimits(memory_mb=4), only_draws=True)
    try:
        with pytest.raises(DocumentUnreadable) as refused:
            await tight.draw(pdf([LINES]), 1)
        assert refused.value.code in {"memory", "corrupt", "crashed"}
    finally:
        await tight.close()
