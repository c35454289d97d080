"""The last moments of a provider's answer: what follows its last event decides only what becomes of the connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from headworks.eager import in_task
from headworks.errors import UpstreamError
from headworks.providers.contract import Answer

_LINGER_S = 0.25
"""How long a provider may take to end its answer after its last event before its connection is given up."""


async def linger(answer: Answer) -> None:
    """Read to the end, so that the connection can be used again; how it ends is nobody's concern any more."""
    if answer.complete:
        return
    await in_task()
    with suppress(UpstreamError, TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            async for _ in answer:
                pass
