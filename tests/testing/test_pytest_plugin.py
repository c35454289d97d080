"""The plugin in pytest itself, run as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
from headworks.testing.pytest_plugin import suite

@suite("golden.jsonl", metric="right", {options})
def test_answers(example):
    assert example.reference == "good"
"""


def run(folder: Path, options: str, wrong: int, n: int = 60, *more: str) -> subprocess.CompletedProcess[str]:
    rows = [{"id": f"e{at}", "question": "?", "reference": "bad" if at < wrong else "good"} for at in range(n)]
    (folder / "golden.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (folder / "test_it.py").write_text(TEST.format(options=options))
    (folder / "pytest.ini").write_text("[pytest]\n")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "headworks.testing.pytest_plugin",
            "-p",
            "no:cacheprovider",
            *more,
        ],
        cwd=folder,
        env=plain | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_examples_that_fail_are_recorded_and_the_verdict_decides(tmp_path: Path) -> None:
    done = run(tmp_path, "at_least=0.8", 3)
    assert done.returncode == 0, done.stdout
    assert "57 passed, 3 xfailed" in done.stdout
    assert "PASS test_it.py::test_answers right" in done.stdout


@pytest.mark.parametrize(
    ("options", "wrong", "n", "said"),
    [
        ("at_least=0.8", 40, 60, "FAIL"),
        ("at_least=0.99", 0, 60, "INCONCLUSIVE"),
        ("must_be_perfect=True", 1, 60, "FAIL"),
    ],
)
def test_what_is_not_shown_fails_the_session(tmp_path: Path, options: str, wrong: int, n: int, said: str) -> None:
    done = run(tmp_path, options, wrong, n)
    assert done.returncode == 1, done.stdout
    assert f"{said} test_it.py::test_answers" in done.stdout


def test_several_workers_make_one_verdict(tmp_path: Path) -> None:
    done = run(tmp_path, "at_least=0.8", 3, 60, "-p", "xdist", "-n", "2")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASS test_it.py::test_answers") == 1
