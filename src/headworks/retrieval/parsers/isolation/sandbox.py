"""Reading hostile files: each in a limited child process of its own, without network, forked from a prepared one."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace

from headworks.errors import DocumentUnreadable, Unavailable
from headworks.retrieval.parsers.catalog import Ocr
from headworks.retrieval.parsers.contract import PagePicture, ParsedDocument
from headworks.retrieval.parsers.isolation import protocol

_MB = 1024 * 1024
_START_TIMEOUT_S = 60
_GRACE_S = 5
"""Beyond a child's time before the zygote itself is taken for dead."""
_BYTES_PER_CHARACTER = 5
"""The most that an outcome may have for each character of output; beyond, the child does not keep to the protocol."""
_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",  # address space is limited, and glibc reserves much of it for each thread
    "TOKIO_WORKER_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What one file may cost."""

    memory_mb: int = 1024
    """Address space beyond the parsers' own and twice the file's size."""
    cpu_s: int = 60
    wall_s: float = 120.0
    output_chars: int = 10_000_000
    input_bytes: int = 64 * _MB
    ocr_memory_mb: int = 3072
    """Instead of `memory_mb` where pictures are read."""
    ocr_cpu_s: int = 1800
    """Instead of `cpu_s` there; by the clock it may take twice as long."""

    def for_ocr(self) -> ParseLimits:
        """The limits of a child that reads pictures."""
        return replace(self, memory_mb=self.ocr_memory_mb, cpu_s=self.ocr_cpu_s, wall_s=2.0 * self.ocr_cpu_s)


class ZygoteDied(Exception):
    """The prepared process ended while it had a task: not the file's fault."""


class ParserPool:
    """Parses files or draws pages, a few at a time. Starts its process at the first file and again if it dies.

    It belongs to one event loop. `close` ends the process; so does the death of this one.
    """

    def __init__(self, limits: ParseLimits | None = None, *, at_once: int = 2, only_draws: bool = False) -> None:
        """`only_draws`: its process knows nothing but to draw pages, and is a small one."""
        self._limits = limits or ParseLimits()
        self._only_draws = only_draws
        self._slots = asyncio.Semaphore(at_once)
        self._starting: asyncio.Task[None] | None = None
        self._closed = 0  # times
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def parse(self, name: str, data: bytes, *, ocr: bool = False) -> ParsedDocument:
        """The document in a file. `name` gives the extension and the title of last resort.

        With `ocr`, what turns out to have pictures instead of text is read a second time, with what they say and the
        limits for it. Raises DocumentUnreadable with a code of contract.FAILURE_CODES, and Unavailable when no process
        can be started.
        """
        if not ocr:
            return await self._parse(name, data, self._limits, "off")
        try:
            return await self._parse(name, data, self._limits, "wanted")
        except DocumentUnreadable as error:
            if error.code != "needs_ocr":
                raise
        return await self._parse(name, data, self._limits.for_ocr(), "read")

    async def draw(self, data: bytes, page: int) -> PagePicture:
        """A page of a PDF (from 1), without bytes where it has none of that number. Raises as `parse` does."""
        outcome = await self._done(_task("", self._limits, page=page), data, self._limits)
        return outcome.drawn()

    async def _parse(self, name: str, data: bytes, limits: ParseLimits, ocr: Ocr) -> ParsedDocument:
        outcome = await self._done(_task(name, limits, ocr=ocr), data, limits)
        return outcome.result()

    async def _done(self, task: protocol.Task, data: bytes, limits: ParseLimits) -> protocol.Outcome:
        if not data:
            raise DocumentUnreadable("The file has no bytes.", code="empty")
        if len(data) > limits.input_bytes:
            raise DocumentUnreadable(
                f"The file has {len(data) / _MB:,.0f} MB, more than the limit of {limits.input_bytes / _MB:,.0f} MB.",
                next_step="Split it, or raise `retrieval.max_file_mb`.",
                code="too_large",
            )
        closed = self._closed
        async with self._slots:
            for attempt in (1, 2):
                try:
                    return await self._once(task, data, limits)
                except ZygoteDied:
                    if closed != self._closed:
                        raise Unavailable("Parsing has been stopped; this file is untouched.") from None
                    await self._drop()
                    if attempt == 2:
                        raise Unavailable(
                            "The process that parses documents died twice; this file is untouched."
                        ) from None
        raise AssertionError  # the loop returns or raises

    async def close(self) -> None:
        """Ends the process, and what it is parsing: those calls raise Unavailable. A later `parse` starts another."""
        self._closed += 1
        if self._starting is not None:
            await asyncio.wait([self._starting])
        await self._drop()

    async def _once(self, task: protocol.Task, data: bytes, limits: ParseLimits) -> protocol.Outcome:
        control = await self._ready()
        ours, theirs = socket.socketpair()
        try:
            source = await asyncio.to_thread(_in_memory, data)
            try:
                socket.send_fds(control, [protocol.encode(task)], [source, theirs.fileno()])
            except OSError:
                raise ZygoteDied from None
            finally:
                os.close(source)
                theirs.close()
            received = await asyncio.wait_for(self._received(ours), limits.wall_s + _GRACE_S)
        except TimeoutError:
            raise ZygoteDied from None
        finally:
            ours.close()
        return _judged(received, limits)

    async def _received(self, ours: socket.socket) -> bytes:
        """All that comes until the socket closes, or more than may ever come."""
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        most = self._limits.output_chars * _BYTES_PER_CHARACTER + _MB
        received = bytearray()
        while piece := await loop.sock_recv(ours, 256 * 1024):
            received += piece
            if len(received) > most:
                raise DocumentUnreadable("The parser writes without end.", code="too_large")
        return bytes(received)

    async def _ready(self) -> socket.socket:
        """The socket of a living process; a caller who goes away does not stop the start that others wait for."""
        if self._process is not None and self._process.poll() is not None:
            await self._drop()
        if self._control is None:
            self._starting = self._starting or asyncio.create_task(self._start())
            await asyncio.shield(self._starting)
        if self._control is None:  # closed meanwhile
            raise ZygoteDied
        return self._control

    async def _start(self) -> None:
        try:
            self._process, self._control = await asyncio.to_thread(_start, only_draws=self._only_draws)
        finally:
            self._starting = None

    async def _drop(self) -> None:
        """Lets go of the process: it is killed, and with it its children."""
        process, control = self._process, self._control
        self._process = self._control = None
        if control is not None:
            control.close()
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)


