"""Sheets, slides and OpenDocument files made for a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from sample_documents import CONTENT_TYPES, zipped

_SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_FORMATS = {"": 0, "date": 1, "percent": 2, "own date": 3}
"""How a number may be shown: what the styles are in its order."""
_STYLES = (
    f'<styleSheet xmlns="{_SHEETS}"><numFmts><numFmt numFmtId="170" formatCode="[$-409]d\\-mmm\\-yy"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="22"/><xf numFmtId="10"/><xf numFmtId="170"/></cellXfs></styleSheet>'
)

Marks = Mapping[tuple[int, int], str]
"""Attributes of cells by row and column."""


class SheetError(str):
    """A cell of a sheet that shows an error such as `#N/A`."""

    __slots__ = ()


SheetCell = str | int | float | bool | SheetError | tuple[float, str]


def sheet(rows: Sequence[Sequence[SheetCell]], *, merged: Sequence[str] = ()) -> str:
    """The XML of a sheet: texts, numbers, truth values, errors, and numbers with the name of how they are shown."""
    lines = [
        f'<row r="{at}">{"".join(_cell(f"{chr(65 + column)}{at}", cell) for column, cell in enumerate(row))}</row>'
        for at, row in enumerate(rows, 1)
    ]
    ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged)
    data = f"<sheetData>{''.join(lines)}</sheetData><mergeCells>{ranges}</mergeCells>"
    return f'<worksheet xmlns="{_SHEETS}">{data}</worksheet>'


def _cell(reference: str, cell: SheetCell) -> str:
    if isinstance(cell, tuple):
        return f'<c r="{reference}" s="{_FORMATS[cell[1]]}"><v>{cell[0]}</v></c>'
    if isinstance(cell, bool):
        return f'<c r="{reference}" t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, SheetError):
        return f'<c r="{reference}" t="e"><v>{cell}</v></c>'
    if isinstance(cell, str):
        return f'<c r="{reference}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>' if cell else ""
    return f'<c r="{reference}"><v>{cell}</v></c>'


def workbook(sheets: Mapping[str, str], *, hidden: str = "") -> bytes:
    """An XLSX file with these sheets."""
    states = {name: 'state="hidden"' if name == hidden else "" for name in sheets}
    names = "".join(f'<sheet name="{name}" {states[name]} r:id="r{at}"/>' for at, name in enumerate(sheets, 1))
    main = f'<workbook xmlns="{_SHEETS}" xmlns:r="{_OFFICE}"><sheets>{names}</sheets></workbook>'
    parts = {f"xl/worksheets/sheet{at}.xml": content for at, content in enumerate(sheets.values(), 1)}
    targets = [f"worksheets/sheet{at}.xml" for at in range(1, len(sheets) + 1)]
    return zipped(
        {
            "[Content_Types].xml": CONTENT_TYPES,
            "xl/workbook.xml": main,
            "xl/_rels/workbook.xml.rels": _relations("worksheet", targets),
            "xl/styles.xml": _STYLES,
            **parts,
        }
    )


def _relations(kind: str, targets: Sequence[str]) -> str:
    found = "".join(
        f'<Relationship Id="r{at}" Type="{_OFFICE}/{kind}" Target="{target}"/>' for at, target in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}">{found}</Relationships>'


def slide_table(rows: Sequence[Sequence[str]], marks: Marks | None = None) -> str:
    """The XML of a table on a slide."""
    lines = []
    for at, row in enumerate(rows):
        cells = [
            f"<a:tc {(marks or {}).get((at, column), '')}><a:p><a:r><a:t>{escape(cell)}</a:t></a:r></a:p></a:tc>"
            for column, cell in enumerate(row)
        ]
        lines.append(f"<a:tr>{''.join(cells)}</a:tr>")
    return f"<p:graphicFrame><a:tbl>{''.join(lines)}</a:tbl></p:graphicFrame>"


def slides(shapes: Sequence[str]) -> bytes:
    """A PPTX file with a slide for each of these shapes' XML."""
    names = f'xmlns:p="{_SLIDES}" xmlns:a="{_DRAWING}" xmlns:r="{_OFFICE}"'
    ids = "".join(f'<p:sldId id="{255 + at}" r:id="r{at}"/>' for at in range(1, len(shapes) + 1))
    parts = {
        f"ppt/slides/slide{at}.xml": f"<p:sld {names}><p:cSld><p:spTree>{shape}</p:spTree></p:cSld></p:sld>"
        for at, shape in enumerate(shapes, 1)
    }
    return zipped(
        {
            "[Content_Types].xml": CONTENT_TYPES,
            "ppt/presentation.xml": f"<p:presentation {names}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": _relations("slide", [path.removeprefix("ppt/") for path in parts]),
            **parts,
        }
    )


COVERED = "covered"
"""Instead of attributes: a cell that another one reaches over."""


def odf_table(rows: Sequence[Sequence[str]], marks: Marks | None = None) -> str:
    """The XML of a table in an OpenDocument."""
    lines = []
    for at, row in enumerate(rows):
        found = ""
        for column, cell in enumerate(row):
            mark = (marks or {}).get((at, column), "")
            content = f"<text:p>{escape(cell)}</text:p>" if cell else ""
            kind = "covered-table-cell" if mark == COVERED else "table-cell"
            found += f"<table:{kind} {mark.replace(COVERED, '')}>{content}</table:{kind}>"
        lines.append(f"<table:table-row>{found}</table:table-row>")
    return f'<table:table table:name="Sheet1">{"".join(lines)}</table:table>'


def open_document(kind: str, body: str, more: Mapping[str, str] | None = None) -> bytes:
    """An OpenDocument file: `kind` is `text` or `spreadsheet`."""
    words = ("office", "text", "table", "style")
    names = " ".join(f'xmlns:{word}="urn:oasis:names:tc:opendocument:xmlns:{word}:1.0"' for word in words)
    inner = f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    content = f"<office:document-content {names}>{inner}</office:document-content>"
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    return zipped({"mimetype": media_type, "content.xml": content, **(more or {})}, store=True)
