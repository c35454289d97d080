"""The stages of a request drawn with block characters: what ran when, for how long, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import one_line, visible

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_DEEPEST = 6


def draw(trace: JsonObject, width: int) -> list[str]:
    """One line a span: name, bar, time, and its status unless it is ok. `width` is the line's length in characters."""
    spans: Sequence[JsonObject] = trace["spans"]
    if not spans:
        return []
    names = [_indented(each, depth) for each, depth in zip(spans, _depths(spans), strict=True)]
    times = [duration(each["duration_us"]) for each in spans]
    endings = [_ending(each) for each in spans]
    left, right = max(map(len, names)), max(map(len, times))
    room = max(10, width - left - right - max(map(len, endings)) - 4)
    total = max(1, *(each["offset_us"] + each["duration_us"] for each in spans))
    return [
        f"{name:<{left}}  {_bar(each, total, room):<{room}}  {time:>{right}}{ending}"
        for name, each, time, ending in zip(names, spans, times, endings, strict=True)
    ]


def duration(microseconds: int | None) -> str:
    """A time for people: `840 µs`, `12.3 ms`, `1.24 s`."""
    if microseconds is None:
        return "–"
    if microseconds < 1_000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:.{2 if microseconds < 10_000 else 1}f} ms"
    return f"{microseconds / 1_000_000:.2f} s"


def cost(micro_usd: int | None) -> str:
    """Money for people; None is a model without a known price."""
    return "no price is known" if micro_usd is None else f"${micro_usd / 1_000_000:.6f}"


def _depths(spans: Sequence[JsonObject]) -> list[int]:
    depths: dict[str, int] = {}
    for each in spans:
        parent = each.get("parent")
        depths[str(each["span"])] = min(_DEEPEST, depths[str(parent)] + 1) if str(parent) in depths else 0
    return list(depths.values())


def _indented(span: JsonObject, depth: int) -> str:
    return "  " * depth + one_line(span["name"], 32)


def _bar(span: JsonObject, total: int, room: int) -> str:
    """The span's place among `total` microseconds; a cell is full or has an eighth as its smallest part."""
    offset, lasted = int(span["offset_us"]), int(span["duration_us"])
    start = min(offset * room * 8 // total, room * 8 - 1)
    length = max(1, min(-(-lasted * room * 8 // total), room * 8 - start))
    first = start // 8
    # Blocks grow from the left, so a bar begins at a whole cell; its end is exact to an eighth.
    eighths = max(1, start + length - first * 8)
    full, rest = divmod(eighths, 8)
    return " " * first + "█" * full + (_EIGHTHS[rest] if rest else "")


def _ending(span: JsonObject) -> str:
    return "" if span["status"] == "ok" else f"  {visible(str(span['status']))}"
