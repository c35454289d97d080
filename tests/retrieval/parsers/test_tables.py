"""Tables stay tables in every format: the names of their columns first, merged cells spelled out, nothing lost."""

from __future__ import annotations

import office_documents as office
import pytest
import sample_documents as samples
from hypothesis import given
from hypothesis import strategies as st
from parsed_tables import Grid, tables_of

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers import catalog, markdown
from headworks.retrieval.parsers.building import TextBuilder, one_line
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.grids import Cell, spelled_out, write_table

PLAIN: Grid = [["Drug", "Dose"], ["A | B", "5 mg"], ["C < D", "7 mg"]]
MERGED: Grid = [["Drug", "Dose", "Dose"], ["A", "5", "6"], ["A", "7", "8"], ["All of them", "", ""]]
"""What a table says whose `Dose` and `A` reach over two cells each, and whose last row is one cell."""


def parsed(name: str, data: bytes) -> ParsedDocument:
    return catalog.parse(name, data)


# ── The same table in each format ──


def docx_table(rows: str) -> bytes:
    return samples.raw_docx(f"<w:p><w:r><w:t>Before</w:t></w:r></w:p><w:tbl>{rows}</w:tbl>")


def word_cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"


def word_row(*cells: str) -> str:
    return f"<w:tr>{''.join(cells)}</w:tr>"


PLAIN_DOCX = docx_table("".join(word_row(*(word_cell(cell.replace("<", "&lt;")) for cell in row)) for row in PLAIN))
MERGED_DOCX = docx_table(
    word_row(word_cell("Drug"), word_cell("Dose", '<w:gridSpan w:val="2"/>')).replace(
        "<w:tr>", "<w:tr><w:trPr><w:tblHeader/></w:trPr>"
    )
    + word_row(word_cell("A", '<w:vMerge w:val="restart"/>'), word_cell("5"), word_cell("6"))
    + word_row(word_cell("", "<w:vMerge/>"), word_cell("7"), word_cell("8"))
    + word_row(word_cell("All of them", '<w:gridSpan w:val="3"/>'))
)
PLAIN_HTML = b"<p>Before</p><table><tr><td>Drug<td>Dose<tr><td>A | B<td>5 mg<tr><td>C &lt; D<td>7 mg</table>"
MERGED_HTML = b"""<p>Before</p><table><thead><tr><th>Drug<th colspan=2>Dose</thead><tr><td rowspan=2>A<td>5<td>6
<tr><td>7<td>8<tr><td colspan=3>All of them</table>"""
PLAIN_SLIDES = office.slides([office.slide_table(PLAIN)])
MERGED_SLIDES = office.slides(
    [
        office.slide_table(
            MERGED,
            marks={(0, 1): 'gridSpan="2"', (0, 2): 'hMerge="1"', (1, 0): 'rowSpan="2"', (2, 0): 'vMerge="1"'}
            | {(3, 0): 'gridSpan="3"', (3, 1): 'hMerge="1"', (3, 2): 'hMerge="1"'},
        )
    ]
)
PLAIN_SHEET = office.workbook({"Doses": office.sheet(PLAIN)})
MERGED_SHEET = office.workbook(
    {
        "Doses": office.sheet(
            [["Drug", "Dose"], ["A", 5, 6], ["", 7, 8], ["All of them"]], merged=("B1:C1", "A2:A3", "A4:C4")
        )
    }
)
PLAIN_ODT = office.open_document("text", office.odf_table(PLAIN))
MERGED_ODF = office.odf_table(
    MERGED,
    marks={(0, 1): 'table:number-columns-spanned="2"', (0, 2): office.COVERED, (1, 0): 'table:number-rows-spanned="2"'}
    | {
        (2, 0): office.COVERED,
        (3, 0): 'table:number-columns-spanned="3"',
        (3, 1): office.COVERED,
        (3, 2): office.COVERED,
    },
)
PLAIN_CSV = b"Drug,Dose\nA | B,5 mg\nC < D,7 mg\n"
PLAIN_MARKDOWN = b"Before\n\n| Drug | Dose |\n| --- | --- |\n| A \\| B | 5 mg |\n| C < D | 7 mg |\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", PLAIN_DOCX),
        ("a.html", PLAIN_HTML),
        ("a.pptx", PLAIN_SLIDES),
        ("a.xlsx", PLAIN_SHEET),
        ("a.odt", PLAIN_ODT),
        ("a.ods", office.open_document("spreadsheet", office.odf_table(PLAIN))),
        ("a.csv", PLAIN_CSV),
        ("a.tsv", PLAIN_CSV.replace(b",", b"\t")),
        ("a.md", PLAIN_MARKDOWN),
    ],
)
def test_a_table_keeps_its_rows_columns_and_characters(name: str, data: bytes) -> None:
    assert tables_of(parsed(name, data)) == [(PLAIN, 1)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", MERGED_DOCX),
        ("a.html", MERGED_HTML),
        ("a.pptx", MERGED_SLIDES),
        ("a.xlsx", MERGED_SHEET),
        ("a.odt", office.open_document("text", MERGED_ODF)),
        ("a.ods", office.open_document("spreadsheet", MERGED_ODF)),
    ],
)
def test_merged_cells_are_said_in_each_place_that_they_cover(name: str, data: bytes) -> None:
    assert tables_of(parsed(name, data)) == [(MERGED, 1)]


