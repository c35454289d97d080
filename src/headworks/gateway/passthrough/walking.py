"""Whom a request that passes through is sent to, and to whom next: by the same chain as every other call of a route.

Only what may be asked twice goes this way: pictures, speech, transcripts, and what clients of Google and Amazon ask.
Until an answer's head has come, its caller has seen nothing of it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

import msgspec

from headworks.errors import HeadworksError, InvalidRequest
from headworks.gateway.answers.attempts import ATTEMPTS
from headworks.gateway.answers.opening import was_resent
from headworks.gateway.failover.chains import Chain
from headworks.gateway.failover.deadlines import deadlines_of
from headworks.gateway.failover.retrying import Pauses, RetryBudget
from headworks.gateway.passthrough.transfers import Transfer
from headworks.gateway.plans import Aim, Plan
from headworks.gateway.recording import Record
from headworks.providers.contract import Answer, Carrier, Surface
from headworks.providers.http1 import Deadlines

Attempt = Callable[[Aim, Carrier, Deadlines], Awaitable[Answer]]
"""Asks one target, within so much time. Raises UpstreamError; InvalidRequest for what can't be sent to it."""


class Walk:
    """One worker's; `budget` is that of all its retries, whatever they are for."""

    def __init__(self, deadlines: Deadlines, budget: RetryBudget) -> None:
        self._deadlines = deadlines
        self._budget = budget
        self._pauses = Pauses(budget)

    async def first(self, plan: Plan, transfer: Transfer, record: Record, attempt: Attempt) -> Answer:
        """The first answer that is one. Raises the error that the caller is to be told."""
        plan = able(plan, transfer.surface)
        self._budget.earn()
        total_s = plan.route.deadlines.total_s
        ends_at = math.inf if total_s is None else time.monotonic() + total_s
        chain: Chain | None = None
        aim = plan.aims[0]
        try:
            while True:
                try:
                    return await self._asked(plan, aim, transfer.surface, ends_at, record, attempt)
                except HeadworksError as error:
                    chain = chain or Chain(plan.walked, self._pauses, ends_at)
                    again = chain.after(error, time.monotonic())
                    if again is None:
                        raise (chain.error or error) from None
                if again.wait_s:
                    await asyncio.sleep(again.wait_s)
                aim = plan.aims[again.target]
        finally:
            if record.row.attempts > 1:
                transfer.exchange.reply.append((ATTEMPTS, b"%d" % record.row.attempts))

    async def _asked(
        self, plan: Plan, aim: Aim, surface: Surface, ends_at: float, record: Record, attempt: Attempt
    ) -> Answer:
        limits = deadlines_of(plan.route.deadlines, self._deadlines)
        if ends_at < math.inf:
            left_s = max(0.0, ends_at - time.monotonic())
            limits = Deadlines(limits.connect_s, limits.first_byte_s, limits.idle_s, left_s)
        aim.provider.check(surface, aim.target.model)
        carrier = aim.provider
        assert isinstance(carrier, Carrier)  # noqa: S101 -- the others were left out
        answer = await attempt(aim, carrier, limits)
        record.row.attempts += was_resent(answer.headers)
        return answer


def able(plan: Plan, surface: Surface) -> Plan:
    """The plan of those targets that serve the surface. Raises InvalidRequest, or what the first one says: none do."""
    aims = tuple(aim for aim in plan.aims if isinstance(aim.provider, Carrier) and aim.provider.carries(surface))
    if not aims:
        aim = plan.aims[0]
        aim.provider.check(surface, aim.target.model)
        raise InvalidRequest(f"`{plan.name}` has no target that serves {surface}.", param="model")
    return plan if len(aims) == len(plan.aims) else msgspec.structs.replace(plan, aims=aims)
