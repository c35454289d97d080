"""The cost ceiling of one experiment: the dearest that a call may come to is put aside before it is made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from headworks.errors import CeilingReached


@dataclass(slots=True)
class Ceiling:
    """Of all calls of one experiment, in micro-dollars. `limit` None: there is none.

    What is spent and what is held never exceed the limit together: a call waits while others hold what it needs, and is
    refused where even without them there is no room. Whoever holds something already does not wait, so nobody waits for
    ever.
    """

    limit: int | None
    spent: int
    held: int = 0
    refused: int | None = None
    """The dearest that the first refused call might have come to."""
    is_unpriced: bool = False
    _waiting: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def is_reached(self) -> bool:
        """Whether nothing more is to be started."""
        is_spent = self.limit is not None and self.spent >= self.limit
        return is_spent or self.is_unpriced or self.refused is not None

    async def hold(self, worst: int | None, instead_of: int) -> None:
        """Put it aside, in place of what the same request held. Raises CeilingReached."""
        if self.limit is None:
            self.held += (worst or instead_of) - instead_of
            return
        if worst is None:
            self.is_unpriced = True
            raise CeilingReached(self.why)
        while not self._fits(worst - instead_of):
            if instead_of or not self.held:
                self.refused = self.refused or worst
                raise CeilingReached(self.why)
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)
        self.held += worst - instead_of

    def settle(self, held: int, cost: int | None) -> None:
        """What was held came to so much; None: nobody knows, so all of it is spent."""
        self.held -= held
        self.spend(held if cost is None else cost)

    def spend(self, cost: int) -> None:
        """What was paid without having been held."""
        self.spent += cost
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def _fits(self, more: int) -> bool:
        return self.limit is None or self.spent + self.held + more <= self.limit

    @property
    def why(self) -> str:
        """Why nothing more is started."""
        if self.is_unpriced:
            return "The price of a call is not known, so the ceiling can't be kept."
        told = f"{_dollars(self.spent)} of {_dollars(self.limit or 0)} are spent"
        if self.refused is None:
            return f"{told}."
        return f"{told}, and one more call might cost {_dollars(self.refused)}."


@dataclass(slots=True)
class CellPurse:
    """What one answer and its scores spend under a ceiling: types.spending.Purse."""

    ceiling: Ceiling
    spent: int = 0
    booked: int = 0
    is_refused: bool = False
    """Whether a call was not made: then what came of it is no result."""

    async def hold(self, worst_micro_usd: int | None, held_micro_usd: int) -> None:
        """See Purse."""
        try:
            await self.ceiling.hold(worst_micro_usd, held_micro_usd)
        except CeilingReached:
            self.is_refused = True
            raise

    def settle(self, held_micro_usd: int, cost_micro_usd: int | None) -> None:
        """See Purse."""
        self.ceiling.settle(held_micro_usd, cost_micro_usd)
        self.spent += held_micro_usd if cost_micro_usd is None else cost_micro_usd

    def book(self) -> int:
        """What is spent and not booked yet; from now on it is."""
        unbooked, self.booked = self.spent - self.booked, self.spent
        return unbooked

    def told(self, cost: int | None) -> None:
        """What answer and scores say that they cost, where that is more than what was seen. None: no price is known."""
        if cost is None:
            self.ceiling.is_unpriced = self.ceiling.is_unpriced or self.ceiling.limit is not None
        elif cost > self.spent:
            self.ceiling.spend(cost - self.spent)
            self.spent = cost


def _dollars(micro_usd: int) -> str:
    return f"${micro_usd / 1_000_000:.6f}"
