"""Folders of the user's: a workspace's files, and documents."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from headworks.config import RetrievalServerSettings
from headworks.errors import InvalidRequest, WorkspaceInvalid
from headworks.releases.workspace.files import read_folder
from headworks.retrieval.parsers.catalog import is_supported
from headworks.retrieval.sources.folder import Skipped, walk

__all__ = [
    "Piece",
    "Skipped",
    "as_text",
    "documents_in",
    "read_folder",
    "readable_paths",
    "text_of",
    "workspace_files",
    "workspace_text",
]

USUAL_LIMIT_BYTES = RetrievalServerSettings().max_file_mb << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A file to hand in: where it lies, and its path in the collection."""

    file: Path
    path: str


def workspace_text(folder: Path) -> dict[str, str]:
    """The files of a workspace by their path inside it; WorkspaceInvalid as `workspace_files`, and for no UTF-8."""
    return as_text(workspace_files(folder))


def workspace_files(folder: Path) -> dict[str, bytes]:
    """The files of a workspace by their path inside it.

    Raises WorkspaceInvalid where there are none: a folder that was named by mistake must not take every feature away.
    """
    files = read_folder(folder)
    if not files:
        raise WorkspaceInvalid(
            f"{folder}: there is no file of a workspace in this folder.",
            next_step="Name the folder that holds routes.yaml and features/.",
        )
    return files


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


def text_of(file: Path) -> str:
    """What a file of the user's says. Raises InvalidRequest where it can't be read, or is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file}: not UTF-8.", next_step="Save the file as UTF-8.") from None
    except OSError as error:
        raise InvalidRequest(f"{file} can't be read: {error.strerror}.") from None


def documents_in(folder: Path, max_bytes: int = USUAL_LIMIT_BYTES) -> tuple[list[Piece], list[Skipped]]:
    """What of a folder can be handed in, and what can't; InvalidRequest when it is no folder."""
    pieces, skipped = [], []
    for entry in walk(folder, max_bytes=max_bytes):
        if isinstance(entry, Skipped):
            skipped.append(entry)
        else:
            # As the server keeps it, so that what it knows is recognised.
            pieces.append(Piece(entry.absolute, unicodedata.normalize("NFC", entry.readable_path)))
    return pieces, skipped


def readable_paths(folder: Path) -> list[str]:
    """The documents of a folder that can be read, as far as their names tell, by their path inside it."""
    return [piece.path for piece in documents_in(folder)[0] if is_supported(piece.path)]
