"""Tables of a PDF: those with rules, and those whose columns are only set apart by space.

What is no table for certain stays prose: the lines of a page in two columns, of a list, of a table of contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from statistics import median

from headworks.retrieval.parsers.building import Place, clean
from headworks.retrieval.parsers.grids import Row, repeatable
from headworks.retrieval.parsers.pdf.page import Line, Rule, Word
from headworks.retrieval.parsers.pdf.ruled import Ruled, ruled_tables

_GAP = 0.9
"""Of the height of a line: words further apart are in different cells, where cells there are."""
_GUTTER = 0.4
"""Of the height of a line: what stays free between two columns."""
_FARTHEST = 2.0
"""Heights of a line that are free between one row and the next."""
_FEWEST_ROWS = 3
_MOST_ROWS = 200
_WRAP = 0.85
"""Of the usual distance between rows: closer lines are those of one row."""
_FILLED = 0.6
"""Of the cells of a table without rules."""
_USUAL_CELL, _LONGEST_CELL = 30, 80
"""Characters of a table without rules: of half of its cells, and of nine in ten, at most."""
_ITEM = re.compile(r"[^\w\s]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.):]|§?\d{1,3}(?:\.\d{1,3})+\.?")
_LEADERS = re.compile(r"\.{4,}|(?:\. ){3,}|…{2,}")
_SOFT_HYPHEN = "\ufffe\x02\u00ad"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table on a page, with the place of each row."""

    rows: tuple[tuple[str, ...], ...]
    places: tuple[Place, ...]

    @property
    def page(self) -> int:
        """From 1."""
        return self.places[0].page


def with_tables(lines: Sequence[Line], rules: Sequence[Rule]) -> list[Line | Grid]:
    """The lines of a page, with the tables among them in the place of their first lines."""
    found: list[Line | Grid] = list(lines)
    for table in ruled_tables(rules):
        found = _with_ruled(found, table)
    return list(_with_aligned(found))


# ── With rules ──


def _with_ruled(content: Sequence[Line | Grid], table: Ruled) -> list[Line | Grid]:
    """Words within the rules go into cells; a line that goes on beyond them keeps its other words."""
    said: dict[int, list[list[Word]]] = {}  # by cell: the words of each line
    found: list[Line | Grid] = []
    begin: int | None = None
    for each in content:
        inside = _inside(each, table) if isinstance(each, Line) else {}
        if not inside or not isinstance(each, Line):
            found.append(each)
            continue
        begin = len(found) if begin is None else begin
        for cell, words in inside.items():
            said.setdefault(cell, []).append(words)
        taken = {id(word) for words in inside.values() for word in words}
        rest = tuple(word for word in each.words if id(word) not in taken)
        if rest:
            found.append(replace(each, text=" ".join(word.text for word in rest), words=rest, place=_around(rest)))
    grid = _ruled_grid(table, said)
    if begin is None or grid is None:
        return list(content)
    found.insert(begin, grid)
    return found


def _inside(line: Line, table: Ruled) -> dict[int, list[Word]]:
    cells: dict[int, list[Word]] = {}
    for word in line.words:
        at = table.cell_at(*word.middle)
        if at is not None:
            cells.setdefault(table.regions[at[0]][at[1]], []).append(word)
    return cells


def _ruled_grid(table: Ruled, said: dict[int, list[list[Word]]]) -> Grid | None:
    """None unless two rows and two columns have a text: frames around pictures are no tables."""
    texts = {cell: _joined(lines) for cell, lines in said.items()}
    written = [[texts.get(cell, "") for cell in row] for row in table.regions]
    in_columns = sum(any(column) for column in zip(*written, strict=True))
    if len(texts) < 3 or sum(any(row) for row in written) < 2 or in_columns < 2:
        return None
    seen: set[int] = set()
    rows: list[Row] = []
    for numbers, row in zip(table.regions, written, strict=True):
        is_alone = len(set(numbers)) == 1
        line: Row = []
        for cell, text in zip(numbers, row, strict=True):
            again = "" if is_alone else repeatable(text)
            line.append(again if cell in seen else text)
            seen.add(cell)
        rows.append(line)
    page = next(word.place.page for lines in said.values() for words in lines for word in words)
    left, right = table.columns[0], table.columns[-1]
    edges = pairwise(table.rows)
    return _grid(rows, [Place(page, *(round(x, 1) for x in (left, top, right, low))) for top, low in edges])


