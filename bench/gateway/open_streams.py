"""Many streams open at once through a system: what each costs in memory, and whether all of them come whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from processes import is_postgres, pss_kib
from rig import System
from windows import Row

_OPENED_PER_S = 500
_LONGEST_S = 300
_SHOWN = 100
_END = b"data: [DONE]"
_EVENT = b"data:"


class Stream(asyncio.Protocol):
    """One request and its stream, counted as it comes."""

    def __init__(self, request: bytes, counts: Counts) -> None:
        self._request = request
        self._counts = counts
        self._head = b""
        self._tail = b""
        self._events = 0
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._head:
            self._counts.begun += 1
            self._head = data[:_SHOWN]
        seen = self._tail + data
        self._tail = seen[-len(_END) :]
        # What the tail held whole was counted before; the tail is kept so that nothing cut in two is missed.
        self._events += seen.count(_EVENT) - (len(seen) - len(data) > 0 and seen[: len(seen) - len(data)].count(_EVENT))
        if _END in seen:
            self._over(is_whole=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(is_whole=False, error=exc)

    def _over(self, *, is_whole: bool, error: Exception | None = None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._transport.close()
        if is_whole and self._events == self._counts.expected:
            self._counts.end(None)
        else:
            line = self._head.partition(b"\r")[0].decode("latin-1")
            self._counts.end(f"{line}, {self._events} events{f', {error!r}' if error else ''}")


@dataclass(slots=True)
class Counts:
    """Of all streams together."""

    wanted: int
    expected: int
    """Events of one stream, its end included."""
    all_over: asyncio.Event
    begun: int = 0
    whole: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    """What was seen of each that did not come whole."""

    def end(self, why: str | None) -> None:
        """One is over; None: it came whole."""
        if why is None:
            self.whole += 1
        else:
            self.broken[why] += 1
        if self.whole + self.broken.total() == self.wanted:
            self.all_over.set()


def look(system: System, wanted: int) -> Row:
    """Opens so many streams, looks at the memory while all are open, and waits for their end."""
    own = {pid for pid in system.processes() if not is_postgres(pid)}
    before = pss_kib(own)
    counts, during = asyncio.run(_run(system, wanted, own))
    return {
        "system": system.name,
        "streams": wanted,
        "whole": counts.whole,
        "broken": counts.broken.total(),
        "kib_per_stream": round((during - before) / wanted, 1),
        "pss_mib_before": round(before / 1024, 1),
        "pss_mib_open": round(during / 1024, 1),
        "pss_mib_after": round(pss_kib(own) / 1024, 1),
        "mostly": "; ".join(f"{many} x {why}" for why, many in counts.broken.most_common(2)) or None,
    }


async def _run(system: System, wanted: int, own: set[int]) -> tuple[Counts, int]:
    counts = Counts(wanted, system.events, asyncio.Event())
    loop = asyncio.get_running_loop()
    place = urlsplit(system.url)
    headers = {"host": place.netloc, "content-type": "application/json", **system.headers}
    lines = [f"POST {place.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    request = "\r\n".join([*lines, f"content-length: {len(system.body)}", "", ""]).encode() + system.body
    begin = loop.time()
    for turn in range(wanted):
        await asyncio.sleep(begin + turn / _OPENED_PER_S - loop.time())
        try:
            await loop.create_connection(lambda: Stream(request, counts), place.hostname, place.port)
        except OSError as error:
            counts.end(repr(error))
    until = loop.time() + 30
    while counts.begun < wanted and not counts.all_over.is_set() and loop.time() < until:
        await asyncio.sleep(0.1)
    during = await asyncio.to_thread(pss_kib, own)
    async with asyncio.timeout(_LONGEST_S):
        await counts.all_over.wait()
    return counts, during
