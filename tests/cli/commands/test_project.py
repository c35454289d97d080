from __future__ import annotations

from typing import Any


def test_a_project_is_created_listed_and_applied_to(cli: Any, workspace: Any) -> None:
    name = cli.name("project")
    assert cli("project", "create", name).stdout == f"Created the project `{name}`.\n"
    assert {"default", name} <= {row["name"] for row in cli.json("project", "list")}
    assert name in cli("project", "list").stdout
    folder = str(workspace())
    assert cli("diff", folder, "--project", name, check=False).returncode == 1
    assert "There is no project `no-project`" in cli("diff", folder, "--project", "no-project", check=False).stderr


def test_a_name_that_is_taken_or_none_is_said(cli: Any) -> None:
    done = cli("project", "create", "default", check=False)
    assert done.returncode == 1
    assert "There is already a project `default`" in done.stderr
    assert "is not a name for a project" in cli("project", "create", "No Name", check=False).stderr
