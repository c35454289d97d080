"""A workspace on the disk."""

from __future__ import annotations

from pathlib import Path

from headworks.errors import WorkspaceInvalid

MOST_FILES = 2000
_LEFT_OUT = {"__pycache__", "node_modules"}


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a workspace by their path inside it; hidden ones are left out. Raises WorkspaceInvalid."""
    if not folder.is_dir():
        raise WorkspaceInvalid(f"{folder}: there is no such folder.", next_step="`headworks init` writes a workspace.")
    files: dict[str, bytes] = {}
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") or part in _LEFT_OUT for part in inside.parts) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root):
            raise WorkspaceInvalid(f"{inside.as_posix()}:1: the link leads out of the workspace.")
        files[inside.as_posix()] = path.read_bytes()
        if len(files) > MOST_FILES:
            raise WorkspaceInvalid(f"{folder}: more than {MOST_FILES} files; is this a workspace?")
    return files
