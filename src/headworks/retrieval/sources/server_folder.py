"""A folder of the server as a source: its files, by what the disk says of them, below what the operator opens."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import unicodedata
import zlib
from collections.abc import Sequence
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
from headworks.retrieval.sources.folder import FolderEntry, Skipped, walk

_MB = 1024 * 1024
_CHANGES_AT_ONCE = 1000
_TAKEN_ELSEWHERE = "twice"


@dataclass(frozen=True, slots=True)
class _Look:
    """What one walk found: files by their path as it is stored, and what can't be taken.

    `cursor` is where the next page of it begins; empty: there is none.
    """

    files: dict[str, FolderEntry]
    failed: tuple[Failed, ...]
    cursor: str = ""


class ServerFolder:
    """See Source. Its cursor holds each file's stamp; it carries no permissions."""

    carries_permissions = False

    def __init__(self, folder: Path, within: Sequence[Path], *, max_bytes: int) -> None:
        """`within`: the folders that the operator opens. `max_bytes` of one file; larger ones are listed as failed."""
        self._folder = folder
        self._within = within
        self._max_bytes = max_bytes
        self._last: _Look | None = None

    async def groups(self) -> Groups:
        """See Source: none."""
        return Groups()

    async def changes(self, cursor: str) -> Changes:
        """See Source. Raises SourceError when the folder is not there, so that nothing vanishes with a lost mount."""
        stamps = _read_cursor(cursor)
        look = self._last
        if look is None or not cursor or look.cursor != cursor:
            look = await asyncio.to_thread(self._look)
        new = [path for path, entry in look.files.items() if stamps.get(path) != entry.stamp]
        page = new[:_CHANGES_AT_ONCE]
        is_last = len(page) == len(new)
        kept = {path: stamp for path, stamp in stamps.items() if path in look.files or _is_hidden_by(path, look.failed)}
        after = _write_cursor(kept | {path: look.files[path].stamp for path in page})
        self._last = _Look(look.files, look.failed, "" if is_last else after)
        changes = tuple(Change(path, size=look.files[path].size) for path in page)
        return Changes(changes, after, is_last, look.failed if is_last else (), len(look.files))

    async def fetch(self, change: Change) -> Fetched:
        """See Source."""
        return await asyncio.to_thread(self._read, change.path)

    async def present(self, cursor: str, place: str) -> Present:
        """See Source: all in one page, with what lies in folders that can't be looked into now."""
        del place
        self._last = look = await asyncio.to_thread(self._look)
        gone = [path for path in _read_cursor(cursor) if path not in look.files]
        unknown = [path for path in gone if _is_hidden_by(path, look.failed)]
        return Present(tuple(Here(path) for path in sorted([*look.files, *unknown])))

    async def close(self) -> None:
        """See Source: nothing is open."""

    def _root(self) -> Path:
        """The folder. Raises SourceError, for one that is not the operator's without a look at the disk."""
        self._refuse_outside(self._folder, self._within)
        try:
            root = self._folder.resolve(strict=True)
            self._refuse_outside(root, [each.resolve() for each in self._within])
        except (OSError, RuntimeError):
            raise SourceError(f"{self._folder}: there is no such folder.", code="folder_missing") from None
        return root

    def _refuse_outside(self, folder: Path, within: Sequence[Path]) -> None:
        if ".." in folder.parts or not any(folder.is_relative_to(each) for each in within):
            raise SourceError(
                f"{self._folder} is in no folder that `source_folders` in [retrieval] of headworks.toml names.",
                code="folder_refused",
                is_lasting=True,
            )

    def _look(self) -> _Look:
        files: dict[str, FolderEntry] = {}
        failed: list[Failed] = []
        try:
            for each in walk(self._root(), max_bytes=self._max_bytes):
                path = unicodedata.normalize("NFC", each.path if isinstance(each, Skipped) else each.readable_path)
                if isinstance(each, FolderEntry) and path not in files:
                    files[path] = each
                elif isinstance(each, FolderEntry):
                    failed.append(Failed(path, "same_name", "Another file's name reads the same; that one is taken."))
                elif each.code != _TAKEN_ELSEWHERE:
                    failed.append(Failed(path, each.code, each.why))
        except InvalidRequest as error:
            raise SourceError(error.message, code="folder_missing") from None
        return _Look(files, tuple(failed))

    def _read(self, path: str) -> Fetched:
        root = self._root()
        try:
            direct = root / path
            entry = direct if direct.is_file() else self._written_otherwise(path)
            with os.fdopen(_opened_below(root, entry), "rb") as file:
                data = file.read(self._max_bytes + 1)
        except (FileNotFoundError, NotADirectoryError, RuntimeError):
            raise Gone(path) from None
        except OSError as error:
            raise Unfetchable("unreadable", f"It can't be read: {error.strerror}.") from None
        if len(data) > self._max_bytes:
            raise Unfetchable("too_large", f"It has more than the limit of {self._max_bytes / _MB:,.0f} MB.")
        return Fetched(data)

    def _written_otherwise(self, path: str) -> Path:
        """A file whose name on disk is not the path that it is stored under: not in NFC, or no UTF-8."""
        look = self._last or self._look()
        if path not in look.files:
            raise FileNotFoundError(path)
        return look.files[path].absolute


def _opened_below(root: Path, entry: Path) -> int:
    """A descriptor of a file below the root. Links count as they are now, and one that is laid meanwhile opens nothing.

    Raises FileNotFoundError for what is outside of it, or is no file any more.
    """
    real = entry.resolve(strict=True)
    if not real.is_relative_to(root):
        raise FileNotFoundError(entry)
    *folders, name = real.relative_to(root).parts
    within = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for each in folders:
            inner = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=within)
            os.close(within)
            within = inner
        found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=within)
    finally:
        os.close(within)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise FileNotFoundError(entry)
    return found


def _is_hidden_by(path: str, failed: Sequence[Failed]) -> bool:
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
