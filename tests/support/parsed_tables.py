"""The tables of a parsed document, read back from its text as people see them."""

from __future__ import annotations

import re

from headworks.retrieval.parsers.contract import ParsedDocument

Grid = list[list[str]]


def cells_of(line: str) -> list[str]:
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables_of(document: ParsedDocument) -> list[tuple[Grid, int]]:
    """The tables that a document says it has, read back from its text, and how many rows name their columns."""
    found = []
    for table in document.tables:
        lines = document.text[table.start : table.end].split("\n")
        head = document.text[table.start : table.header_end].split("\n") if table.header_end > table.start else []
        assert lines[: len(head)] == head
        if head:
            assert re.fullmatch(r"\|( --- \|)+", lines.pop(len(head)))
        found.append(([cells_of(line) for line in lines], len(head)))
    return found
