"""A workspace's files as a server takes them: text by path."""

from __future__ import annotations

from pathlib import Path

from headworks.errors import WorkspaceInvalid
from headworks.releases.files import read_folder


def workspace_text(folder: Path) -> dict[str, str]:
    """The files of a workspace by their path inside it; WorkspaceInvalid for one that is not UTF-8."""
    return as_text(read_folder(folder))


def as_text(files: dict[str, bytes]) -> dict[str, str]:
    """The same as JSON can carry it."""
    texts: dict[str, str] = {}
    for path, content in files.items():
        try:
            texts[path] = content.decode()
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise WorkspaceInvalid(f"{path}:{line}: not UTF-8.", next_step="Save the file as UTF-8.") from None
    return texts
