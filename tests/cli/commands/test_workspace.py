"""`init`, `apply` and `diff`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_server import CLEAN, HEADWORKS, Server, write_workspace

from headworks.cli.commands.diff import unified


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


def test_apply_and_diff_go_together(cli: Any, project: str, workspace: Callable[..., Path]) -> None:
    folder = workspace()
    words = (str(folder), "--project", project)
    before = cli("diff", *words, check=False)
    assert before.returncode == 1
    assert "+owner: tests" in before.stdout
    assert "+++ here/features/cli-asks/feature.yaml" in before.stdout
    assert "feature cli-asks: no release yet → sha256:" in before.stdout

    applied = cli("apply", *words)
    assert "cli-asks" in applied.stdout
    assert "prod" in applied.stdout
    assert "collections: cli-docs" in applied.stdout
    assert "moved" in applied.stdout

    same = cli("diff", *words)
    assert (same.returncode, same.stdout) == (0, "Nothing would change.\n")
    report = json.loads(cli("apply", *words, "--json").stdout)
    assert [(each["name"], each["moved"]) for each in report["features"]] == [("cli-asks", False)]

    prompt = folder / "features" / "cli-asks" / "prompts" / "answer.prompty"
    prompt.write_text(prompt.read_text().replace("Answer from", "Reply from"))
    changed = cli("diff", *words, "--json", check=False)
    assert changed.returncode == 1
    report = json.loads(changed.stdout)
    assert [(each["path"], each["kind"]) for each in report["files"]] == [
        ("features/cli-asks/prompts/answer.prompty", "changed")
    ]
    (feature,) = report["features"]
    assert feature["before"] != feature["after"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"routes.yaml": "routes:\n  cli-route:\n    targets: [builtin/extractive]\n    max_output: 5\n"},
            "routes.yaml:4: unknown key",
        ),
        ({"collections/extra.yaml": "readers: [evryone]\n"}, "Did you mean `everyone`?"),
        ({"policies/a.cedar": "permit;"}, "is not supported yet"),
        ({"routes.yaml": "routes: [\n"}, "routes.yaml:"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(
    cli: Any, project: str, workspace: Callable[..., Path], changed: dict[str, str], message: str
) -> None:
    folder = workspace(**changed)
    for command, status in (("apply", 1), ("diff", 2)):
        done = cli(command, str(folder), "--project", project, check=False)
        if (command, message) == ("diff", "Did you mean `everyone`?"):
            continue  # readers are looked up when they are declared
        assert done.returncode == status, done.stdout
        assert message in done.stderr
        assert done.stdout == ""


def test_a_folder_that_is_none_is_trouble(cli: Any, tmp_path: Path) -> None:
    done = cli("diff", str(tmp_path / "none"), check=False)
    assert done.returncode == 2
    assert "there is no such folder" in done.stderr
    done = cli("apply", str(tmp_path / "none"), check=False)
    assert done.returncode == 1
    assert "`headworks init` writes a workspace" in done.stderr


def test_an_unknown_project_lists_near_names(cli: Any, workspace: Callable[..., Path], project: str) -> None:
    done = cli("apply", str(workspace()), "--project", "clj", check=False)
    assert done.returncode == 1
    assert f"`{project}`" in done.stderr


def test_a_removed_file_is_a_diff_to_nothing() -> None:
    change = {"path": "a.yaml", "kind": "removed", "before": "x: 1\ny: 2\n", "after": ""}
    assert unified(change).splitlines() == ["--- applied/a.yaml", "+++ /dev/null", "@@ -1,2 +0,0 @@", "-x: 1", "-y: 2"]
