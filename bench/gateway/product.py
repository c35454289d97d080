"""The product as the system under test: one worker, a priced model at a provider of each format."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from answers import chat, messages
from rig import SYSTEM_CORE, Failed, System, started

_CREDENTIAL = "BENCH_PROVIDER_KEY"
_SETTINGS = f"""\
[providers]
credential_env = ["{_CREDENTIAL}"]
probe_local = false
"""
_PROVIDERS = """\
providers:
  bench: {{kind: openai, base_url: "http://127.0.0.1:{chat}/v1", api_key_env: {credential}}}
  claude: {{kind: anthropic, base_url: "http://127.0.0.1:{messages}", api_key_env: {credential}}}
"""
_ROUTES = """\
routes:
  chat: {targets: [bench/gpt-4o-mini]}
  messages: {targets: [claude/claude-sonnet-4-5]}
"""
_READY_S = 120


def headworks(*arguments: object) -> list[str]:
    """The product's command."""
    return [str(Path(sysconfig.get_path("scripts")) / "headworks"), *map(str, arguments)]


@contextmanager
def up(home: Path, workspace: Path, settings: Path, env: dict[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """A server with one worker on an embedded database of its own; yields its process and what it says when ready."""
    data = home / "data"
    data.mkdir()
    for place in (home.parent, home, data):
        place.chmod(0o711)  # as root, PostgreSQL runs as another user, who passes through
    command = headworks(
        "up", "--workspace", workspace, "--data", data, "--config", settings, "--port", 0, "--workers", 1, "--json"
    )
    log = home / "up.log"
    with started(command, SYSTEM_CORE, log=log, env={**os.environ, **env}) as process:
        yield process.pid, _ready(log, process)


@dataclass(frozen=True, slots=True)
class Product:
    """A running server with the routes `chat` and `messages`, which go to the provider of that format."""

    pid: int
    url: str
    key: str

    def system(self, *, name: str = "headworks", to: str = "chat", kb: int = 1, streams: bool = False) -> System:
        """Called with Chat Completions."""
        url, headers = f"{self.url}/v1/chat/completions", {"authorization": f"Bearer {self.key}"}
        return System(name, self.pid, url, chat(to, kb, streams=streams), headers)

    def by_messages(self, *, name: str, to: str, streams: bool = False) -> System:
        """Called with Anthropic's Messages."""
        headers = {"x-api-key": self.key, "anthropic-version": "2023-06-01"}
        url, body = f"{self.url}/v1/messages", messages(to, streams=streams)
        return System(name, self.pid, url, body, headers, b'"output_tokens"')


@contextmanager
def product(folder: Path, *, chat_port: int, messages_port: int | None = None) -> Iterator[Product]:
    """A server on an embedded database of its own."""
    home = folder / "product"
    workspace = home / "workspace"
    workspace.mkdir(parents=True)
    settings = home / "headworks.toml"
    settings.write_text(_SETTINGS)
    providers = _PROVIDERS.format(chat=chat_port, messages=messages_port or chat_port, credential=_CREDENTIAL)
    (workspace / "providers.yaml").write_text(providers)
    (workspace / "routes.yaml").write_text(_ROUTES)
    with up(home, workspace, settings, {_CREDENTIAL: "sk-bench"}) as (pid, ready):
        yield Product(pid, ready["url"], ready["admin_key"])


def _ready(log: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    """The line of JSON that it prints once it answers. Raises Failed."""
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("{") and '"url"' in line:
                return dict(json.loads(line))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise Failed(f"the server did not start:\n{log.read_text(errors='replace')}")
