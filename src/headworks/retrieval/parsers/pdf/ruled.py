"""Tables of a PDF that are drawn: rules that cross make cells, a missing rule makes a merged one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from headworks.retrieval.parsers.pdf.page import Rule

_NEAR = 2.5
"""Points within which two rules are one, or touch."""
_MOST_CROSSINGS = 1_000_000


@dataclass(frozen=True, slots=True)
class Ruled:
    """The cells of a drawn table: `rows` and `columns` are where its rules are, one more than there are of each.

    `regions` has for each row and column the number of its cell: the same for those that are merged.
    """

    rows: tuple[float, ...]
    columns: tuple[float, ...]
    regions: tuple[tuple[int, ...], ...]

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of a point; None outside of the table."""
        row, column = bisect_right(self.rows, y) - 1, bisect_right(self.columns, x) - 1
        inside = 0 <= row < len(self.rows) - 1 and 0 <= column < len(self.columns) - 1
        return (row, column) if inside else None


def ruled_tables(rules: Sequence[Rule]) -> list[Ruled]:
    """The tables that rules make, from the top of the page: each with two rows and two columns at least."""
    across, down = (
        _merged([rule for rule in rules if rule.is_horizontal]),
        _merged([rule for rule in rules if not rule.is_horizontal]),
    )
    if len(across) * len(down) > _MOST_CROSSINGS:
        return []
    found = [_table(rows, columns) for rows, columns in _connected(across, down)]
    return sorted((table for table in found if table is not None), key=lambda table: table.rows[0])


def _merged(rules: Sequence[Rule]) -> list[Rule]:
    """Rules without doubles: pieces that lie on one line and touch are one."""
    found: list[Rule] = []
    for group in _clusters(sorted(rules, key=lambda rule: rule.at)):
        at = sum(rule.at for rule in group) / len(group)
        for rule in sorted(group, key=lambda rule: rule.begin):
            last = found[-1] if found and found[-1].at == at else None
            if last is not None and rule.begin <= last.end + _NEAR:
                found[-1] = Rule(rule.is_horizontal, at, last.begin, max(last.end, rule.end))
            else:
                found.append(Rule(rule.is_horizontal, at, rule.begin, rule.end))
    return found


def _clusters(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Sorted rules in groups whose members are hardly apart."""
    groups: list[list[Rule]] = []
    for rule in rules:
        if groups and rule.at - groups[-1][0].at <= _NEAR:
            groups[-1].append(rule)
        else:
            groups.append([rule])
    return groups


def _connected(across: Sequence[Rule], down: Sequence[Rule]) -> list[tuple[list[Rule], list[Rule]]]:
    """Rules that reach each other over crossings, as groups of horizontal and vertical ones."""
    group = list(range(len(across) + len(down)))
    for row, horizontal in enumerate(across):
        for column, vertical in enumerate(down):
            if _cross(horizontal, vertical):
                one, other = _root(group, row), _root(group, len(across) + column)
                group[max(one, other)] = min(one, other)
    found: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for place, rule in enumerate((*across, *down)):
        found.setdefault(_root(group, place), ([], []))[not rule.is_horizontal].append(rule)
    return list(found.values())


def _cross(horizontal: Rule, vertical: Rule) -> bool:
    return (
        horizontal.begin - _NEAR <= vertical.at <= horizontal.end + _NEAR
        and vertical.begin - _NEAR <= horizontal.at <= vertical.end + _NEAR
    )


def _root(group: list[int], place: int) -> int:
    while group[place] != place:
        group[place] = group[group[place]]
        place = group[place]
    return place


def _table(across: Sequence[Rule], down: Sequence[Rule]) -> Ruled | None:
    rows = tuple(sorted({rule.at for rule in across}))
    columns = tuple(sorted({rule.at for rule in down}))
    if len(rows) < 3 or len(columns) < 3:
        return None
    wide = len(columns) - 1
    region = list(range((len(rows) - 1) * wide))
    for row, (top, bottom) in enumerate(pairwise(rows)):
        for column, (left, right) in enumerate(pairwise(columns)):
            here = row * wide + column
            if column + 1 < wide and not _has(down, right, (top + bottom) / 2):
                _join(region, here, here + 1)
            if row + 2 < len(rows) and not _has(across, bottom, (left + right) / 2):
                _join(region, here, here + wide)
    numbers = [_root(region, place) for place in range(len(region))]
    regions = tuple(tuple(numbers[start : start + wide]) for start in range(0, len(numbers), wide))
    return Ruled(rows, columns, regions) if len(set(numbers)) > 3 else None


def _join(region: list[int], one: int, other: int) -> None:
    first, second = _root(region, one), _root(region, other)
    region[max(first, second)] = min(first, second)


def _has(rules: Sequence[Rule], at: float, through: float) -> bool:
    """Whether a rule is drawn there at that height (or, for horizontal ones, at that distance from the left)."""
    return any(rule.at == at and rule.begin <= through <= rule.end for rule in rules)
