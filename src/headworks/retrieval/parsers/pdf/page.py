"""What stands on a page of a PDF, and where: lines with their words, and the rules that are drawn.

All positions are in points from the top left of the page as a viewer shows it, whatever its rotation and crop.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from headworks.retrieval.parsers.building import Place

_BOLD = 600
_WORD = re.compile(r"\S+")
_PRINTED = re.compile("[^\n\ufffe]+[\n\ufffe]?")
"""A printed line: pdfium does not end one that parts a word, but writes U+FFFE for its hyphen."""
_PDFIUM_HYPHEN = 2
_THIN = 3.0
"""Points: a filled shape that is thinner is a rule."""
_STRAIGHT = 1.0
"""Points that a rule may lean."""
_MOST_OBJECTS = 20_000
"""On a page: drawings and maps have more, and their strokes are no tables."""
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line and where it stands."""

    text: str
    place: Place

    @property
    def middle(self) -> tuple[float, float]:
        """The point in the middle of it."""
        return (self.place.x0 + self.place.x1) / 2, (self.place.y0 + self.place.y1) / 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is printed. `size` is that of its type, `height_share` where it stands from the page's bottom."""

    text: str
    place: Place
    size: float
    height_share: float
    is_bold: bool
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight stroke: at `at` (from the top if it is horizontal, else from the left), from `begin` to `end`."""

    is_horizontal: bool
    at: float
    begin: float
    end: float


Turn = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page with the size that a viewer shows it in; `number` counts from 1."""

    page: Any  # pypdfium2 has no types
    number: int
    width: float
    height: float
    turn: Turn
    """From the PDF's own coordinates to points from the top left."""


def sheet_of(page: Any, number: int) -> Sheet:  # noqa: ANN401 -- pypdfium2 has no types
    """The page with its rotation and crop."""
    left, bottom, right, top = page.get_bbox()
    turns: dict[int, Turn] = {
        0: lambda x, y: (x - left, top - y),
        90: lambda x, y: (y - bottom, x - left),
        180: lambda x, y: (right - x, y - bottom),
        270: lambda x, y: (top - y, right - x),
    }
    rotation = page.get_rotation()
    across, down = (right - left) or 1.0, (top - bottom) or 1.0
    width, height = (down, across) if rotation in {90, 270} else (across, down)
    return Sheet(page, number, width, height, turns.get(rotation, turns[0]))


def lines_of(sheet: Sheet) -> Iterator[Line]:
    """The lines of a page in the order in which the PDF has them."""
    import pypdfium2.raw as pdfium

    text_page = sheet.page.get_textpage()
    try:
        text = _characters(text_page)
        for piece in _PRINTED.finditer(text):
            raw, at = piece[0].rstrip("\n"), piece.start()
            words = [
                Word(found[0], _place(sheet, text_page, at + found.start(), at + found.end() - 1))
                for found in _WORD.finditer(raw)
            ]
            if words:
                stripped = raw.strip()
                first = at + len(raw) - len(raw.lstrip())
                middle = first + len(stripped) // 2 - (stripped[len(stripped) // 2] == " ")
                bold = min(pdfium.FPDFText_GetFontWeight(text_page, index) for index in (first, middle)) >= _BOLD
                yield _line(sheet, stripped, words, size=_height(text_page, middle), is_bold=bold)
    finally:
        text_page.close()


def _line(sheet: Sheet, text: str, words: list[Word], *, size: float, is_bold: bool) -> Line:
    x0, y0 = min(word.place.x0 for word in words), min(word.place.y0 for word in words)
    x1, y1 = max(word.place.x1 for word in words), max(word.place.y1 for word in words)
    place = Place(sheet.number, x0, y0, x1, y1)
    share = 1 - (words[0].place.y0 + words[0].place.y1) / 2 / sheet.height
    return Line(text, place, size, share, is_bold, tuple(words))


def _characters(text_page: Any) -> str:  # noqa: ANN401 -- as above
    """The text of a page, one character for each that has a place."""
    import pypdfium2.raw as pdfium

    count = text_page.count_chars()
    text: str = text_page.get_text_range()
    if len(text) != count:
        text = "".join(_character(pdfium.FPDFText_GetUnicode(text_page, index)) for index in range(count))
    return text.replace("\r", " ")


def _character(code: int) -> str:
    if code == _PDFIUM_HYPHEN:
        return "\ufffe"
    return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"


