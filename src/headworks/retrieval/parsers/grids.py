r"""Tables as every parser writes them: lines of `| a | b |` with the names of the columns first.

A `|` within a cell becomes `\|`; a merged cell says the same in each place that it covers, so that each row can be
read by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from headworks.retrieval.parsers.building import TextBuilder, one_line

_LONGEST_REPEATED = 200
"""Characters: a merged cell with more text than this has it once."""
_LONGEST_NAME = 60
_MOST_COLUMNS = 16
"""With more named columns no chunk could hold the names and a row: each value says its column instead."""
_WIDEST = 16_384
"""Columns, as many as a sheet can have."""

Row = list[str]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as a document has it: over how many rows and columns it reaches, and whether it is marked as a header."""

    text: str
    rows: int = 1
    columns: int = 1
    is_header: bool = False


def spelled_out(rows: Sequence[Sequence[Cell]]) -> list[Row]:
    """The texts of a table's cells by row and column, merged ones repeated.

    One that is the only cell of its row stands at its row's start only.
    """
    open_cells: dict[int, tuple[int, str]] = {}  # by column: for how many more rows, and the text
    found: list[Row] = []
    for row in rows:
        line: Row = []
        for cell in row:
            _continued(line, open_cells)
            columns = max(1, min(cell.columns, _WIDEST - len(line)))
            again = repeatable(cell.text) if len(row) > 1 else ""
            if cell.rows > 1:
                open_cells.update(dict.fromkeys(range(len(line), len(line) + columns), (cell.rows - 1, again)))
            line += [cell.text, *[again] * (columns - 1)]
        _continued(line, open_cells)
        found.append(line)
    return found


def repeatable(text: str) -> str:
    """The text of a merged cell as it stands where it is said again: long ones are not."""
    return text if len(text) <= _LONGEST_REPEATED else ""


def _continued(line: Row, open_cells: dict[int, tuple[int, str]]) -> None:
    """Adds what cells of earlier rows say from here on, as far as they reach without a gap."""
    while (above := open_cells.pop(len(line), None)) is not None:
        if above[0] > 1:
            open_cells[len(line)] = (above[0] - 1, above[1])
        line.append(above[1])


def write_table(builder: TextBuilder, rows: Sequence[Row], header_rows: int | None = None) -> None:
    """Adds a table; `header_rows` name its columns (None: one, if it looks like it).

    What has only one column is no table but paragraphs; one of very many named columns becomes lines of
    `- Column: value; …`.
    """
    tidy = _tidy(rows)
    if not tidy:
        return
    if len(tidy[0]) == 1:
        for row in tidy:
            builder.block(row[0])
        return
    headers = int(names_columns(tidy)) if header_rows is None else min(header_rows, len(tidy) - 1)
    if headers and len(tidy[0]) > _MOST_COLUMNS:
        builder.block("\n".join(_records(tidy, headers)))
    else:
        builder.table(table_lines(tidy), headers)


def write_sheet(builder: TextBuilder, rows: Sequence[Row]) -> None:
    """Adds a sheet: what stands alone in the rows above its table is text, then comes the table."""
    tidy = _tidy(rows)
    above = 0
    while above < len(tidy) - 1 and len(tidy[0]) > 1 and sum(map(bool, tidy[above])) == 1:
        builder.block(next(filter(None, tidy[above])))
        above += 1
    write_table(builder, tidy[above:])


def names_columns(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row can be a header: no cell is empty, long, a number, an option, or twice (unless merged)."""
    names = rows[0] if len(rows) > 1 else []
    said = [name for name, _ in groupby(names)]
    return (
        len(said) > 1
        and len(set(said)) == len(said)
        and all(
            len(name) <= _LONGEST_NAME and name[:1] not in {"", "-"} and any(map(str.isalpha, name)) for name in names
        )
    )


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Each row as `| a | b |`."""
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _tidy(rows: Sequence[Row]) -> list[Row]:
    """Cells on one line each, rows of one length; no empty rows, no empty columns at the sides."""
    lines = [[one_line(cell) for cell in row] for row in rows]
    lines = [row for row in lines if any(row)]
    first = min((next(at for at, cell in enumerate(row) if cell) for row in lines), default=0)
    last = max((max(at for at, cell in enumerate(row) if cell) for row in lines), default=-1)
    return [row[first : last + 1] + [""] * (last + 1 - max(first, len(row))) for row in lines]


def _records(rows: Sequence[Row], header_rows: int) -> list[str]:
    names = [" ".join(dict.fromkeys(filter(None, column))) for column in zip(*rows[:header_rows], strict=True)]
    return [
        "- " + "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=True) if cell)
        for row in rows[header_rows:]
    ]
