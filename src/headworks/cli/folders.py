"""A workspace's files as a server takes them: text by path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from headworks.errors import NotFound, WorkspaceInvalid

_NEXT_STEP = "`headworks init` writes a workspace; give the folder that holds its routes.yaml."


def read_workspace(folder: Path) -> dict[str, bytes]:
    """All files below a folder by their path inside it; hidden ones, backups and links are left out."""
    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder.", next_step=_NEXT_STEP)
    found: dict[str, bytes] = {}
    for path in _files_below(folder):
        try:
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
        except OSError as error:
            raise WorkspaceInvalid(f"{path}:1: it can't be read: {error.strerror}.") from None
    if not found:
        raise NotFound(f"{folder} holds no files.", next_step=_NEXT_STEP)
    return found


def as_text(files: dict[str, bytes]) -> dict[str, str]:
    """The same as JSON can carry it; WorkspaceInvalid for a file that is not UTF-8."""
    texts: dict[str, str] = {}
    for path, content in files.items():
        try:
            texts[path] = content.decode()
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise WorkspaceInvalid(f"{path}:{line}: not UTF-8.", next_step="Save the file as UTF-8.") from None
    return texts


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and not name.endswith("~") and path.is_file() and not path.is_symlink():
                yield path
