"""What a piece of background work may still spend: asked before every attempt at a provider that it leads to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Purse(Protocol):
    """Carried by the task that works, and so by all that it starts."""

    async def hold(self, worst_micro_usd: int | None, held_micro_usd: int) -> None:
        """Put the dearest that may come aside, in place of what the same request held before. None: nobody knows it.

        Raises CeilingReached where there is no room for it, and none will come.
        """
        ...

    def settle(self, held_micro_usd: int, cost_micro_usd: int | None) -> None:
        """What was held is free again, and what it came to is spent. None: nobody knows, so all of it is."""
        ...


PURSE: ContextVar[Purse | None] = ContextVar("headworks_purse", default=None)
"""Of this task; None: nothing bounds it here."""
