"""What somebody has who cloned the repository a minute ago."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="this is no checkout that could be cloned"
)
def test_bootstrap_makes_an_environment_that_runs_from_nothing_but_the_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), str(clone)], check=True)
    environ = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    made = subprocess.run(
        [str(clone / "script" / "bootstrap")],
        env=environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    program = clone / ".venv" / "bin" / "headworks"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, env=environ, check=True).stdout
    assert said.startswith("headworks ")
    again = subprocess.run(
        [str(clone / "script" / "bootstrap")], env=environ, capture_output=True, text=True, check=True
    )
    assert "installing" not in again.stderr, "there was nothing to do"
