"""Two fences of the Linux kernel that any process may put around itself, for good: Landlock and a seccomp filter.

Landlock leaves only some folders to read. The filter refuses the system calls that what only computes has no use for:
sockets, other programs, other processes, and any change to a file or folder. A refused call fails with an error, as if
the user had no right to it. Numbers and layouts are those of the kernel's `landlock(7)` and `seccomp(2)`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable, Iterator
from functools import cache

_libc = ctypes.CDLL(None, use_errno=True)

# ── Landlock ──

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_ACCESS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many kinds of access to files a version of Landlock knows; later ones know as many as the last here."""
_NET_SINCE, _SCOPES_SINCE = 4, 6
_ALL_TCP, _ALL_SCOPES = 3, 3
_BENEATH = struct.Struct("<Qi")


def read_only(paths: Iterable[str]) -> bool:
    """Lets this process read below these paths and nothing else: no write, no TCP. False where the kernel has none."""
    return (rules := read_only_rules(paths)) is not None and keep_to(rules)


def read_only_rules(paths: Iterable[str]) -> int | None:
    """A descriptor of these rules, for `keep_to`, here or in a process forked from here. None where there are none."""
    version = _libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if version < 1:
        return None
    handled = [(1 << _FILE_ACCESS.get(version, max(_FILE_ACCESS.values()))) - 1]
    if version >= _NET_SINCE:
        handled.append(_ALL_TCP)
    if version >= _SCOPES_SINCE:
        handled.append(_ALL_SCOPES)
    attributes = struct.pack(f"<{len(handled)}Q", *handled)
    rules = _libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return None
    for path in paths:
        _allow(rules, path)
    return int(rules)


def keep_to(rules: int) -> bool:
    """Puts the rules around this process, and closes their descriptor in any case. Whether it worked.

    Whoever kept it could add to the rules of processes that are forked from the same one later.
    """
    is_closed = bool(_libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    os.close(rules)
    return is_closed


def _allow(rules: int, path: str) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine
    access = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE  # noqa: PTH112 -- runs in each child
    _libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, _BENEATH.pack(access, opened), 0)
    os.close(opened)


# ── The filter of system calls ──

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _FAIL = 0x7FFF_0000, 0x0005_0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_INSTRUCTION = struct.Struct("<HBBI")
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_MACHINES = {"x86_64": (0xC000_003E, 0), "aarch64": (0xC000_00B7, 1)}
"""By the name of the machine: what the kernel calls it, and the column of the numbers below."""
_OTHER_NUMBERS = 0x4000_0000
"""On x86_64: from here on the numbers are of another, older way to call."""
_CHANGES = 0x1 | 0x2 | 0x40 | 0x200 | 0x40_0000
"""Flags of `open`: to write, to read and write, to create, to cut, to make a nameless file."""
_THREAD = 0x1_0000
"""The flag of `clone` that asks for a thread and not for a process."""
_NONE = -1  # a machine does not have the call

_REFUSED = {
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "io_uring_setup": (425, 425),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, _NONE), "vfork": (58, _NONE),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138), "tkill": (200, 130),
    "creat": (85, _NONE), "unlink": (87, _NONE), "unlinkat": (263, 35), "rename": (82, _NONE), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, _NONE), "mkdirat": (258, 34), "rmdir": (84, _NONE), "link": (86, _NONE),
    "linkat": (265, 37), "symlink": (88, _NONE), "symlinkat": (266, 36), "truncate": (76, 45), "ftruncate": (77, 46),
    "chmod": (90, _NONE), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, _NONE),
    "fchown": (93, 55), "lchown": (94, _NONE), "fchownat": (260, 54), "mknod": (133, _NONE), "mknodat": (259, 33),
    "setxattr": (188, 5), "utimensat": (280, 88), "open_by_handle_at": (304, 265),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "userfaultfd": (323, 282), "perf_event_open": (298, 241), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219),
}  # fmt: skip
_NOT_THERE = {"clone3": (435, 435), "openat2": (437, 437)}
"""Their arguments can't be looked at: they are said not to exist, and the C library takes the older ones."""
_OPENS = {"open": ((2, _NONE), 1), "openat": ((257, 56), 2)}
"""With the place of their flags among the arguments."""
_OF_ONESELF = {"kill": (62, 129), "tgkill": (234, 131)}
_CLONE, _PRLIMIT = (56, 220), (302, 261)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def without_calls() -> bool:
    """Refuses from now on what is named above. False where it can't be: another machine, or an old kernel."""
    if (steps := filter_steps()) is None:
        return False
    is_own = _step(_EQUAL, os.getpid(), 0, 1)
    code = b"".join(is_own if step == _IS_OWN else step for step in steps)
    kept = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // _INSTRUCTION.size, ctypes.addressof(kept))
    return bool(_libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


@cache
def filter_steps() -> tuple[bytes, ...] | None:
    """The filter for any process, made once: those that are forked afterwards need not. None for another machine."""
    machine = _MACHINES.get(platform.machine())
    return None if machine is None else tuple(_instructions(*machine))


def _instructions(machine: int, column: int) -> Iterator[bytes]:
    refuse = _step(_RETURN, _FAIL | errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    yield _step(_LOAD, _MACHINE_AT)
    yield _step(_EQUAL, machine, 1, 0)
    yield refuse
    yield _step(_LOAD, _NUMBER_AT)
    if column == 0:
        yield _step(_AT_LEAST, _OTHER_NUMBERS, 0, 1)
        yield refuse
    for number in (numbers[column] for numbers in _REFUSED.values() if numbers[column] != _NONE):
        yield _step(_EQUAL, number, 0, 1)
        yield refuse
    for numbers in _NOT_THERE.values():
        yield _step(_EQUAL, numbers[column], 0, 1)
        yield _step(_RETURN, _FAIL | errno.ENOSYS)
    for numbers, place in _OPENS.values():
        if numbers[column] != _NONE:
            yield from _if(numbers[column], place, _step(_ANY_BIT, _CHANGES, 0, 1), refuse, allow)
    yield from _if(_CLONE[column], 0, _step(_ANY_BIT, _THREAD, 0, 1), allow, refuse)
    for numbers in _OF_ONESELF.values():
        yield from _if(numbers[column], 0, _IS_OWN, allow, refuse)
    yield from _if(_PRLIMIT[column], 0, _step(_EQUAL, 0, 0, 1), allow, refuse)
    yield allow


def _if(number: int, argument: int, question: bytes, then: bytes, otherwise: bytes) -> Iterator[bytes]:
    """For one call: what comes of it by a question to one of its arguments."""
    yield _step(_EQUAL, number, 0, 4)
    yield _step(_LOAD, _ARGUMENTS_AT + 8 * argument)
    yield question
    yield then
    yield otherwise


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, if_true, if_false, value)


_IS_OWN = _step(_EQUAL, 0x7FFF_FFFF, 0, 1)
"""Asks for a number that no process has; a process that puts the filter around itself asks for its own instead."""
