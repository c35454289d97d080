"""The files of a folder in a stable order, and by name what can't be taken and why."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headworks.errors import InvalidRequest

_MB = 1024 * 1024
_LONGEST_PATH = 1_000
"""Of a folder: no document has a longer one."""


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A file to take. `path` is relative to the folder, with `/` between its parts, in the bytes that the disk has.

    Characters that are no valid UTF-8 on disk stand in `path` as surrogates (PEP 383); `readable_path` has none.
    """

    path: str
    absolute: Path
    size: int
    stamp: str = ""
    """Other as soon as the file is another one or was written to."""

    @property
    def readable_path(self) -> str:
        """The path for messages and storage: valid UTF-8, with a mark for what is not."""
        return readable(self.path)

    def sha256(self) -> str:
        """The hash of the file's bytes as hexadecimal digits, read now. Raises OSError when it is gone."""
        digest = hashlib.sha256()
        with self.absolute.open("rb") as file:
            while piece := file.read(_MB):
                digest.update(piece)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is not taken. `code` is one of SKIP_CODES, `why` is a sentence for the user."""

    path: str
    code: str
    why: str


SKIP_CODES = ("outside_folder", "loop", "twice", "unreadable", "too_large", "special")


def walk(folder: Path, *, max_bytes: int) -> Iterator[FolderEntry | Skipped]:
    """Every file below a folder that is not hidden, in order of name, without reading any.

    A link to a file below the folder is a file; a link to a folder below it is not followed, since that folder is taken
    by its own name. Raises InvalidRequest when there is no such folder.
    """
    try:
        root = folder.resolve(strict=True)
        if not root.is_dir():
            raise InvalidRequest(f"{folder} is not a folder.", param="path")
        os.scandir(root).close()
    except FileNotFoundError:
        raise InvalidRequest(f"{folder}: there is no such folder.", param="path") from None
    except OSError as error:
        raise InvalidRequest(f"{folder} can't be read: {error.strerror}.", param="path") from None
    yield from _below(root, "", root, max_bytes)


def readable(path: str) -> str:
    """A path as valid UTF-8: bytes of the disk that are none are shown as U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _below(folder: Path, prefix: str, root: Path, max_bytes: int) -> Iterator[FolderEntry | Skipped]:
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        yield Skipped(readable(prefix.rstrip("/")), "unreadable", f"The folder can't be read: {error.strerror}.")
        return
    for name in names:
        path = f"{prefix}{name}"
        absolute = real = folder / name
        try:
            status = absolute.lstat()
            if stat.S_ISLNK(status.st_mode):
                # RuntimeError is how this Python reports links that lead to each other.
                real = absolute.resolve(strict=True)
                status = real.stat()
        except (OSError, RuntimeError) as error:
            yield _unresolved(readable(path), error)
            continue
        if skipped := _refused(readable(path), absolute, real, root):
            yield skipped
        elif not stat.S_ISDIR(status.st_mode):
            yield _file(path, absolute, status, max_bytes)
        elif len(path) < _LONGEST_PATH:
            yield from _below(absolute, f"{path}/", root, max_bytes)
        else:
            yield Skipped(readable(path), "unreadable", "It lies too deep: nothing below it is taken.")


def _unresolved(path: str, error: OSError | RuntimeError) -> Skipped:
    if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
        return Skipped(path, "loop", "The link leads to itself.")
    return Skipped(path, "unreadable", f"It can't be read: {error.strerror}.")


def _refused(path: str, absolute: Path, real: Path, root: Path) -> Skipped | None:
    """What is wrong with where a link leads; None for anything that is no link, or a good one."""
    if real == absolute:
        return None
    if not real.is_relative_to(root):
        return Skipped(path, "outside_folder", "The link leads out of the folder; it is not followed.")
    if not real.is_dir():
        return None
    if absolute.parent.resolve().is_relative_to(real):
        return Skipped(path, "loop", "The link leads back to a folder that it lies in.")
    return Skipped(path, "twice", "The link leads to a folder that is taken by its own name.")


def _file(path: str, absolute: Path, status: os.stat_result, max_bytes: int) -> FolderEntry | Skipped:
    if not stat.S_ISREG(status.st_mode):
        return Skipped(readable(path), "special", "It is no regular file.")
    if status.st_size > max_bytes:
        size, most = status.st_size / _MB, max_bytes / _MB
        return Skipped(readable(path), "too_large", f"It has {size:,.0f} MB, more than the limit of {most:,.0f} MB.")
    if not os.access(absolute, os.R_OK, effective_ids=True):
        return Skipped(readable(path), "unreadable", "It can't be read: Permission denied.")
    stamp = f"{status.st_size:x}.{status.st_mtime_ns:x}.{status.st_ctime_ns:x}.{status.st_ino:x}"
    return FolderEntry(path, absolute, status.st_size, stamp)
