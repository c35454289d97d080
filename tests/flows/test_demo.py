"""`headworks demo` on a folder that this test invents: nothing in the program knows what it is shown."""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docx
import psutil
import pytest
from running_server import CLEAN, HEADWORKS, eventually

SEED = 20_261_122
SYLLABLES = ["ba", "dor", "fi", "gul", "ken", "lor", "mi", "nas", "pel", "qua", "rin", "sto", "tev", "vum", "zal"]


@dataclass(frozen=True)
class Folder:
    """Documents of random words. `canary` stands in the restricted one and nowhere else."""

    home: Path
    restricted: str
    canary: str
    headings: frozenset[str]


class Words:
    """Random words, none of them twice."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- no secret
        self._given: set[str] = set()

    def word(self) -> str:
        while True:
            word = "".join(self._random.choice(SYLLABLES) for _ in range(self._random.randint(3, 4)))
            if word not in self._given:
                self._given.add(word)
                return word

    def heading(self) -> str:
        return f"{self.word().capitalize()} {self.word()} {self.word()}"

    def sentence(self, about: str) -> str:
        return f"The {about.lower()} is {self.word()} of {self.word()} after {self._random.randint(3, 99)} days."


def write(path: Path, title: str, parts: list[tuple[str, str]]) -> None:
    """One document in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".docx":
        document = docx.Document()
        document.add_heading(title, 0)
        for heading, text in parts:
            document.add_heading(heading, 1)
            document.add_paragraph(text)
        document.save(str(path))
    elif path.suffix == ".html":
        body = "".join(f"<h2>{heading}</h2><p>{text}</p>" for heading, text in parts)
        path.write_text(f"<html><head><title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>")
    else:
        path.write_text(f"# {title}\n\n" + "\n".join(f"## {heading}\n\n{text}\n" for heading, text in parts))


def make_folder(home: Path, names: list[str], restricted: str) -> Folder:
    words = Words(SEED)
    headings = []
    canary = words.word() + words.word()
    for name in names:
        parts = []
        for _ in range(3):
            heading = words.heading()
            text = words.sentence(heading) + (f" Its sign is {canary}." if name == restricted else "")
            parts.append((heading, text))
        headings += [heading for heading, _ in parts]
        write(home / name, words.heading(), parts)
    return Folder(home, restricted, canary, frozenset(headings))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user may pass through, as the database's own needs when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="headworks-demo-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def demo(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HEADWORKS, "demo", "--port", "0", *words],
        capture_output=True, text=True, env=CLEAN | environ, timeout=240, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(place: Path) -> Folder:
    names = ["a.md", "b.html", "c.docx", "sub/d.md", "z-last.docx"]
    return make_folder(place / "documents", names, "z-last.docx")


@pytest.fixture(scope="module")
def told(place: Path, folder: Folder) -> dict[str, Any]:
    """What `--json` prints of a first run."""
    done = demo("--documents", str(folder.home), "--data", str(place / "data"), "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return dict(json.loads(done.stdout))


def test_it_reads_asks_and_cites(told: dict[str, Any], folder: Folder) -> None:
    assert (told["documents"], told["failed"]) == (5, [])
    assert told["chunks"] >= 5
    assert told["model"] == "builtin/extractive"
    assert len(told["answers"]) == 3
    for each in told["answers"]:
        assert each["question"] in folder.headings
        assert each["answer"].startswith("Closest passages")
        assert each["citations"]
        assert all(cited["quote"] in each["answer"] for cited in each["citations"])
        assert sorted(each["citations"][0]) == ["document", "end", "quote", "start", "title"]
        assert each["release"].startswith("sha256:")
        assert each["trace"]


def test_one_key_cites_the_restricted_document_the_other_can_not_tell_that_it_exists(
    told: dict[str, Any], folder: Folder
) -> None:
    restricted = told["restricted"]
    assert restricted["document"] == folder.restricted
    assert restricted["question"] in folder.headings
    assert restricted["question"] in restricted["member"]["answer"] or restricted["member"]["citations"]
    own, other = json.dumps(restricted["member"]), json.dumps(restricted["other"])
    secret = {each["document"] for each in restricted["member"]["citations"]}
    assert secret
    assert folder.canary in own or restricted["question"].lower().split()[0] in own
    assert folder.canary not in other
    assert not secret & {each["document"] for each in restricted["other"]["citations"]}
    assert folder.restricted not in other
    assert restricted["question"].lower() not in restricted["other"]["answer"].lower()


def test_the_administrator_is_told_why(told: dict[str, Any]) -> None:
    may, may_not = told["restricted"]["explanations"]
    assert (may["may_read"], may_not["may_read"]) == (True, False)
    assert may["principal"] == told["restricted"]["member"]["principal"]
    assert "insiders" in may_not["reason"]


def test_the_waterfall_and_the_address_are_there(told: dict[str, Any]) -> None:
    assert told["trace"]["trace"] == told["answers"][0]["trace"]
    assert {"request", "retrieve"} <= {span["name"] for span in told["trace"]["spans"]}
    assert told["claim_url"].startswith(f"{told['url']}/claim/")
    assert told["first_answer_s"] > 0


def test_told_to_people_it_goes_on_from_the_first_run_and_ends_at_ctrl_c(
    told: dict[str, Any], place: Path, folder: Folder
) -> None:
    assert told
    log = place / "told.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [HEADWORKS, "demo", "--port", "0", "--documents", folder.home, "--data", place / "data"],
            stdout=out, stderr=subprocess.STDOUT, env=CLEAN,
        )  # fmt: skip
        eventually(lambda: "stop   Ctrl-C" in log.read_text() or process.poll() is not None, 120)
        tree = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    text = log.read_text()
    words = " ".join(text.split())  # lines are broken at the terminal's width
    assert "0 new or changed, 5 as they were" in words
    assert "three headings found in the folder are asked" in words
    assert "(a heading of " in words
    assert "Closest passages:" in words
    assert f"{folder.restricted} may be read only by the group `insiders`." in words
    assert "Why, as only an administrator may ask:" in text
    assert "retrieve" in text
    assert "█" in text
    assert "/claim/hwclaim_" in text
    assert text.rstrip().splitlines()[-1].startswith("Stopped.")
    assert "Traceback" not in text
    asked_by_other = text.partition("tom asks:")[2].partition("Why, as only")[0]
    assert asked_by_other
    assert folder.canary not in asked_by_other
    eventually(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in tree), 20)


