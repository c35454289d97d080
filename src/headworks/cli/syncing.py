"""The sources of a collection's file, synced by the server; the command only looks on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import Bars, one_line
from headworks.cli.uploading import Failed, Outcome
from headworks.errors import NotFound

_UNDER_WAY = frozenset({"changes", "sweep"})
_POLL_S = (0.1, 0.2, 0.3, 0.5, 1.0)
_DETAIL_CHARACTERS = 40


def sync_sources(
    client: Client, collection: str, *, waits: bool, bars: Bars, allows_deletions: bool = False
) -> Outcome:
    """Ask for a sync of every source, and look on until all is found, or return at once.

    Interrupted, the server goes on. Raises NotFound for a collection without sources.
    """
    allowed = "?allow_deletions=true" if allows_deletions else ""
    rows: list[JsonObject] = client.post(place("collections", collection, "sources", "sync") + allowed)["rows"]
    if not rows:
        raise NotFound(
            f"The file of the collection `{collection}` names no sources.",
            next_step=f"Add `sources:` to it and apply it, or bring a folder: headworks ingest {collection} FOLDER",
        )
    bar = bars.start("syncing")
    for pause_s in itertools.chain(_POLL_S, itertools.repeat(_POLL_S[-1])):
        if not waits or not any(_is_busy(row) and not _paused(row, collection) for row in rows):
            break
        time.sleep(pause_s)
        rows = client.get(place("collections", collection, "sources"))["rows"]
        looked_at, expected = _sum(rows, "looked_at"), _sum(rows, "expected")
        trouble = next((row["trouble"] for row in rows if row["trouble"]), "")
        bar.update(looked_at, max(looked_at, expected), one_line(trouble, _DETAIL_CHARACTERS))
    return _outcome(rows, collection)


def _is_busy(row: JsonObject) -> bool:
    progress = row["progress"]
    return row["state"] in _UNDER_WAY or (progress is not None and progress["done"] < progress["total"])


def _paused(row: JsonObject, collection: str) -> str:
    """The lane that a source waits for until somebody resumes it; empty: none."""
    if row.get("is_paused") and row["state"] in _UNDER_WAY:
        return f"{collection}/{row['source']}"
    return collection if row["progress"] is not None and row["progress"].get("is_paused") else ""


def _sum(rows: Iterable[JsonObject], name: str) -> int:
    return sum(row[name] or 0 for row in rows)


def _outcome(rows: Iterable[JsonObject], collection: str) -> Outcome:
    outcome = Outcome()
    for row in rows:
        if _is_busy(row) and (lane := _paused(row, collection)):
            outcome.paused.append(lane)
        else:
            outcome.is_waiting = outcome.is_waiting or _is_busy(row)
        if row["state"] == "failed":
            outcome.failed.append(Failed(row["source"], "sync_failed", row["trouble"]))
        if row["progress"] is not None:
            outcome.take(row["progress"])
            outcome.sent += row["progress"]["total"] - len(row["progress"]["failed"])
    outcome.unchanged = max(outcome.documents - outcome.sent, 0)
    return outcome
