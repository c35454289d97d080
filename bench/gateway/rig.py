"""What both modes need: nginx as the provider and as the yardstick, wrk as the clients, each pinned to its core."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from processes import cpu_ns, is_postgres, pss_kib, tree

SYSTEM_CORE = "0"
LOAD_CORE = "1"
MODEL = "mock-model"

_ANSWER = json.dumps(
    {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "The works at the head of a canal. " * 15, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 212, "completion_tokens": 120, "total_tokens": 332},
        "system_fingerprint": "fp_0",
    }
)


def prompt(model: str) -> bytes:
    """A chat request of 1 KB."""
    text = "Say in one sentence what the works at the head of a canal are for, and who looks after them. " * 9
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0}).encode()


@dataclass(slots=True)
class System:
    """Something that proxies the hop, and how to call it."""

    name: str
    pid: int
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def processes(self) -> set[int]:
        return tree(self.pid)


@dataclass(frozen=True, slots=True)
class Window:
    """What one run of the load generator has shown. Times are CPU per answered request."""

    requests: int
    seconds: float
    own_us: float
    database_us: float
    pss_mib: float

    @property
    def total_us(self) -> float:
        return self.own_us + self.database_us


def require(*programs: str) -> None:
    """Exit with what to install."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        sys.exit(f"error: this benchmark needs {', '.join(missing)}; on Debian: apt-get install {' '.join(missing)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str], core: str, *, log: Path, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process pinned to a core, ended with its group at the end."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            ["taskset", "-c", core, *command], stdout=sink, stderr=sink, env=env, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], *, seconds: float = 60) -> None:
    """Until somebody answers HTTP there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit(f"error: {process.args} ended with status {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"error: nothing answers at {url}")


_NGINX = """\
daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_timeout 1h; keepalive_requests 1000000000; client_body_buffer_size 1m; server_tokens off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; default_type application/json;
{site}
}}
"""
_PROVIDER = """\
  server {{ listen 127.0.0.1:{port};
    location / {{ add_header x-request-id req_0123456789; return 200 '{answer}'; }} }}"""
_PROXY = """\
  upstream provider {{ server 127.0.0.1:{to}; keepalive 64; keepalive_requests 1000000000; keepalive_timeout 1h; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}"""


@contextmanager
def nginx(name: str, site: str, core: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    home = folder / name
    home.mkdir()
    config = home / "nginx.conf"
    config.write_text(_NGINX.format(folder=home, site=site))
    command = ["nginx", "-p", str(home), "-c", str(config), "-e", str(home / "start.log")]
    with started(command, core, log=home / "output.log") as process:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield process


@contextmanager
def provider(folder: Path) -> Iterator[int]:
    """A provider that answers every request at once with the same completion; yields its port."""
    port = free_port()
    with nginx("provider", _PROVIDER.format(port=port, answer=_ANSWER), LOAD_CORE, folder, port):
        yield port


@contextmanager
def yardstick(folder: Path, to: int) -> Iterator[System]:
    """nginx doing nothing but the hop."""
    port = free_port()
    with nginx("yardstick", _PROXY.format(port=port, to=to), SYSTEM_CORE, folder, port) as process:
        yield System("nginx", process.pid, f"http://127.0.0.1:{port}/v1/chat/completions", prompt(MODEL))


def probe(system: System) -> None:
    """One request; exits with the answer unless it is a completion."""
    headers = {"content-type": "application/json", **system.headers}
    request = urllib.request.Request(system.url, system.body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            if b"chat.completion" in answer.read():
                return
            sys.exit(f"error: {system.name} answers something else")
    except urllib.error.HTTPError as error:
        sys.exit(f"error: {system.name} answers {error.code}: {error.read().decode(errors='replace')}")


def measure(system: System, seconds: float, connections: int, folder: Path) -> Window:
    """One window of load; exits if anything but 2xx came back."""
    script = folder / f"{system.name.replace(' ', '-')}.lua"
    lines = ['wrk.method = "POST"', f"wrk.body = {_lua(system.body.decode())}"]
    headers = {"content-type": "application/json", **system.headers}
    lines += [f"wrk.headers[ {_lua(name)} ] = {_lua(value)}" for name, value in headers.items()]
    script.write_text("\n".join(lines))
    load = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    before = _cpu(system)
    started_at = time.monotonic()
    done = subprocess.run(
        [*load, "-s", str(script), system.url], capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    took = time.monotonic() - started_at
    after = _cpu(system)
    found = re.search(r"(\d+) requests in", done.stdout)
    if found is None or int(found[1]) == 0 or done.stderr or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"error: {system.name} failed under load:\n{done.stderr}{done.stdout}")
    requests = int(found[1])
    own, database = ((b - a) / 1000 / requests for a, b in zip(before, after, strict=True))
    return Window(requests, took, own, database, pss_kib(system.processes()) / 1024)


def _cpu(system: System) -> tuple[int, int]:
    pids = system.processes()
    database = {pid for pid in pids if is_postgres(pid)}
    return cpu_ns(pids - database), cpu_ns(database)


def _lua(text: str) -> str:
    return f"[==[{text}]==]"
