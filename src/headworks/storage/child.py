"""A child process that cannot outlive us: whatever kills this process, the kernel tells the child to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from headworks.storage.accounts import Account

# Runs between fork and exec, as a program of its own: nothing of ours is touched after a fork with threads. The order
# matters: the kernel forgets a parent-death signal when the user changes, and sends none for a parent already dead.
_SHIM = """
import ctypes, os, sys
parent, uid, gid, program = sys.argv[1:5]
os.umask(0o077)
if uid != "-":
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
ctypes.CDLL(None).prctl(1, {signal:d})
if os.getppid() != int(parent):
    sys.exit("the process that wanted this one is gone")
os.execv(program, sys.argv[4:])
"""


class Child:
    """One program, run as `account` (None: as we are) in a session of its own, its output appended to `log`.

    The kernel's parent-death signal is tied to the thread that made the child, so each child has a thread that makes
    it, waits for it and so reaps it: a dead child is never taken for a living one, also where process 1 reaps nothing.
    """

    def __init__(
        self, command: Sequence[str | Path], *, account: Account | None, log: Path, death_signal: signal.Signals
    ) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self._failure: OSError | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        ids = ["-", "-"] if account is None else [str(account.uid), str(account.gid)]
        shim = _SHIM.format(signal=death_signal)
        self._command = [sys.executable, "-I", "-S", "-c", shim, str(os.getpid()), *ids, *map(str, command)]
        self._log = log
        threading.Thread(target=self._run, name=f"child-{Path(command[0]).name}", daemon=True).start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
                )
        except OSError as error:
            self._failure = error
            self._started.set()
            return
        self.pid = process.pid
        self._started.set()
        self.returncode = process.wait()
        self._ended.set()

    @property
    def has_ended(self) -> bool:
        """Whether the child is dead and reaped."""
        return self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; False when it still runs after `timeout_s`."""
        return self._ended.wait(timeout_s)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the child has ended."""
        if not self.has_ended:
            os.kill(self.pid, number)
