"""What a killed server leaves behind: processes, a pid file, sockets. The caller holds the folder's lock."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

from headworks.errors import StartupRefused

_log = logging.getLogger(__name__)

_SHUTDOWN_S = 20.0
"""A server whose parent died has been told to end; it gets this long before it is made to."""
_ORPHAN_S = 5.0
"""Backends whose postmaster was killed notice it by themselves, unless they are stopped or busy."""


def clear(cluster: Path) -> None:
    """Wait for, then end, what still runs on this cluster, and remove a stale pid file.

    PostgreSQL believes a pid file if any process has that number, which after the restart of a container is usual.
    """
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    first = pid_file.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
    running = processes_on(cluster)
    patience_s = _SHUTDOWN_S if first in map(str, running) else _ORPHAN_S
    running = _wait_for_end(cluster, patience_s)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in running:
            _log.warning("A PostgreSQL process left on %s is ended: %d", cluster, pid)
            _signal(pid, number)
        running = _wait_for_end(cluster, _ORPHAN_S) if running else []
    if running:
        raise StartupRefused(
            f"PostgreSQL processes on {cluster} do not end: {running}.", next_step="End them, then start again."
        )
    pid_file.unlink(missing_ok=True)


def _wait_for_end(cluster: Path, patience_s: float) -> list[int]:
    """The processes that still run after at most `patience_s`."""
    begun = time.monotonic()
    while (running := processes_on(cluster)) and time.monotonic() - begun < patience_s:
        time.sleep(0.02)
    return running


def clear_sockets(folder: Path) -> None:
    """Remove socket and lock files that no server owns any more."""
    for path in folder.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)


def processes_on(cluster: Path) -> list[int]:
    """The PostgreSQL processes that work in this cluster's folder."""
    wanted = str(cluster.resolve())
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            is_postgres = (entry / "comm").read_text(encoding="utf-8").startswith("postgres")
            if is_postgres and str((entry / "cwd").readlink()) == wanted:
                found.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
