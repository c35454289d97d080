"""From a started attempt to the events of the answer: relayed as it is, or read and cited for a feature."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from headworks.gateway.attempts import Started
from headworks.gateway.calls import Call
from headworks.gateway.features.grounding import Grounding
from headworks.gateway.plans import Plan
from headworks.gateway.reading import read
from headworks.gateway.recording import Record
from headworks.gateway.streaming import relay
from headworks.gateway.wire.headers import passed_on
from headworks.gateway.wire.parts import Event, Finished, Head, Text
from headworks.types.identity import Principal
from headworks.types.retrieval import Passage


class Answering:
    """See the module."""

    def __init__(self, grounding: Grounding) -> None:
        self._grounding = grounding

    def events(
        self,
        principal: Principal,
        plan: Plan,
        call: Call,
        started: Started,
        passages: Sequence[Passage],
        record: Record,
    ) -> AsyncGenerator[Event, None]:
        """A plain route's bytes as they are; a feature's text with its citations."""
        if plan.feature is None:
            strips = not call.wants_usage and started.aim.provider.takes_stream_options
            return relay(started, record, strips=strips)
        return self._read(principal, plan, started, passages, record)

    async def _read(
        self,
        principal: Principal,
        plan: Plan,
        started: Started,
        passages: Sequence[Passage],
        record: Record,
    ) -> AsyncGenerator[Event, None]:
        yield Head(passed_on(started.headers, with_type=False))
        parts = read(started, record)
        has_passages = plan.feature is not None and plan.feature.retrieval is not None
        events = self._grounding.cited(principal, passages, parts, record) if has_passages else _uncited(parts, record)
        async with aclosing(events):
            async for event in events:
                yield event


async def _uncited(parts: AsyncGenerator[Text | Finished, None], record: Record) -> AsyncGenerator[Event, None]:
    """A feature without documents has nothing to cite."""
    answer: list[str] = []
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Text):
                answer.append(part.text)
            yield part
    record.keep_answer({"answer": "".join(answer)}, ())
