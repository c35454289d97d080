"""Tables of records (CSV, TSV, sheets): each record on a line that names its columns and so explains itself."""

from __future__ import annotations

import csv
import io

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.building import TextBuilder, decoded, one_line, table_rows
from headworks.retrieval.parsers.contract import ParsedDocument

_DELIMITERS = ",;\t|"
_LARGEST_FIELD = 1_000_000


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    text = decoded(data)
    tabs = name.lower().endswith((".tsv", ".tab"))
    csv.field_size_limit(_LARGEST_FIELD)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter="\t" if tabs else _delimiter(text)))
    except csv.Error as error:
        raise DocumentUnreadable(f"The table can't be read: {error}.", code="corrupt") from None
    builder = TextBuilder()
    builder.block(records(rows))
    return builder.finish(name, "text/tab-separated-values" if tabs else "text/csv")


def records(rows: list[list[str]]) -> str:
    """Rows as lines of `Column: value; …` when the first one names the columns, else of `| a | b |`."""
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    names = [one_line(cell) for cell in rows[0]] if rows else []
    if len(rows) < 2 or not _are_names(names):
        return table_rows(rows)
    lines = []
    for row in rows[1:]:
        cells = [f"{name}: {one_line(cell)}" for name, cell in zip(names, row, strict=False) if cell.strip()]
        cells += [one_line(cell) for cell in row[len(names) :] if cell.strip()]
        lines.append(f"- {'; '.join(cells)}")
    return "\n".join(lines)


def _are_names(cells: list[str]) -> bool:
    """Whether a row can be a header: no cell empty, twice, long, or a number."""
    return (
        all(cells)
        and len(set(cells)) == len(cells)
        and all(len(cell) <= 60 and any(map(str.isalpha, cell)) for cell in cells)
    )


def _delimiter(text: str) -> str:
    """The usual delimiter that parts the first lines most evenly."""
    lines = [line for line in text.split("\n", 21)[:20] if line.strip()]
    return max(_DELIMITERS, key=lambda mark: (min((line.count(mark) for line in lines), default=0), mark == ","))
