"""A real server as users start it: `headworks up` in a process of its own, on a free port, with data of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
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
    tenant: str = ""
    """The id of the tenant that `as_tenant` has made."""

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

    def as_tenant(self, name: str) -> Server:
        """The same server as the owner of a new tenant sees it: nothing that another test makes is there."""
        made = self.must("POST", "/api/tenants", {"name": name})
        return replace(self, admin_key=made["admin_key"], claim_url=made["claim_url"], tenant=made["id"])

    def apply(self, files: Mapping[str, str], **more: Any) -> Any:
        """Make the workspace of the project `default` be these files."""
        return self.must("POST", "/api/workspace/apply", {"files": dict(files)}, **more)

    def key_of(self, who: str, member_of: Iterable[str] = (), roles: Iterable[str] = (), **limits: Any) -> str:
        """A new key of a user, who is made with these groups and roles if there is none of that name yet.

        `limits` are the key's own: groups, permissions, models, expires, name.
        """
        if self.api("GET", f"/api/principals/{who}")[0] == 404:
            self.must("POST", "/api/principals", {"name": who, "groups": list(member_of), "roles": list(roles)})
        return str(self.must("POST", "/api/keys", {"principal": who, **limits})["token"])

    def hand_in(
        self, collection: str, path: str, content: str | bytes, readers: str | None = None, key: str | None = None
    ) -> Any:
        """Hand in one document; `worked_on` waits until it is searchable."""
        query = {"path": path} | ({} if readers is None else {"readers": readers})
        data = content.encode() if isinstance(content, str) else content
        return self.must("PUT", f"/api/collections/{collection}/documents?{urlencode(query)}", raw=data, key=key)

    def worked_on(self, collection: str, *, key: str | None = None) -> Any:
        """The progress of all that this key's principal handed in, once it is worked on."""

        def look() -> Any:
            found = self.must("GET", f"/api/collections/{collection}/progress", key=key)
            return found if found["done"] == found["total"] else None

        return eventually(look, 60)

    def trace(self, trace: str, key: str | None = None) -> Any:
        """A trace, once the record of its answer has arrived."""

        def look() -> Any:
            status, found = self.api("GET", f"/api/traces/{trace}", key=key)
            return found if status == 200 and found["usage"]["surface"] != "internal" else None

        return eventually(look)

    def ask(self, model: str, question: str | list[dict[str, str]], key: str | None = None, **more: Any) -> Any:
        """A chat completion as JSON; (status, body, headers)."""
        messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
        return self.post("/v1/chat/completions", {"model": model, "messages": messages, **more}, key)

    def post(self, path: str, body: object, key: str | None = None) -> Any:
        """As `api` with POST, and with the answer's headers."""
        request = Request(self.url + path, json.dumps(body).encode(), method="POST")
        request.add_header("authorization", f"Bearer {key or self.admin_key}")
        request.add_header("content-type", "application/json")
        try:
            with urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read()), dict(response.headers)
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read()), dict(error.headers)

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
        status = self.process.wait(120)
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


def has_a_socket(pid: int) -> bool:
    """Whether a process talks to somebody, or is about to."""
    links = [link for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return any(str(link.readlink()).startswith("socket:") for link in links)


def start_server(data: Path, workspace: Path | None = None, *more: str, **environ: str) -> Server:
    """`headworks up`, waited for; its log is shown when it fails."""
    data.mkdir(parents=True, exist_ok=True)
    log = data / "up.log"
    words = [str(HEADWORKS), "up", "--data", str(data / "data"), "--port", "0", "--json", *more]
    if workspace is not None:
        words += ["--workspace", str(workspace)]
    usual = {"HEADWORKS_PROVIDERS_PROBE_LOCAL": "false", "HEADWORKS_RECORDS_BATCH_MS": "40"}  # tests wait for records
    environ = CLEAN | usual | environ
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
