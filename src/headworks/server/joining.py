"""A transport that joins what is written in one turn of the event loop into one system call."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from headworks.turns import turn_of

_FULL_BYTES = 64 * 1024


class JoiningTransport:
    """Joins what is written in one turn of the event loop; else the transport that it stands before."""

    __slots__ = ("_kept", "_size", "_transport", "_turn", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._turn = turn_of(loop)
        self._kept: list[bytes] = []
        self._size = 0
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Keep `data` until the turn ends or enough has come together. TypeError if it is not bytes."""
        piece = data if type(data) is bytes else bytes(memoryview(data))
        if not self._kept:
            self._turn.at_end(self._end_turn)
        self._kept.append(piece)
        self._size += len(piece)
        if self._size > _FULL_BYTES:
            self.flush()

    def keep(self, pieces: list[bytes]) -> None:
        """As `write`, for the few bytes of an answer's head; the list is ours from here on."""
        if self._kept:
            self._kept += pieces
        else:
            self._turn.at_end(self._end_turn)
            self._kept = pieces

    def write_last(self, data: bytes) -> None:
        """Write what is kept, and this, now. TypeError if it is not bytes."""
        piece = data if type(data) is bytes else bytes(memoryview(data))
        if not self._kept:
            self._transport.write(piece)
            return
        self._kept.append(piece)
        self._size += len(piece)
        self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        kept = self._kept
        if not kept:
            return
        self._kept = []
        if self._size > _FULL_BYTES:
            self._transport.writelines(kept)
        else:
            self._transport.write(b"".join(kept))
        self._size = 0

    def _end_turn(self) -> None:
        if self._kept:
            with suppress(RuntimeError):  # the client has left in this turn
                self.flush()

    def close(self) -> None:
        """Write what is kept and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)
