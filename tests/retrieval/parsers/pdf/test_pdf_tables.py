"""Tables in PDFs, drawn or only set apart; prose that stays prose; and where each line stands on its page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsed_tables import Grid, tables_of
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BalancedColumns, Flowable, ListFlowable, Paragraph, SimpleDocTemplate, Table

from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.pdf import document as pdf
from headworks.retrieval.parsers.pdf.page import Rule
from headworks.retrieval.parsers.pdf.ruled import ruled_tables

BODY = getSampleStyleSheet()["BodyText"]
ROWS: Grid = [
    ["Drug", "Dose", "Per day"],
    ["Amoxicillin", "500 mg", "3"],
    ["Ibuprofen", "400 mg", "2"],
    ["Metformin", "850 mg", "2"],
]
GRID = [("GRID", (0, 0), (-1, -1), 0.5, "black")]
PROSE = (
    "The member pays nothing for preventive visits. A visit that is not preventive costs what the plan's summary says, "
    "and the clinic asks for it before the visit. Nobody is turned away because of an unpaid amount."
)


def story_pdf(*story: Flowable) -> bytes:
    out = io.BytesIO()
    SimpleDocTemplate(out).build(list(story))
    return out.getvalue()


def drawn_pdf(draw: Callable[[Canvas], Any], **options: Any) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, **({"pagesize": (595, 842)} | options))
    draw(canvas)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def parsed(data: bytes) -> ParsedDocument:
    return pdf.parse("a.pdf", data)


def boxed(document: ParsedDocument) -> list[str]:
    return [document.text[box.start : box.end] for box in document.boxes]


# ── Tables ──


@pytest.mark.parametrize(
    "style",
    [
        GRID,
        [("BOX", (0, 0), (-1, -1), 1, "black"), ("INNERGRID", (0, 0), (-1, -1), 0.25, "black")],
        [("LINEABOVE", (0, 0), (-1, 1), 1, "black"), ("LINEBELOW", (0, -1), (-1, -1), 1, "black")],
        [("BACKGROUND", (0, 0), (-1, 0), "lightgrey")],
        [("ALIGN", (1, 0), (-1, -1), "RIGHT")],
        [("ALIGN", (0, 0), (-1, -1), "CENTER")],
    ],
    ids=["all rules", "box and inner rules", "rules across", "shaded", "set right", "centred"],
)
def test_a_table_is_found_with_and_without_rules(style: list[Any]) -> None:
    document = parsed(story_pdf(Paragraph(PROSE, BODY), Table(ROWS, style=style), Paragraph("After it.", BODY)))
    assert tables_of(document) == [(ROWS, 1)]
    assert document.text.startswith("The member pays")
    assert document.text.endswith("After it.")


def test_merged_cells_of_a_drawn_table_are_spelled_out() -> None:
    rows = [["Drug", "Dose", ""], ["A", "5", "6"], ["", "7", "8"], ["All of them", "", ""]]
    spans = [("SPAN", (1, 0), (2, 0)), ("SPAN", (0, 1), (0, 2)), ("SPAN", (0, 3), (2, 3))]
    document = parsed(story_pdf(Table(rows, style=[*GRID, *spans])))
    expected = [["Drug", "Dose", "Dose"], ["A", "5", "6"], ["A", "7", "8"], ["All of them", "", ""]]
    assert tables_of(document) == [(expected, 1)]


def test_cells_of_several_lines_are_one_cell_each() -> None:
    cells = [[Paragraph(PROSE, BODY), "short"], ["a | b", Paragraph(PROSE, BODY)]]
    document = parsed(story_pdf(Table(cells, colWidths=[200, 200], style=GRID)))
    assert tables_of(document) == [([[PROSE, "short"], ["a | b", PROSE]], 0)]


def test_two_tables_on_a_page_stay_two() -> None:
    other = [["Code", "Price"], ["A1", "5"], ["A2", "6"]]
    document = parsed(story_pdf(Table(ROWS, style=GRID), Paragraph(PROSE, BODY), Table(other, style=GRID)))
    assert tables_of(document) == [(ROWS, 1), (other, 1)]


def test_a_table_over_two_pages_is_in_the_text_of_both() -> None:
    rows = [["Code", "Price"], *([f"A{number}", f"{number} euros"] for number in range(60))]
    document = parsed(story_pdf(Table(rows, style=GRID, repeatRows=1)))
    found = [row for table, _ in tables_of(document) for row in table if row != rows[0]]
    assert found == rows[1:]
    assert {box.page for box in document.boxes} == {1, 2} == set(range(1, len(document.pages) + 1))


def test_a_row_with_an_empty_cell_keeps_its_columns() -> None:
    rows = [
        ["Drug", "Dose", "Per day"],
        ["Amoxicillin", "500 mg", "3"],
        ["Ibuprofen", "", "2"],
        ["Aspirin", "1 g", "1"],
    ]
    assert tables_of(parsed(story_pdf(Table(rows)))) == [(rows, 1)]


def test_a_row_whose_cells_have_several_lines_is_one_row() -> None:
    rows: list[list[Any]] = [
        ["Claim", "Who", "Limit"],
        ["First", "Network clinic", "90 days"],
        ["Late", "x", "12 months"],
    ]
    rows += [["Corrected", "Anyone", "180 days"], ["Payment", "Plan", "30 days"]]
    rows[2][1] = Paragraph("Out-of-network clinic or member", BODY)
    document = parsed(story_pdf(Table(rows, colWidths=[90, 110, 90], style=[("VALIGN", (0, 0), (-1, -1), "TOP")])))
    rows[2][1] = "Out-of-network clinic or member"
    assert tables_of(document) == [(rows, 1)]


# ── What is no table ──


def bullets(*items: str) -> Flowable:
    return ListFlowable([Paragraph(item, BODY) for item in items], bulletType="1")


NO_TABLES: dict[str, Callable[[], bytes]] = {
    "paragraphs": lambda: story_pdf(*[Paragraph(PROSE, BODY)] * 8),
    "two columns": lambda: story_pdf(BalancedColumns([Paragraph(PROSE, BODY) for _ in range(8)], 2)),
    "two columns, drawn line by line": lambda: drawn_pdf(_two_columns),
    "numbered list": lambda: story_pdf(bullets("Wash.", "Dry the hands.", "Wait.", "Go on.")),
    "contents": lambda: drawn_pdf(_contents),
    "a frame around prose": lambda: story_pdf(Table([[Paragraph(PROSE, BODY)]], style=GRID)),
    "a chart's rules": lambda: drawn_pdf(_chart),
}


def _two_columns(canvas: Canvas) -> None:
    for at in range(20):
        canvas.drawString(50, 780 - 14 * at, f"The left column goes on with words, line {at}")
        canvas.drawString(310, 780 - 14 * at, f"while the right one tells a story, line {at}")


def _contents(canvas: Canvas) -> None:
    for at in range(12):
        canvas.drawString(
            60, 780 - 16 * at, f"Chapter {at} .................................................. {at * 7}"
        )


def _chart(canvas: Canvas) -> None:
    for at in range(8):
        canvas.line(60, 500 + 30 * at, 400, 500 + 30 * at)
        canvas.line(60 + 48 * at, 500, 60 + 48 * at, 710)
    canvas.drawString(60, 480, "Visits by month, in thousands, as counted by the clinics.")


@pytest.mark.parametrize("kind", NO_TABLES)
def test_what_is_no_table_stays_text(kind: str) -> None:
    document = parsed(NO_TABLES[kind]())
    assert document.tables == ()
    assert "| " not in document.text


def test_columns_of_prose_are_read_one_after_the_other() -> None:
    text = parsed(NO_TABLES["two columns, drawn line by line"]()).text
    assert text.index("words, line 19") < text.index("a story, line 0")
    assert "line 3\nThe left column goes on with words, line 4" in text


# ── Boxes ──


def at_places(canvas: Canvas) -> None:
    canvas.setFont("Helvetica", 10)
    canvas.drawString(100, 842 - 200, "First line of it,")
    canvas.drawString(100, 842 - 212, "then the second.")


def test_each_line_has_its_box_from_the_top_left_of_its_page() -> None:
    document = parsed(drawn_pdf(at_places))
    assert boxed(document) == ["First line of it,", "then the second."]
    first, second = document.boxes
    assert (first.page, first.x0) == (1, pytest.approx(100, abs=2))
    assert first.y0 < 200 < first.y1 < second.y1
    assert (first.y1 - first.y0, second.y0 - first.y0) == (pytest.approx(12, abs=3), pytest.approx(12, abs=1))
    assert first.x1 == pytest.approx(160, abs=5)


def _turned(angle: int, crop: str = "") -> bytes:
    page = drawn_pdf(at_places, pageCompression=0)
    assert b"/Rotate 0" in page
    # The places of objects in the file are found again without its index, which is wrong after this.
    return page.replace(b"/Rotate 0", f"/Rotate {angle} {crop}".encode())


@pytest.mark.parametrize(
    ("angle", "x", "y"),
    [(0, 100, 200), (90, 842 - 200, 100), (180, 595 - 100, 842 - 200), (270, 200, 595 - 100)],
)
def test_boxes_are_where_a_viewer_shows_the_line_on_a_turned_page(angle: int, x: int, y: int) -> None:
    box = parsed(_turned(angle)).boxes[0]
    assert box.x0 - 3 <= x <= box.x1 + 3
    assert box.y0 - 3 <= y <= box.y1 + 3
    assert (box.x1 - box.x0 > box.y1 - box.y0) == (angle in {0, 180})


def test_boxes_count_from_the_corner_of_what_is_shown_of_a_page() -> None:
    whole, cropped = parsed(_turned(0)).boxes[0], parsed(_turned(0, "/CropBox [50 100 500 800]")).boxes[0]
    assert (whole.x0 - cropped.x0, whole.y0 - cropped.y0) == (pytest.approx(50, abs=0.2), pytest.approx(42, abs=0.2))


def test_headings_and_rows_have_boxes_and_a_parted_word_has_one_over_both_lines() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 20)
        canvas.drawString(60, 780, "A large heading")
        canvas.setFont("Helvetica", 10)
        canvas.drawString(60, 740, "This sentence is about infor\u00ad")
        canvas.drawString(60, 728, "mation and nothing else.")
        for row, cells in enumerate(ROWS):
            for column, cell in enumerate(cells):
                canvas.drawString(60 + 120 * column, 690 - 14 * row, cell)

    document = parsed(drawn_pdf(draw))
    lines = boxed(document)
    assert lines[0] == "A large heading"
    parted = document.boxes[lines.index("This sentence is about information and nothing else.")]
    assert parted.y1 - parted.y0 == pytest.approx(24, abs=4)
    assert [line for line in lines if line.startswith("|")][1] == "| Amoxicillin | 500 mg | 3 |"
    assert not any("---" in line for line in lines)


@given(st.lists(st.tuples(st.booleans(), *[st.integers(0, 60)] * 3), max_size=40))
@settings(max_examples=60)
def test_any_rules_make_tables_whose_cells_cover_them_once(strokes: Sequence[tuple[bool, int, int, int]]) -> None:
    rules = [Rule(across, at * 5.0, min(a, b) * 5.0, max(a, b) * 5.0) for across, at, a, b in strokes]
    for table in ruled_tables(rules):
        assert len(table.regions) == len(table.rows) - 1 >= 2
        assert all(len(row) == len(table.columns) - 1 >= 2 for row in table.regions)
        middle = (table.columns[0] + table.columns[1]) / 2, (table.rows[0] + table.rows[1]) / 2
        assert table.cell_at(*middle) == (0, 0)
