"""The cost ceiling of one experiment: what is under way counts, too, before anything more is started."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

_CAUTION = 2
"""What is not yet known to be cheaper counts as so many times the dearest cell so far."""


@dataclass(slots=True)
class Ceiling:
    """Of the cells of one experiment, in micro-dollars. `limit` None: there is none.

    What a cell will cost is not known before; so the first one goes alone, and each one under way counts as twice the
    dearest so far. A price that is not known stops everything that has a ceiling.
    """

    limit: int | None
    spent: int
    dearest: int | None = None
    under_way: int = 0
    is_unpriced: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def _fits(self) -> bool:
        if self.limit is None:
            return True
        if self.is_unpriced or self.spent >= self.limit:
            return False
        if self.dearest is None:
            return self.under_way == 0
        return self.spent + (self.under_way + 1) * _CAUTION * self.dearest <= self.limit

    async def admit(self) -> bool:
        """Wait until one more fits; False once it can't any more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits or self.under_way == 0)
            if not self._fits:
                return False
            self.under_way += 1
            return True

    async def settle(self, cost: int | None) -> None:
        """What one has cost; None: its price is not known."""
        async with self._changed:
            self.under_way -= 1
            if cost is None:
                self.is_unpriced = True
            else:
                self.spent += cost
                self.dearest = max(self.dearest or 0, cost)
            self._changed.notify_all()

    @property
    def why(self) -> str:
        """Why nothing more is started."""
        limit = (self.limit or 0) / 1_000_000
        if self.is_unpriced:
            return "The price of an answer is not known, so the ceiling can't be kept."
        return f"${self.spent / 1_000_000:.6f} of ${limit:.6f} are spent, and one more answer might exceed it."
