"""The processes that a supervisor starts, watches and ends."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from headworks.errors import StartupRefused
from headworks.server.runtime import Runtime

_log = logging.getLogger(__name__)

START_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started: `python -m headworks.app ROLE`, given its runtime on standard input."""

    module: str = "headworks.app"

    def arguments(self, role: str) -> list[str]:
        """The argument vector."""
        return [sys.executable, "-m", self.module, role]


class Process:
    """One child process. It must not outlive us: it asks for a parent-death signal itself (`server/child.py`)."""

    def __init__(self, command: Command, role: str, runtime: Runtime) -> None:
        self.role = role
        self.name = runtime.process
        self._runtime = runtime
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._ready_fd = -1
        self.started_at = 0.0
        self.is_ready = False

    def start(self) -> None:
        """Start it; `is_ready` turns true once it says so."""
        reading, writing = os.pipe()
        runtime = replace(self._runtime, ready_fd=writing)
        passed = [fd for fd in (writing, runtime.socket_fd) if fd >= 0]
        self._child = subprocess.Popen(
            self._command.arguments(self.role), stdin=subprocess.PIPE, pass_fds=passed, start_new_session=True
        )
        os.close(writing)
        assert self._child.stdin is not None  # noqa: S101 -- it was asked for
        try:
            self._child.stdin.write(runtime.dump())
        except BrokenPipeError:
            _log.warning("%s ended while it started", self.name)
        finally:
            with suppress(BrokenPipeError):
                self._child.stdin.close()
        self._ready_fd = reading
        self.started_at = time.monotonic()
        self.is_ready = False

    @property
    def pid(self) -> int:
        """The process id, 0 when it does not run."""
        return self._child.pid if self._child is not None else 0

    def is_alive(self) -> bool:
        """Whether it runs; reaps it when it has ended."""
        return self._child is not None and self._child.poll() is None

    def look(self) -> None:
        """Notice that it became ready, without waiting."""
        if not self.is_ready and self._ready_fd >= 0 and select.select([self._ready_fd], [], [], 0)[0]:
            self.is_ready = os.read(self._ready_fd, 16) == b"ready\n"
            self._close_ready()

    def wait_ready(self, tick: Callable[[], None]) -> None:
        """Wait until it is ready; raises StartupRefused when it ends first or takes too long."""
        while not self.is_ready:
            if not self.is_alive() or self._ready_fd < 0:  # it has closed its end, too
                raise StartupRefused(
                    f"The process {self.name} ended while it started.", next_step="Its last lines above say why."
                )
            if time.monotonic() - self.started_at > START_LIMIT_S:
                raise StartupRefused(f"The process {self.name} was not ready after {START_LIMIT_S:.0f} s.")
            select.select([self._ready_fd], [], [], 0.1)
            self.look()
            tick()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.is_alive() and self._child is not None:
            self._child.send_signal(number)

    def wait(self, limit_s: float) -> bool:
        """Wait for its end; False when it still runs."""
        if self._child is None:
            return True
        try:
            self._child.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        self._close_ready()
        return True

    def _close_ready(self) -> None:
        if self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1


def run_once(command: Command, role: str, runtime: Runtime) -> bytes:
    """Run a process to its end and return what it printed; raises StartupRefused with its own words when it fails."""
    done = subprocess.run(
        command.arguments(role), input=runtime.dump(), stdout=subprocess.PIPE, check=False, start_new_session=True
    )
    if done.returncode != 0:
        refusal = done.stdout.decode(errors="replace").strip()
        raise StartupRefused(refusal or f"`{role}` failed; its last lines above say why.")
    return done.stdout


def stop_all(processes: list[Process], drain_s: float) -> None:
    """SIGTERM to all, then SIGKILL to those that are not done in time."""
    for process in processes:
        process.send(signal.SIGTERM)
    limit = time.monotonic() + drain_s
    for process in processes:
        if not process.wait(max(0.1, limit - time.monotonic())):
            _log.warning("%s did not end in %.0f s and is killed", process.name, drain_s)
            process.send(signal.SIGKILL)
            process.wait(5)
