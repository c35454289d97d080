"""What runs the gate in CI: the files are what their hosts read, and the script keeps one comment."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

FOLDER = Path(__file__).parents[2] / "integrations"
REPORT = "<!-- headworks-gate:claims -->\n## PASS\n"
COMMAND = """#!/usr/bin/env bash
[ "$STATUS" -gt 2 ] && exit "$STATUS"
while [ $# -gt 0 ]; do [ "$1" = --markdown ] && printf '%s' "$REPORT" > "$2"; shift; done
exit "$STATUS"
"""


class Forge:
    """A recorded API of comments: GitHub's, or GitLab's under `/merge_requests/`."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        forge = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"null")
                forge.seen.append((self.command, self.path.partition("?")[0], dict(self.headers.items())))
                said = json.dumps(forge.take(self.command, self.path, body)).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815 -- the library's names

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, method: str, path: str, body: Any) -> Any:
        if method == "GET":
            return self.comments if "page=1" in path.rsplit("&", maxsplit=1)[-1] else []
        if method == "POST":
            number = len(self.comments) + 1
            self.comments.append({"id": number, "body": body["body"], "url": f"{self.url}/comments/{number}"})
            return self.comments[-1]
        number = int(path.rpartition("/")[2])
        self.comments[number - 1]["body"] = body["body"]
        return self.comments[number - 1]


@pytest.fixture
def forge() -> Iterator[Forge]:
    made = Forge()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def run(folder: Path, url: str, status: int, report: str = REPORT, **more: str) -> int:
    program = folder / "headworks"
    program.write_text(COMMAND)
    program.chmod(0o755)
    environ = {"PATH": f"{folder}:{os.environ['PATH']}", "STATUS": str(status), "REPORT": report}
    environ |= {"HEADWORKS_RELEASE": "claims", "COMMENTS_URL": url, "COMMENT_TOKEN": "secret"} | more
    done = subprocess.run(["bash", FOLDER / "gate.sh"], cwd=folder, env=environ, timeout=60, check=False)
    return done.returncode


@pytest.mark.parametrize("place", ["/repos/a/b/issues/1/comments", "/projects/1/merge_requests/2/notes"])
def test_one_comment_is_made_and_then_changed(forge: Forge, tmp_path: Path, place: str) -> None:
    forge.comments.append({"id": 1, "body": "LGTM", "url": f"{forge.url}/comments/1"})
    assert run(tmp_path, forge.url + place, 0) == 0
    assert run(tmp_path, forge.url + place, 1, REPORT.replace("PASS", "FAIL")) == 1
    assert [each["body"] for each in forge.comments] == ["LGTM", REPORT.replace("PASS", "FAIL")]


@pytest.mark.parametrize("release", ["claims", "claims@staging"])
def test_where_there_is_no_verdict_no_earlier_one_is_left_standing(forge: Forge, tmp_path: Path, release: str) -> None:
    assert run(tmp_path, forge.url + "/comments", 0) == 0
    summary = tmp_path / "summary.md"
    more = {"HEADWORKS_RELEASE": release, "GITHUB_STEP_SUMMARY": str(summary)}
    assert run(tmp_path, forge.url + "/comments", 3, **more) == 3
    (comment,) = forge.comments
    mark, heading = comment["body"].splitlines()[:2]
    assert mark == REPORT.splitlines()[0]
    assert heading == f"## ERROR: the gate of {release} gave no verdict"
    assert "PASS" not in comment["body"]
    assert summary.read_text() == comment["body"]


def test_a_report_that_was_half_written_is_no_verdict(forge: Forge, tmp_path: Path) -> None:
    assert run(tmp_path, forge.url + "/comments", 1, "") == 1
    assert "ERROR" in forge.comments[0]["body"]


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_the_exit_status_is_the_verdicts(forge: Forge, tmp_path: Path, status: int) -> None:
    assert run(tmp_path, forge.url + "/comments", status) == status


def test_inconclusive_may_pass_where_somebody_says_so_and_a_failure_never_does(forge: Forge, tmp_path: Path) -> None:
    assert run(tmp_path, forge.url + "/comments", 2, HEADWORKS_INCONCLUSIVE="pass") == 0
    assert run(tmp_path, forge.url + "/comments", 1, HEADWORKS_INCONCLUSIVE="pass") == 1


def test_a_comment_that_is_refused_changes_no_verdict(tmp_path: Path) -> None:
    assert run(tmp_path, "http://127.0.0.1:9/comments", 0) == 0


def test_the_files_of_github_and_gitlab_are_what_they_read() -> None:
    action = YAML(typ="safe").load(FOLDER / "github" / "action.yml")
    assert action["runs"]["using"] == "composite"
    used = {each for step in action["runs"]["steps"] for each in step["env"]}
    assert {"HEADWORKS_URL", "HEADWORKS_API_KEY", "HEADWORKS_RELEASE", "COMMENT_TOKEN", "COMMENTS_URL"} <= used
    job = YAML(typ="safe").load(FOLDER / "gitlab" / "headworks-gate.yml")["headworks-gate"]
    assert job["artifacts"]["reports"]["junit"] == "headworks-gate.xml"
