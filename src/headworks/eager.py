"""Coroutines that start at once and need no task for as long as they wait only for what can call them back.

A task costs as much as the rest of a short request: its own step is scheduled, and again when what it waits for is
there. `start` runs a coroutine where it stands. While that awaits a `Signal`, whoever fires the signal runs it further,
in the same turn of the event loop. As soon as it awaits anything else it goes on in an asyncio task and is what any
coroutine is. What needs a task before it first waits (asyncio.timeout, a TaskGroup) says so by `await in_task()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any


class Signal:
    """Something that will happen, awaited by at most one coroutine at a time. It may be made ready to happen again."""

    __slots__ = ("is_set", "resume")

    def __init__(self) -> None:
        self.is_set = False
        self.resume: Callable[[], None] | None = None
        """Who waits."""

    def set(self) -> None:
        """It has happened: who waits goes on, in a task later, else before this returns."""
        self.is_set = True
        resume = self.resume
        if resume is not None:
            self.resume = None
            resume()

    def __await__(self) -> Generator[Any, None, None]:
        """Until it is set. Cancelled or thrown into, it may be awaited again."""
        while not self.is_set:
            if _driven.run is not None:
                yield self
            else:
                waiter = asyncio.get_running_loop().create_future()
                self.resume = _Wake(waiter)
                yield from waiter


class _Wake:
    """Resolves a future that may have been cancelled."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self._future = future

    def __call__(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class _Driven:
    """The run that is being stepped without a task, if one is."""

    __slots__ = ("run",)

    def __init__(self) -> None:
        self.run: Run | None = None


_driven = _Driven()
_PROMOTE, _ENDED = object(), object()


class Run:
    """A coroutine under way; see the module. It must handle its own errors: what escapes goes to the loop's handler."""

    __slots__ = ("_is_cancelled", "_signal", "_steps", "_task", "_waits_for")

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._steps = work.__await__()
        self._is_cancelled = False
        self._signal: Signal | None = None
        self._task: asyncio.Task[None] | None = None
        self._waits_for: Any = None

    def step(self) -> None:
        """Run it further, until it waits or ends."""
        outer, _driven.run = _driven.run, self
        try:
            waits_for = next(self._steps, _ENDED)  # unlike `send`, makes no exception of the end
        except BaseException as error:  # noqa: BLE001 -- sorted there
            self._end(error)
        else:
            if isinstance(waits_for, Signal):
                self._signal = waits_for
                waits_for.resume = self.step
            elif waits_for is _ENDED:
                self._signal = None
            else:
                self._promote(waits_for)
        finally:
            _driven.run = outer

    def cancel(self) -> None:
        """As Task.cancel: CancelledError where it waits. Nothing happens once it has ended."""
        if self._task is not None:
            if self._waits_for is None:
                self._task.cancel()
            else:  # the task has not begun: it would end without telling the coroutine
                self._is_cancelled = True
        elif self._signal is not None:
            self._signal.resume = None
            self._throw(asyncio.CancelledError())

    def _throw(self, error: BaseException) -> None:
        outer, _driven.run = _driven.run, self
        try:
            waits_for = self._steps.throw(error)
        except BaseException as raised:  # noqa: BLE001 -- sorted there
            self._end(raised)
        else:
            self._promote(waits_for)
        finally:
            _driven.run = outer

    def _end(self, error: BaseException) -> None:
        self._signal = None
        if not isinstance(error, (StopIteration, asyncio.CancelledError)):  # as an exception in a callback
            context = {"message": "an exception left a coroutine that nobody waits for", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _promote(self, waits_for: object) -> None:
        self._signal = None
        if isinstance(waits_for, Signal):  # cancelled, and waits again
            self._signal = waits_for
            waits_for.resume = self.step
            return
        self._waits_for = waits_for
        self._task = asyncio.get_running_loop().create_task(self._rest())

    @coroutine
    def _rest(self) -> Generator[Any, Any, None]:
        """What is left of the coroutine, as its task runs it."""
        waits_for, self._waits_for = self._waits_for, None
        push: Callable[[Any], Any] = self._steps.send
        value: Any = None
        if self._is_cancelled:
            push, value = self._steps.throw, asyncio.CancelledError()
        elif waits_for is not _PROMOTE:
            push, value = _again, waits_for
        try:
            while True:
                waits_for = push(value)
                try:
                    push, value = self._steps.send, (yield waits_for)
                except BaseException as error:  # noqa: BLE001 -- handed in, as `yield from` does
                    push, value = self._steps.throw, error
        except StopIteration:
            return


def _again(waits_for: object) -> object:
    """What the coroutine waits for already."""
    return waits_for


def start(work: Coroutine[Any, Any, None]) -> Run:
    """Run a coroutine until it first waits."""
    run = Run(work)
    run.step()
    return run


@coroutine
def in_task() -> Generator[Any, None, None]:
    """From here on in a task: before asyncio.timeout and its like. Does nothing where there is one already."""
    if _driven.run is not None:
        yield _PROMOTE
