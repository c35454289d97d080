"""The life of documents on a server that runs: failed, tried again, replaced, deleted, held, erased, accounted for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from running_server import eventually


def ingest(cli: Any, file: Path, *, status: int = 0) -> None:
    assert cli("ingest", "docs", str(file), "--json", check=False).returncode == status


def test_a_failure_is_listed_and_tried_again(cli: Any, tmp_path: Path, word: Callable[[int], str]) -> None:
    broken = tmp_path / f"{word(0)}.pdf"
    broken.write_bytes(b"%PDF-1.7 no more")
    ingest(cli, broken, status=1)
    done = cli("documents", "failed", "docs", check=False)
    assert done.returncode == 1
    assert f"{broken.name}\n    corrupt: " in done.stdout
    assert "headworks documents retry docs" in done.stdout
    assert cli("documents", "retry", "docs", "--path", broken.name).stdout == "1 file is queued again.\n"

    def has_failed_again() -> bool:
        rows = cli.server.must("GET", "/api/collections/docs/failed")["rows"]
        return any(row["path"] == broken.name for row in rows)

    eventually(has_failed_again)
    assert cli.json("documents", "retry", "docs", "--code", "bomb")["queued"] == 0
    done = cli("collections", "health", "docs", check=False)
    assert done.returncode == 1
    assert "! Files that could not be taken: " in done.stdout
    broken.write_text("now it is text, and still no PDF")
    assert any(row["name"] == "docs" for row in cli.json("collections", "list"))
    assert "docs" in cli("collections", "list").stdout


def test_versions_deletion_holds_and_erasure(cli: Any, tmp_path: Path, word: Callable[[int], str]) -> None:
    file = tmp_path / f"{word(0)}.md"
    for part in (1, 2):
        file.write_text(f"# Note\n\nThe {word(part)} waits.\n")
        ingest(cli, file)
    name = f"docs/{file.name}"
    new, old = cli.json("documents", "versions", name)
    assert (new["version"], old["version"], old["has_text"]) == (2, 1, True)
    assert word(1) in cli("documents", "versions", name, "--text", "1").stdout
    assert cli("documents", "versions", name).stdout.count("\n") == 3

    hold = cli.json("hold", "place", "--document", name, "--reason", "case 17")
    assert "case 17" in cli("hold", "list").stdout
    done = cli("erase", "--document", name, "--reason", "request 41", "--yes", check=False)
    assert done.returncode == 1
    assert "A legal hold stands on the document" in done.stderr
    assert f"headworks hold release {hold['hold']}" in done.stderr
    assert "Released" in cli("hold", "release", hold["hold"]).stdout
    assert cli("hold", "place", "--reason", "x", check=False).returncode == 1

    done = cli("erase", "--document", name, "--reason", "request 41", "--yes")
    assert "request 41" in done.stdout
    assert "document_text" in done.stdout
    assert "it comes back with the next sync" in done.stderr
    (receipt,) = [row for row in cli.json("receipt", "list") if row["subject"] == f"document:{hold['subject']}"]
    assert receipt["detail"]["rows"]["document_text"] == 2
    assert receipt["receipt"] in cli("receipt", "list").stdout
    assert "request 41" in cli("receipt", "show", receipt["receipt"]).stdout
    assert cli("receipt", "show", "nothing", check=False).returncode == 1
    assert "no document" in cli("documents", "versions", name, check=False).stderr


def test_what_is_deleted_vanishes_and_is_purged(cli: Any, tmp_path: Path, word: Callable[[int], str]) -> None:
    file = tmp_path / f"{word(0)}.md"
    file.write_text(f"# Note\n\nThe {word(1)} waits.\n")
    ingest(cli, file)
    assert cli("documents", "delete", "docs", file.name, "none.md").stdout == "1 of 2 vanished.\n"
    assert not any(word(1) in row["text"] for row in cli.json("search", "docs", word(1)))
    rows = cli.json("documents", "purge", "docs", "--now")
    assert sum(len(row["detail"]["documents"]) for row in rows) >= 1
    assert "Nothing is to be purged." in cli("documents", "purge", "docs").stdout


def test_a_file_of_a_folder_is_deleted_by_its_path_alone(cli: Any, tmp_path: Path, word: Callable[[int], str]) -> None:
    name = f"{word(0)}.md"
    (tmp_path / name).write_text(f"# Note\n\nThe {word(1)} waits.\n")
    ingest(cli, tmp_path)
    done = cli("documents", "delete", "docs", name, "--source", "upload")
    assert done.stdout == "0 of 1 vanished.\n"
    assert "was left out" in done.stderr
    assert cli("documents", "delete", "docs", name).stdout == "1 of 1 vanished.\n"


def test_a_person_is_erased(cli: Any) -> None:
    jane = cli.name("jane")
    cli("principal", "create", jane)
    done = cli("erase", "--person", jane, "--reason", "request 42", "--yes")
    assert "principal.name" in done.stdout
    assert jane not in done.stdout
    assert jane not in cli("principal", "list").stdout
    done = cli("erase", "--reason", "x", check=False)
    assert done.returncode == 1
    assert "Give --document or --person" in done.stderr


def test_who_lacks_the_permission_is_refused(cli: Any) -> None:
    joe = cli.name("joe")
    cli("principal", "create", joe)
    key = cli.json("key", "create", "--principal", joe)["token"]
    for words in (
        ["jobs", "list"],
        ["receipt", "list"],
        ["documents", "purge", "docs"],
        ["collections", "health", "docs"],
    ):
        done = cli(*words, key=key, check=False)
        assert done.returncode == 1
        assert "lacks the permission" in done.stderr


def test_an_answer_says_that_a_document_it_cites_is_past_its_review(
    cli: Any, tmp_path: Path, word: Callable[[int], str]
) -> None:
    file = tmp_path / f"{word(0)}.md"
    file.write_text(f"---\nreview_at: 2001-02-03\n---\n# Pay\n\nThe {word(1)} is paid within 12 days.\n")
    ingest(cli, file)
    question = f"Within how many days is the {word(1)} paid?"
    cited = cli.json("ask", "assistant", question)["citations"]
    assert {each.get("stale") for each in cited if word(1) in each["quote"]} == {"Its review was due on 2001-02-03."}
    assert "May be out of date: Its review was due on 2001-02-03." in cli("ask", "assistant", question).stdout
    assert cli("documents", "delete", "docs", file.name).stdout == "1 of 1 vanished.\n"