def test_text_around_a_table_keeps_its_place() -> None:
    for name, data in (("a.docx", PLAIN_DOCX), ("a.html", PLAIN_HTML), ("a.md", PLAIN_MARKDOWN)):
        document = parsed(name, data)
        assert document.text[: document.tables[0].start] == "Before\n\n"


# ── Each format's own ways ──


def test_a_frame_around_paragraphs_is_no_table() -> None:
    document = parsed("a.docx", docx_table(word_row(word_cell("One")) + word_row(word_cell("Two"))))
    assert (document.text, document.tables) == ("Before\n\nOne\n\nTwo", ())


def test_a_page_arranged_by_tables_keeps_its_headings_and_its_real_tables() -> None:
    page = b"<table><tr><td><h1>Title</h1><p>Text.</p><td><table><tr><th>A<th>B<tr><td>1<td>2</table></table><p>End"
    document = parsed("a.html", page)
    assert [each.text for each in document.headings] == ["Title"]
    assert tables_of(document) == [([["A", "B"], ["1", "2"]], 1)]
    assert document.text.startswith("Title\n\nText.\n\n| A | B |")
    assert document.text.endswith("End")


def test_html_may_name_columns_in_several_rows() -> None:
    page = b"<table><tr><th rowspan=2>Drug<th colspan=2>Dose<tr><th>day<th>night<tr><td>A<td>1<td>2</table>"
    rows = [["Drug", "Dose", "Dose"], ["Drug", "day", "night"], ["A", "1", "2"]]
    assert tables_of(parsed("a.html", page)) == [(rows, 2)]


def test_spans_beyond_all_measure_cost_nothing() -> None:
    page = b'<table><tr><td colspan="99999" rowspan=65000>x<td>y<tr><td>z</table>'
    assert parsed("a.html", page).text.count("x") <= 2000


def test_numbers_in_sheets_are_shown_as_the_sheet_shows_them() -> None:
    cells: list[list[office.SheetCell]] = [
        ["Kind", "Value"],
        ["day", (45000, "date")],
        ["moment", (45000.75, "date")],
        ["own date", (45000, "own date")],
        ["per cent", (0.2555, "percent")],
        ["whole", 12345678901],
        ["broken", 1.1],
        ["yes", True],
        ["error", office.SheetError("#N/A")],
    ]
    rows, _ = tables_of(parsed("a.xlsx", office.workbook({"S": office.sheet(cells)})))[0]
    assert [row[1] for row in rows[1:]] == [
        "2023-03-15", "2023-03-15 18:00:00", "2023-03-15", "25.55%", "12345678901", "1.1", "TRUE", "#N/A",
    ]  # fmt: skip


def test_sheets_stand_under_their_names_with_the_lines_above_their_tables() -> None:
    first = office.sheet([["Prices of 2024"], [], ["Code", "Price"], ["A1", 5]])
    document = parsed("prices.xlsx", office.workbook({"North": first, "South": office.sheet([["x", "y"], [1, 2]])}))
    assert [each.text for each in document.headings] == ["North", "South"]
    assert document.text.startswith("North\n\nPrices of 2024\n\n| Code | Price |\n| --- | --- |\n| A1 | 5 |")
    assert document.title == "prices"


def test_a_hidden_sheet_is_not_read() -> None:
    data = office.workbook({"Shown": office.sheet(PLAIN), "Secret": office.sheet([["pay", "x"]])}, hidden="Secret")
    assert "pay" not in parsed("a.xlsx", data).text


