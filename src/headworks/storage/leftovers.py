"""What a killed server leaves behind: processes, a pid file, sockets. The caller holds the folder's lock."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from pathlib import Path

from headworks.errors import StartupRefused

_log = logging.getLogger(__name__)

_SHUTDOWN = (20.0, (signal.SIGQUIT, signal.SIGKILL))
"""Seconds of patience, then signals, for a server whose parent died: the kernel has told it to end already."""
_ORPHANS = (2.0, (signal.SIGKILL,))
"""For backends whose postmaster was killed: they notice it by themselves, unless they are stopped or busy."""
_AFTER_SIGNAL_S = 5.0


def clear(cluster: Path) -> None:
    """Wait for, then end, what still runs on this cluster, and remove a stale pid file.

    PostgreSQL believes a pid file if any process has that number, which after the restart of a container is usual.
    """
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    first = pid_file.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
    patience_s, signals = _SHUTDOWN if first in map(str, processes_on(cluster)) else _ORPHANS
    running = _wait_for_end(cluster, patience_s)
    for number in signals:
        for pid in running:
            _log.warning("A PostgreSQL process left on %s is ended: %d", cluster, pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        running = _wait_for_end(cluster, _AFTER_SIGNAL_S) if running else []
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
