"""The log of the faulty provider, read while it grows."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Seen:
    """One request as the provider saw it, and all that it did about it."""

    number: int
    connection: int
    case: str
    kind: str
    surface: str
    streams: bool
    at: float
    head: str
    body: bytes
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    payload: list[bytes] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    reason: str | None = None
    counts: tuple[int, int] | None = None
    is_terminal: bool = False
    error: str = ""
    closed: str = ""
    closed_at: float = 0.0
    left_at: float = 0.0
    """When the gateway closed the connection, if it was the first to."""
    is_over: bool = False
    """Whether the provider has done all that it does about this request."""

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def sent(self) -> bytes:
        """The body."""
        return b"".join(self.payload)


class UpstreamLog:
    """All that the provider has written down so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._by_number: dict[int, Seen] = {}
        self._by_connection: dict[int, Seen] = {}
        self._by_case: dict[str, list[Seen]] = defaultdict(list)

    def of(self, case: str) -> list[Seen]:
        """The requests of one case, in the order in which they came."""
        self._read()
        return list(self._by_case[case])

    def wait_for(self, what: Callable[[], Any], limit_s: float) -> Any:
        """The first true value of what is looked up again and again, or the last false one."""
        limit = time.monotonic() + limit_s
        while not (value := what()) and time.monotonic() < limit:
            time.sleep(0.01)
        return value

    def _read(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        whole, newline, _ = data.rpartition(b"\n")
        self._at += len(whole) + len(newline)
        for line in whole.splitlines():
            self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        what, number, connection = line["what"], line["number"], line["connection"]
        if what == "request":
            seen = Seen(
                number,
                connection,
                line["case"],
                line["kind"],
                line["surface"],
                line["streams"],
                line["at"],
                line["head"],
                _unpacked(line["body"]),
            )
            self._by_number[number] = self._by_connection[connection] = seen
            self._by_case[seen.case].append(seen)
        elif what == "peer_left":
            self._left(connection, line["at"])
        elif number is not None:
            self._more(self._by_number[number], what, line)

    def _left(self, connection: int, at: float) -> None:
        seen = self._by_connection.get(connection)
        if seen is not None and not seen.closed:
            seen.left_at = at

    @staticmethod
    def _more(seen: Seen, what: str, line: dict[str, Any]) -> None:
        if what == "head":
            seen.status, seen.headers = line["status"], [(name, value) for name, value in line["headers"]]
        elif what == "payload":
            seen.payload.append(_unpacked(line))
        elif what == "over":
            seen.is_over = True
        elif what == "closed":
            seen.closed, seen.closed_at = line["how"], line["at"]
        elif "token" in line:
            seen.tokens.append(line["token"])
        elif "counts" in line:
            seen.counts = line["counts"][0], line["counts"][1]
        elif "reason" in line:
            seen.reason = line["reason"]
        elif "error" in line:
            seen.error = line["error"]
        else:
            seen.is_terminal = line["terminal"]


def _unpacked(line: dict[str, str]) -> bytes:
    if "packed" in line:
        return zlib.decompress(base64.b64decode(line["packed"]))
    return line["data"].encode("latin-1")
