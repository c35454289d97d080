"""A few things at once, by threads that hold nobody up: Ctrl-C ends a command also while a server does not answer.

An executor of the standard library is waited for when it is left, and a Ctrl-C that comes while it has its futures'
locks leaves them locked for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 4


@contextmanager
def at_once(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Iterator[tuple[Item, Future[Result]]]]:
    """Each item with what came of it, in the order in which they are done; `items` are taken as they are needed.

    Nothing more is begun after the block, and what is under way ends first, unless it is left by a Ctrl-C.
    """
    todo: SimpleQueue[Item | None] = SimpleQueue()
    done: SimpleQueue[tuple[Item, Future[Result]]] = SimpleQueue()
    threads = [Thread(target=_work, args=(work, todo, done), daemon=True) for _ in range(AT_ONCE)]
    for each in threads:
        each.start()
    is_interrupted = False
    try:
        yield _done(todo, done, iter(items))
    except KeyboardInterrupt:
        is_interrupted = True
        raise
    finally:
        with suppress(Empty):
            while True:
                todo.get_nowait()
        for _ in threads:
            todo.put(None)
        if not is_interrupted:
            for each in threads:
                each.join()


def _done(
    todo: SimpleQueue[Item | None], done: SimpleQueue[tuple[Item, Future[Result]]], items: Iterator[Item]
) -> Iterator[tuple[Item, Future[Result]]]:
    """Few wait at a time, whatever their number."""
    under_way = 0
    while True:
        for item in islice(items, 2 * AT_ONCE - under_way):
            todo.put(item)
            under_way += 1
        if not under_way:
            return
        yield done.get()
        under_way -= 1


def _work(
    work: Callable[[Item], Result], todo: SimpleQueue[Item | None], done: SimpleQueue[tuple[Item, Future[Result]]]
) -> None:
    while (item := todo.get()) is not None:
        future: Future[Result] = Future()
        try:
            future.set_result(work(item))
        except BaseException as error:  # noqa: BLE001 -- raised to whoever asks for the result
            future.set_exception(error)
        done.put((item, future))
