"""The product as the system under test: one worker, one priced model at an OpenAI-compatible provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig import SYSTEM_CORE, System, prompt, started

_CREDENTIAL = "BENCH_PROVIDER_KEY"
_SETTINGS = f"""\
[providers]
credential_env = ["{_CREDENTIAL}"]
probe_local = false
"""
_PROVIDERS = """\
providers:
  bench: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", api_key_env: {credential}}}
"""
_ROUTES = """\
routes:
  hop: {targets: [bench/gpt-4o-mini]}
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


@contextmanager
def product(folder: Path, to: int) -> Iterator[System]:
    """A server on an embedded database of its own that sends the route `hop` to the provider on port `to`."""
    home = folder / "product"
    workspace = home / "workspace"
    workspace.mkdir(parents=True)
    settings = home / "headworks.toml"
    settings.write_text(_SETTINGS)
    (workspace / "providers.yaml").write_text(_PROVIDERS.format(port=to, credential=_CREDENTIAL))
    (workspace / "routes.yaml").write_text(_ROUTES)
    with up(home, workspace, settings, {_CREDENTIAL: "sk-bench"}) as (pid, ready):
        url = f"{ready['url']}/v1/chat/completions"
        yield System("headworks", pid, url, prompt("hop"), {"authorization": f"Bearer {ready['admin_key']}"})


def _ready(log: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    """The line of JSON that it prints once it answers."""
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("{") and '"url"' in line:
                return dict(json.loads(line))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"error: the server did not start:\n{log.read_text(errors='replace')}")
