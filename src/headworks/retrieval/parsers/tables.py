"""Tables as text (CSV, TSV)."""

from __future__ import annotations

import csv
import io

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.building import TextBuilder
from headworks.retrieval.parsers.characters import decoded
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.grids import write_sheet

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
    write_sheet(builder, rows)
    return builder.finish(name, "text/tab-separated-values" if tabs else "text/csv")


def _delimiter(text: str) -> str:
    """The usual delimiter that parts the first lines most evenly."""
    lines = [line for line in text.split("\n", 21)[:20] if line.strip()]
    return max(_DELIMITERS, key=lambda mark: (min((line.count(mark) for line in lines), default=0), mark == ","))
