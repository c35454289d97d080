"""The README's blocks do what they say, and every link of the documentation leads somewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from health_plan import Plan
from running_server import CLEAN, HEADWORKS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
SOURCES = ROOT / "examples" / "health-plan"
PAGES = [
    each
    for each in PAGES
    if not each.is_relative_to(SOURCES / "documents") and not each.is_relative_to(SOURCES / "sources")
]


def block(kind: str, plan: Plan) -> str:
    """A marked block of the README with this server's address and a key."""
    found = re.findall(rf"<!-- runs in tests: {kind} -->\n```\w+\n(.*?)\n```", README, re.DOTALL)
    assert len(found) == 1, f"one block is marked `{kind}`"
    text: str = found[0]
    assert "http://127.0.0.1:8484" in text
    assert "hw_…" in text
    return text.replace("http://127.0.0.1:8484", plan.url).replace("hw_…", plan.key)


def test_every_marked_block_is_run_here() -> None:
    assert re.findall(r"<!-- runs in tests: (\w+) -->", README) == ["python", "curl"]


def test_the_python_of_the_readme_prints_an_answer_and_its_sources(plan: Plan) -> None:
    command = [sys.executable, "-W", "error", "-c", block("python", plan)]
    done = subprocess.run(command, capture_output=True, text=True, env=CLEAN, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "7 calendar days" in done.stdout
    assert re.search(rf"^POL-101 .* {plan.url}/documents/[0-9a-f-]+#char=\d+,\d+$", done.stdout, re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
def test_the_curl_of_the_readme_answers_json_with_citations(plan: Plan) -> None:
    command = ["sh", "-c", block("curl", plan)]
    done = subprocess.run(command, capture_output=True, text=True, env=CLEAN, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    message = json.loads(done.stdout)["choices"][0]["message"]
    assert message["content"].startswith("Closest passages:")
    assert message["annotations"][0]["headworks"]["quote"] in message["content"]


def commands(section: str) -> list[str]:
    """The `headworks …` lines of a section of the README."""
    text = README.split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    return [line.split("#")[0].strip() for line in re.findall(r"^headworks .*$", text, re.MULTILINE)]


OWN_SERVER = commands("Your own server")


def test_the_readme_shows_how_to_run_ones_own_server() -> None:
    assert [line.split()[1] for line in OWN_SERVER] == ["models", "init", "up", "ingest", "ask"]


@pytest.mark.parametrize("line", OWN_SERVER)
def test_a_command_of_the_readme_exists_and_has_its_options(line: str) -> None:
    words = [word for word in line.split()[1:3] if re.fullmatch("[a-z]+", word)]
    wanted = words if words[0] == "models" else words[:1]
    done = subprocess.run(
        [HEADWORKS, *wanted, "--help"], capture_output=True, text=True, env=CLEAN, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    for option in re.findall(r"--[a-z-]+", line):
        assert option in done.stdout


def test_the_scripts_of_the_readme_can_be_run() -> None:
    named = set(re.findall(r"\bscript/\w+", README))
    assert named >= {"script/demo", "script/test"}
    assert [each for each in named if not os.access(ROOT / each, os.X_OK)] == []


def anchors(page: Path) -> set[str]:
    """The addresses of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,6}\s+(.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """The targets of a page's links inside the repository."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [each for each in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", each)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link
