"""The `freshness` of a collection's file, and of one of its sources: when to crawl again, and what counts as stale."""

from __future__ import annotations

from headworks.strict_yaml import Section
from headworks.types.schedules import parse_duration, parse_schedule
from headworks.types.workspace import FreshnessSpec

_SHORTEST_RECRAWL_S = 300
_EXAMPLE = "E.g. `recrawl: 6h`, `recrawl: 0 3 * * *` (UTC), `stale_after: 90d`, `keep: 30d`."


def read_freshness(top: Section) -> FreshnessSpec:
    """`freshness: {recrawl: 6h, stale_after: 90d, keep: 30d}` of a collection. Raises WorkspaceInvalid."""
    entry = top.section("freshness")
    if entry is None:
        return FreshnessSpec()
    keep = entry.text("keep", "")
    keep_s = None if not keep else 0 if keep.strip() == "0" else _seconds(entry, "keep", keep)
    spec = FreshnessSpec(_recrawl(entry), _stale_after(entry), keep_s)
    entry.finish()
    return spec


def read_source_freshness(source: Section) -> FreshnessSpec:
    """The same of one source, where it differs from its collection's; `keep` is the collection's alone."""
    entry = source.section("freshness")
    if entry is None:
        return FreshnessSpec()
    if entry.has("keep"):
        entry.complain("keep", "`keep` holds for all documents of a collection.", "Move it to the collection's own.")
    spec = FreshnessSpec(_recrawl(entry), _stale_after(entry))
    entry.finish()
    return spec


def _recrawl(entry: Section) -> str | None:
    text = entry.text("recrawl", "")
    if not text or text == "never":
        return text or None
    try:
        schedule = parse_schedule(text)
    except ValueError as error:
        entry.complain("recrawl", f"{error}", _EXAMPLE)
    if schedule.every_s and schedule.every_s < _SHORTEST_RECRAWL_S:
        entry.complain(
            "recrawl", f"`{text}` is too often: at least {_SHORTEST_RECRAWL_S // 60}m lie between.", _EXAMPLE
        )
    return text


def _stale_after(entry: Section) -> int | None:
    text = entry.text("stale_after", "")
    return _seconds(entry, "stale_after", text) if text else None


def _seconds(entry: Section, key: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        entry.complain(key, f"{error}", _EXAMPLE)
