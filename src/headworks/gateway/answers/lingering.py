"""The last moments of a provider's answer: what follows its last event decides only what becomes of the connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from headworks.eager import in_task
from headworks.errors import UpstreamError
from headworks.providers.contract import Answer

_LINGER_S = 0.25
"""How long a provider may take to end its answer after its last event before its connection is given up."""
_GRACE_S = 2.0
"""How long it may take from the end of its answer to the last event: for the count, which comes between them."""


async def linger(answer: Answer) -> None:
    """Read to the end, so that the connection can be used again; how it ends is nobody's concern any more."""
    if answer.complete:
        return
    await in_task()
    with suppress(UpstreamError, TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            async for _ in answer:
                pass


class Grace:
    """A timer that closes an answer which is finished and does not end."""

    __slots__ = ("_answer", "_timer", "has_passed")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.has_passed = False
        self._timer = asyncio.get_running_loop().call_later(_GRACE_S, self._pass)

    def cancel(self) -> None:
        """There is nothing to wait for any more."""
        self._timer.cancel()

    def _pass(self) -> None:
        self.has_passed = True
        self._answer.abort()
