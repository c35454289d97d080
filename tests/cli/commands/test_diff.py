from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headworks.cli.commands.diff import unified


def test_a_removed_file_is_a_diff_to_nothing() -> None:
    change = {"path": "a.yaml", "kind": "removed", "before": "x: 1\ny: 2\n", "after": ""}
    assert unified(change).splitlines() == ["--- applied/a.yaml", "+++ /dev/null", "@@ -1,2 +0,0 @@", "-x: 1", "-y: 2"]


def test_lines_are_coloured_on_a_terminal(monkeypatch: Any) -> None:
    monkeypatch.setattr("headworks.cli.terminal.is_drawn", lambda _: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = unified({"path": "a", "kind": "changed", "before": "x\n", "after": "y\x1b[2J\n"})
    assert "\x1b[31m-x\x1b[0m" in shown
    assert "\x1b[32m+y\ufffd[2J\x1b[0m" in shown


def test_a_feature_that_moves_without_a_change_of_its_own_files_is_a_difference(
    cli: Any, project: str, workspace: Callable[..., Path]
) -> None:
    folder = workspace()
    cli("apply", str(folder), "--project", project)
    routes = folder / "routes.yaml"
    routes.write_text(routes.read_text().replace("extractive", "simulated"))
    done = cli("diff", str(folder), "--project", project, check=False)
    assert done.returncode == 1
    assert "feature cli-asks: " in done.stdout
