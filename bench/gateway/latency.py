"""What a hop adds at a low, steady rate: each request has its time, and its latency counts from that time on."""

from __future__ import annotations

import socket
import statistics
import time
from urllib.parse import urlsplit

from rig import Failed, System
from windows import Row

_EARLY_S = 0.0003
"""The last stretch before a request's time is spent awake."""


class Caller:
    """One kept-alive connection. An answer needs a content-length, or is chunked."""

    def __init__(self, system: System) -> None:
        place = urlsplit(system.url)
        self._name = system.name
        self._socket = socket.create_connection((str(place.hostname), int(place.port or 80)), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {"host": place.netloc, "content-type": "application/json", **system.headers}
        lines = [f"POST {place.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"content-length: {len(system.body)}", "", ""])
        self._request = head.encode() + system.body

    def call(self) -> None:
        """One request and its answer. Raises Failed."""
        self._socket.sendall(self._request)
        text = self._socket.recv(65536)
        while not _is_whole(text):
            more = self._socket.recv(65536)
            if not more:
                raise Failed(f"{self._name} closed the connection: {text[:200]!r}")
            text += more
        if not text.startswith(b"HTTP/1.1 200"):
            raise Failed(f"{self._name} answers {text[:200]!r}")

    def close(self) -> None:
        self._socket.close()


def _is_whole(text: bytes) -> bool:
    head, blank, body = text.partition(b"\r\n\r\n")
    if not blank:
        return False
    _, named, rest = head.lower().partition(b"\r\ncontent-length:")
    if named:
        return len(body) >= int(rest.partition(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")


def window(system: System, per_s: float, seconds: float) -> list[float]:
    """Latencies in µs."""
    caller = Caller(system)
    took = []
    try:
        for _ in range(20):
            caller.call()
        begin = time.perf_counter() + 0.05
        for turn in range(int(per_s * seconds)):
            due = begin + turn / per_s
            time.sleep(max(0.0, due - time.perf_counter() - _EARLY_S))
            while time.perf_counter() < due:
                pass
            caller.call()
            took.append((time.perf_counter() - due) * 1e6)
    finally:
        caller.close()
    return took


def _quantiles(windows: list[list[float]]) -> tuple[float, float]:
    each = [statistics.quantiles(window, n=100, method="inclusive") for window in windows]
    return statistics.median(q[49] for q in each), statistics.median(q[98] for q in each)


def summary(windows: dict[str, list[list[float]]]) -> list[Row]:
    """Medians over the windows of p50 and p99, and of what is more than asking the provider itself (`direct`)."""
    direct_p50, direct_p99 = _quantiles(windows["direct"])
    nginx_p50, nginx_p99 = _quantiles(windows["nginx"])
    rows: list[Row] = []
    for name, seen in windows.items():
        p50, p99 = _quantiles(seen)
        row: Row = {"system": name, "p50_us": round(p50), "p99_us": round(p99)}
        if name != "direct":
            row |= {
                "added_p50_us": round(p50 - direct_p50),
                "added_p99_us": round(p99 - direct_p99),
                "added_p50_x_nginx": round((p50 - direct_p50) / (nginx_p50 - direct_p50), 2),
                "added_p99_x_nginx": round((p99 - direct_p99) / (nginx_p99 - direct_p99), 2),
            }
        rows.append(row)
    return rows
