"""Builds the PDF and DOCX documents of this corpus from the Markdown in sources/.

    python examples/health-plan/build.py            # writes documents/**/*.pdf and *.docx
    python examples/health-plan/build.py --check    # says which built files differ from their source, writes nothing

The same source gives the same bytes: dates are fixed and taken from nowhere. Needs reportlab and python-docx (the `dev`
extra) and markdown-it-py. The Markdown and HTML documents of the corpus are written by hand and have no source here.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import docx
from docx.document import Document as DocxDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.shared import Cm, Pt, RGBColor
from docx.text.paragraph import Paragraph as DocxParagraph
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepTogether, PageTemplate, Paragraph, Spacer, Table

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
DOCUMENTS = HERE / "documents"
AUTHOR = "Merrowdale Health Plan"

# What each source becomes. A source without a row here is an error, so that none is forgotten.
FORMATS = {
    "guidelines/continuous-glucose-monitors.md": "pdf",
    "guidelines/rheumatoid-arthritis-biologics.md": "pdf",
    "guidelines/sleep-studies-and-cpap.md": "pdf",
    "guidelines/bariatric-surgery.md": "docx",
    "manuals/claims-coding-quick-guide.md": "pdf",
    "manuals/referral-manual.md": "docx",
    "members/member-handbook.md": "pdf",
    "policies/appeals-and-expedited-review.md": "docx",
    "restricted/claims-audit-thresholds.md": "docx",
}

BLUE = colors.HexColor("#1f4e6b")
RULE = colors.HexColor("#b9c6cf")
CLAUSE = re.compile(r"^(\d+\.\d+|\([a-z]\)) ")
FIXED_TIME = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - python-docx wants a naive time


@dataclass(frozen=True, slots=True)
class Run:
    text: str
    bold: bool = False
    italic: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """One heading (level 1 to 3), paragraph, bullet or table; `rows` is empty but for a table."""

    kind: str
    runs: tuple[Run, ...] = ()
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()

    @property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)


def read_blocks(markdown: str) -> list[Block]:
    """The Markdown as blocks; only what the sources use is understood, anything else is an error."""
    tokens = iter(MarkdownIt("commonmark").enable("table").parse(markdown))
    return list(_blocks(tokens))


def _blocks(tokens: Iterator[Token]) -> Iterator[Block]:
    in_bullet = False
    for token in tokens:
        if token.type == "heading_open":
            yield Block("heading", _runs(next(tokens)), level=int(token.tag[1]))
        elif token.type == "paragraph_open":
            yield Block("bullet" if in_bullet else "paragraph", _runs(next(tokens)))
        elif token.type in {"list_item_open", "list_item_close"}:
            in_bullet = token.type == "list_item_open"
        elif token.type == "table_open":
            yield Block("table", rows=tuple(_rows(tokens)))
        elif token.type not in {"bullet_list_open", "bullet_list_close", "heading_close", "paragraph_close"}:
            raise ValueError(f"The sources may not use {token.type!r} (line {token.map and token.map[0] + 1}).")


def _rows(tokens: Iterator[Token]) -> Iterator[tuple[str, ...]]:
    row: list[str] = []
    for token in tokens:
        if token.type == "table_close":
            return
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            row.append("".join(run.text for run in _runs(token)))
        elif token.type == "tr_close":
            yield tuple(row)


def _runs(inline: Token) -> tuple[Run, ...]:
    """Text with its emphasis; the number at the start of a clause becomes bold."""
    runs: list[Run] = []
    bold = italic = False
    for child in inline.children or []:
        if child.type in {"strong_open", "strong_close"}:
            bold = child.type == "strong_open"
        elif child.type in {"em_open", "em_close"}:
            italic = child.type == "em_open"
        elif child.type == "softbreak":
            runs.append(Run(" ", bold, italic))
        elif child.content:
            runs.append(Run(child.content, bold, italic))
    number = CLAUSE.match(runs[0].text) if runs else None
    if number:
        rest = Run(runs[0].text[number.end(1) :], runs[0].bold, runs[0].italic)
        runs[:1] = [Run(number.group(1), bold=True), rest]
    return tuple(runs)


def column_shares(rows: tuple[tuple[str, ...], ...]) -> list[float]:
    """Column widths that add up to 1: by the longest cell, but none below 0.14."""
    longest = [max(12, min(60, max(len(row[i]) for row in rows))) for i in range(len(rows[0]))]
    shares = [max(0.14, length / sum(longest)) for length in longest]
    return [share / sum(shares) for share in shares]


# PDF --------------------------------------------------------------------------------------------


class OutlinedPdf(BaseDocTemplate):
    """A document whose headings become bookmarks."""

    headings = 0

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - reportlab's name for its hook
        level = getattr(flowable, "outline_level", None)
        if level is None:
            return
        self.headings += 1
        key = f"heading-{self.headings}"
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(flowable.getPlainText(), key, level=level)


def build_pdf(blocks: list[Block]) -> bytes:
    rl_config.useA85 = 0  # binary streams: a fifth smaller
    title = blocks[0].text
    out = io.BytesIO()
    pdf = OutlinedPdf(out, pagesize=A4, title=title, author=AUTHOR, subject=title, lang="en", invariant=1)
    frame = Frame(2.2 * cm, 2.2 * cm, A4[0] - 4.4 * cm, A4[1] - 4.2 * cm, id="body", showBoundary=0)

    def footer(canvas: Canvas, doc: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(colors.HexColor("#5b6770"))
        canvas.drawString(2.4 * cm, 1.3 * cm, f"{AUTHOR} · {title.split(maxsplit=1)[0]}")
        canvas.drawRightString(A4[0] - 2.4 * cm, 1.3 * cm, f"Page {doc.page}")

    pdf.addPageTemplates(PageTemplate(id="page", frames=[frame], onPageEnd=footer))
    pdf.build(list(_flowables(blocks, frame.width - 12)))
    return out.getvalue()


def _style(name: str, size: float, **more: object) -> ParagraphStyle:
    return ParagraphStyle(name, fontName="Helvetica", fontSize=size, leading=size * 1.42, **more)


BODY = _style("body", 9.2, spaceAfter=5)
CELL = _style("cell", 8.4)
BULLET = _style("bullet", 9.2, leftIndent=14, spaceAfter=3)
HEADINGS = {
    1: _style("h1", 17, textColor=BLUE, spaceAfter=8),
    2: _style("h2", 11.5, textColor=BLUE, spaceBefore=9, spaceAfter=4),
}


def _flowables(blocks: list[Block], width: float) -> Iterator[Flowable]:
    """Headings stay with what follows; a clause or table is not split, so its text is extracted in one piece."""
    kept: list[Flowable] = []
    for block in blocks:
        if block.kind == "heading":
            heading = Paragraph(f"<b>{escape(block.text)}</b>", HEADINGS[block.level])
            heading.outline_level = block.level - 1
            kept.append(heading)
            continue
        if block.kind == "table":
            kept += [_pdf_table(block.rows, width), Spacer(1, 7)]
        else:
            kept.append(Paragraph(_markup(block.runs), BULLET if block.kind == "bullet" else BODY))
        yield KeepTogether(kept)
        kept = []


def _markup(runs: tuple[Run, ...]) -> str:
    def one(run: Run) -> str:
        text = escape(run.text, quote=False)
        text = f"<i>{text}</i>" if run.italic else text
        return f"<b>{text}</b>" if run.bold else text

    return "".join(one(run) for run in runs)


def _pdf_table(rows: tuple[tuple[str, ...], ...], width: float) -> Table:
    def cell(text: str, *, head: bool) -> Paragraph:
        text = escape(text, quote=False)
        return Paragraph(f"<b>{text}</b>" if head else text, CELL)

    cells = [[cell(text, head=i == 0) for text in row] for i, row in enumerate(rows)]
    table = Table(cells, colWidths=[share * width for share in column_shares(rows)], repeatRows=1)
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#e9f0f4")),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
        ]
    )
    return table


# DOCX -------------------------------------------------------------------------------------------


def build_docx(blocks: list[Block]) -> bytes:
    document = docx.Document()
    _prepare(document, blocks[0].text)
    for block in blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=block.level)
        elif block.kind == "table":
            _docx_table(document, block.rows)
        else:
            style = "List Bullet" if block.kind == "bullet" else "Normal"
            _add_runs(document.add_paragraph(style=style), block.runs)
    out = io.BytesIO()
    document.save(out)
    return _with_fixed_times(out.getvalue())


def _prepare(document: DocxDocument, title: str) -> None:
    """Sets the properties, the margins and the look of the styles that are used."""
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = title, AUTHOR, AUTHOR
    properties.created = properties.modified = FIXED_TIME
    properties.comments, properties.language = "", "en"
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.4)
    section.footer.paragraphs[0].text = f"{AUTHOR} · {title.split(maxsplit=1)[0]}"
    document.styles["Normal"].font.name, document.styles["Normal"].font.size = "Calibri", Pt(10.5)
    document.styles["Normal"].paragraph_format.space_after = Pt(6)
    for name, bold in (("Table Head", True), ("Table Cell", None)):
        style = document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = document.styles["Normal"]
        style.font.size, style.font.bold, style.paragraph_format.space_after = Pt(9.5), bold, Pt(2)
    for level, size in ((1, 18), (2, 13), (3, 11)):
        font = document.styles[f"Heading {level}"].font
        font.size, font.color.rgb = Pt(size), RGBColor(0x1F, 0x4E, 0x6B)


def _add_runs(paragraph: DocxParagraph, runs: tuple[Run, ...]) -> None:
    for run in runs:
        added = paragraph.add_run(run.text)
        added.bold, added.italic = run.bold or None, run.italic or None


def _docx_table(document: DocxDocument, rows: tuple[tuple[str, ...], ...]) -> None:
    table = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
    table.autofit = False
    widths = [Cm(16.2 * share) for share in column_shares(rows)]
    for number, row in enumerate(rows):
        for cell, text, width in zip(table.add_row().cells, row, widths, strict=True):
            cell.width = width
            cell.paragraphs[0].style = "Table Head" if number == 0 else "Table Cell"
            cell.paragraphs[0].add_run(text)
    document.add_paragraph().paragraph_format.space_after = Pt(0)


def _with_fixed_times(archive: bytes) -> bytes:
    """The same zip with every member dated alike, so that the bytes do not change from day to day."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, FIXED_TIME.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))
    return out.getvalue()


BUILDERS: dict[str, Callable[[list[Block]], bytes]] = {"pdf": build_pdf, "docx": build_docx}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a built file is out of date")
    check = parser.parse_args().check
    found = {path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.md")}
    if found != FORMATS.keys():
        print(f"sources/ and the table FORMATS differ: {sorted(found ^ FORMATS.keys())}", file=sys.stderr)
        return 1
    stale = 0
    for name, suffix in FORMATS.items():
        markdown = (SOURCES / name).read_text("utf-8")
        markdown.encode("cp1252")  # what the PDFs' built-in font can show; any other character is an error here
        built = BUILDERS[suffix](read_blocks(markdown))
        target = (DOCUMENTS / name).with_suffix(f".{suffix}")
        same = target.exists() and target.read_bytes() == built
        stale += not same
        if not check and not same:
            target.write_bytes(built)
        state = "up to date" if same else "out of date" if check else "written"
        print(f"{target.relative_to(HERE)}  {len(built):,} bytes  {state}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