def _joined(lines: Sequence[Sequence[Word]]) -> str:
    text = ""
    for words in sorted(lines, key=lambda words: (round(words[0].place.y0), words[0].place.x0)):
        piece = " ".join(word.text for word in words)
        text = text[:-1] + piece if text.endswith(tuple(_SOFT_HYPHEN)) else f"{text} {piece}"
    return clean(text.strip())


def _grid(rows: Sequence[Row], places: Sequence[Place]) -> Grid:
    """Without empty rows and columns."""
    kept = [at for at, row in enumerate(rows) if any(row)]
    columns = [at for at in range(len(rows[0])) if any(row[at] for row in rows)]
    return Grid(tuple(tuple(rows[at][column] for column in columns) for at in kept), tuple(places[at] for at in kept))


# ── By space alone ──


@dataclass(slots=True)
class _Column:
    left: float
    right: float


def _with_aligned(content: Sequence[Line | Grid]) -> Iterator[Line | Grid]:
    at = 0
    while at < len(content):
        end = _end_of_run(content, at)
        run = [each for each in content[at:end] if isinstance(each, Line)]
        found = _aligned(run)
        if found:
            yield from found
            at = end
        else:
            yield content[at]
            at += 1


def _cells(line: Line) -> list[list[Word]]:
    """The words of a line, parted where they are far from each other."""
    cells: list[list[Word]] = []
    for word in line.words:
        if cells and word.place.x0 - cells[-1][-1].place.x1 <= _GAP * line.size:
            cells[-1].append(word)
        else:
            cells.append([word])
    return cells


def _end_of_run(content: Sequence[Line | Grid], begin: int) -> int:
    """Where the lines end that can be rows of one table which begins there; `begin` if none can."""
    columns: list[_Column] = []
    before: Line | None = None
    top = bottom = 0.0  # of the row that the lines are in
    last = begin
    for at in range(begin, min(len(content), begin + _MOST_ROWS)):
        line = content[at]
        if not isinstance(line, Line) or (before is not None and not _follows(before, line, top, bottom)):
            break
        cells = _cells(line)
        if (len(cells) == 1 and before is None) or not _fits(columns, cells, line.size):
            break
        if len(cells) > 1 or line.place.x0 > columns[0].right:
            last = at + 1
        if line.place.x0 <= columns[0].right:
            top = line.place.y0
        bottom = max(bottom, line.place.y1)
        before = line
    return last


def _follows(before: Line, line: Line, top: float, bottom: float) -> bool:
    """Whether a line can come next: below, or in another cell of the same row, beside one that has several lines."""
    here = line.place
    is_next = here.y0 > before.place.y0 and here.y0 - bottom <= _FARTHEST * before.size
    is_beside = here.y0 <= before.place.y0 and here.y0 >= top - _GUTTER * line.size and here.x0 > before.place.x1
    return (is_next or is_beside) and abs(before.size - line.size) <= 0.25 * before.size


def _fits(columns: list[_Column], cells: Sequence[Sequence[Word]], size: float) -> bool:
    """Whether each cell lies in one column, or (in a row with others) in one that is new; widens the columns."""
    room = _GUTTER * size
    wider = [_Column(each.left, each.right) for each in columns]
    for words in cells:
        left, right = words[0].place.x0, words[-1].place.x1
        touched = [column for column in wider if left < column.right + room and column.left - room < right]
        if len(touched) > 1 or (not touched and len(cells) == 1):
            return False
        if touched:
            touched[0].left, touched[0].right = min(touched[0].left, left), max(touched[0].right, right)
        else:
            wider.append(_Column(left, right))
    wider.sort(key=lambda column: column.left)
    columns[:] = wider
    return all(one.right + room <= other.left for one, other in pairwise(wider))


