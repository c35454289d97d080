"""The plugin in pytest itself, run as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
from headworks.testing.pytest_plugin import suite

@suite("{name}.jsonl", metric="right", {options})
def test_{name}(example):
    assert example.reference == "good"
"""


def run(folder: Path, suites: dict[str, tuple[str, int]], *more: str) -> subprocess.CompletedProcess[str]:
    """A session with these suites of 60 examples, by name: their options, and how many are wrong."""
    for name, (options, wrong) in suites.items():
        rows = [{"id": f"e{at}", "question": "?", "reference": "bad" if at < wrong else "good"} for at in range(60)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        (folder / f"test_{name}.py").write_text(SUITE.format(name=name, options=options))
    (folder / "pytest.ini").write_text("[pytest]\n")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    plugin = ["-p", "headworks.testing.pytest_plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, *more],
        cwd=folder,
        env=plain | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_examples_that_fail_are_recorded_and_several_workers_make_one_verdict(tmp_path: Path) -> None:
    done = run(tmp_path, {"good": ("at_least=0.8", 3)}, "-p", "xdist", "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "57 passed, 3 xfailed" in done.stdout
    assert done.stdout.count("PASS test_good.py::test_good right") == 1


def test_a_part_of_the_examples_shows_nothing_of_the_rest(tmp_path: Path) -> None:
    """`-k`, `-x` and the like must not choose the examples that pass."""
    suites = {"good": ("at_least=0.5", 1), "exact": ("must_be_perfect=True", 1)}
    part = run(tmp_path, suites, "-k", "e3 or e4 or e5")
    assert part.returncode == 1, part.stdout
    for name in suites:
        assert f"INCONCLUSIVE test_{name}.py::test_{name} right: 33 of 60 examples ran" in part.stdout
    failed = run(tmp_path, suites, "-k", "e0 or e1")
    assert "FAIL test_exact.py::test_exact right: 1 of 12 examples fail." in failed.stdout
    assert "INCONCLUSIVE test_good.py::test_good right: 12 of 60" in failed.stdout
    spread = run(tmp_path, {"good": ("at_least=0.5", 1)}, "-p", "xdist", "-n", "2", "-k", "test_good and not e0")
    assert spread.stdout.count("INCONCLUSIVE test_good.py::test_good right: 59 of 60 examples ran") == 1


FAILS = {"good": ("at_least=0.8", 3), "poor": ("at_least=0.8", 40), "exact": ("must_be_perfect=True", 1)}
UNSHOWN = {"good": ("at_least=0.8", 3), "few": ("at_least=0.99", 0)}


@pytest.mark.parametrize("suites", [FAILS, UNSHOWN])
def test_each_suite_has_its_verdict_and_what_is_not_shown_fails_the_session(
    tmp_path: Path, suites: dict[str, tuple[str, int]]
) -> None:
    done = run(tmp_path, suites)
    assert done.returncode == 1, done.stdout
    verdicts = {"good": "PASS", "poor": "FAIL", "few": "INCONCLUSIVE", "exact": "FAIL"}
    for name in suites:
        assert f"{verdicts[name]} test_{name}.py::test_{name} right" in done.stdout
