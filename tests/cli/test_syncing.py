"""The command looks on while the server syncs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headworks.cli.client import Client
from headworks.cli.syncing import sync_sources
from headworks.cli.terminal import progress
from headworks.cli.uploading import Failed
from headworks.errors import NotFound


class Server(Client):
    """Says one thing after the other."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        super().__init__("http://127.0.0.1:1", "key")
        self.answers: Iterator[list[dict[str, Any]]] = iter(answers)
        self.asked: list[str] = []

    def get(self, path: str, **query: object) -> Any:
        del query
        self.asked.append(f"GET {path}")
        return {"rows": next(self.answers)}

    def post(self, path: str, body: object = None) -> Any:
        del body
        self.asked.append(f"POST {path}")
        return {"rows": next(self.answers)}


def row(state: str, done: int = 0, total: int = 0, trouble: str = "", **more: Any) -> dict[str, Any]:
    failed = more.pop("failed", [])
    counts = {"done": done, "total": total, "documents": done, "chunks": 2 * done, "failed": failed, "notice": ""}
    return {
        "source": "site", "kind": "web", "state": state, "trouble": trouble, "looked_at": done, "expected": None,
        "progress": counts, **more,
    }  # fmt: skip


def run(server: Server, *, waits: bool = True, **said: bool) -> Any:
    with progress() as bars:
        return sync_sources(server, "docs", waits=waits, bars=bars, **said)


def test_it_looks_on_until_everything_is_found() -> None:
    failed = [{"path": "x/a.html", "code": "empty", "message": "There is no text in it."}]
    server = Server([row("changes")], [row("sweep", 1, 3)], [row("done", 2, 3)], [row("done", 3, 3, failed=failed)])
    outcome = run(server)
    assert (outcome.documents, outcome.chunks, outcome.sent, outcome.unchanged) == (3, 6, 2, 1)
    assert outcome.failed == [Failed("x/a.html", "empty", "There is no text in it.")]
    assert not outcome.is_waiting
    assert server.asked == ["POST /api/collections/docs/sources/sync"] + ["GET /api/collections/docs/sources"] * 3


def test_a_sync_that_failed_is_named() -> None:
    outcome = run(Server([row("changes")], [row("failed", trouble="The site is out of reach.")]))
    assert outcome.failed == [Failed("site", "sync_failed", "The site is out of reach.")]


def test_only_who_says_so_confirms_what_was_held_back() -> None:
    for allows, asked in ((True, "?allow_deletions=true"), (False, "")):
        server = Server([row("done", 1, 1)])
        run(server, allows_deletions=allows)
        assert server.asked == [f"POST /api/collections/docs/sources/sync{asked}"]


def test_the_option_of_the_command_reaches_sources_and_folders(
    cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked, post = [], Client.post

    def asking(client: Client, path: str, body: object = None) -> Any:
        asked.append(path)
        return post(client, path, body)

    monkeypatch.setattr(Client, "post", asking)
    for options in ((), ("--allow-deletions",)):
        assert "names no sources" in cli("ingest", "docs", *options, check=False).stderr
    where = "/api/collections/docs/sources/sync"
    assert asked == [where, f"{where}?allow_deletions=true"]
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(f"The {name} of {tmp_path.name}.")
    cli("ingest", "docs", str(tmp_path))
    for name in ("a.md", "b.md"):
        (tmp_path / name).unlink()
    refused = cli("ingest", "docs", str(tmp_path), check=False)
    assert (refused.returncode, "2 of 2 documents from here are gone" in refused.stderr) == (1, True)
    assert cli.json("ingest", "docs", str(tmp_path), "--allow-deletions")["documents"] == 0


def test_nobody_waits_where_nobody_wants_to() -> None:
    server = Server([row("changes")])
    assert run(server, waits=False).is_waiting
    assert len(server.asked) == 1


def test_nobody_waits_for_what_is_paused() -> None:
    server = Server([row("changes", is_paused=True)])
    assert run(server).paused == ["docs/site"]
    behind = row("done", 1, 3)
    behind["progress"]["is_paused"] = True
    outcome = run(Server([behind]))
    assert (outcome.paused, outcome.is_waiting) == (["docs"], False)
    assert run(Server([row("done", is_paused=True)])).paused == [], "nothing waits there"
    server = Server([row("done", 1, 3, is_paused=True)], [row("done", 3, 3, is_paused=True)])
    assert run(server).paused == [], "what the sync has brought is read by the collection, which is not paused"
    assert len(server.asked) == 2


def test_a_collection_without_sources_is_said() -> None:
    with pytest.raises(NotFound, match="names no sources"):
        run(Server([]))
