"""uvicorn's server, which sleeps while there is nothing to do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import FrameType

import uvicorn

_TICK_S = 1.0


class SteadyServer(uvicorn.Server):
    """Wakes up once a second, for the date that answers carry, not ten times; and at once when it is to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Until it is to end."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._ending.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end has come."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