def test_questions_and_the_restricted_document_can_be_chosen(place: Path, folder: Folder) -> None:
    """The document that was open in the run before is closed, and the other way round."""
    question = min(folder.headings)
    done = demo(
        "--documents", str(folder.home), "--data", str(place / "data"), "--json",
        "--restrict", "a.md", "--ask", question, "--ask", "Another one?",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [each["question"] for each in told["answers"]] == [question, "Another one?"]
    assert told["restricted"]["document"] == "a.md"
    assert [each["may_read"] for each in told["restricted"]["explanations"]] == [True, False]


def test_interrupted_in_the_middle_it_ends_with_130_and_leaves_nothing_running(place: Path, folder: Folder) -> None:
    log = place / "interrupted.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [HEADWORKS, "demo", "--port", "0", "--documents", folder.home, "--data", place / "data"],
            stdout=out, stderr=subprocess.STDOUT, env=CLEAN,
        )  # fmt: skip
        eventually(lambda: "Reading the documents" in log.read_text() or process.poll() is not None, 120)
        tree = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        status = process.wait(90)
    text = log.read_text()
    assert status in {130, 0}, text  # it may have been quick
    assert "Traceback" not in text
    assert "error:" not in text
    eventually(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in tree), 20)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--documents", "{none}"), 1, "there is no such folder"),
        (("--documents", "{one}"), 1, "holds 1 document that can be read. The demo needs two"),
        (("--documents", "{home}", "--restrict", "none.md"), 1, "none.md is no document in"),
        (("--restrict", "a.md"), 2, "give it together with --documents"),
        (("--documents", "{home}", "--port", "70000"), 2, "--port"),
    ],
)
def test_what_can_not_be_shown_is_said(
    tmp_path: Path, folder: Folder, words: tuple[str, ...], status: int, message: str
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.md").write_text("# A\n")
    places = {"none": tmp_path / "none", "one": tmp_path / "one", "home": folder.home}
    done = demo(*(word.format(**places) for word in words), "--data", str(tmp_path / "data"))
    assert done.returncode == status, done.stdout + done.stderr
    assert message in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_said(tmp_path: Path, folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = demo("--documents", str(folder.home), "--data", str(tmp_path / "data"), "--port", port)
    assert done.returncode == 2
    assert f"Can't listen on 127.0.0.1:{port}" in done.stderr


def test_a_restricted_document_that_can_not_be_read_is_said(place: Path) -> None:
    home = place / "broken"
    make_folder(home, ["a.md", "b.md"], "b.md")
    (home / "c.pdf").write_bytes(b"%PDF-1.7 nothing")
    done = demo("--documents", str(home), "--data", str(place / "broken-data"), "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "c.pdf, which is to be restricted, can't be read. Name another with --restrict." in done.stderr


def test_the_data_of_another_server_is_left_alone(told: dict[str, Any], place: Path, folder: Folder) -> None:
    assert told["url"]
    key = place / "data" / "demo-key"
    kept = key.rename(place / "kept-key")
    try:
        done = demo("--documents", str(folder.home), "--data", str(place / "data"), "--json")
    finally:
        kept.rename(key)
    assert done.returncode == 2
    assert "holds a server that this demo did not start" in done.stderr
