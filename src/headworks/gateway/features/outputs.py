"""The stage of a feature whose answers follow a schema: from an answer that has begun to a whole one that fits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from headworks.errors import HeadworksError, OutputInvalid
from headworks.formats import neutral
from headworks.formats.neutral import Answer, StopReason, TextBlock
from headworks.gateway.answers.attempts import ATTEMPTS, Attempts
from headworks.gateway.answers.opening import Started
from headworks.gateway.answers.outgoing import Composed, Outgoing
from headworks.gateway.answers.reading import read
from headworks.gateway.calls import Call
from headworks.gateway.features.structuring import HEADER, Structured, Structuring
from headworks.gateway.plans import Plan
from headworks.gateway.recording import Record
from headworks.gateway.wire.parts import Event, Finished, Head, Text
from headworks.guardrails.service import check_json
from headworks.types.features import Feature, OutputSettings
from headworks.types.models import Message, Usage

_CUT: Mapping[StopReason, tuple[str, str]] = {
    "length": ("was cut off at its cap on output", "Ask for less, or have the feature's cap raised."),
    "context_window": ("was cut off where the model's context ends", "Ask with less text."),
    "content_filter": ("was stopped by the provider's filter", "Ask in other words."),
    "refusal": ("is a refusal of the model's", "Ask in other words."),
}
"""Ends after which the same question would end in the same way: it is not asked twice."""


@dataclass(frozen=True, slots=True)
class _Said:
    """All of an answer."""

    text: str
    finished: Finished


class Outputs:
    """See the module."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._structuring = Structuring()

    async def fitting(self, plan: Plan, call: Call, asked: Outgoing, started: Started, record: Record) -> Started:
        """The answer, or the one to the second question, whole and in one piece; as it is where there is no schema.

        Raises OutputInvalid, and what an attempt raises. Both answers stand in the record.
        """
        if plan.feature is None or plan.feature.output is None:
            return started
        asking = _Asking(self._attempts, plan, call, asked, record)
        with record.span("structure") as span:
            try:
                first = await asking.all_of(started)
                messages = asking.prompt.messages
                output = plan.feature.output
                fits = await self._structuring.structured(plan.feature.name, output, messages, first.text, asking.again)
            except HeadworksError:
                if asking.is_second:
                    call.tell(HEADER, Structured("", asked_again=True).header)
                raise
            finally:
                span.attributes["answers"] = len(asking.said)
                passages = asking.prompt.passages
                record.keep(
                    span, {"answers": [each.text for each in asking.said]}, [each.document for each in passages]
                )
            span.attributes.update(repaired=fits.was_repaired, asked_again=fits.asked_again)
        if fits.header:
            call.tell(HEADER, fits.header)
        return asking.whole(fits.text)


class _Asking:
    """The one or two questions of a request, and what was answered."""

    def __init__(self, attempts: Attempts, plan: Plan, call: Call, asked: Outgoing, record: Record) -> None:
        assert isinstance(asked, Composed)  # noqa: S101 -- what a feature asks
        assert plan.feature is not None  # noqa: S101 -- as above
        assert plan.feature.output is not None  # noqa: S101 -- only these are asked twice
        self._attempts, self._plan, self._call, self._record = attempts, plan, call, record
        self._asked = asked
        self._feature: Feature = plan.feature
        self._output: OutputSettings = plan.feature.output
        self._started: Started | None = None
        self.prompt = asked.rendered
        self.said: list[_Said] = []
        self.is_second = False

    async def all_of(self, started: Started) -> _Said:
        """The whole answer. Raises OutputInvalid for one that did not come to its end and is not whole by chance."""
        texts: list[str] = []
        finished: Finished | None = None
        async with aclosing(read(started, self._call.dialect, self._record)) as parts:
            async for part in parts:
                if isinstance(part, Text):
                    texts.append(part.text)
                else:
                    finished = part
        assert finished is not None  # noqa: S101 -- read ends with it or raises
        said = _Said("".join(texts), finished)
        self._started = started
        self.said.append(said)
        self._refuse_cut(said)
        return said

    async def again(self, messages: tuple[Message, ...]) -> str:
        """The answer to these messages, on the same plan and record. The first was paid for and stays so."""
        self.is_second = True
        self._record.start_over()
        self._call.reply[:] = [each for each in self._call.reply if each[0] != ATTEMPTS]  # there are more now
        started = await self._attempts.start(self._plan, self._asked.asking(messages), self._record)
        return (await self.all_of(started)).text

    def whole(self, text: str) -> Started:
        """The last answer with this text, and the counts of all."""
        assert self._started is not None  # noqa: S101 -- there is an answer
        usage = Usage()
        for each in self.said:
            usage = usage.plus(each.finished.usage)
        answer = Answer(neutral.Started(), [TextBlock(text)], self.said[-1].finished.stopped, usage)
        return Started(self._started.aim, self._started.headers, answer=answer)

    def _refuse_cut(self, said: _Said) -> None:
        """What was cut off is never repaired: it is good as it stands, or not at all."""
        found = _CUT.get(said.finished.stopped.reason)
        if found is None:
            return
        checked = check_json(self._output.schema, said.text)
        if checked.is_good and not checked.was_repaired:
            return
        what, next_step = found
        raise OutputInvalid(
            f"The answer of the feature `{self._feature.name}` does not fit its output schema: it {what}.",
            next_step=next_step,
        )


def check_cited(feature: Feature, text: str) -> None:
    """Whether the answer fits still, now that its citations were verified. Raises OutputInvalid."""
    assert feature.output is not None  # noqa: S101 -- who has a schema
    Structuring().check_again(feature.name, feature.output, text)


async def held(head: Head, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """A stream that begins once all of it is known to be good."""
    async with aclosing(events):
        said = [event async for event in events]
    yield head
    for event in said:
        yield event
