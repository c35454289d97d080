"""The journal: what is acknowledged is stored, before the database has seen it.

Each worker appends to a journal of its own, by `write()`, before the last byte of an answer, one record for the request
or for several that end together; the kernel then keeps it through a kill -9, and a thread brings it to the disk within
`sync_ms` against a power loss. A
batcher copies records to PostgreSQL and confirms them; what is confirmed is deleted by the segment. A worker holds a
lock for as long as it lives, so whoever finds a journal unlocked may replay it.

    folder/20261122T170000-4711-9f2c31aa.lock          held by the living worker
    folder/20261122T170000-4711-9f2c31aa/000….journal  its segments

Payloads are written as given: sealing them is the caller's part.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from headworks.errors import StartupRefused, Unavailable
from headworks.records.journal_segments import MAGIC, framed, read_journal, segment_path, segments
from headworks.records.journal_syncing import Syncer

__all__ = ["Abandoned", "Journal", "read_journal", "replayable"]


class Journal:
    """One worker's journal. `append` and `confirm` belong to one thread, that of the event loop."""

    def __init__(self, folder: Path, *, sync_ms: float = 100, rotate_bytes: int = 16 * 1024 * 1024) -> None:
        self._rotate_bytes = rotate_bytes
        self._position = self._confirmed = self._start = 0
        self._ended: list[tuple[int, Path]] = []
        """End and file of each segment that is complete and not yet confirmed."""
        self._fd = -1
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{secrets.token_hex(4)}"
        self.path = folder / name
        self._lock_path = _lock_path(self.path)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.path.mkdir(mode=0o700)  # after the lock: nobody ever sees this folder without it
            fd = self._create_segment()
        except OSError as error:
            with suppress(OSError):
                _delete(self.path)
            raise StartupRefused(
                f"The journal in {folder} can't be created: {error.strerror}.",
                next_step="Make the data folder writable and leave space on its disk.",
            ) from error
        self._syncer = Syncer(self.path, sync_ms / 1000)
        self._follow(fd)

    @property
    def position(self) -> int:
        """The end of the last record."""
        return self._position

    @property
    def backlog_bytes(self) -> int:
        """What is appended and not confirmed."""
        return self._position - self._confirmed

    def append(self, payload: bytes) -> int:
        """Write one record and return its position; a kill -9 after that can't lose it.

        Raises Unavailable if it can't be written, and then nothing of it stays; ValueError if it is empty.
        """
        record = framed(payload)
        if self._fd < 0 or self._position - self._start >= self._rotate_bytes or self._syncer.failure is not None:
            self._rotate()
        try:
            written = os.write(self._fd, record)
            while written < len(record):
                written += os.write(self._fd, record[written:])
        except OSError as error:
            self._undo()
            raise self._unavailable(error) from error
        self._position += len(record)
        if not self._syncer.dirty:
            self._syncer.mark()
        return self._position

    def confirm(self, position: int) -> None:
        """Everything up to `position` is stored elsewhere: whole segments of it are deleted."""
        if position > self._position:
            raise ValueError(f"Position {position} was never written; the journal ends at {self._position}.")
        self._confirmed = max(self._confirmed, position)
        while self._ended and self._ended[0][0] <= self._confirmed:
            self._syncer.remove(self._ended.pop(0)[1])

    def close(self) -> None:
        """Bring everything to the disk and let go; a journal that is confirmed to its end is deleted."""
        if self._lock < 0:
            return
        self._syncer.stop()
        if self._confirmed == self._position:
            _delete(self.path)
        os.close(self._lock)
        self._lock = self._fd = -1

    def _rotate(self) -> None:
        if self._lock < 0:
            raise Unavailable("The request could not be recorded: the journal is closed.", next_step="Try again.")
        try:
            fd = self._create_segment()
        except OSError as error:
            raise self._unavailable(error) from error
        self._syncer.failure = None
        if self._position > self._start:  # else it is the same file, empty again
            self._ended.append((self._position, segment_path(self.path, self._start)))
        self._follow(fd)
        self.confirm(self._confirmed)

    def _follow(self, fd: int) -> None:
        self._fd = fd
        self._start = self._position
        self._syncer.follow(fd)

    def _create_segment(self) -> int:
        path = segment_path(self.path, self._position)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        try:
            left = len(MAGIC)
            while left:
                left -= os.write(fd, MAGIC[-left:])
        except OSError:
            os.close(fd)
            path.unlink()
            raise
        return fd

    def _undo(self) -> None:
        """Cut off a half-written record, or never write behind it."""
        try:
            os.ftruncate(self._fd, len(MAGIC) + self._position - self._start)
        except OSError:
            self._fd = -1

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"The request could not be recorded: the journal in {self.path.parent} refuses it ({error.strerror}).",
            next_step="Free space on the disk of the data folder, or raise its quota; requests go on by themselves.",
        )


class Abandoned:
    """The journal of a worker that is gone, held by us; comes from `replayable`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_to = self._confirmed = 0
        self._exhausted = False

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Position and payload of each record; those of confirmed segments are gone, others may have been copied."""
        for position, payload in read_journal(self.path):
            self._read_to = position
            yield position, payload
        self._exhausted = True

    def confirm(self, position: int) -> None:
        """Everything up to `position` is stored elsewhere: whole segments of it are deleted."""
        self._confirmed = max(self._confirmed, position)
        found = segments(self.path)
        for (_, path), (end, _) in pairwise(found):
            if end <= self._confirmed:
                path.unlink(missing_ok=True)

    @property
    def done(self) -> bool:
        """Whether every record was read and confirmed."""
        return self._exhausted and self._confirmed >= self._read_to


def replayable(folder: Path) -> Iterator[Abandoned]:
    """Each journal in `folder` that no living worker owns, ours until the next one is asked for.

    Copy its `records()`, `confirm` them, go on: a journal that is `done` by then is deleted, another one comes again
    next time. Copying is idempotent by request id, for a record may have been copied before its worker died.
    """
    if not folder.is_dir():
        return
    for path in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        lock = os.open(_lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                abandoned = Abandoned(path)
                yield abandoned
                if abandoned.done:
                    _delete(path)
            else:  # somebody has just replayed it
                _lock_path(path).unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _delete(path: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(path)
    _lock_path(path).unlink(missing_ok=True)
