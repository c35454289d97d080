from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from running_server import Server, write_workspace


@pytest.fixture
def word(tmp_path: Path) -> Callable[[int], str]:
    """Invented words of this very test: others share the collection."""
    mark = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:10].translate(str.maketrans("0123456789", "ghijklmnop"))
    return lambda number: f"{mark}{'uvwxyz'[number]}"


@pytest.fixture
def folder(tmp_path: Path, word: Callable[[int], str]) -> Path:
    """Three documents with words of their own."""
    home = tmp_path / "documents"
    (home / "sub").mkdir(parents=True)
    (home / "one.md").write_text(f"# One {word(0)}\n\nThe {word(1)} is paid within 12 days of the first letter.\n")
    (home / "two.html").write_text(f"<h1>Two</h1><p>A {word(2)} lasts 30 days, and no longer.</p>")
    (home / "sub" / "three.txt").write_text(f"Three\n\nNo {word(3)} is needed for a second one.\n")
    return home


@pytest.fixture
def project(server: Server) -> str:
    """A project of its own, so that the workspace of others stays."""
    server.api("POST", "/api/projects", {"name": "cli"})
    return "cli"


@pytest.fixture
def workspace(tmp_path: Path, project: str) -> Callable[..., Path]:
    """Writes one whose names no other project has."""

    def write(**changed: str) -> Path:
        folder = write_workspace(tmp_path / "workspace", **changed)
        for old, new in (
            ("collections/docs.yaml", "collections/cli-docs.yaml"),
            ("features/assistant", "features/cli-asks"),
        ):
            (folder / old).rename(folder / new)
        feature = folder / "features" / "cli-asks" / "feature.yaml"
        feature.write_text(
            feature.read_text().replace("docs", "cli-docs").replace("route: default", "route: cli-route")
        )
        routes = folder / "routes.yaml"
        routes.write_text(routes.read_text().replace("default", "cli-route"))
        return folder

    return write
