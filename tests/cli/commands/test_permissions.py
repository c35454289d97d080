from __future__ import annotations

from pathlib import Path
from typing import Any


def test_why_somebody_may_or_may_not_read_is_told(cli: Any, tmp_path: Path) -> None:
    jane, group, outer = cli.name(), cli.name("g"), cli.name("g")
    cli.json("principal", "create", jane)
    for each in (group, outer):
        cli("group", "create", each)
    cli("group", "add", group, jane)
    assert f"`{group}` is in `{outer}`" in cli("group", "add", outer, group).stdout
    done = cli("permissions", "explain", jane, "there-is-none.md", check=False)
    assert done.returncode == 1
    assert "There is no document `there-is-none.md`" in done.stderr
    (tmp_path / f"{jane}.md").write_text("# Note\n\nIt is there.\n")
    cli("ingest", "docs", str(tmp_path / f"{jane}.md"))
    told = [cli("permissions", "explain", jane, name).stdout for name in (f"{jane}.md", f"docs/{jane}.md")]
    assert f"{jane} may read {jane}.md in docs" in told[0]
    assert told[0] == told[1]
    help_text = cli("permissions", "explain", "--help").stdout
    assert "headworks permissions explain jane board/merger.md" in help_text
