"""CPU time and memory of a process and everything it started, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def tree(root: int) -> set[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    todo = [root]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def is_postgres(pid: int) -> bool:
    """Whether this is a server process of PostgreSQL."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("postgres")
    except OSError:
        return False


def cpu_ns(pids: set[int]) -> int:
    """User and system time of these processes, all their living threads, and the children that they have waited for."""
    total = 0
    for pid in pids:
        total += sum(_on_cpu(thread) for thread in _threads(pid))
        fields = _stat(pid)
        if fields:
            total += (int(fields[13]) + int(fields[14])) * _TICK_NS
    return total


def pss_kib(pids: set[int]) -> int:
    """Memory, each shared page divided by its users."""
    return _summed(pids, "Pss:")


def anonymous_kib(pids: set[int]) -> int:
    """Memory that stands for no file: all that a leak can be, and the same whoever else maps the same libraries."""
    return _summed(pids, "Anonymous:")


def _summed(pids: set[int], line_start: str) -> int:
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(line_start))
    return total


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _on_cpu(thread: Path) -> int:
    try:
        return int((thread / "schedstat").read_text().split()[0])
    except OSError:
        return 0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name: [0] state, [1] parent, [13] and [14] times of waited-for children."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def command(pid: int) -> str:
    """What was started, for a table."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return "?"
    return b" ".join(words).decode("utf-8", "replace")
