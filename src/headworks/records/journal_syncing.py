"""Brings what a journal has written to the disk, off the event loop."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger("headworks.records.journal")


class Syncer:
    """A thread that syncs the current file soon after it was written to, and then at most every `interval_s`."""

    def __init__(self, folder: Path, interval_s: float) -> None:
        self.dirty = False
        """Whether something was written since the last sync began; set by `mark`."""
        self.failure: OSError | None = None
        """Why the last sync failed: what was written before may be lost with the machine. Cleared by who reads it."""
        self._folder = folder
        self._interval_s = interval_s
        self._fd = -1
        self._chores: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def mark(self) -> None:
        """Something was written."""
        self.dirty = True
        self._wake.set()

    def follow(self, fd: int) -> None:
        """From now on sync this file; the one before is synced once more and closed."""
        before, self._fd = self._fd, fd
        self._chores.append(self._sync_folder)
        if before >= 0:
            self._chores.append(lambda: self._retire(before))
        self.mark()

    def remove(self, path: Path) -> None:
        """Delete a file, in its turn."""
        self._chores.append(lambda: path.unlink(missing_ok=True))
        self._wake.set()

    def stop(self) -> None:
        """Sync a last time, close the file and end."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        if self._fd >= 0:
            self._retire(self._fd)
            self._fd = -1

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            self._work()
            self._stop.wait(self._interval_s)
        self._work()

    def _work(self) -> None:
        while self._chores:
            try:
                self._chores.popleft()()
            except OSError as error:
                self._note(error)
        if self.dirty:
            self.dirty = False  # before the sync: what is written meanwhile marks it again
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self._note(error)

    def _retire(self, fd: int) -> None:
        try:
            os.fsync(fd)
        finally:
            with suppress(OSError):
                os.close(fd)

    def _sync_folder(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _note(self, error: OSError) -> None:
        self.failure = error
        _log.error("the journal %s could not be brought to the disk: %s", self._folder, error.strerror)
