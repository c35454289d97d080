"""What a newcomer relies on: the scripts, the list of dependencies, and that the tree speaks of nothing but itself."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import tokenize
import tomllib
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "headworks"
CLIENTS = ROOT / "tests" / "clients"


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~;]", each)[0].strip().lower() for each in requirements}


def dependency_names() -> dict[str, set[str]]:
    """What is depended on, by the table of docs/decisions/dependencies.md that explains it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = [
        line for room in ("python", "scorers") for line in (CLIENTS / room / "requirements.in").read_text().splitlines()
    ]
    node = json.loads((CLIENTS / "node" / "package.json").read_text())["dependencies"]
    return {
        "At run time": names(project["dependencies"]),
        "Extras": {
            name
            for extra, wanted in project["optional-dependencies"].items()
            if extra != "dev"
            for name in names(wanted)
        },
        "For development": names(project["optional-dependencies"]["dev"]),
        "Clients in the tests' own environments": names([each for each in python if not each.startswith("#")])
        | names(list(node)),
    }


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    tables = {table.splitlines()[0]: table for table in page.split("\n## ")[1:]}
    explained = {
        heading: {name.lower() for name in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)}
        for heading, table in tables.items()
    }
    assert explained == dependency_names()


@pytest.mark.parametrize(
    "lock",
    [
        "requirements.lock",
        "requirements-dev.lock",
        "script/uv.lock",
        "tests/clients/python/requirements.lock",
        "tests/clients/scorers/requirements.lock",
    ],
)
def test_every_locked_package_has_a_hash_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for block in re.split(r"\n(?=\S)", text):
        if "==" in block and not block.startswith("#"):
            assert "--hash=sha256:" in block, block[:60]
    assert "://" not in text


def test_the_locks_agree_with_the_project() -> None:
    # Extras for frameworks that can't stand beside our dependencies are locked where tests run them.
    clients = [CLIENTS / room / "requirements.lock" for room in ("python", "scorers")]
    files = (ROOT / "requirements-dev.lock", *clients)
    locked = {
        each.lower() for file in files for each in re.findall(r"^([A-Za-z0-9_.-]+)==", file.read_text(), re.MULTILINE)
    }
    explained = dependency_names()
    ours = explained["At run time"] | explained["Extras"] | explained["For development"]
    missing = {name for name in ours if re.sub(r"[_.]", "-", name) not in locked}
    assert missing == set()


def test_the_clients_of_node_are_locked_by_hash_and_without_addresses() -> None:
    lock = json.loads((CLIENTS / "node" / "package-lock.json").read_text())
    project = json.loads((CLIENTS / "node" / "package.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert lock["packages"][""]["dependencies"] == project["dependencies"]
    assert {f"node_modules/{name}" for name in project["dependencies"]} <= packages.keys()
    for path, package in packages.items():
        assert package["integrity"].startswith("sha512-"), path
        assert "resolved" not in package, path


@pytest.mark.parametrize("script", ["bootstrap", "demo", "test", "check", "fix", "docs", "bench"])
def test_each_script_can_be_run_and_says_what_it_does(script: str) -> None:
    path = ROOT / "script" / script
    assert path.stat().st_mode & 0o111
    assert path.read_text().splitlines()[1].startswith("# ")


def test_the_landing_check_runs_the_test_command_of_the_readme() -> None:
    assert "script/test" in (ROOT / ".ci" / "run").read_text()
    assert "script/test" in (ROOT / "README.md").read_text()


def test_the_tree_speaks_of_nothing_but_itself() -> None:
    """No registry's host name stands anywhere, no path of somebody's machine, and nothing unfinished is left."""
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "registry" + ".npmjs", "deb" + ".debian.org"]
    unfinished = re.compile(r"\b(TODO|FIXME|XXX)\b")
    machine = re.compile(r"(?<![\w.-])/(work/|root/\.|home/\w+/)")
    guilty = []
    for path in tracked():
        if path.suffix in {".png", ".pdf", ".docx", ".json", ".onnx"} or path == Path(__file__):
            continue
        text = path.read_text(errors="replace")
        if any(host in text for host in hosts) or unfinished.search(text) or machine.search(text):
            guilty.append(str(path.relative_to(ROOT)))
    assert guilty == []


def public_objects_without_docstring(tree: ast.Module) -> list[str]:
    found = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None and not _is_overload(node):
            found.append(node.name)
    return found


def _is_overload(node: ast.stmt) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "overload" for each in getattr(node, "decorator_list", []))


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_and_every_public_object_says_what_it_is(path: Path) -> None:
    if "migrations" in path.parts:
        return
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert public_objects_without_docstring(tree) == []
    assert len(path.read_text().splitlines()) <= 600


def code_lines(text: str) -> int:
    """Lines of code: without empty ones, comments, docstrings and imports."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    filled = {line for each in tokens if each.string.strip() and each.type != tokenize.COMMENT for line in _lines(each)}
    aside = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_docstring(node)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return len(filled - aside)


def _lines(token: tokenize.TokenInfo) -> range:
    return range(token.start[0], token.end[0] + 1)


def _is_docstring(node: ast.AST) -> TypeGuard[ast.Expr]:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def test_the_statistics_stay_small_enough_to_be_read_whole() -> None:
    assert code_lines('"""Doc."""\nimport ast\n\nx = 1  # one\n') == 1
    assert sum(code_lines(path.read_text()) for path in (SOURCE / "statistics").glob("*.py")) <= 700
