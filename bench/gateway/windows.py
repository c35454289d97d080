"""Windows of several systems in turn, and the table of their medians."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from rig import System, Window

Seen = TypeVar("Seen")
Cell = float | str | None
Row = dict[str, Cell]
_MISSING = "not_measured"


def alternate(systems: Sequence[System], rounds: int, look: Callable[[System], Seen]) -> dict[str, list[Seen]]:
    """What each system shows in each round, by its name."""
    seen: dict[str, list[Seen]] = {system.name: [] for system in systems}
    for turn in range(rounds):
        for system in systems:
            seen[system.name].append(look(system))
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    return seen


def summary(windows: dict[str, list[Window]], unit: str = "request") -> list[Row]:
    """Per system: medians, and the medians of the ratios to nginx's window of the same round."""
    base = windows["nginx"]
    return [
        {
            "system": name,
            f"cpu_us_per_{unit}": round(statistics.median(w.total_us for w in seen), 1),
            "least": round(min(w.total_us for w in seen), 1),
            "most": round(max(w.total_us for w in seen), 1),
            "x_nginx_without_database": _ratio([w.own_us for w in seen], base),
            "x_nginx": _ratio([w.total_us for w in seen], base),
            f"{unit}s_per_s": round(statistics.median(w.units / w.seconds for w in seen)),
            "pss_mib": round(statistics.median(w.pss_mib for w in seen), 1),
        }
        for name, seen in windows.items()
    ]


def _ratio(spent_us: list[float], base: list[Window]) -> float:
    return round(statistics.median(us / n.total_us for us, n in zip(spent_us, base, strict=True)), 2)


def more_than(rows: list[Row], windows: dict[str, list[Window]], plain: str) -> None:
    """Adds what a system's requests cost more than those of `plain`, in the median of the rounds."""
    for row in rows:
        if row["system"] == "nginx":
            continue
        seen = windows[str(row["system"])]
        more = [w.total_us - p.total_us for w, p in zip(seen, windows[plain], strict=True)]
        row["us_more"] = round(statistics.median(more), 1)


def table(rows: list[Row]) -> str:
    """For reading: a cell that a row has not is empty, and what was not measured is named below."""
    seen = [row for row in rows if _MISSING not in row]
    head = list(dict.fromkeys(name for row in seen for name in row))
    cells = [[_cell(row.get(name)) for name in head] for row in seen]
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    lines = ["  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True)) for row in [head, *cells]]
    return "\n".join([*lines, *(f"{row['system']}: not measured: {row[_MISSING]}" for row in rows if row not in seen)])


def not_measured(name: str, why: object) -> Row:
    """A row without figures, which says why."""
    return {"system": name, _MISSING: " ".join(str(why).split())[-300:]}


def _cell(value: Cell) -> str:
    return "" if value is None else str(value)
