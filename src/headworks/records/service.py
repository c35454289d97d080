"""What others call to have something written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from headworks.errors import Unavailable
from headworks.records.journal import Journal
from headworks.records.lines import span_line, usage_line
from headworks.types.records import Span, UsageRow

BATCH_BYTES = 1 << 20
"""Records of one transaction: about two thousand requests."""
MOST_RECENT_BYTES = 10 * BATCH_BYTES
"""Records kept in memory for the drain; beyond that it reads them from the journal."""


class Records:
    """One worker's records. `write` returns when the kernel has them: a kill -9 after that loses nothing."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._gathered: list[bytes] = []
        self._recent: list[bytes] = []
        self._recent_bytes = 0
        self._is_whole = True
        self.some = asyncio.Event()
        """Set while there are any that `take_recent` has not given, gathered ones too."""
        self.many = asyncio.Event()
        """Set while there are enough for a batch."""

    def write(self, row: UsageRow, spans: Sequence[Span] = ()) -> None:
        """One request: its usage row, and for a feature the spans of its stages, as one record of the journal.

        Raises Unavailable when the disk is full: what can't be recorded is not answered.
        """
        line = usage_line(row)
        if spans:
            line += b"".join(map(span_line, spans))
        self._keep(line)

    def add(self, spans: Sequence[Span]) -> None:
        """What was found out about a request after its record was written. Raises as `write`."""
        if spans:
            self._keep(b"".join(map(span_line, spans)))

    def gather(self, row: UsageRow) -> None:
        """Have the row of a request written by the next `flush`, with others; who answers it calls that first."""
        if not self._gathered:
            self.some.set()
        self._gathered.append(usage_line(row))

    def flush(self) -> None:
        """Write what was gathered, as one record. Raises Unavailable, and then nothing of it is kept."""
        lines, self._gathered = self._gathered, []
        if lines:
            self._keep(b"".join(lines))

    def _keep(self, record: bytes) -> None:
        self.journal.append(record)
        if not self._recent:
            self.some.set()
        if self._recent_bytes < MOST_RECENT_BYTES:
            self._recent.append(record)
            self._recent_bytes += len(record)
            if self._recent_bytes >= BATCH_BYTES and not self.many.is_set():
                self.many.set()
        else:
            self._is_whole = False

    def take_recent(self) -> tuple[list[bytes] | None, int]:
        """All records since the last call and the journal's position after them; None: more than memory kept.

        Raises Unavailable as `flush`, and leaves what was gathered to the flush of who answers it.
        """
        gathered = self._gathered
        try:
            self.flush()
        except Unavailable:
            self._gathered = gathered
            raise
        recent = self._recent if self._is_whole else None
        self._recent = []
        self._recent_bytes = 0
        self._is_whole = True
        self.some.clear()
        self.many.clear()
        return recent, self.journal.position
