"""What one bad file, and what a bad server, does to a run; what goes well is in commands/test_ingest.py."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from running_server import CLEAN, HEADWORKS, eventually

from headworks.cli.at_once import AT_ONCE
from headworks.cli.client import Client
from headworks.cli.terminal import progress
from headworks.cli.uploading import Failed, Ingest, Outcome
from headworks.errors import Conflict, Forbidden, NotFound, Unauthenticated, Unavailable


class Scripted:
    """A collection that answers uploads by a script: path to (status, code)."""

    def __init__(self, script: dict[str, tuple[int, str]], known: dict[str, str]) -> None:
        self.script = script
        self.known = known
        self.received: dict[str, bytes] = {}
        self.seen: list[str] | None = None
        self.said_before = 0
        """So many bytes of an answer come before it waits for `goes_on`; 0: not even its head."""
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.url = ""

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        if method == "PUT":
            path = parse_qs(parts.query)["path"][0]
            self.received[path] = body
            status, code = self.script.get(path, (202, ""))
            return status, {"error": {"message": f"{code}.", "code": code}} if code else {"state": "queued"}
        if parts.path.endswith("/finish"):
            self.seen = orjson.loads(body)["seen"]
        if method == "POST" and parts.path.endswith("/syncs"):
            return 201, {"id": "s", "known": self.known}
        return 200, {"total": 0, "done": 0, "documents": 1, "chunks": 2, "failed": [], "notice": "Slow."}


@pytest.fixture
def scripted() -> Iterator[Any]:
    servers: list[ThreadingHTTPServer] = []

    def start(script: dict[str, tuple[int, str]] | None = None, known: dict[str, str] | None = None) -> Scripted:
        made = Scripted(script or {}, known or {})

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, answer = made.answer(self.command, self.path, body)
                content = orjson.dumps(answer)
                waits_s = 120 if self.command == "PUT" else 0
                if not made.said_before:
                    made.goes_on.wait(waits_s)
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: made.said_before])
                made.goes_on.wait(waits_s)
                self.wfile.write(content[made.said_before :])

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815 -- names of http.server

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                return  # the client has left

        server = Server(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        return made

    yield start
    for each in servers:
        each.shutdown()
        each.server_close()


def run(server: Scripted, *paths: Path, readers: tuple[str, ...] | None = None, **said: Any) -> Outcome:
    client = Client(server.url, "k")
    try:
        with progress() as bars:
            return Ingest(client, "docs", readers, waits=True, bars=bars, **said).run(paths)
    finally:
        client.close()


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_a_refused_file_is_noted_and_the_others_are_sent(tmp_path: Path, scripted: Any) -> None:
    files(tmp_path, "a.md", "b.md", "c.md")
    server = scripted({"b.md": (413, "body_too_large")})
    outcome = run(server, tmp_path)
    assert outcome.failed == [Failed("b.md", "body_too_large", "body_too_large.")]
    assert set(server.received) == {"a.md", "b.md", "c.md"}
    assert server.seen == ["a.md", "b.md", "c.md"]
    assert (outcome.sent, outcome.documents, outcome.chunks, outcome.notices) == (2, 1, 2, ["Slow."])


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthenticated), (403, Forbidden), (404, NotFound), (503, Unavailable)]
)
def test_what_is_wrong_with_everything_ends_the_run_and_nothing_vanishes(
    tmp_path: Path, scripted: Any, status: int, kind: type[Exception]
) -> None:
    files(tmp_path, *(f"{number}.md" for number in range(30)))
    server = scripted({"0.md": (status, "no")})
    with pytest.raises(kind):
        run(server, tmp_path)
    assert server.seen is None


@pytest.mark.parametrize("said_before", [0, 1])
def test_ctrl_c_ends_it_also_while_the_server_does_not_answer(tmp_path: Path, scripted: Any, said_before: int) -> None:
    files(tmp_path, *(f"{number}.md" for number in range(30)))
    server = scripted()
    server.said_before = said_before
    server.goes_on.clear()
    environ = CLEAN | {"HEADWORKS_URL": server.url, "HEADWORKS_API_KEY": "k"}
    process = subprocess.Popen(
        [HEADWORKS, "ingest", "docs", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
    )  # fmt: skip
    try:
        eventually(lambda: len(server.received) == AT_ONCE)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 130
        assert (len(server.received), server.seen) == (AT_ONCE, None)
    finally:
        process.kill()
        server.goes_on.set()


def test_what_the_server_has_is_not_sent(tmp_path: Path, scripted: Any) -> None:
    files(tmp_path, "a.md", "b.md")
    digest = "7b4f9f0a3a5b0c1e"
    server = scripted(known={"a.md": _sha256(b"a.md"), "b.md": digest})
    outcome = run(server, tmp_path)
    assert set(server.received) == {"b.md"}
    assert (outcome.sent, outcome.unchanged) == (1, 1)


def test_with_readers_or_metadata_everything_is_sent(tmp_path: Path, scripted: Any) -> None:
    files(tmp_path, "a.md")
    server = scripted(known={"a.md": _sha256(b"a.md")})
    assert run(server, tmp_path, readers=("x",)).sent == 1
    assert run(server, tmp_path, metadata={"year": 2024}).sent == 1
    assert run(server, tmp_path).sent == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_could_not_be_looked_at_does_not_vanish(tmp_path: Path, scripted: Any) -> None:
    files(tmp_path, "a.md", "shut/b.md")
    (tmp_path / "shut").chmod(0)
    server = scripted(known={"shut/b.md": "x", "gone.md": "x"})
    outcome = run(server, tmp_path)
    (tmp_path / "shut").chmod(0o700)
    assert [each.code for each in outcome.failed] == ["unreadable"]
    assert server.seen == ["a.md", "shut/b.md"]


def test_a_link_out_of_the_folder_keeps_what_the_server_has_of_it(tmp_path: Path, scripted: Any) -> None:
    folder = tmp_path / "in"
    files(folder, "a.md")
    (folder / "link.md").symlink_to("/etc/hostname")
    server = scripted(known={"link.md": "x", "gone.md": "x"})
    outcome = run(server, folder)
    assert [(each.path, each.code) for each in outcome.failed] == [("link.md", "outside_folder")]
    assert server.seen == ["a.md", "link.md"]


def test_a_folder_that_is_suddenly_empty_changes_nothing_unless_that_is_meant(tmp_path: Path, scripted: Any) -> None:
    files(tmp_path, "new.md")
    server = scripted(known={f"{at}.md": "x" for at in range(11)})
    with pytest.raises(Conflict, match=r"11 of 12 documents from here are gone; nothing .* --allow-deletions"):
        run(server, tmp_path)
    assert (server.received, server.seen) == ({}, None)
    assert run(server, tmp_path, allows_deletions=True).sent == 1
    assert server.seen == ["new.md"]


def test_a_path_that_is_not_there_is_said_before_anything_is_sent(tmp_path: Path, scripted: Any) -> None:
    files(tmp_path, "a.md")
    server = scripted()
    with pytest.raises(NotFound, match="none.md: there is no such file or folder"):
        run(server, tmp_path / "a.md", tmp_path / "none.md")
    assert server.received == {}


def test_single_files_keep_their_relative_path_and_lose_an_absolute_one(
    tmp_path: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files(tmp_path, "sub/a.md", "b.md")
    monkeypatch.chdir(tmp_path)
    server = scripted()
    run(server, Path("sub/a.md"), tmp_path / "b.md")
    assert set(server.received) == {"sub/a.md", "b.md"}
    assert server.seen is None


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
