from __future__ import annotations

from typing import Any


def test_why_somebody_may_or_may_not_read_is_told(cli: Any) -> None:
    jane, group, outer = cli.name(), cli.name("g"), cli.name("g")
    cli.json("principal", "create", jane)
    for each in (group, outer):
        cli("group", "create", each)
    cli("group", "add", group, jane)
    assert f"`{group}` is in `{outer}`" in cli("group", "add", outer, group).stdout
    done = cli("permissions", "explain", jane, "there-is-none.md", check=False)
    assert done.returncode == 1
    assert "There is no document `there-is-none.md`" in done.stderr
    help_text = cli("permissions", "explain", "--help").stdout
    assert "headworks permissions explain jane board/merger.md" in help_text
