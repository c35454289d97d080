"""Why passages stand where they do, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import table

_COLUMNS = ("", "score", "keywords", "vectors", "fused", "age", "reranked", "readable by")


def reasons_table(rows: Sequence[JsonObject]) -> str:
    """A line for each row of a search that was asked to explain; columns that say nothing of any row are left out.

    A leg shows its score with the rank among what the caller may read. `age` is what it left of the score.
    """
    lines = [_line(number, row) for number, row in enumerate(rows, 1)]
    used = [at for at, name in enumerate(_COLUMNS) if not name or any(line[at] is not None for line in lines)]
    shown = table([_COLUMNS[at] for at in used], [[line[at] for at in used] for line in lines])
    return "\n".join([shown, *_told(rows)])


def _line(number: int, row: JsonObject) -> list[str | None]:
    said = row["reasons"]
    decay, reranked = said["decay"], said["reranked"]
    return [
        f"[{number}]",
        f"{row['score']:.3f}",
        _leg(said["keywords"]),
        _leg(said["vectors"]),
        f"{said['fused']:.3f}",
        None if decay is None else f"×{decay['factor']:.2f}",
        None if reranked is None else f"{reranked:.3f}",
        _readers(said),
    ]


def _leg(leg: JsonObject | None) -> str | None:
    if leg is None:
        return None
    rank = "" if leg["rank"] is None else f" (#{leg['rank']})"
    return f"{leg['score']:.2f}{' of the best' if leg['is_share'] else ''}{rank}"


def _readers(said: JsonObject) -> str:
    both = ", ".join(said["readable_by"])
    own = said["admitted_by"]
    return both if own is None else f"{both}; its own list: {', '.join(own)}"


def _told(rows: Sequence[JsonObject]) -> list[str]:
    """What is the same for all rows."""
    filters = dict.fromkeys(each for row in rows for each in row["reasons"]["filters"])
    queries = dict.fromkeys(row["reasons"]["query"] for row in rows)
    lines = [f"The documents pass: {', '.join(filters)}."] if filters else []
    if len(queries) > 1:
        lines += ["Looked for:", *(f"  {each}" for each in queries)]
    return lines
