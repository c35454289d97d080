from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_server import Server


def test_apply_and_diff_go_together(cli: Any, project: str, workspace: Callable[..., Path]) -> None:
    folder = workspace()
    words = (str(folder), "--project", project)
    before = cli("diff", *words, check=False)
    assert before.returncode == 1
    assert "+owner: tests" in before.stdout
    assert "+++ here/features/cli-asks/feature.yaml" in before.stdout
    assert "feature cli-asks: no release yet → " in before.stdout

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
        ({"collections/extra.yaml": "readers: []\ndeny: [temps]\n"}, "extra.yaml:2: `deny`: There is no principal"),
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


def test_a_folder_that_was_named_by_mistake_takes_nothing_away(
    cli: Any, tmp_path: Path, folder: Path, server: Server
) -> None:
    (tmp_path / "empty").mkdir()
    before = server.must("GET", "/api/workspace")
    for command, status in (("apply", 1), ("diff", 2)):
        for wrong, said in ((tmp_path / "empty", "no file of a workspace"), (folder, "None of these files belongs")):
            done = cli(command, str(wrong), check=False)
            assert (done.returncode, done.stdout) == (status, "")
            assert said in done.stderr
            assert "Name the folder that holds routes.yaml and features/." in done.stderr
    assert server.must("GET", "/api/workspace") == before


def test_an_unknown_project_lists_near_names(cli: Any, workspace: Callable[..., Path], project: str) -> None:
    done = cli("apply", str(workspace()), "--project", "clj", check=False)
    assert done.returncode == 1
    assert f"`{project}`" in done.stderr
