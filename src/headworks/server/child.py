"""What each child of the supervisor does first, and says when it is ready."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

from headworks.server.runtime import Runtime

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_IN_HEAP = 32 << 20
"""To what glibc raises it by itself as long as nobody sets the other."""
_KEPT = 16 << 20


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the supervisor dies, however it dies (Linux)."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:
        sys.exit("the supervisor is gone")


def limit_memory(megabytes: int) -> None:
    """Let this process allocate no more than this (0: no limit), so that one gone wild ends alone, and not its host."""
    if megabytes > 0:
        _, top = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = megabytes << 20
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if top == resource.RLIM_INFINITY else min(wanted, top), top))


def keep_freed_memory() -> None:
    """Have glibc keep what it would give back: large bodies come and go, and fresh pages cost as much as they do."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def allow_many_files() -> None:
    """As many open files as this process may have at all: each open stream takes two."""
    _, top = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (top, top))


def say_ready(runtime: Runtime) -> None:
    """Tell the supervisor that requests may come."""
    if runtime.ready_fd >= 0:
        os.write(runtime.ready_fd, b"ready\n")
        os.close(runtime.ready_fd)
