"""What people and scripts see: JSON, tables, and progress on a terminal.

Results go to standard output, everything else to standard error. Text of documents and models passes `visible` first,
so that nothing in it can move the cursor or rewrite what stands on the screen.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TextIO

from headworks.cli.json_values import Json, JsonObject

Columns = Mapping[str, str | Callable[[JsonObject], object]]
"""Headings of a table, each with the name of the field that is under it, or with what makes the cell of a row."""
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_CONTROLS = (range(9), range(11, 32), range(127, 160), range(0x202A, 0x202F), range(0x2066, 0x206A))
_REPLACED = dict.fromkeys((code for codes in _CONTROLS for code in codes), "\N{REPLACEMENT CHARACTER}")
_WIDEST = 110


def visible(text: str) -> str:
    """The text without control characters and changes of direction; line ends and tabs stay."""
    return text.replace("\r\n", "\n").translate(_REPLACED)


def escaped(name: str) -> str:
    """A name as one word that can be read: what is no printable character is escaped as Python does."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)


def moment(at: str | None) -> str | None:
    """A moment of the API for people, to the second; it stays in UTC."""
    return None if at is None else at[:19].replace("T", " ")


def short(digest: str | None) -> str:
    """A digest for people: its first twelve digits, which every command takes."""
    return digest.removeprefix("sha256:")[:12] if digest else "nothing"


def one_line(text: str, width: int) -> str:
    """The text on one line of at most `width` characters."""
    flat = " ".join(visible(text).split())
    return flat if len(flat) <= width else f"{flat[: max(0, width - 1)].rstrip()}…"


def print_json(value: Json) -> None:
    """One JSON value on one line of standard output, in UTF-8 whatever the terminal speaks."""
    line = json.dumps(value, ensure_ascii=False, default=str)
    sys.stdout.flush()
    sys.stdout.buffer.write(line.encode("utf-8", errors="replace") + b"\n")
    sys.stdout.buffer.flush()


def tell(value: Json, shown: Callable[[], str], *, as_json: bool) -> None:
    """A result: itself for scripts, what `shown` makes of it for people."""
    if as_json:
        print_json(value)
    else:
        print(shown())


def tell_rows(rows: Sequence[JsonObject], columns: Columns, *, as_json: bool, none: str) -> None:
    """Rows: themselves for scripts, for people a table; `none` is said where there are none."""
    if as_json:
        print_json(list(rows))
    elif rows:
        cells = [[row.get(of) if isinstance(of, str) else of(row) for of in columns.values()] for row in rows]
        print(table(list(columns), cells))
    else:
        print(none)


def note(text: str) -> None:
    """A line for people beside the result."""
    print(text, file=sys.stderr, flush=True)


def is_drawn(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can show colours and moving bars."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str) -> str:
    """The text in a style (`bold`, `dim`, `red`, …) where standard output shows colours."""
    if not is_drawn(sys.stdout) or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def width() -> int:
    """How many characters a line of the terminal has, but no more than reads well."""
    return max(40, min(_WIDEST, shutil.get_terminal_size((100, 24)).columns))


def wrapped(text: str, indent: str = "") -> str:
    """The text in lines that fit, its own line ends kept."""
    lines = [textwrap.wrap(line, width() - len(indent), break_on_hyphens=False) or [""] for line in text.splitlines()]
    return "\n".join(f"{indent}{line}".rstrip() for part in lines for line in part)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns under their names; on a terminal long cells are cut, the last one takes what room is left."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(each) for each in column) for column in zip(columns, *cells, strict=True)]
    lines = [paint(_row(columns, widths), "dim"), *(_row(row, widths) for row in cells)]
    return "\n".join(lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    # What is piped is worked on with other commands: a name that was cut is none.
    is_cut = is_drawn(sys.stdout)
    if isinstance(value, (list, tuple)):
        return one_line(", ".join(str(each) for each in value) or "–", 60 if is_cut else sys.maxsize)
    return one_line(str(value), 80 if is_cut else sys.maxsize) or "–"


def pick(row: JsonObject, *names: str) -> list[Json]:
    """Some values of a row, in this order."""
    return [row.get(name) for name in names]


class Bar(Protocol):
    """How far a piece of work is."""

    def update(self, done: int, total: int, detail: str = "") -> None:
        """Show it."""
        ...


class Bars(Protocol):
    """Where work is shown."""

    def start(self, title: str) -> Bar:
        """A bar for a piece of work that begins."""
        ...


class _Silent:
    """For pipes and logs: nothing is drawn."""

    def start(self, title: str) -> _Silent:
        del title
        return self

    def update(self, done: int, total: int, detail: str = "") -> None:
        del done, total, detail


@contextmanager
def progress() -> Iterator[Bars]:
    """Bars on standard error while the body runs, gone afterwards; nothing where that is no terminal."""
    if not is_drawn(sys.stderr):
        yield _Silent()
        return
    from headworks.cli.bars import drawn_bars

    with drawn_bars() as bars:
        yield bars
