"""`headworks up`: owns PostgreSQL, the listening socket and the signals; starts workers, and durable work on demand.

Kept light: no web framework, no numpy, no model is ever imported here.

    supervisor ── PostgreSQL (embedded)
               ├─ prepare    once: migrations, first tenant, journals left behind, the workspace
               ├─ gateway-0… the workers; restarted when they die, their journals replayed
               └─ jobs       durable work, while there is some
"""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import psycopg

from headworks.config import Settings
from headworks.errors import HeadworksError, StartupRefused
from headworks.jobs import demand
from headworks.server import first_words
from headworks.server.processes import Command, Process, run_once, stop_all
from headworks.server.runtime import Runtime
from headworks.storage.embedded import EmbeddedPostgres
from headworks.storage.keys import load_master_key
from headworks.storage.pool import DatabaseUrls, owner_connection
from headworks.storage.roles import derive_urls

_log = logging.getLogger(__name__)

BACK_OFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)
UPKEEP_EVERY_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` found and did. The key and the claim link exist on the very first start only."""

    url: str
    admin_key: str | None
    claim_url: str | None
    notices: tuple[str, ...]


class Supervisor:
    """One server on one data folder. `start`, then `run` until a signal, then everything is down."""

    def __init__(self, settings: Settings, workspace: Path | None, command: Command | None = None) -> None:
        self._settings = settings
        self._workspace = workspace
        self._command = command or Command()
        self._postgres: EmbeddedPostgres | None = None
        self._socket: socket.socket | None = None
        self._workers: list[Process] = []
        self._jobs: Process | None = None
        self._asking: psycopg.Connection[Any] | None = None
        self._runtime: Runtime | None = None
        self._failures: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        self._stopping = threading.Event()
        self._next_upkeep = 0.0

    def start(self, progress: Callable[[str], None]) -> Prepared:
        """Bring everything up; raises StartupRefused, with nothing left running."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        with ExitStack() as undoing:
            undoing.callback(self.stop)
            prepared = self._start(progress)
            undoing.pop_all()
        return prepared

    def _start(self, progress: Callable[[str], None]) -> Prepared:
        settings = self._settings
        _refuse_open_bind(settings)
        make_private(settings.data)
        self._socket = listen(settings.server.host, settings.server.port)
        host, port = self._socket.getsockname()[:2]
        base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        master = load_master_key(settings.data)
        progress("starting PostgreSQL" if not settings.database.url else "connecting to PostgreSQL")
        urls = self._open_database(master)
        workspace = str(self._workspace.resolve()) if self._workspace is not None else ""
        self._runtime = Runtime(settings, urls, master, base_url, workspace)
        progress("preparing the database")
        prepared = self._prepare(self._runtime)
        progress("starting the gateway")
        self._start_workers(self._runtime)
        return prepared

    def _open_database(self, master: bytes) -> DatabaseUrls:
        given = self._settings.database
        if given.url:
            return derive_urls(given.url, master, app=given.app_url, system=given.system_url, ingest=given.ingest_url)
        self._postgres = EmbeddedPostgres(self._settings.data)
        return derive_urls(self._postgres.start().url("headworks"), master)

    def _prepare(self, runtime: Runtime) -> Prepared:
        answer: dict[str, Any] = orjson.loads(run_once(self._command, "prepare", runtime).splitlines()[-1])
        self._next_upkeep = time.monotonic() + UPKEEP_EVERY_S
        claim = answer.get("claim")
        return Prepared(
            runtime.base_url,
            answer.get("admin_key"),
            f"{runtime.base_url}/claim/{claim}" if claim else None,
            tuple(answer.get("notices", ())),
        )

    def _start_workers(self, runtime: Runtime) -> None:
        assert self._socket is not None  # noqa: S101 -- it listens since _start
        for index in range(self._settings.server.workers):
            worker = Process(
                self._command,
                "gateway",
                replace(runtime, process=f"gateway-{index}", socket_fd=self._socket.fileno()),
            )
            worker.start()
            self._workers.append(worker)
        for worker in self._workers:
            worker.wait_ready(self._raise_if_stopping)

    def run(self) -> None:
        """Watch until a signal comes, then stop. What `start` gave has been shown by now."""
        first_words.forget(self._settings.data)
        try:
            while not self._stopping.is_set():
                self._watch()
                self._stopping.wait(1.0)
        finally:
            self.stop()

    def _watch(self) -> None:
        if self._postgres is not None and not self._postgres.is_alive():
            _log.warning("PostgreSQL has died and is started again")
            self._attempt("postgres", self._postgres.restart_if_dead)
        for worker in self._workers:
            worker.look()
            if not worker.is_alive():
                _log.warning("%s has died and is started again", worker.name)
                self._attempt("replay", self._replay)
                self._attempt(worker.name, worker.start)
            elif worker.is_ready:
                self._failures.pop(worker.name, None)
        self._watch_jobs()
        if time.monotonic() > self._next_upkeep:
            self._next_upkeep = time.monotonic() + UPKEEP_EVERY_S
            self._attempt("upkeep", self._upkeep)

    def _watch_jobs(self) -> None:
        """The jobs process ends itself when it is idle; it is started again when there is work."""
        if self._jobs is not None:
            if self._jobs.is_alive():
                return
            self._jobs.wait(1)
            self._jobs = None
        self._attempt("jobs", self._start_jobs_on_demand)

    def _start_jobs_on_demand(self) -> None:
        assert self._runtime is not None  # noqa: S101 -- set by _start
        if self._asking is None or self._asking.closed:
            self._asking = owner_connection(self._runtime.urls)
        try:
            if not demand.has_work(self._asking):
                return
        except psycopg.Error:
            self._stop_asking()
            raise
        self._jobs = Process(self._command, "jobs", replace(self._runtime, process="jobs"))
        self._jobs.start()

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    def _replay(self) -> None:
        assert self._runtime is not None  # noqa: S101 -- set by _start
        run_once(self._command, "replay", replace(self._runtime, process="replay"))

    def _upkeep(self) -> None:
        assert self._runtime is not None  # noqa: S101 -- set by _start
        run_once(self._command, "upkeep", replace(self._runtime, process="upkeep"))

    def _attempt(self, name: str, action: Callable[[], object]) -> None:
        """Try it, unless it failed a moment ago; failures back off and never end the supervisor."""
        now = time.monotonic()
        if now < self._retry_at.get(name, 0.0):
            return
        count = self._failures.get(name, 0)
        self._retry_at[name] = now + (BACK_OFF_S[min(count, len(BACK_OFF_S) - 1)] if count else 0.0)
        try:
            action()
        except (HeadworksError, OSError, psycopg.Error) as error:
            self._failures[name] = count + 1
            self._retry_at[name] = now + BACK_OFF_S[min(count, len(BACK_OFF_S) - 1)]
            _log.warning("%s: %s", name, error)
        else:
            if name not in {worker.name for worker in self._workers}:
                self._failures.pop(name, None)
            else:
                self._failures[name] = count + 1

    def stop(self) -> None:
        """End the workers (open streams may finish), then durable work, then PostgreSQL."""
        self._stopping.set()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        stop_all(self._workers, self._settings.server.drain_s + 5)
        self._workers = []
        if self._jobs is not None:
            stop_all([self._jobs], 10)
            self._jobs = None
        self._stop_asking()
        if self._postgres is not None:
            self._postgres.stop()
            self._postgres = None

    def _on_signal(self, number: int, _frame: object) -> None:
        del number
        self._stopping.set()

    def _raise_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise StartupRefused("Interrupted while starting; nothing is left running.", code="interrupted")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; a port that is taken is StartupRefused with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise StartupRefused(
            f"Can't listen on {host}:{port}: {error.strerror}.",
            next_step=f"Choose another port, like `--port {port + 1 if port else 0}`, or 0 for a free one.",
        ) from error
    listener.set_inheritable(True)
    return listener


def make_private(folder: Path) -> None:
    """The data folder, readable by us alone; as root, PostgreSQL's own user has to pass through it."""
    try:
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StartupRefused(
            f"The data folder {folder} can't be written: {error.strerror}.",
            next_step="Give another with `--data DIR`, or free some space.",
        ) from error


def _refuse_open_bind(settings: Settings) -> None:
    host = settings.server.host
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback and not settings.server.allow_remote:
        raise StartupRefused(
            f"`server.host` is {host}, which others can reach.",
            next_step="Put a proxy that ends TLS in front and set `allow_remote = true` in [server], or use 127.0.0.1.",
        )
