"""Attempts: targets are asked until one has something to say; from then on there is no way back."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from typing import Any

from headworks.eager import in_task
from headworks.errors import HeadworksError, UpstreamError, UpstreamTimeout
from headworks.gateway.answers.opening import Started, judged, open_stream, read, was_resent
from headworks.gateway.answers.outgoing import Outgoing
from headworks.gateway.dialects import Dialect
from headworks.gateway.failover.chains import Chain
from headworks.gateway.failover.deadlines import deadlines_of
from headworks.gateway.failover.failures import classify
from headworks.gateway.failover.retrying import Pauses, RetryBudget
from headworks.gateway.plans import Aim, Plan
from headworks.gateway.recording import Record
from headworks.gateway.translation import Way
from headworks.providers.contract import Ask
from headworks.providers.http1 import Deadlines
from headworks.providers.pricing.worst import worst_micro_usd
from headworks.providers.responses import RESENT
from headworks.types.spending import PURSE

ATTEMPTS = b"x-headworks-attempts"
_UNSEEN_TOKENS = 1024
"""What a provider may add to a prompt of its own, for tools and schemas."""


class Attempts:
    """One worker's: its requests share a budget of retries."""

    def __init__(self, deadlines: Deadlines | None = None, budget: RetryBudget | None = None) -> None:
        self._deadlines = deadlines or Deadlines()
        self._budget = budget or RetryBudget()
        self._pauses = Pauses(self._budget)

    def start(self, plan: Plan, outgoing: Outgoing, record: Record) -> Coroutine[Any, Any, Started]:
        """The first answer that can be given to the caller. Raises the error that the caller is to be told."""
        if plan.is_usual and len(plan.aims) == 1:
            return self._attempt(plan.aims[0], outgoing, record, self._deadlines)
        return self._in_turn(plan, outgoing, record)

    async def _in_turn(self, plan: Plan, outgoing: Outgoing, record: Record) -> Started:
        """Targets as the route's chain says. Only a route's own `total_s` bounds all attempts together."""
        self._budget.earn()
        total_s = plan.route.deadlines.total_s
        ends_at = math.inf if total_s is None else time.monotonic() + total_s
        walk = _Walk(self, plan, record, ends_at)
        try:
            started = await walk.on(plan.aims[0], outgoing)
        finally:
            if record.row.attempts > 1:
                outgoing.tell(ATTEMPTS, str(record.row.attempts))
        if plan.route.continue_after_output and plan.feature is None and outgoing.streams:
            started.onward = walk
        return started

    def chain_of(self, plan: Plan, ends_at: float) -> Chain:
        """What follows a failure of the plan's first target."""
        return Chain(plan.walked, self._pauses, ends_at)

    async def told_of(self, plan: Plan, aim: Aim, outgoing: Outgoing, record: Record, ends_at: float) -> Started:
        """One attempt; a feature's has a span, which says how it failed."""
        limits = _limits(plan, self._deadlines, ends_at)
        first_token_s = plan.route.deadlines.first_token_s
        attempt = self._attempt(aim, outgoing, record, limits)
        if first_token_s is not None and outgoing.streams:
            attempt = _begun_within(first_token_s, aim, attempt)
        if plan.feature is None:
            return await attempt
        with record.span("attempt") as span:
            span.attributes["target"] = aim.target.name
            try:
                return await attempt
            except HeadworksError as error:
                span.attributes["failure"] = classify(error) or "none"
                raise

    async def _attempt(self, aim: Aim, outgoing: Outgoing, record: Record, limits: Deadlines) -> Started:
        provider = aim.provider
        model = aim.target.model
        dialect = outgoing.dialect
        surface, name, relays = outgoing.surface, outgoing.format, outgoing.relays
        way = aim.ways.get((surface, name, relays)) or aim.way(surface, name, relays=relays)
        body = outgoing.body_for(aim) if way.is_own else _translated(way, aim, outgoing)
        ask = Ask(way.surface, model, body, outgoing.forwarded, outgoing.prompt, limits)
        purse = PURSE.get()
        if purse is not None:
            await record.hold(purse, _worst(aim, outgoing, body))
        record.attempt(aim, outgoing)
        try:
            if outgoing.streams:
                started = await open_stream(aim, ask, way, outgoing, record)
                record.answered()
                record.row.attempts += was_resent(started.headers)
                return started
            status, headers, answer = await provider.fetch(ask)
        except UpstreamError as error:
            record.row.attempts += error.is_resent
            raise
        if headers and headers[-1] is RESENT:
            record.row.attempts += 1
        if way.spoken is None:
            started = judged(aim, dialect, status, headers, answer, record)
        else:
            started = read(aim, dialect, way.spoken, status, headers, answer, record=record)
        if started.usage is None or started.usage.output_tokens is None:
            record.heard = _uncounted(started, dialect)
        return started