def test_a_sheet_with_very_many_columns_becomes_lines_that_name_them() -> None:
    names = [f"Column {number}" for number in range(20)]
    document = parsed("a.csv", (",".join(names) + "\n" + ",".join(map(str, range(20))) + "\n").encode())
    assert document.text.startswith("- Column 0: 0; Column 1: 1; ")
    assert document.tables == ()


def test_a_csv_file_without_header_has_none() -> None:
    assert tables_of(parsed("a.tsv", b"1\t2\n3\t4\n")) == [([["1", "2"], ["3", "4"]], 0)]


@pytest.mark.parametrize("mark", [";", ",", "|"])
def test_the_delimiter_of_a_csv_file_is_found(mark: str) -> None:
    data = f"Name{mark}Price\nA{mark}1.50\nB{mark}2.50\n".encode()
    assert tables_of(parsed("a.csv", data)) == [([["Name", "Price"], ["A", "1.50"], ["B", "2.50"]], 1)]


def test_markdown_tables_are_found_where_they_are_tables() -> None:
    no_tables = "no | table\n\n```\n| x | y |\n|---|---|\n```\n| a |\n|---|---|\n\n"
    text = f"a | b\n--|:-:\n1 | 2\n3\n\n{no_tables}| z |\n| - |\nlast"
    found = [(text[each.start : each.end], text[each.start : each.header_end]) for each in markdown.tables_of(text)]
    assert found == [("a | b\n--|:-:\n1 | 2\n3", "a | b"), ("| z |\n| - |\nlast", "| z |")]


def test_lists_titles_and_notes_of_an_open_document_are_kept() -> None:
    body = (
        '<text:p text:style-name="Title">Guide</text:p><text:h text:outline-level="1">One</text:h>'
        "<text:p>a<text:s text:c='2'/>b &lt; c<text:note><text:note-body><text:p>Why.</text:p></text:note-body>"
        "</text:note></text:p><text:list><text:list-item><text:p>x</text:p><text:list><text:list-item><text:p>y</text:p>"
        "</text:list-item></text:list></text:list-item></text:list>"
        "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
    )
    document = parsed("a.odt", office.open_document("text", body))
    assert document.title == "Guide"
    assert [(each.level, each.text) for each in document.headings] == [(1, "Guide"), (2, "One")]
    assert document.text == "Guide\n\nOne\n\na  b < c (note 1)\n\n- x\n- y\n\nNote 1: Why."


def test_an_open_document_with_a_password_is_refused_as_such() -> None:
    data = office.open_document("text", "", {"META-INF/manifest.xml": "<m:encryption-data/>"})
    with pytest.raises(DocumentUnreadable) as refused:
        parsed("a.odt", data)
    assert refused.value.code == "encrypted"


# ── What holds for any table ──

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12)
grids = st.integers(2, 6).flatmap(lambda wide: st.lists(st.lists(words, min_size=wide, max_size=wide), max_size=8))


@given(grids, st.none() | st.integers(0, 3))
def test_what_was_written_is_read_back(rows: Grid, headers: int | None) -> None:
    builder = TextBuilder()
    builder.block("Before")
    write_table(builder, rows, headers)
    builder.block("After")
    document = builder.finish("a", "text/plain")
    expected = [cells for row in rows if any(cells := [one_line(cell) for cell in row])]
    columns = [at for at in range(len(rows[0]) if rows else 0) if any(row[at] for row in expected)]
    if columns and columns[0] < columns[-1]:
        ((found, _),) = tables_of(document)
        kept = [row[columns[0] : columns[-1] + 1] for row in expected]
        assert [[cell.replace("\\", "") for cell in row] for row in found] == [
            [cell.replace("\\", "") for cell in row] for row in kept
        ]
    assert document.text.startswith("Before")
    assert document.text.endswith("After")


cells = st.builds(Cell, words, st.integers(1, 70_000), st.integers(1, 5), st.booleans())


@given(st.lists(st.lists(cells, max_size=5), max_size=8))
def test_any_merging_is_spelled_out_in_as_many_rows(rows: list[list[Cell]]) -> None:
    found = spelled_out(rows)
    assert len(found) == len(rows)
    for row, line in zip(rows, found, strict=True):
        assert [cell.text for cell in row if cell.text and cell.text not in line] == []
