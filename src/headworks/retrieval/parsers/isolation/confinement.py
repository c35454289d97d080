"""What a child process takes away from itself before it reads a hostile file: Linux, and best effort but for limits.

A parser that is taken over can then compute and answer, within its limits, and little else: no network, no file changed
or removed, no file read but those of the installed programs, no other process started, seen or ended, no privileges
gained; and it dies with its parent.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from functools import cache
from pathlib import Path

from headworks.fences import filter_steps, keep_to, read_only_rules, without_calls

_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_MOST_FILES = 64
_MOST_THREADS = 64

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when the parent ends; ends at once if it already has."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def prepare() -> None:
    """Makes once what is the same for all processes that are forked from this one."""
    _rules()
    filter_steps()


def confine(memory_bytes: int, cpu_s: int) -> None:
    """Limits this process to `memory_bytes` of address space beyond what it has, and `cpu_s`; no files, no network."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_DUMPABLE, 0)
    separated = _without_network()
    _limit(resource.RLIMIT_AS, _own_memory() + memory_bytes)
    _limit(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if separated:
        # Counted per user, so it may only be set where this process is a user of its own.
        _limit(resource.RLIMIT_NPROC, _MOST_THREADS)
    if (rules := _rules()) is not None:
        keep_to(rules)
    without_calls()


def _own_memory() -> int:
    opened = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(os.read(opened, 100).split()[0]) * resource.getpagesize()
    finally:
        os.close(opened)


@cache
def _rules() -> int | None:
    return read_only_rules(_readable())


def _readable() -> tuple[str, ...]:
    """What the parsers' libraries may have to read while they run: themselves, and what tells of the machine."""
    own = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(__file__).parents[4]), *filter(None, sys.path)]
    system = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share", "/etc/ld.so.cache"]
    machine = [
        "/etc/localtime",
        "/dev/null",
        "/dev/urandom",
        "/sys/devices/system/cpu",
        "/proc/cpuinfo",
        "/proc/meminfo",
    ]
    return tuple(dict.fromkeys([*own, *system, *machine]))


def _without_network() -> bool:
    """Leaves the network behind: in a user namespace of its own where the system allows it (True), else if root."""
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return True
    _libc.unshare(_CLONE_NEWNET)
    return False


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    wanted = soft if hard is None else hard
    _, ceiling = resource.getrlimit(kind)
    top = wanted if ceiling == resource.RLIM_INFINITY else min(wanted, ceiling)
    resource.setrlimit(kind, (min(soft, top), top))
