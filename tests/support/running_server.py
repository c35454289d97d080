"""A real server as users start it: `headworks up` in a process of its own, on a free port, with data of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

HEADWORKS = Path(sys.executable).with_name("headworks")
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.endswith("_API_KEY") and not name.startswith(("HEADWORKS_URL", "HEADWORKS_API", "DATABASE_URL"))
}
"""The environment without providers' keys: no test ever reaches one."""

READERS = "readers: [everyone]\n"
PROMPT = """---
inputs:
  question: {kind: string, from: question}
  history: {kind: array, from: history}
  passages: {kind: array, from: passages}
---
system:
Answer from the numbered passages and mark every claim with its number, like [2].
user:
{% for p in passages %}[{{ p.number }}] {{ p.title }}: {{ p.text }}
{% endfor %}
{{ question }}
"""
FEATURE = "owner: tests\nroute: default\nprompt: prompts/answer.prompty\nretrieval: {collection: docs, k: 5}\n"


@dataclass
class Server:
    """A running server and what it printed when it was ready."""

    process: subprocess.Popen[str]
    url: str
    admin_key: str
    claim_url: str
    data: Path
    log: Path
    environ: dict[str, str] = field(default_factory=dict)

    def api(
        self, method: str, path: str, body: object = None, *, key: str | None = None, raw: bytes | None = None
    ) -> Any:
        """Call the control plane; (status, JSON)."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, method=method)
        request.add_header("authorization", f"Bearer {key or self.admin_key}")
        if raw is None:
            request.add_header("content-type", "application/json")
        try:
            with urlopen(request, timeout=60) as response:
                text = response.read()
                return response.status, json.loads(text) if text else None
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def must(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        """As `api`, for what has to succeed."""
        status, answer = self.api(method, path, body, **more)
        assert status < 300, (status, answer)
        return answer

    def cli(self, *words: str, key: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command against this server."""
        environ = CLEAN | {"HEADWORKS_URL": self.url, "HEADWORKS_API_KEY": key or self.admin_key}
        done = subprocess.run(
            [HEADWORKS, *words], capture_output=True, text=True, env=environ, timeout=180, check=False
        )
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done

    def tree(self) -> list[psutil.Process]:
        """The supervisor and all its descendants."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def one(self, *words: str) -> psutil.Process:
        """The process whose command line holds all of these words."""
        return eventually(lambda: next((each for each in self.tree() if all(w in each.cmdline() for w in words)), None))

    def stop(self) -> int:
        """SIGTERM, as an operator would; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        if self.process.stdout:
            self.process.stdout.close()
        return status


def eventually(what: Callable[[], Any], limit_s: float = 30.0) -> Any:
    """The first true value, looked for again and again."""
    limit = time.monotonic() + limit_s
    while True:
        try:
            value = what()
        except (psutil.Error, OSError):
            value = None
        if value:
            return value
        assert time.monotonic() < limit, f"not within {limit_s} s"
        time.sleep(0.05)


def start_server(data: Path, workspace: Path | None = None, *more: str, **environ: str) -> Server:
    """`headworks up`, waited for; its log is shown when it fails."""
    data.mkdir(parents=True, exist_ok=True)
    log = data / "up.log"
    words = [str(HEADWORKS), "up", "--data", str(data / "data"), "--port", "0", "--json", *more]
    if workspace is not None:
        words += ["--workspace", str(workspace)]
    environ = CLEAN | {"HEADWORKS_PROVIDERS_PROBE_LOCAL": "false"} | environ
    with log.open("w") as errors:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ, cwd=data)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, log.read_text()
    ready = json.loads(line)
    return Server(
        process, ready["url"], ready.get("admin_key") or "", ready.get("claim_url") or "", data / "data", log, environ
    )


def write_workspace(folder: Path, **changed: str) -> Path:
    """A workspace with one collection `docs` and one feature `assistant` over it."""
    files = {
        "routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n",
        "collections/docs.yaml": READERS,
        "features/assistant/feature.yaml": FEATURE,
        "features/assistant/prompts/answer.prompty": PROMPT,
    } | {name.replace("__", "/"): text for name, text in changed.items()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a run that do not break it; names in it are made unique by the tests."""
    folder = tmp_path_factory.mktemp("server")
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    running = start_server(folder, write_workspace(folder / "workspace"))
    yield running
    assert running.stop() == 0, running.log.read_text()
