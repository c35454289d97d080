"""The end of a turn of the event loop, for what many requests do there together at a lower price than one by one.

A busy loop finds several sockets ready at once and handles each in turn. System calls that are put off until all are
handled find caches warm and the other side awake; on an idle loop the end of the turn follows at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary


class Turn:
    """What waits for the end of the present turn of one event loop."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Callable[[], None]] = []

    def at_end(self, callback: Callable[[], None]) -> None:
        """Have it called when what is ready now has been handled, in the order of asking, once."""
        waiting = self._waiting
        if not waiting:
            self._loop.call_soon(self._end)
        waiting.append(callback)

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            try:
                callback()
            except Exception as error:  # noqa: BLE001 -- as in a callback of the loop: the others must not suffer
                context = {"message": "an exception left what was put off to the end of a turn", "exception": error}
                self._loop.call_exception_handler(context)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()


def turn_of(loop: asyncio.AbstractEventLoop) -> Turn:
    """The one of this loop."""
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = Turn(loop)
    return turn
