"""Scores what comes in as lines of JSON, one library a process: `main` is run by evaluation.scorers.interpreters.

In: `{"score": 1, "metric": …, "settings": …, "case": …}`, and `{"answer": 7, …}` to what was asked.
Out: `{"done": 1, "value": …, "refused": 0}` or `{"done": 1, "error": …, "reason": …}`, and `{"asked": 7, "of": 1, …}`;
`refused` counts connections that the library tried, so far.

Nothing but this pipe leads out. Connections are refused from the first line on; once the library is imported the
process also gives up sockets, other programs, and all files but its interpreter's, where the kernel can (fences).
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import json
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from headworks.adapters.scoring.asking import Asking, Case, NotScorable, Said
from headworks.fences import read_only, without_calls

AT_ONCE = 8
NOT_INSTALLED = "scorer_not_installed"
OTHER_VERSION = "scorer_other_version"
FAILED = "scorer_failed"
_CONNECTING = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})
_PR_SET_NO_NEW_PRIVS = 38
_refused: list[str] = []
_SYSTEM = (
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share", "/etc/ld.so.cache", "/etc/localtime",
    "/etc/mime.types", "/etc/ssl", "/dev/null", "/dev/urandom", "/proc", "/sys/devices/system/cpu",
)  # fmt: skip


class Library(Protocol):
    """A module `with_…` beside this one."""

    DISTRIBUTION: str

    async def score(self, metric: str, settings: Mapping[str, Any], case: Case, asking: Asking) -> Said:
        """One case. Raises NotScorable, and whatever the metric raises."""
        ...


class Pipe:
    """The lines to and from the server, for many threads."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}

    def write(self, message: Mapping[str, Any]) -> None:
        """One line."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._out.write(line)
            self._out.flush()

    def ask(self, of: int, asked: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """The server's answer, when it comes."""
        number, future = next(self._numbers), Future[dict[str, Any]]()
        self._waiting[number] = future
        self.write({"asked": number, "of": of, **asked})
        return future

    def answered(self, message: dict[str, Any]) -> None:
        """It came."""
        self._waiting.pop(message["answer"]).set_result(message)


def main(library: str, source: str) -> None:
    """Until the server closes the pipe."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    sys.addaudithook(_refuse)
    module, fault = _loaded(library)
    _confine(source)
    pipe = Pipe(out)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if "answer" in message:
                pipe.answered(message)
            else:
                pool.submit(_work, pipe, module, fault, message)
        os._exit(0)  # nobody waits for what is still being scored


def _confine(source: str) -> None:
    """No way out, from here on. Threads that are there already, such as those of numpy, are not held by it."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "prctl"):
        return
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    own = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(source) / "headworks"), *filter(None, sys.path)]
    read_only(dict.fromkeys([*own, *_SYSTEM]))
    without_calls()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    del arguments
    if event in _CONNECTING:
        _refused.append(event)
        raise PermissionError("A scorer has no network: its models are asked through the server.")


def _loaded(library: str) -> tuple[Library | None, str]:
    """The library, or why it can't be had."""
    try:
        return cast("Library", import_module(f"headworks.adapters.scoring.with_{library}")), ""
    except ImportError as error:
        return None, f"{sys.executable} can't import {library}: {error}."


def _work(pipe: Pipe, module: Library | None, fault: str, message: Mapping[str, Any]) -> None:
    number = message["score"]
    if module is None:
        pipe.write({"done": number, "error": NOT_INSTALLED, "reason": fault})
        return
    try:
        said = asyncio.run(_scored(pipe, module, message))
        pipe.write({"done": number, "value": said.value, "reason": said.reason, "refused": len(_refused)})
    except NotScorable as error:
        pipe.write({"done": number, "error": error.code, "reason": error.reason})
    except Exception as error:  # noqa: BLE001 -- a metric that breaks is a result
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        pipe.write({"done": number, "error": FAILED, "reason": reason})


async def _scored(pipe: Pipe, module: Library, message: Mapping[str, Any]) -> Said:
    there = version(module.DISTRIBUTION)
    if there != message["version"]:
        reason = f"{sys.executable} has {module.DISTRIBUTION} {there}, and the suite says {message['version']}."
        raise NotScorable(OTHER_VERSION, reason)
    asking = Asking(lambda asked: pipe.ask(message["score"], asked))
    return await module.score(message["metric"], message["settings"], Case(**message["case"]), asking)
