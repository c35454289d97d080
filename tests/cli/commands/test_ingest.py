"""Documents in, on a server that runs."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_server import CLEAN, HEADWORKS, Server, eventually, has_a_socket


def found_text(cli: Any, *words: str) -> str:
    return " ".join(row["text"] for row in cli.json("search", "docs", " ".join(words), "--k", "20"))


def ingest(cli: Any, *words: str, status: int = 0) -> dict[str, Any]:
    done = cli("ingest", "docs", *words, "--json", check=False)
    assert done.returncode == status, done
    found = json.loads(done.stdout)
    assert sorted(found) == ["chunks", "documents", "failed", "is_waiting", "paused"]
    assert (found["is_waiting"], found["paused"]) == (False, [])
    return dict(found)


def test_a_folder_is_ingested_and_found_and_cited(cli: Any, folder: Path, word: Callable[[int], str]) -> None:
    found = ingest(cli, str(folder))
    assert (found["documents"], found["failed"]) == (3, [])
    assert found["chunks"] >= 3

    rows = cli.json("search", "docs", word(1), "--k", "2")
    assert 1 <= len(rows) <= 2
    assert sorted(rows[0]) == sorted(["document", "title", "path", "chunk", "score", "start", "end", "text"])
    assert word(1) in rows[0]["text"]
    assert len(rows[0]["text"]) == rows[0]["end"] - rows[0]["start"]
    said = cli("search", "docs", word(1)).stdout
    assert "[1] One" in said
    assert word(1) in said

    question = f"Within how many days is the {word(1)} paid?"
    answer = cli.json("ask", "assistant", question)
    assert sorted(answer) == ["answer", "citations", "grounding", "release", "trace"]
    assert "12 days" in answer["answer"]
    cited = answer["citations"][0]
    assert sorted(cited) == sorted(["document", "title", "start", "end", "quote"])
    assert cited["quote"] in answer["answer"]
    stored = cli.server.must("GET", f"/api/documents/{cited['document']}")
    assert stored["text"][cited["start"] : cited["end"]] == cited["quote"]
    assert answer["release"].startswith("sha256:")

    done = cli("ask", "assistant", question)
    assert "12 days" in done.stdout
    assert "[1] One" in done.stdout
    assert "headworks trace show " in done.stderr


def test_only_what_changed_is_sent_again_and_what_is_gone_vanishes(
    cli: Any, folder: Path, word: Callable[[int], str]
) -> None:
    ingest(cli, str(folder))
    assert "0 sent, 3 unchanged, 0 failed" in cli("ingest", "docs", str(folder)).stdout
    (folder / "one.md").write_text(f"# One\n\nNow {word(4)}.\n")
    (folder / "two.html").unlink()
    said = cli("ingest", "docs", str(folder)).stdout
    assert said.startswith("2 documents in ")
    assert "1 sent, 1 unchanged, 0 failed" in said
    assert word(4) in found_text(cli, word(4))
    assert word(2) not in found_text(cli, word(2))


def test_what_fails_is_named_with_its_code_and_the_rest_goes_on(cli: Any, folder: Path) -> None:
    (folder / "empty.md").write_text("")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (folder / "out.md").symlink_to("/etc/hostname")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    found = ingest(cli, str(folder), status=1)
    assert found["documents"] == 3
    codes = {each["path"]: each["code"] for each in found["failed"]}
    assert codes == {
        "empty.md": "empty",
        "broken.pdf": "corrupt",
        "out.md": "outside_folder",
        "picture.png": "needs_ocr",
    }
    assert all(each["message"] for each in found["failed"])
    done = cli("ingest", "docs", str(folder), check=False)
    assert done.returncode == 1
    assert "  out.md\n    outside_folder: The link leads out of the folder" in done.stdout


def test_a_file_whose_name_is_no_path_is_one_more_that_failed(
    cli: Any, folder: Path, word: Callable[[int], str]
) -> None:
    (folder / "new\nline.md").write_text("# New\n")
    (folder / "empty.md").write_text("")
    done = cli("ingest", "docs", str(folder), check=False)
    assert done.returncode == 1
    assert "3 documents in " in done.stdout
    assert "4 sent, 0 unchanged, 2 failed." in done.stdout
    assert "\n  new\\nline.md\n    path: 'new\\nline.md' is not a path of a document." in done.stdout
    assert "\n  empty.md\n    empty: " in done.stdout
    (folder / "one.md").unlink()
    cli("ingest", "docs", str(folder), check=False)
    assert word(1) not in found_text(cli, word(1)), "the pass came to its end: what is gone vanished"


def test_single_files_are_uploads_and_do_not_push_each_other_out(
    cli: Any, folder: Path, word: Callable[[int], str]
) -> None:
    assert ingest(cli, str(folder / "one.md"))["documents"] >= 1
    (folder / "other.md").write_text(f"# Other\n\nThe {word(5)}.\n")
    ingest(cli, str(folder / "other.md"))
    assert word(5) in found_text(cli, word(5))
    assert word(1) in found_text(cli, word(1))


def test_readers_of_an_upload_shut_others_out(cli: Any, folder: Path, word: Callable[[int], str]) -> None:
    group = cli.name("g")
    cli.json("group", "create", group)
    ingest(cli, str(folder / "one.md"), "--readers", group)
    assert word(1) not in found_text(cli, word(1))
    cli.json("group", "add", group, "admin")
    assert word(1) in found_text(cli, word(1))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere", "."), "There is no collection `nowhere`."),
        (("docs", "no-such-file.md"), "no-such-file.md: there is no such file or folder."),
        (("docs", ".", "--readers", "evryone"), "Did you mean `everyone`?"),
        (("docs",), "The file of the collection `docs` names no sources."),
        (("docs", "--readers", "everyone"), "--readers is for files"),
    ],
)
def test_what_can_not_be_ingested_is_said(
    cli: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(folder)
    done = cli("ingest", *words, check=False)
    assert done.returncode == 1
    assert message in done.stderr + done.stdout


def test_a_source_of_the_file_is_synced_by_the_server_and_what_is_wrong_with_it_is_said(
    cli: Any, server: Server, tmp_path: Path
) -> None:
    server.api("POST", "/api/projects", {"name": "sites"})  # its own, so that the workspace of others stays
    file = tmp_path / "workspace" / "collections" / "intranet-pages.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("readers: [everyone]\nsources:\n  - {name: intranet, web: 'http://127.0.0.1:9/'}\n")
    cli("apply", str(tmp_path / "workspace"), "--project", "sites")
    done = cli("ingest", "intranet-pages", "--json", check=False)
    assert done.returncode == 1
    [failed] = json.loads(done.stdout)["failed"]
    assert (failed["path"], failed["code"]) == ("intranet", "sync_failed")
    assert "`fetch_private_hosts` may name it" in failed["message"]


def test_what_is_said_of_files_is_what_filters_ask_for(cli: Any, folder: Path, word: Callable[[int], str]) -> None:
    ingest(cli, str(folder))
    ingest(cli, str(folder), "--metadata", "year=2024", "--metadata", "team=claims", "--metadata", "team=appeals")
    for where, is_there in (("year >= 2024 and team = 'appeals'", True), ("year < 2024", False)):
        rows = cli.json("search", "docs", word(1), "--where", where)
        assert bool([row for row in rows if word(1) in row["text"]]) == is_there
    assert cli("ingest", "docs", str(folder), "--metadata", "year", check=False).returncode == 1
    assert "--metadata is for files" in cli("ingest", "docs", "--metadata", "a=b", check=False).stderr
    said = cli("ingest", "docs", str(folder), "--metadata", "path=x", check=False).stdout
    assert "`metadata.path` can't be set: it is a fact of the document itself." in said


def test_nobody_waits_with_no_wait(cli: Any, folder: Path, word: Callable[[int], str]) -> None:
    cli("ingest", "docs", str(folder), "--no-wait")
    eventually(lambda: word(3) in found_text(cli, word(3)))


def test_nobody_waits_for_a_collection_that_is_paused(cli: Any, server: Server, folder: Path, tmp_path: Path) -> None:
    server.api("POST", "/api/projects", {"name": "pauses"})  # its own, so that the workspace of others stays
    file = tmp_path / "workspace" / "collections" / "resting.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("readers: [everyone]\n")
    cli("apply", str(tmp_path / "workspace"), "--project", "pauses")
    cli("jobs", "pause", "resting")
    for path in (folder, folder / "one.md"):
        done = cli("ingest", "resting", str(path))
        assert "`resting` is paused: " in done.stderr
        assert "`headworks jobs resume resting`" in done.stderr
        assert "sent" in done.stdout
    told = json.loads(cli("ingest", "resting", str(folder), "--json").stdout)
    assert (told["is_waiting"], told["paused"]) == (True, ["resting"])
    health = cli("collections", "health", "resting", check=False)
    assert health.returncode == 1
    assert "Work on `resting` is paused. 4 files wait." in health.stdout
    assert "headworks jobs resume resting" in health.stdout
    cli("jobs", "resume", "resting")
    again = cli("ingest", "resting", str(folder))
    assert "0 sent, 3 unchanged, 0 failed" in again.stdout
    assert "paused" not in again.stderr
    assert "paused" not in cli("collections", "health", "resting", check=False).stdout


def test_an_interrupted_ingest_goes_on_where_it_stopped(cli: Any, tmp_path: Path, server: Server) -> None:
    home = tmp_path / "many"
    home.mkdir()
    for number in range(40):
        (home / f"{number:02}.md").write_text(f"# {number}\n\nRule {number} of {tmp_path.name}.\n")
    environ = CLEAN | {"HEADWORKS_URL": server.url, "HEADWORKS_API_KEY": server.admin_key}
    process = subprocess.Popen(
        [HEADWORKS, "ingest", "docs", str(home)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
    )  # fmt: skip
    eventually(lambda: has_a_socket(process.pid))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in {130, 0}  # it may have been quick
    assert errors == ""
    found = ingest(cli, str(home))
    assert (found["documents"], found["failed"]) == (40, [])
