"""Other gateways under the same load, each in a virtual environment of its own outside the project's.

Each does what it does in its simplest production setting: LiteLLM with a master key, one worker and no database;
TensorZero without authentication and observability (its records would need ClickHouse); SGLang's router with a key.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from answers import MODEL
from rig import SYSTEM_CORE, Failed, System, free_port, started, wait_for

_INSTALL_S = 900
_START_S = 120
_KEY = "sk-bench-0123456789"
_LITELLM = """\
model_list:
  - model_name: chat
    litellm_params: {{model: openai/{model}, api_base: "http://127.0.0.1:{to}/v1", api_key: sk-bench}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""
_LITELLM_ENV = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
_TENSORZERO = """\
[gateway]
observability.enabled = false
[models.chat]
routing = ["bench"]
[models.chat.providers.bench]
type = "openai"
model_name = "{model}"
api_base = "http://127.0.0.1:{to}/v1/"
api_key_location = "env::BENCH_PROVIDER_KEY"
"""
_TENSORZERO_SERVER = """\
import sys, threading
from tensorzero import _start_http_gateway
gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print(gateway.base_url, flush=True)
threading.Event().wait()
"""


@dataclass(frozen=True, slots=True)
class Start:
    """How to start one, and to call it."""

    command: list[str]
    url: str
    """Only the path where it chooses the port itself: it then prints where it is."""
    model: str = "chat"
    key: str | None = _KEY
    env: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """`start` gets the venv's folder of programs, a folder for settings, the peer's port and the provider's."""

    name: str
    packages: tuple[str, ...]
    start: Callable[[Path, Path, int, int], Start]


def _litellm(programs: Path, folder: Path, port: int, to: int) -> Start:
    settings = folder / "litellm.yaml"
    settings.write_text(_LITELLM.format(model=MODEL, to=to, key=_KEY))
    options = ["--config", str(settings), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    return Start([str(programs / "litellm"), *options], url, env=_LITELLM_ENV)


def _tensorzero(programs: Path, folder: Path, _port: int, to: int) -> Start:
    settings, server = folder / "tensorzero.toml", folder / "tensorzero_server.py"
    settings.write_text(_TENSORZERO.format(model=MODEL, to=to))
    server.write_text(_TENSORZERO_SERVER)
    command = [str(programs / "python"), str(server), str(settings)]
    return Start(command, "/chat/completions", "tensorzero::model_name::chat", None, {"BENCH_PROVIDER_KEY": "sk-bench"})


def _sglang(programs: Path, _folder: Path, port: int, to: int) -> Start:
    options = ["--worker-urls", f"http://127.0.0.1:{to}", "--host", "127.0.0.1", "--port", str(port)]
    options += ["--prometheus-port", str(free_port()), "--policy", "round_robin", "--api-key", _KEY]
    command = [str(programs / "python"), "-m", "sglang_router.launch_router", *options, "--log-level", "error"]
    return Start(command, f"http://127.0.0.1:{port}/v1/chat/completions", MODEL)


PEERS = (
    # Without OpenTelemetry's SDK, LiteLLM tries to import it on every request.
    Peer("LiteLLM", ("litellm[proxy]", "opentelemetry-sdk", "opentelemetry-exporter-otlp"), _litellm),
    Peer("TensorZero", ("tensorzero",), _tensorzero),
    Peer("SGLang router", ("sglang-router",), _sglang),
)


@contextmanager
def running(peer: Peer, venvs: Path, folder: Path, to: int, body: Callable[[str], bytes]) -> Iterator[System]:
    """A peer that sends to the provider on port `to`; `body` makes a request for a model. Raises Failed."""
    programs = _installed(peer, venvs)
    port = free_port()
    start = peer.start(programs, folder, port, to)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | (start.env or {})
    log = folder / f"{peer.name.split()[0].lower()}.log"
    with started(start.command, SYSTEM_CORE, log=log, env=env) as process:
        try:
            url = start.url if start.url.startswith("http") else _said(log, process) + start.url
            wait_for(url, process, seconds=_START_S)
        except Failed as error:
            raise Failed(f"{error}: {log.read_text(errors='replace')[-1000:]}") from error
        headers = {"authorization": f"Bearer {start.key}"} if start.key else {}
        yield System(peer.name, process.pid, url, body(start.model), headers)


def _said(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The address that it prints once it listens. Raises Failed."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("http://"):
                return line.rstrip("/")
        time.sleep(0.1)
    raise Failed("it does not say where it listens")


def version(peer: Peer, venvs: Path) -> str:
    """What is installed."""
    asked = f"import importlib.metadata as m; print(m.version({peer.packages[0].partition('[')[0]!r}))"
    return subprocess.run(
        [_home(peer, venvs) / "bin" / "python", "-c", asked], capture_output=True, text=True, check=False
    ).stdout.strip()


def _home(peer: Peer, venvs: Path) -> Path:
    return venvs / peer.name.replace(" ", "-").lower()


def _installed(peer: Peer, venvs: Path) -> Path:
    """The folder of its programs; installs it the first time. Raises Failed."""
    home = _home(peer, venvs).resolve()
    done = home / "installed"
    if not done.exists():
        print(f"installing {peer.name} into {home}", file=sys.stderr)
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(home / "bin" / "pip"), "install", "--quiet", *peer.packages])
        subprocess.run([home / "bin" / "python", "-m", "compileall", "-q", home / "lib"], check=False)
        done.touch()
    return home / "bin"


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"not installed within {_INSTALL_S} s") from error
    if done.returncode:
        raise Failed(f"not installed: {done.stderr[-500:]}")
