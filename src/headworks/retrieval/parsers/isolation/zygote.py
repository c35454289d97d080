"""The process that parsing children are forked from: it has imported every parser and does nothing else.

`python -m headworks.retrieval.parsers.isolation.zygote` with its socket as standard input. It has one thread, so a fork
is safe and takes milliseconds; it reads no file itself, and ends when the pool closes the socket or dies. With the
argument `pages` it has imported only what draws pages, and is small.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.catalog import parse, preload
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.isolation import protocol
from headworks.retrieval.parsers.isolation.confinement import confine, die_with_parent, prepare
from headworks.retrieval.parsers.pdf.picture import draw_page

_LARGEST_TASK = 65_536


@dataclass(slots=True)
class _Child:
    pid: int
    ended: int
    """A file descriptor that becomes readable when the process has ended."""
    answer: socket.socket
    deadline: float
    timed_out: bool = False


def serve(control: socket.socket) -> None:
    """Forks a child for each task until the control socket closes; watches their deadlines."""
    children: dict[int, _Child] = {}  # by the descriptor that tells their end
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for number, _ in poll.poll(_wait_ms(children)):
            if number == control.fileno():
                message, files, _, _ = socket.recv_fds(control, _LARGEST_TASK, 2)
                if not message:
                    _kill_all(children)
                    return
                child = _fork(message, files, control, children)
                children[child.ended] = child
                poll.register(child.ended, select.POLLIN)
                poll.register(child.answer, 0)  # tells only that nobody listens any more
            elif number in children:
                poll.unregister(number)
                poll.unregister(children[number].answer)
                _reap(children.pop(number))
            else:
                _nobody_listens(children, number)
        _kill_late(children)


def _nobody_listens(children: dict[int, _Child], number: int) -> None:
    for child in children.values():
        if child.answer.fileno() == number:
            child.deadline = 0


def _kill_late(children: dict[int, _Child]) -> None:
    now = time.monotonic()
    for child in children.values():
        if child.deadline <= now and not child.timed_out:
            child.timed_out = True
            _kill(child.pid)


def _wait_ms(children: dict[int, _Child]) -> float | None:
    waiting = [child.deadline for child in children.values() if not child.timed_out]
    return max(0.0, min(waiting) - time.monotonic()) * 1000 + 1 if waiting else None


def _fork(message: bytes, files: list[int], control: socket.socket, others: dict[int, _Child]) -> _Child:
    task = protocol.decode_task(message)
    source, answer = files[0], socket.socket(fileno=files[1])
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            die_with_parent(parent)
            control.close()
            for other in others.values():
                other.answer.close()
                os.close(other.ended)
            _child(task, source, answer)
        finally:
            os._exit(0)
    os.close(source)
    return _Child(pid, os.pidfd_open(pid), answer, time.monotonic() + task.wall_s)


def _reap(child: _Child) -> None:
    """Says how a child ended, and lets its socket go."""
    _, status = os.waitpid(child.pid, 0)
    os.close(child.ended)
    _kill_group(child.pid)  # whatever it may have started is in it
    child.answer.settimeout(5)
    try:
        child.answer.sendall(protocol.END.pack(protocol.MARK, protocol.TIMED_OUT if child.timed_out else status))
    except OSError:
        pass  # the pool has stopped listening
    finally:
        child.answer.close()


def _kill(pid: int) -> None:
    """A child that was not waited for, and what it has started; it may not have come to leading a group yet."""
    _kill_group(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _kill_all(children: dict[int, _Child]) -> None:
    for child in children.values():
        _kill(child.pid)


def _child(task: protocol.Task, source: int, answer: socket.socket) -> None:
    """Reads one file and writes one outcome; runs in the forked process."""
    os.setsid()
    size = os.fstat(source).st_size
    confine(task.memory_bytes + 2 * size, task.cpu_s)
    try:
        data = os.pread(source, size, 0)
        os.close(source)
        outcome = protocol.success(
            draw_page(data, task.page) if task.page else _within(parse(task.name, data, task.ocr), task.output_chars)
        )
    except DocumentUnreadable as error:
        outcome = protocol.failure(error)
    except MemoryError:
        outcome = protocol.failure(
            DocumentUnreadable("Reading the file needs more memory than allowed.", code="memory")
        )
    except RecursionError:
        outcome = protocol.failure(DocumentUnreadable("The document is nested too deep.", code="corrupt"))
    except Exception as error:  # noqa: BLE001 -- a parser may fail in any way; the file is what is wrong
        kind = type(error).__name__
        outcome = protocol.failure(DocumentUnreadable(f"The document can't be read ({kind}).", code="corrupt"))
    answer.sendall(outcome)


def _within(document: ParsedDocument, output_chars: int) -> ParsedDocument:
    if len(document.text) > output_chars:
        raise DocumentUnreadable(
            f"The document has {len(document.text):,} characters, more than {output_chars:,}.",
            next_step="Split it.",
            code="too_large",
        )
    return document


def main() -> None:
    """The zygote's whole life."""
    control = socket.socket(fileno=os.dup(0))
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    os.close(quiet)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the server, which then closes the socket
    if sys.argv[1:] == [protocol.ONLY_PAGES]:
        import_module("pypdfium2.raw")
    else:
        preload()
    prepare()
    gc.collect()
    gc.freeze()
    control.sendall(protocol.MARK)
    serve(control)


if __name__ == "__main__":
    main()
    sys.exit(0)
