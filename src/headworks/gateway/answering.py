"""From a started attempt to the events of the answer: relayed as it is, or read and cited for a feature."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from headworks.gateway.answers.continuing import SURFACES, continued
from headworks.gateway.answers.opening import Started
from headworks.gateway.answers.reading import read
from headworks.gateway.answers.streaming import relay
from headworks.gateway.answers.telling import as_events
from headworks.gateway.answers.translated import told_together
from headworks.gateway.calls import Call
from headworks.gateway.features.grounding import Grounding
from headworks.gateway.features.outputs import held
from headworks.gateway.plans import Plan
from headworks.gateway.recording import Record
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.wire.headers import passed_on
from headworks.gateway.wire.parts import Direct, Event, Finished, Head, Part, Text, Whole
from headworks.policy.service import admit
from headworks.types.identity import Principal
from headworks.types.retrieval import Passage

RECHECK_S = 5.0
"""How old the knowledge of a stream's right to go on may become."""


class Answering:
    """See the module."""

    def __init__(self, grounding: Grounding, snapshots: Snapshots, base_url: str) -> None:
        """`base_url` is where citations can be opened."""
        self._base_url = base_url.rstrip("/")
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
        """A plain route's answer as it is, at once or as it comes; a feature's text with its citations.

        Events keep the record open: it is written after the last one, or when the caller leaves.
        """
        if plan.feature is None and not call.streams:
            record.settle(started.usage)
            is_own = started.answer is None
            return Whole(passed_on(started.headers, with_type=is_own), started.body, started.answer)
        events: AsyncGenerator[Event, None]
        direct = None
        is_own = started.native is not None
        if started.onward is not None and call.surface in SURFACES:
            events = continued(started, started.onward, call, record)
        elif started.native is not None:
            events = relay(started, started.native, record)
            if call.keeping is None:
                call.let_go()
                direct = started.native.direct
        elif plan.feature is None:
            events = told_together(started, call.dialect, record)
        else:
            parts = read(started, call.dialect, record)
            if plan.feature.retrieval is not None:
                answer = self._grounding.cited(principal, plan.feature, passages, parts, record)
                if call.format == "completions":
                    call.leave_out(("citations",))
            else:
                answer = _uncited(parts, record)
            events = as_events(answer, call, self._base_url)
        record.keep_open()
        head = Head(passed_on(started.headers, with_type=is_own), direct)
        if plan.feature is not None and plan.feature.output is not None:
            return self._recorded(plan, call, None, held(head, events), record)
        return self._recorded(plan, call, head, events, record)

    async def _recorded(
        self, plan: Plan, call: Call, head: Head | None, events: AsyncGenerator[Event, None], record: Record
    ) -> AsyncGenerator[Event, None]:
        """The events until the end of the record; who loses the right to them in the middle gets no more.

        `head` None: it is among the events.
        """
        with record:
            checked_at = time.monotonic()
            direct = None if head is None else head.direct
            if direct is not None:
                direct.until = checked_at + RECHECK_S
            if head is not None:
                yield head
            async with aclosing(events):
                async for event in events:
                    if time.monotonic() - checked_at > RECHECK_S:
                        checked_at = self._check_again(plan, call, direct)
                    yield event

    def _check_again(self, plan: Plan, call: Call, direct: Direct | None) -> float:
        """The time of this check. Raises what a new call would: the key may be revoked, the database too long away."""
        if call.caller is None:
            principal = self._snapshots.current().authenticate(call.key, self._snapshots.now())
            admit(principal, permission=plan.permission, model_name=call.model)
        checked_at = time.monotonic()
        if direct is not None:
            direct.until = checked_at + RECHECK_S
        return checked_at


async def _uncited(parts: AsyncGenerator[Text | Finished, None], record: Record) -> AsyncGenerator[Part, None]:
    """A feature without documents has nothing to cite."""
    answer: list[str] = []
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Text):
                answer.append(part.text)
            yield part
    record.keep_answer({"answer": "".join(answer)}, ())
