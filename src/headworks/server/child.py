"""What each child of the supervisor does first, and says when it is ready."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from headworks.server.runtime import Runtime

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the supervisor dies, however it dies (Linux)."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:
        sys.exit("the supervisor is gone")


def say_ready(runtime: Runtime) -> None:
    """Tell the supervisor that requests may come."""
    if runtime.ready_fd >= 0:
        os.write(runtime.ready_fd, b"ready\n")
        os.close(runtime.ready_fd)
