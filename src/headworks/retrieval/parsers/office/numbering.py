"""The numbers that Word shows before paragraphs but does not store: "2.1", "(a)", bullets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"))
_ROMAN_LOW = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
_BULLET = "-"


@dataclass(frozen=True, slots=True)
class _Level:
    form: str = "decimal"
    pattern: str = ""
    start: int = 1


@dataclass(slots=True)
class _List:
    levels: dict[int, _Level]
    counts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """Counts the paragraphs of each list, in the order in which they are asked for."""

    def __init__(self, root: ET.Element | None) -> None:
        """`root` is the part `word/numbering.xml`, None when a document has no lists."""
        self._lists: dict[str, _List] = {}
        if root is None:
            return
        shared = {_value(each, "abstractNumId"): _List(_levels(each)) for each in root.iter(f"{_W}abstractNum")}
        for number in root.iter(f"{_W}num"):
            abstract = shared.get(_value(number.find(f"{_W}abstractNumId")))
            if abstract is None:
                continue
            # Lists of the same kind count on, unless one says that it starts anew.
            restarts = number.find(f"{_W}lvlOverride/{_W}startOverride") is not None
            self._lists[_value(number, "numId")] = _List(abstract.levels) if restarts else abstract

    def label(self, number: tuple[str, int] | None) -> str:
        """The next label of a list at a depth: "3.", "(b)", "-" for a bullet; empty without a list."""
        found = self._lists.get(number[0]) if number else None
        if number is None or found is None:
            return ""
        depth = number[1]
        level = found.levels.get(depth, _Level())
        found.counts[depth] = found.counts.get(depth, level.start - 1) + 1
        for deeper in [each for each in found.counts if each > depth]:
            del found.counts[deeper]
        if level.form == "bullet":
            return _BULLET
        if level.form == "none" or not level.pattern:
            return ""
        return re.sub(r"%([1-9])", lambda match: self._count(found, int(match[1]) - 1), level.pattern).strip()

    @staticmethod
    def _count(found: _List, depth: int) -> str:
        level = found.levels.get(depth, _Level())
        return formatted(found.counts.setdefault(depth, level.start), level.form)


def formatted(count: int, form: str) -> str:
    """A count in one of Word's forms; decimal for the rarer ones."""
    if form in {"lowerLetter", "upperLetter"} and count > 0:
        letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letters if form == "lowerLetter" else letters.upper()
    if form in {"lowerRoman", "upperRoman"} and count > 0:
        digits = ""
        for value, symbol in _ROMAN + _ROMAN_LOW:
            digits += symbol * (count // value)
            count %= value
        return digits if form == "lowerRoman" else digits.upper()
    return f"{count:02d}" if form == "decimalZero" else str(count)


def _levels(abstract: ET.Element) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for level in abstract.iter(f"{_W}lvl"):
        depth, start = _value(level, "ilvl"), _value(level.find(f"{_W}start"))
        levels[int(depth) if depth.isdigit() else 0] = _Level(
            _value(level.find(f"{_W}numFmt")) or "decimal",
            _value(level.find(f"{_W}lvlText")),
            int(start) if start.isdigit() else 1,
        )
    return levels


def _value(element: ET.Element | None, attribute: str = "val") -> str:
    return "" if element is None else element.get(f"{_W}{attribute}", "")
