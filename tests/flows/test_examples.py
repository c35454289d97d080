"""Each example runs as a user runs it: its own process, nothing but two variables in the environment."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from health_plan import Plan

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
EXPECTED = {
    "ask_with_langchain.py": r"\d+ (calendar days|hours)",
    "ask_with_openai.py": r"\[\d\] [A-Z]+-\d+ .*: http://127\.0\.0\.1:\d+/documents/[0-9a-f-]{36}#char=\d+,\d+\n",
    "search_over_http.py": r"1\.000  .*\(characters \d+ to \d+ of [\w/.-]+\)\n",
    "stream_with_openai.py": r"(?s)^trace [0-9a-f-]{36}\n.*\n“.+” — [A-Z]+-\d+",
}


def run(plan: Plan, example: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(example), *words]
    return subprocess.run(command, capture_output=True, text=True, env=plan.environ, timeout=120, check=False)


def test_each_example_is_expected_to_say_something() -> None:
    assert [each.name for each in EXAMPLES] == sorted(EXPECTED)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(plan: Plan, example: Path) -> None:
    done = run(plan, example)
    assert done.returncode == 0, done.stderr
    assert re.search(EXPECTED[example.name], done.stdout), done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_takes_another_question(plan: Plan, example: Path) -> None:
    done = run(plan, example, "What happens when the plan does not decide a step therapy exception in time?")
    assert "exception" in done.stdout, done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_holds_no_secret(example: Path) -> None:
    text = example.read_text()
    assert len(text.splitlines()) <= 40
    assert 'os.environ["HEADWORKS_API_KEY"]' in text.replace("'", '"')
    assert re.findall(r"hw_\w", text) == []
    assert example.name in text, "it says how it is started"