def _place(sheet: Sheet, text_page: Any, first: int, last: int) -> Place:  # noqa: ANN401 -- as above
    corners = [sheet.turn(*corner) for index in (first, last) for corner in _corners(text_page, index)]
    across, down = [x for x, _ in corners], [y for _, y in corners]
    return Place(sheet.number, *(round(each, 1) for each in (min(across), min(down), max(across), max(down))))


def _corners(text_page: Any, index: int) -> tuple[tuple[float, float], tuple[float, float]]:  # noqa: ANN401 -- as above
    import pypdfium2.raw as pdfium

    box = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text_page, index, box)
    return (box.left, box.bottom), (box.right, box.top)


def _height(text_page: Any, index: int) -> float:  # noqa: ANN401 -- as above
    (_, below), (_, above) = _corners(text_page, index)
    return round(abs(above - below), 1)


# ── Rules ──


def rules_of(sheet: Sheet) -> list[Rule]:
    """The straight strokes of a page; none where there are too many to be those of tables."""
    found: list[Rule] = []
    left = [_MOST_OBJECTS]
    for path, turn in _paths(sheet.page, None, sheet.turn, 0, left):
        found.extend(_strokes(path, turn, left))
        if left[0] <= 0:
            return []
    return found


def _paths(page: Any, form: Any, turn: Turn, depth: int, left: list[int]) -> Iterator[tuple[Any, Turn]]:  # noqa: ANN401 -- as above
    """The paths of a page and of the forms within it, each with the way from its coordinates to the page's."""
    import pypdfium2.raw as pdfium

    count = pdfium.FPDFFormObj_CountObjects(form) if form is not None else pdfium.FPDFPage_CountObjects(page)
    left[0] -= count
    for index in range(count if left[0] > 0 else 0):
        each = pdfium.FPDFFormObj_GetObject(form, index) if form is not None else pdfium.FPDFPage_GetObject(page, index)
        kind = pdfium.FPDFPageObj_GetType(each)
        if kind == pdfium.FPDF_PAGEOBJ_PATH:
            yield each, _turned(each, turn)
        elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _DEEPEST:
            yield from _paths(page, each, _turned(each, turn), depth + 1, left)


def _turned(thing: Any, turn: Turn) -> Turn:  # noqa: ANN401 -- as above
    import pypdfium2.raw as pdfium

    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(thing, matrix):
        return turn
    a, b, c, d, e, f = matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f
    return lambda x, y: turn(a * x + c * y + e, b * x + d * y + f)


def _strokes(path: Any, turn: Turn, left: list[int]) -> list[Rule]:  # noqa: ANN401 -- as above
    import pypdfium2.raw as pdfium

    fill, is_stroked = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(path, fill, is_stroked)
    count = pdfium.FPDFPath_CountSegments(path)
    left[0] -= count
    if not (fill.value or is_stroked.value) or left[0] <= 0:
        return []
    points = list(_points(path, turn, count))
    corners = [end for _, end in points if end is not None]
    if not is_stroked.value:
        return _thin_fill(corners)
    rules = [_rule(begin, end) for begin, end in points if begin is not None and end is not None]
    return [rule for rule in rules if rule is not None]


Point = tuple[float, float]


def _points(path: Any, turn: Turn, count: int) -> Iterator[tuple[Point | None, Point | None]]:  # noqa: ANN401 -- as above
    """The straight pieces of a path as begin and end; where it moves or bends, the begin is None."""
    import pypdfium2.raw as pdfium

    x, y = ctypes.c_float(), ctypes.c_float()
    first: Point | None = None
    before: Point | None = None
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(path, index)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        at = turn(x.value, y.value)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            first = at
        yield (before if kind == pdfium.FPDF_SEGMENT_LINETO else None), at
        before = at
        if pdfium.FPDFPathSegment_GetClose(segment):
            yield before, first


def _rule(begin: Point, end: Point) -> Rule | None:
    across, down = abs(begin[0] - end[0]), abs(begin[1] - end[1])
    if down <= _STRAIGHT and across > _THIN:
        return Rule(True, (begin[1] + end[1]) / 2, min(begin[0], end[0]), max(begin[0], end[0]))
    if across <= _STRAIGHT and down > _THIN:
        return Rule(False, (begin[0] + end[0]) / 2, min(begin[1], end[1]), max(begin[1], end[1]))
    return None


def _thin_fill(corners: list[Point]) -> list[Rule]:
    if not corners:
        return []
    left, right = min(x for x, _ in corners), max(x for x, _ in corners)
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    if bottom - top <= _THIN < right - left:
        return [Rule(True, (top + bottom) / 2, left, right)]
    return [Rule(False, (left + right) / 2, top, bottom)] if right - left <= _THIN < bottom - top else []
