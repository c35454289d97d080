"""What all modes need: providers, nginx as the yardstick, wrk as the clients, each pinned to its core."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from answers import MODEL, chat
from processes import cpu_ns, is_postgres, pss_kib, tree

SYSTEM_CORE = "0"
LOAD_CORE = "1"


class Failed(Exception):
    """What keeps a figure from being measured."""


@dataclass(slots=True)
class System:
    """Something that proxies the hop, and how to call it."""

    name: str
    pid: int
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    expects: bytes = b"chat.completion"
    """What a good answer holds."""
    events: int = 0
    """How many times: 0 is at least once."""

    def processes(self) -> set[int]:
        return tree(self.pid)


@dataclass(frozen=True, slots=True)
class Window:
    """What one run of the load generator has shown. Times are CPU per unit: an answered request, or a chunk."""

    units: int
    seconds: float
    own_us: float
    database_us: float
    pss_mib: float

    @property
    def total_us(self) -> float:
        return self.own_us + self.database_us


def require(*programs: str) -> None:
    """Raises Failed with what to install."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        raise Failed(f"this benchmark needs {', '.join(missing)}; on Debian: apt-get install {' '.join(missing)}")


def allow_open_files(wanted: int) -> None:
    """As many as this user may have open, for this process and what it starts. Raises Failed if that is too few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < wanted:
        raise Failed(f"this needs {wanted} open files, and `ulimit -Hn` says {most}")


def free_port() -> int:
    with socket.socket() as probed:
        probed.bind(("127.0.0.1", 0))
        return int(probed.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str], core: str, *, log: Path, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process pinned to a core, ended at the end."""
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
    """Until somebody answers HTTP there. Raises Failed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failed(f"{process.args} ended with status {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Failed(f"nothing answers at {url} after {seconds:g} s")


_NGINX = """\
daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections {connections}; }}
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
  server {{ listen 127.0.0.1:{port} backlog=8192;
    location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering {buffering}; }} }}"""


@contextmanager
def nginx(
    name: str, site: str, core: str, folder: Path, port: int, connections: int = 4096
) -> Iterator[subprocess.Popen[bytes]]:
    home = folder / name
    home.mkdir()
    config = home / "nginx.conf"
    config.write_text(_NGINX.format(folder=home, site=site, connections=connections))
    command = ["nginx", "-p", str(home), "-c", str(config), "-e", str(home / "start.log")]
    with started(command, core, log=home / "output.log") as process:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield process


@contextmanager
def provider(folder: Path, answer: str, name: str = "provider") -> Iterator[int]:
    """A provider that answers every request at once with the same body; yields its port."""
    port = free_port()
    with nginx(name, _PROVIDER.format(port=port, answer=answer), LOAD_CORE, folder, port):
        yield port


@contextmanager
def yardstick(folder: Path, to: int, *, streams: bool = False, connections: int = 4096) -> Iterator[System]:
    """nginx doing nothing but the hop; what streams is passed on as it comes."""
    port = free_port()
    site = _PROXY.format(port=port, to=to, buffering="off" if streams else "on")
    with nginx("yardstick", site, SYSTEM_CORE, folder, port, connections) as process:
        yield System("nginx", process.pid, f"http://127.0.0.1:{port}/v1/chat/completions", chat(MODEL))


def probe(system: System) -> None:
    """One request. Raises Failed with the answer unless it is the one expected."""
    headers = {"content-type": "application/json", **system.headers}
    request = urllib.request.Request(system.url, system.body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise Failed(f"{system.name} answers {error.code}: {error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise Failed(f"{system.name} does not answer: {error}") from error
    found = text.count(system.expects)
    if not found or (system.events and found != system.events):
        raise Failed(f"{system.name} answers something else ({found} of {system.events or 'some'}): {text[-500:]!r}")


def measure(
    system: System, seconds: int, connections: int, folder: Path, counted: Callable[[], int] | None = None
) -> Window:
    """One window of load; units are what `counted` says, else requests. Raises Failed if anything but 2xx came back."""
    script = folder / f"{re.sub('[^a-z]+', '-', system.name.lower())}.lua"
    lines = ['wrk.method = "POST"', f"wrk.body = {_lua(system.body.decode())}"]
    headers = {"content-type": "application/json", **system.headers}
    lines += [f"wrk.headers[ {_lua(name)} ] = {_lua(value)}" for name, value in headers.items()]
    script.write_text("\n".join(lines))
    load = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    units = counted() if counted else 0
    before = _cpu(system)
    started_at = time.monotonic()
    done = subprocess.run(
        [*load, "-s", str(script), system.url], capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    took = time.monotonic() - started_at
    after = _cpu(system)
    found = re.search(r"(\d+) requests in", done.stdout)
    units = counted() - units if counted else int(found[1] if found else 0)
    if found is None or not units or done.stderr or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise Failed(f"{system.name} failed under load: {done.stderr}{done.stdout}")
    own, database = ((b - a) / 1000 / units for a, b in zip(before, after, strict=True))
    return Window(units, took, own, database, pss_kib(system.processes()) / 1024)


@contextmanager
def undisturbed(*systems: System) -> Iterator[bool]:
    """This process on the clients' core, it and the systems before all others where that is allowed: then True."""
    everybody = {pid for system in systems for pid in system.processes()} | {0}
    cores, is_first = os.sched_getaffinity(0), True
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    try:
        is_first = all(_scheduled(pid, os.SCHED_RR, 1) for pid in everybody)
        yield is_first
    finally:
        for pid in everybody:
            _scheduled(pid, os.SCHED_OTHER, 0)
        os.sched_setaffinity(0, cores)


def _scheduled(pid: int, policy: int, priority: int) -> bool:
    threads = [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()] if pid else [0]
    for thread in threads:
        with suppress(ProcessLookupError):
            try:
                os.sched_setscheduler(thread, policy, os.sched_param(priority))
            except PermissionError:
                return False
    return True


def _cpu(system: System) -> tuple[int, int]:
    pids = system.processes()
    database = {pid for pid in pids if is_postgres(pid)}
    return cpu_ns(pids - database), cpu_ns(database)


def _lua(text: str) -> str:
    return f"[==[{text}]==]"