def _task(name: str, limits: ParseLimits, *, ocr: Ocr = "off", page: int = 0) -> protocol.Task:
    memory = limits.memory_mb * _MB
    return protocol.Task(name, memory, limits.cpu_s, limits.wall_s, limits.output_chars, ocr, page)


def _judged(received: bytes, limits: ParseLimits) -> protocol.Outcome:
    found = protocol.parts(received)
    if found is None:
        raise ZygoteDied
    outcome, status = found
    slow = f"Reading the file takes longer than {limits.cpu_s} s of computing or {limits.wall_s:g} s."
    if status == protocol.TIMED_OUT or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        raise DocumentUnreadable(slow, code="timeout")
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) == signal.SIGABRT:  # how native code ends when it gets no memory
            raise DocumentUnreadable(
                f"Reading the file needs more memory than {limits.memory_mb} MB, or its parser gave up.",
                code="memory",
            )
        raise DocumentUnreadable(f"The parser crashed on the file (signal {os.WTERMSIG(status)}).", code="crashed")
    try:
        return protocol.decode_outcome(outcome)
    except ValueError:
        raise DocumentUnreadable("The parser ended without an answer.", code="crashed") from None


def _start(*, only_draws: bool) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "headworks.retrieval.parsers.isolation.zygote",
                *([protocol.ONLY_PAGES] * only_draws),
            ],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,
        )
    finally:
        theirs.close()
    ours.settimeout(_START_TIMEOUT_S)
    try:
        ready = ours.recv(len(protocol.MARK)) == protocol.MARK
    except TimeoutError:
        ready = False
    if not ready:
        process.kill()
        process.wait()
        ours.close()
        raise Unavailable(
            "The process that parses documents does not start.", next_step="`headworks doctor` says more."
        )
    ours.setblocking(True)
    return process, ours


def _in_memory(data: bytes) -> int:
    """A file descriptor of a file without a name that holds these bytes."""
    descriptor = os.memfd_create("document")
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    return descriptor