def _aligned(run: Sequence[Line]) -> list[Line | Grid]:
    """Lines in columns as one table, or as columns of prose one after the other; empty if they are neither."""
    columns: list[_Column] = []
    for line in run:
        _fits(columns, _cells(line), line.size)
    parted = [cells for cells in map(_cells, run) if len(cells) > 1]
    if len(columns) < 2 or len(parted) < _FEWEST_ROWS or any(_LEADERS.search(line.text) for line in run):
        return []
    grid = _aligned_grid(run, columns)
    if grid is not None:
        return [grid]
    is_prose = median(sum(len(word.text) + 1 for word in words) for cells in parted for words in cells) > _USUAL_CELL
    return list(_by_columns(run, columns)) if is_prose else []


def _by_columns(run: Sequence[Line], columns: Sequence[_Column]) -> Iterator[Line]:
    for column in columns:
        for line in run:
            words = tuple(word for word in line.words if column.left <= word.middle[0] <= column.right)
            if words:
                yield replace(line, text=" ".join(word.text for word in words), words=words, place=_around(words))


def _aligned_grid(run: Sequence[Line], columns: Sequence[_Column]) -> Grid | None:
    rows: list[Row] = []
    places: list[Place] = []
    steps: list[float] = []
    for line in sorted(run, key=lambda each: (round(each.place.y0), each.place.x0)):
        row = _written(columns, _cells(line))
        step = line.place.y0 - places[-1].y0 if places else line.size
        if step <= _GUTTER * line.size and places:
            rows[-1] = _beside(rows[-1], row)
            places[-1] = places[-1].around(line.place)
        else:
            rows.append(row)
            places.append(line.place)
            steps.append(step)
    rows, places = _without_wraps(rows, places, steps)
    return _grid(rows, places) if len(rows) >= _FEWEST_ROWS and _is_table(rows) else None


def _beside(row: Row, other: Row) -> Row:
    return [f"{one} {two}".strip() for one, two in zip(row, other, strict=True)]


def _without_wraps(rows: list[Row], places: list[Place], steps: list[float]) -> tuple[list[Row], list[Place]]:
    """Rows whole again: one that stands closer to the one before it than rows do, and is not full, goes on with it."""
    full = [step for row, step in zip(rows[1:], steps[1:], strict=True) if all(row)]
    usual = median(full) if full else 0.0
    found: list[Row] = []
    around: list[Place] = []
    for row, place, step in zip(rows, places, steps, strict=True):
        if found and not all(row) and step < _WRAP * usual:
            found[-1] = _beside(found[-1], row)
            around[-1] = around[-1].around(place)
        else:
            found.append(row)
            around.append(place)
    return found, around


def _written(columns: Sequence[_Column], cells: Sequence[Sequence[Word]]) -> Row:
    row = [""] * len(columns)
    for words in cells:
        middle = (words[0].place.x0 + words[-1].place.x1) / 2
        at = next(place for place, column in enumerate(columns) if column.left <= middle <= column.right)
        text = clean(" ".join(word.text for word in words)).strip(_SOFT_HYPHEN)
        row[at] = f"{row[at]} {text}".strip()
    return row


def _is_table(rows: Sequence[Row]) -> bool:
    """Most cells are filled and short, and the first column is not one of bullets or numbers before items."""
    texts = [cell for row in rows for cell in row if cell]
    lengths = sorted(map(len, texts))
    is_full = len(texts) >= _FILLED * len(rows) * len(rows[0])
    is_short = median(lengths) <= _USUAL_CELL and lengths[9 * len(lengths) // 10] <= _LONGEST_CELL
    is_list = len(rows[0]) == 2 and _are_items([row[0] for row in rows if row[0]])
    return is_full and is_short and not is_list


def _are_items(cells: Sequence[str]) -> bool:
    """Whether cells are bullets, "a)" or "2.1", or count 1, 2, 3."""
    first = int(cells[0]) if cells[0].isascii() and cells[0].isdigit() else 0
    counted = bool(first) and list(cells) == [str(first + place) for place in range(len(cells))]
    return counted or all(_ITEM.fullmatch(cell) for cell in cells)


def _around(words: Sequence[Word]) -> Place:
    return reduce(Place.around, [word.place for word in words])
