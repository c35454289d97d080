from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_server import Server

from headworks.cli.client import Client
from headworks.cli.demo.corpus import Corpus, Restricted
from headworks.cli.demo.questions import explain, find_questions, find_restricted_question
from headworks.cli.terminal import progress
from headworks.cli.uploading import Ingest
from headworks.errors import HeadworksError


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with contextlib.closing(Client(server.url, server.admin_key)) as made:
        yield made


def corpus_of(folder: Path, restricted: str, question: str = "") -> Corpus:
    secret = Restricted(restricted, "administrators", "admin", "nobody", question)
    return Corpus("mine", folder, {}, "assistant", "docs", (), secret)


def ingest(client: Client, folder: Path) -> None:
    with progress() as bars:
        Ingest(client, "docs", None, waits=True, bars=bars).run([folder])


def test_headings_of_what_the_server_stored_are_asked(client: Client, tmp_path: Path) -> None:
    headings = {"a.md": "When sturgeons migrate", "b.md": "Where the herons nest", "c.md": "Why eels turn"}
    for name, heading in headings.items():
        (tmp_path / name).write_text(f"# Rivers\n\n## {heading}\n\nThey do so in spring, {tmp_path.name}.\n")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    ingest(client, tmp_path)
    corpus = corpus_of(tmp_path, "c.md")
    assert [(each.text, each.origin) for each in find_questions(client, corpus)] == [
        ("When sturgeons migrate", "a heading of a.md"),
        ("Where the herons nest", "a heading of b.md"),
    ]
    assert find_restricted_question(client, client, corpus).text == "Why eels turn"
    assert find_restricted_question(client, client, corpus_of(tmp_path, "c.md", "Mine?")).text == "Mine?"
    assert explain(client, corpus, "a.md", "admin")["may_read"] is True


def test_a_folder_of_which_nothing_can_be_read_is_said(client: Client, tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (tmp_path / "worse.pdf").write_bytes(b"%PDF-1.7 nothing")
    with pytest.raises(HeadworksError, match="No document in .* could be read but the restricted one"):
        find_questions(client, corpus_of(tmp_path, "worse.pdf"))
