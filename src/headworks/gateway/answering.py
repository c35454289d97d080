"""From a started attempt to the events of the answer: relayed as it is, or read and cited for a feature."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from headworks.gateway.attempts import Started
from headworks.gateway.calls import Call
from headworks.gateway.features.grounding import Grounding
from headworks.gateway.plans import Plan
from headworks.gateway.reading import read
from headworks.gateway.recording import Record
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.streaming import relay
from headworks.gateway.wire.headers import passed_on
from headworks.gateway.wire.parts import Event, Finished, Head, Text, Whole
from headworks.policy.service import admit
from headworks.types.identity import Principal
from headworks.types.retrieval import Passage

RECHECK_S = 5.0
"""How old the knowledge of a stream's right to go on may become."""


class Answering:
    """See the module."""

    def __init__(self, grounding: Grounding, snapshots: Snapshots) -> None:
        self._grounding = grounding
        self._snapshots = snapshots

    def answer(
        self,
        principal: Principal,
        plan: Plan,
        call: Call,
        started: Started,
        passages: Sequence[Passage],
        record: Record,
    ) -> Whole | AsyncGenerator[Event, None]:
        """A plain route's bytes as they are, at once or as they come; a feature's text with its citations.

        Events keep the record open: it is written after the last one, or when the caller leaves.
        """
        if plan.feature is None and started.stream is None:
            record.settle(started.usage)
            return Whole(passed_on(started.headers), started.body)
        if plan.feature is None:
            strips = not call.wants_usage and started.aim.provider.takes_stream_options
            events = relay(started, record, strips=strips)
        elif plan.feature.retrieval is not None:
            parts = read(started, record)
            events = self._grounding.cited(principal, passages, parts, record)
        else:
            events = _uncited(read(started, record), record)
        record.keep_open()
        return self._recorded(
            plan, call, Head(passed_on(started.headers, with_type=plan.feature is None)), events, record
        )

    async def _recorded(
        self, plan: Plan, call: Call, head: Head, events: AsyncGenerator[Event, None], record: Record
    ) -> AsyncGenerator[Event, None]:
        """The events until the end of the record; who loses the right to them in the middle gets no more."""
        with record:
            yield head
            checked_at = time.monotonic()
            async with aclosing(events):
                async for event in events:
                    if time.monotonic() - checked_at > RECHECK_S:
                        self._check_again(plan, call)
                        checked_at = time.monotonic()
                    yield event

    def _check_again(self, plan: Plan, call: Call) -> None:
        """Raises what a new call would: the key may be revoked, the database too long away to know."""
        if call.caller is None:
            principal = self._snapshots.current().authenticate(call.token, time.time())
            admit(principal, permission=plan.permission, model_name=call.model)


async def _uncited(parts: AsyncGenerator[Text | Finished, None], record: Record) -> AsyncGenerator[Event, None]:
    """A feature without documents has nothing to cite."""
    answer: list[str] = []
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Text):
                answer.append(part.text)
            yield part
    record.keep_answer({"answer": "".join(answer)}, ())
