"""Processes that a supervisor starts: ready, late, broken, and those that do not want to end."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from running_server import eventually

from headworks.config import Settings
from headworks.errors import StartupRefused
from headworks.server import processes
from headworks.server.processes import Command, Process, run_once, stop_all
from headworks.server.runtime import Runtime
from headworks.storage.pool import DatabaseUrls

OWN_DESCRIPTORS = Path("/proc/self/fd")
CHILD = """
import os, signal, sys, time
from headworks.server.runtime import read_runtime

role = sys.argv[1]
runtime = read_runtime()
folder = runtime.settings.data
if role == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if role in {"works", "stubborn"}:
    os.write(runtime.ready_fd, b"ready\\n")
    os.close(runtime.ready_fd)
if role == "refuses":
    sys.stdout.write("No space is left.")
    sys.exit(2)
if role == "closes":
    os.close(runtime.ready_fd)
if role == "breaks":
    sys.exit(1)
if role == "prints":
    sys.stdout.write(f"{runtime.process} {len(runtime.master_key)}")
    sys.exit(0)
if role == "environment":
    sys.stdout.write(repr(dict(os.environ)) + repr(sys.argv) + open("/proc/self/cmdline").read())
    sys.exit(0)
time.sleep(60)
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    urls = DatabaseUrls("owner", "app", "system", "ingest")
    return Runtime(Settings(data=tmp_path), urls, b"k" * 32, "http://127.0.0.1:1", process="gateway-0")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    (tmp_path / "some_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Command("some_child")


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Whatever a test starts is ended."""
    running: list[Process] = []
    yield running
    for each in running:
        each.send(signal.SIGKILL)
        each.wait(10)


def start(started: list[Process], command: Command, role: str, runtime: Runtime) -> Process:
    process = Process(command, role, runtime)
    started.append(process)
    process.start()
    return process


def test_a_process_says_when_it_is_ready(command: Command, runtime: Runtime, started: list[Process]) -> None:
    process = start(started, command, "works", runtime)
    process.wait_ready(lambda: None)
    assert process.is_ready
    assert process.is_alive()
    assert psutil.pid_exists(process.pid)
    assert process.name == "gateway-0"


def test_readiness_is_noticed_without_waiting(command: Command, runtime: Runtime, started: list[Process]) -> None:
    process = start(started, command, "works", runtime)

    def look() -> bool:
        process.look()
        return process.is_ready

    assert eventually(look)
    process.look()
    assert process.is_ready


def test_a_process_that_ends_while_it_starts_is_refused(
    command: Command, runtime: Runtime, started: list[Process]
) -> None:
    process = start(started, command, "breaks", runtime)
    with pytest.raises(StartupRefused, match="gateway-0 ended while it started"):
        process.wait_ready(lambda: None)


def test_a_process_that_gives_up_being_ready_is_refused_at_once(
    command: Command, runtime: Runtime, started: list[Process]
) -> None:
    process = start(started, command, "closes", runtime)
    with pytest.raises(StartupRefused, match="gateway-0 ended while it started"):
        process.wait_ready(lambda: None)


def test_a_process_that_is_never_ready_is_refused_in_the_end(
    command: Command, runtime: Runtime, started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "START_LIMIT_S", 0.3)
    process = start(started, command, "sleeps", runtime)
    with pytest.raises(StartupRefused, match="was not ready after"):
        process.wait_ready(lambda: None)


def test_an_interrupt_is_heard_while_waiting(command: Command, runtime: Runtime, started: list[Process]) -> None:
    process = start(started, command, "sleeps", runtime)

    def interrupted() -> None:
        raise StartupRefused("Interrupted while starting.")

    with pytest.raises(StartupRefused, match="Interrupted"):
        process.wait_ready(interrupted)


def test_secrets_are_in_no_environment_and_on_no_command_line(command: Command, runtime: Runtime) -> None:
    seen = run_once(command, "environment", replace(runtime, master_key=b"m" * 32)).decode()
    assert "bW1tbW1t" not in seen
    assert "mmmm" not in seen


def test_what_a_process_prints_is_given_back(command: Command, runtime: Runtime) -> None:
    assert run_once(command, "prints", runtime) == b"gateway-0 32"


def test_a_process_that_refuses_is_quoted(command: Command, runtime: Runtime) -> None:
    with pytest.raises(StartupRefused, match="No space is left."):
        run_once(command, "refuses", runtime)


def test_a_process_that_breaks_without_a_word_points_at_the_log(command: Command, runtime: Runtime) -> None:
    with pytest.raises(StartupRefused, match="`breaks` failed; its last lines above say why"):
        run_once(command, "breaks", runtime)


def test_sigterm_ends_what_listens_and_sigkill_what_does_not(
    command: Command, runtime: Runtime, started: list[Process], caplog: pytest.LogCaptureFixture
) -> None:
    willing = start(started, command, "works", runtime)
    stubborn = start(started, command, "stubborn", replace(runtime, process="gateway-1"))
    for each in (willing, stubborn):
        each.wait_ready(lambda: None)
    stop_all([willing, stubborn], 0.5)
    assert not willing.is_alive()
    assert not stubborn.is_alive()
    assert [each.getMessage() for each in caplog.records] == ["gateway-1 did not end in 0 s and is killed"]


def test_one_that_was_never_started_has_ended(command: Command, runtime: Runtime) -> None:
    process = Process(command, "works", runtime)
    assert not process.is_alive()
    assert process.pid == 0
    assert process.wait(0)
    process.send(signal.SIGTERM)
    stop_all([process], 0.1)


def test_no_descriptor_is_left_open(command: Command, runtime: Runtime, started: list[Process]) -> None:
    gc.collect()  # what earlier tests have left
    before = len(list(OWN_DESCRIPTORS.iterdir()))
    for _ in range(3):
        process = start(started, command, "works", runtime)
        process.wait_ready(lambda: None)
        process.send(signal.SIGTERM)
        assert process.wait(10)
        assert process.wait(10), "twice does no harm"
    assert len(list(OWN_DESCRIPTORS.iterdir())) <= before


def test_a_process_that_dies_at_once_is_noticed(
    command: Command, runtime: Runtime, started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    process = start(started, command, "works", replace(runtime, workspace="x" * 1_000_000))
    limit = time.monotonic() + 20
    while process.is_alive() and time.monotonic() < limit:
        process.look()
    assert not process.is_alive()
    assert not process.is_ready