class _Walk:
    """A request on its way through the targets of its plan; also as the Onward of a stream that has begun."""

    __slots__ = ("_attempts", "_chain", "_ends_at", "_plan", "_record")

    def __init__(self, attempts: Attempts, plan: Plan, record: Record, ends_at: float) -> None:
        self._attempts = attempts
        self._plan = plan
        self._record = record
        self._ends_at = ends_at
        self._chain: Chain | None = None

    @property
    def chain(self) -> Chain:
        """Made when something has failed."""
        self._chain = self._chain or self._attempts.chain_of(self._plan, self._ends_at)
        return self._chain

    async def on(self, aim: Aim, outgoing: Outgoing) -> Started:
        """From this target to one that has something to say. Raises the error that the caller is to be told."""
        while True:
            try:
                return await self._attempts.told_of(self._plan, aim, outgoing, self._record, self._ends_at)
            except HeadworksError as error:
                again = self.chain.after(error, time.monotonic())
                if again is None:
                    raise (self.chain.error or error) from None
            self._record.failed()
            if again.wait_s:
                await in_task()
                await asyncio.sleep(again.wait_s)
            aim = self._plan.aims[again.target]

    def leads_on(self, cut: HeadworksError) -> bool:
        """See Onward."""
        return self.chain.leads_on(cut)

    async def go_on(self, cut: HeadworksError, outgoing: Outgoing) -> Started | None:
        """See Onward."""
        again = self.chain.after_output(cut, time.monotonic())
        if again is None:
            return None
        self._record.start_over()
        try:
            return await self.on(self._plan.aims[again.target], outgoing)
        except HeadworksError:
            return None


def _worst(aim: Aim, outgoing: Outgoing, body: bytes) -> int | None:
    """The dearest that an attempt may come to: no token is shorter than a byte. None: no price is known."""
    bound = outgoing.bound(aim)
    if bound is None or aim.rates is None:
        return None
    return worst_micro_usd(aim.rates, len(body) + _UNSEEN_TOKENS, bound.output_tokens, bound.calls)


def _translated(way: Way, aim: Aim, outgoing: Outgoing) -> bytes:
    """The request in the target's format. Raises Unmapped; what was left out is named to the caller."""
    assert way.spoken is not None  # noqa: S101 -- what is not the caller's format is one that we speak
    written = way.spoken.write_request(outgoing.neutral_for(aim))
    outgoing.leave_out(written.left_out)
    return written.body


def _limits(plan: Plan, server: Deadlines, ends_at: float) -> Deadlines:
    """How long the next attempt may take: no longer than what is left for all of them."""
    limits = deadlines_of(plan.route.deadlines, server)
    if ends_at == math.inf:
        return limits
    left_s = max(0.0, ends_at - time.monotonic())
    return Deadlines(limits.connect_s, limits.first_byte_s, limits.idle_s, left_s)


async def _begun_within(seconds: float, aim: Aim, attempt: Coroutine[Any, Any, Started]) -> Started:
    """A stream that has begun to say something by then. Raises UpstreamTimeout."""
    await in_task()
    try:
        async with asyncio.timeout(seconds):
            return await attempt
    except TimeoutError:
        raise UpstreamTimeout(
            f"`{aim.target.name}` did not keep the first token deadline of {seconds:g} s.",
            next_step="Try again; see the provider's status.",
        ) from None


def _uncounted(started: Started, dialect: Dialect) -> int:
    """Tokens of output, as well as they can be told: what only passes through has none."""
    return 0 if dialect.format is None else started.about_tokens()
