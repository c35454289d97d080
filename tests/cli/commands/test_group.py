from __future__ import annotations

from typing import Any


def test_groups_have_members_and_lose_them(cli: Any) -> None:
    group, jane = cli.name("g"), cli.name()
    cli.json("principal", "create", jane)
    assert cli("group", "create", group).stdout == f"Created the group `{group}`.\n"
    assert cli.json("group", "add", group, jane)["members"] == [jane]
    assert "with 1 in all" in cli("group", "add", group, jane).stdout
    assert next(row for row in cli.json("group", "list") if row["name"] == group)["members"] == [jane]
    assert group in cli("group", "list").stdout
    assert "no longer in" in cli("group", "remove", group, jane).stdout
    assert next(row for row in cli.json("group", "list") if row["name"] == group)["members"] == []


def test_an_unknown_group_lists_near_names(cli: Any) -> None:
    group = cli.name("clinicians")
    cli("group", "create", group)
    done = cli("group", "add", group[:-1] + "x", "admin", check=False)
    assert done.returncode == 1
    assert "Did you mean" in done.stderr
    assert group in done.stderr
