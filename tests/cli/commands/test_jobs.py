"""Durable work on a server that runs: what is paused waits, also what is handed in later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from running_server import eventually


def is_found(cli: Any, word: str) -> bool:
    return any(word in row["text"] for row in cli.json("search", "docs", word))


def waiting(cli: Any) -> list[dict[str, Any]]:
    """The runs of the collection that have not ended."""
    return [row["run"] for row in cli.json("jobs", "list")["rows"] if row["lane"] == "docs"]


def test_a_paused_collection_takes_files_and_works_on_them_later(
    cli: Any, tmp_path: Path, word: Callable[[int], str]
) -> None:
    file = tmp_path / f"{word(0)}.md"
    file.write_text(f"# Note\n\nThe {word(1)} waits.\n")
    eventually(lambda: not waiting(cli))  # others use the collection, too
    assert cli("jobs", "pause", "docs").stdout.startswith("docs: paused, with ")
    try:
        assert "`docs` is paused" in cli("ingest", "docs", str(file)).stderr
        done = cli("jobs", "list")
        assert "docs: paused, 1 file waits" in done.stdout
        (run,) = waiting(cli)
        assert run["state"] == "paused"
        assert run["run"] in done.stdout
        assert "paused: ingest in docs" in cli("jobs", "show", run["run"]).stdout
        assert not is_found(cli, word(1))
    finally:
        assert cli("jobs", "resume", "docs").stdout.startswith("docs: goes on, with ")
    eventually(lambda: is_found(cli, word(1)))
    assert run["run"] in {row["run"]["run"] for row in cli.json("jobs", "list", "--all")["rows"]}


def test_a_cancelled_run_is_tried_again(cli: Any, tmp_path: Path, word: Callable[[int], str]) -> None:
    file = tmp_path / f"{word(0)}.md"
    file.write_text(f"# Note\n\nThe {word(1)} waits.\n")
    eventually(lambda: not waiting(cli))
    cli("jobs", "pause", "docs")
    try:
        cli("ingest", "docs", str(file), "--no-wait")
        run = waiting(cli)[0]["run"]
        assert cli("jobs", "cancel", run).stdout == f"{run} is cancelled.\n"
        assert "cancelled already" in cli("jobs", "cancel", run, check=False).stderr
    finally:
        cli("jobs", "resume", "docs")
    assert cli("jobs", "retry", run).stdout == f"{run} is queued.\n"
    eventually(lambda: is_found(cli, word(1)))


def test_an_unknown_lane_or_run_is_said_to_be_none(cli: Any) -> None:
    assert "no collection `dosc`" in cli("jobs", "pause", "dosc", check=False).stderr
    assert "no source `wiki`" in cli("jobs", "pause", "docs/wiki", check=False).stderr
    assert "not paused" in cli("jobs", "resume", "docs", check=False).stderr
    assert "no such run" in cli("jobs", "show", "nothing", check=False).stderr
