from __future__ import annotations

import json
import subprocess
from pathlib import Path

from running_server import CLEAN, HEADWORKS


def headworks(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HEADWORKS, *words], capture_output=True, text=True, env=CLEAN, cwd=cwd, timeout=60, check=False
    )


def test_init_writes_a_workspace_and_says_what_comes_next(tmp_path: Path) -> None:
    done = headworks("init", "mine", cwd=tmp_path)
    assert done.returncode == 0
    assert "mine/headworks.toml" in done.stdout
    assert "cd mine && headworks up" in done.stdout
    assert (tmp_path / "mine" / "workspace" / "features" / "assistant" / "feature.yaml").is_file()
    again = headworks("init", "mine", cwd=tmp_path)
    assert again.returncode == 1
    assert "already there; nothing was written." in again.stderr


def test_init_here_names_its_files_as_json(tmp_path: Path) -> None:
    done = headworks("init", "--json", cwd=tmp_path)
    written = json.loads(done.stdout)["files"]
    assert sorted(written) == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
