"""The files that `headworks init` writes: a settings file and one collection with one feature over it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from headworks.errors import Conflict, StartupRefused


def template_files() -> dict[str, bytes]:
    """All templates by their path inside the folder that `init` fills."""
    root = files("headworks.cli") / "templates"
    return dict(sorted(_below(root, "")))


def workspace_files() -> dict[str, bytes]:
    """Those of the workspace, by their path inside it."""
    return {
        path.removeprefix("workspace/"): content
        for path, content in template_files().items()
        if path.startswith("workspace/")
    }


def write_templates(folder: Path) -> list[Path]:
    """Write them all below a folder and return their paths; Conflict if any is there, and then nothing is written."""
    templates = {folder / path: content for path, content in template_files().items()}
    if taken := [path for path in templates if path.exists() or path.is_symlink()]:
        raise Conflict(
            f"{', '.join(map(str, taken))} {'is' if len(taken) == 1 else 'are'} already there; nothing was written.",
            next_step="Give another folder, like `headworks init my-project`.",
        )
    try:
        for path, content in templates.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
    except OSError as error:
        raise StartupRefused(f"{error.filename} can't be written: {error.strerror}.") from None
    return list(templates)


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _below(entry, f"{path}/")
        else:
            yield path, entry.read_bytes()
