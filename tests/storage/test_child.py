from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headworks.storage.accounts import account_named
from headworks.storage.child import Child


def start(log: Path, *command: str) -> Child:
    return Child(command, account=None, log=log, death_signal=signal.SIGINT)


def test_the_output_and_the_exit_status_of_a_child_are_kept(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "/bin/sh", "-c", "echo said; echo complained >&2; exit 7")
    assert child.wait(20)
    assert (child.has_ended, child.returncode) == (True, 7)
    assert (tmp_path / "log").read_text() == "said\ncomplained\n"


def test_a_killed_child_is_seen_as_ended_without_anybody_asking(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "/bin/sleep", "60")
    assert not child.has_ended
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(20)
    assert child.returncode == -signal.SIGKILL
    child.send(signal.SIGTERM)  # to nobody: the number may be another process's by now


def test_a_log_that_cannot_be_written_is_an_error_of_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        start(tmp_path / "missing" / "log", "/bin/true")


def test_a_program_that_does_not_exist_says_so_in_the_log(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "/no/such/program")
    assert child.wait(20)
    assert child.returncode != 0
    assert "No such file" in (tmp_path / "log").read_text()


_PARENT = """
import pathlib, signal, sys, threading, time
from headworks.storage.child import Child
made = []
def make():
    made.append(Child(["/bin/sleep", "60"], account=None, log=pathlib.Path(sys.argv[1]), death_signal=signal.SIGINT))
maker = threading.Thread(target=make)
maker.start()
maker.join()
print(made[0].pid, flush=True)
time.sleep(60)
"""


def test_a_child_outlives_the_thread_that_wanted_it_but_not_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_child_runs_as_the_account_with_a_private_umask_and_outside_our_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["/bin/sh", "-c", "id -u; id -G; umask; ps -o sid= -p $$"]
    nobody = account_named("nobody")
    child = Child(command, account=nobody, log=log, death_signal=signal.SIGKILL)
    assert child.wait(20)
    uid, groups, umask, session = log.read_text().split()
    assert (int(uid), int(groups), umask) == (nobody.uid, nobody.gid, "0077")
    assert int(session) == child.pid
