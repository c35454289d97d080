"""Server-sent events as bytes: cut into whole events, and read for their data and their name. For every format."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_OVERLAP = 3
"""The longest boundary has one byte more."""


class Framer:
    """Cuts a byte stream into whole events; what is not yet whole is kept."""

    __slots__ = ("_kept", "_tail")

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._tail = b""

    def whole(self, piece: bytes) -> bytes:
        """All events that are complete with this piece, in one; empty if there is none."""
        if not self._kept and piece.endswith(b"\n\n"):
            return piece
        window = self._tail + piece  # a boundary may lie across several pieces
        if not _BOUNDARY.search(window):
            self._kept.append(piece)
            self._tail = window[-_OVERLAP:]
            return b""
        data = b"".join([*self._kept, piece])
        end = max(data.rfind(mark) + len(mark) if mark in data else 0 for mark in (b"\n\n", b"\r\n\r\n", b"\r\r"))
        self._kept = [data[end:]] if end < len(data) else []
        self._tail = data[max(end, len(data) - _OVERLAP) :]
        return data[:end]

    @property
    def rest(self) -> bytes:
        """What was left without an end."""
        return b"".join(self._kept)


def split(events: bytes) -> Iterator[bytes]:
    """Whole events one by one, each with its boundary; a last one that has none is given as it is."""
    at = 0
    if b"\r" in events:
        for found in _BOUNDARY.finditer(events):
            yield events[at : found.end()]
            at = found.end()
    else:  # as nearly all write them, and four times as fast
        while (end := events.find(b"\n\n", at)) >= 0:
            yield events[at : end + 2]
            at = end + 2
    if at < len(events):
        yield events[at:]


def around(pattern: re.Pattern[bytes], events: bytes) -> Iterator[tuple[int, int]]:
    """Where each event begins and ends, with its boundary, that has what the pattern finds, all of it in one event."""
    at = 0
    if b"\r" in events:
        for event in split(events):
            if pattern.search(event) is not None:
                yield at, at + len(event)
            at += len(event)
        return
    while (found := pattern.search(events, at)) is not None:
        before, end = events.rfind(b"\n\n", at, found.start()), events.find(b"\n\n", found.end())
        start, at = (at if before < 0 else before + 2), (len(events) if end < 0 else end + 2)
        yield start, at


def payloads(events: bytes) -> list[bytes]:
    """The data of each of these whole events that has any, without its name."""
    if b"\r" in events:
        return [data for event in split(events) if (data := data_of(event))]
    found = []
    for event in events.split(b"\n\n"):
        if not event:
            continue
        at = event.rfind(b"\n")
        if event.startswith(b"data: ") and at < 0:
            data = event[6:]
        elif event.startswith(b"event:") and event.startswith(b"\ndata: ", at) and event.find(b"\n") == at:
            data = event[at + 7 :]
        else:
            data = data_of(event)
        if data:
            found.append(data)
    return found


def data_of(event: bytes) -> bytes:
    """The joined `data` lines of an event; empty for a comment."""
    lines = event.splitlines()
    found = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return found[0] if len(found) == 1 else b"\n".join(found)


def name_of(event: bytes) -> bytes:
    """The value of the last `event` line; empty if there is none."""
    name = b""
    for line in event.splitlines():
        if line.startswith(b"event:"):
            name = line[6:].removeprefix(b" ")
    return name
