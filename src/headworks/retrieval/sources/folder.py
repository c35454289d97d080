"""A folder as a source: its files in a stable order, and by name what can't be taken and why."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import json
import os
import stat
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headworks.errors import InvalidRequest
from headworks.retrieval.sources.contract import (
    Change,
    Changes,
    CursorExpired,
    Failed,
    Fetched,
    Gone,
    Groups,
    Here,
    Present,
    SourceError,
    Unfetchable,
)

_MB = 1024 * 1024
_CHANGES_AT_ONCE = 1000
_TAKEN_ELSEWHERE = "twice"


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
        path, absolute = f"{prefix}{name}", folder / name
        try:
            # RuntimeError is how this Python reports links that lead to each other.
            real = absolute.resolve(strict=True)
            status = real.stat()
        except (OSError, RuntimeError) as error:
            yield _unresolved(readable(path), error)
            continue
        if skipped := _refused(readable(path), absolute, real, root):
            yield skipped
        elif stat.S_ISDIR(status.st_mode):
            yield from _below(absolute, f"{path}/", root, max_bytes)
        else:
            yield _file(path, absolute, status, max_bytes)


def _unresolved(path: str, error: OSError | RuntimeError) -> Skipped:
    if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
        return Skipped(path, "loop", "The link leads to itself.")
    return Skipped(path, "unreadable", f"It can't be read: {error.strerror}.")


def _refused(path: str, absolute: Path, real: Path, root: Path) -> Skipped | None:
    """What is wrong with where a link leads; None for anything that is no link, or a good one."""
    if not absolute.is_symlink():
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


class FolderSource:
    """A folder by the contract of a source. Its cursor holds each file's stamp; it carries no permissions."""

    carries_permissions = False

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """`max_bytes` of one file; larger ones are listed as failed."""
        self._folder = folder
        self._max_bytes = max_bytes

    async def groups(self) -> Groups:
        """See Source: none."""
        return Groups()

    async def changes(self, cursor: str) -> Changes:
        """See Source. Raises SourceError when the folder is not there, so that nothing vanishes with a lost mount."""
        stamps = _read_cursor(cursor)
        found, failed = await asyncio.to_thread(self._look)
        new = [path for path, entry in found.items() if stamps.get(path) != entry.stamp]
        page = new[:_CHANGES_AT_ONCE]
        is_last = len(page) == len(new)
        kept = {path: stamp for path, stamp in stamps.items() if path in found or _is_hidden_by(path, failed)}
        after = kept | {path: found[path].stamp for path in page}
        changes = tuple(Change(path, size=found[path].size) for path in page)
        return Changes(changes, _write_cursor(after), is_last, tuple(failed) if is_last else (), len(found))

    async def fetch(self, change: Change) -> Fetched:
        """See Source."""
        return await asyncio.to_thread(self._read, change.path)

    async def present(self, cursor: str, place: str) -> Present:
        """See Source: all in one page, with what lies in folders that can't be looked into now."""
        del place
        found, failed = await asyncio.to_thread(self._look)
        unknown = {path for path in _read_cursor(cursor) if _is_hidden_by(path, failed)}
        return Present(tuple(Here(path) for path in sorted({*found, *unknown})))

    async def close(self) -> None:
        """See Source: nothing is open."""

    def _look(self) -> tuple[dict[str, FolderEntry], list[Failed]]:
        """The files by their path as it is stored, and what can't be taken."""
        found: dict[str, FolderEntry] = {}
        failed: list[Failed] = []
        try:
            for each in walk(self._folder, max_bytes=self._max_bytes):
                path = unicodedata.normalize("NFC", each.path if isinstance(each, Skipped) else each.readable_path)
                if isinstance(each, FolderEntry):
                    found.setdefault(path, each)
                elif each.code != _TAKEN_ELSEWHERE:
                    failed.append(Failed(path, each.code, each.why))
        except InvalidRequest as error:
            raise SourceError(error.message, code="folder_missing") from None
        return found, failed

    def _read(self, path: str) -> Fetched:
        root = self._folder.resolve()
        direct = root / path
        entry = direct if direct.is_file() else self._written_otherwise(path)
        if entry is None or not entry.resolve().is_relative_to(root):
            raise Gone(path)
        try:
            with entry.open("rb") as file:
                data = file.read(self._max_bytes + 1)
        except FileNotFoundError:
            raise Gone(path) from None
        except OSError as error:
            raise Unfetchable("unreadable", f"It can't be read: {error.strerror}.") from None
        if len(data) > self._max_bytes:
            raise Unfetchable("too_large", f"It has more than the limit of {self._max_bytes / _MB:,.0f} MB.")
        return Fetched(data)

    def _written_otherwise(self, path: str) -> Path | None:
        """A file whose name on disk is not the path that it is stored under: not in NFC, or no UTF-8."""
        entry = self._look()[0].get(path)
        return None if entry is None else entry.absolute


def _is_hidden_by(path: str, failed: list[Failed]) -> bool:
    """Whether a file could not be looked at, so that nothing is known of its end."""
    return any(path == each.path or path.startswith(f"{each.path}/") or not each.path for each in failed)


def _write_cursor(stamps: dict[str, str]) -> str:
    return base64.b85encode(zlib.compress(json.dumps(stamps).encode(), 6)).decode()


def _read_cursor(cursor: str) -> dict[str, str]:
    if not cursor:
        return {}
    try:
        stamps: dict[str, str] = json.loads(zlib.decompress(base64.b85decode(cursor)))
    except (ValueError, zlib.error):
        raise CursorExpired from None
    return stamps
