"""A release tried on an example, for evaluation: the request's whole path, without HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import msgspec

from headworks.errors import CeilingReached, DatabaseUnavailable, Forbidden, HeadworksError, NotFound
from headworks.formats.answers import collect
from headworks.formats.chat.format import CHAT
from headworks.formats.neutral import Answer, TextBlock, ToolCallBlock
from headworks.gateway.answering import Answering
from headworks.gateway.calls import Call, Question
from headworks.gateway.contract import Recorder
from headworks.gateway.dialects import CHAT_DIALECT
from headworks.gateway.features.grounding import Grounding
from headworks.gateway.pipeline import Pipeline
from headworks.gateway.plans import Plan
from headworks.gateway.recording import Ledger, Record
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.parts import Event, Finished, Head, Part, Quoted, Relayed, Text, Told, Whole
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Example, Output, ToolUse
from headworks.types.features import Feature
from headworks.types.identity import NO_KEY, Principal
from headworks.types.ids import TraceId, new_id
from headworks.types.records import Span, UsageRow
from headworks.types.retrieval import Citation, Groundedness, Passage

SURFACE = "experiment"
"""What these calls stand under in the table of usage, so that they are not taken for traffic."""


class Trying:
    """types.evaluation.Answerer."""

    def __init__(self, pipeline: Pipeline, recorder: Recorder, keyring: Keyring, base_url: str) -> None:
        self._pipeline = pipeline
        self._recorder = recorder
        self._keyring = keyring
        self._base_url = base_url

    async def answer(self, principal: Principal, model: str, example: Example) -> Output:
        """See Answerer."""
        seen = _Seen(self._recorder)
        grounding = _Watching(self._pipeline.grounding, seen)
        pipeline = replace(
            self._pipeline,
            ledger=Ledger(seen, self._keyring),
            grounding=grounding,
            answering=Answering(grounding, self._pipeline.snapshots, self._base_url),
        )
        call = _call(principal, model, example)
        try:
            said = await _whole(await pipeline.answer(call))
        except (CeilingReached, DatabaseUnavailable, Forbidden, NotFound):
            raise
        except HeadworksError as error:
            return seen.output(error_code=error.code, error_message=str(error))
        texts = [block for block in said.blocks if isinstance(block, TextBlock)]
        return seen.output(
            text="".join(block.text for block in texts),
            finish_reason=said.stopped.word or said.stopped.reason,
            is_refusal=any(block.is_refusal for block in texts),
            tool_uses=tuple(_used(block) for block in said.blocks if isinstance(block, ToolCallBlock)),
        )


@dataclass(slots=True)
class _Seen:
    """What goes by on the way of one call; the Recorder of its record, too."""

    recorder: Recorder
    row: UsageRow | None = None
    passages: tuple[Passage, ...] = ()
    citations: list[Citation] = field(default_factory=list)
    groundedness: Groundedness | None = None

    def write(self, row: UsageRow, spans: Sequence[Span] = ()) -> None:
        """See Recorder."""
        row.surface = SURFACE
        self.row = row
        self.recorder.write(row, spans)

    def gather(self, row: UsageRow) -> None:
        """See Recorder: nothing waits for the end of a turn here."""
        self.write(row)

    def flush(self) -> None:
        """See Recorder."""

    def output(
        self,
        *,
        text: str = "",
        finish_reason: str = "",
        is_refusal: bool = False,
        tool_uses: tuple[ToolUse, ...] = (),
        error_code: str | None = None,
        error_message: str = "",
    ) -> Output:
        """With what the record knows."""
        row = self.row
        assert row is not None  # noqa: S101 -- a record is written on every exit
        return Output(
            text=text,
            finish_reason=finish_reason,
            citations=tuple(self.citations),
            passages=self.passages,
            groundedness=self.groundedness,
            tool_uses=tool_uses,
            is_refusal=is_refusal,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cost_micro_usd=row.cost_micro_usd,
            latency_ms=row.total_us / 1000,
            trace=TraceId(row.trace_id),
            release=row.release,
            model=None if row.provider is None else f"{row.provider}/{row.model}",
            error_code=error_code,
            error_message=error_message,
        )


class _Watching(Grounding):
    """Remembers what was read and what was cited."""

    def __init__(self, inner: Grounding, seen: _Seen) -> None:
        self._inner = inner
        self._seen = seen

    async def passages(
        self, principal: Principal, plan: Plan, call: Call, question: Question, record: Record
    ) -> Sequence[Passage]:
        """See Grounding."""
        found = await self._inner.passages(principal, plan, call, question, record)
        self._seen.passages = tuple(found)
        return found

    def cited(
        self,
        principal: Principal,
        feature: Feature,
        passages: Sequence[Passage],
        parts: AsyncGenerator[Text | Finished, None],
        record: Record,
    ) -> AsyncGenerator[Part, None]:
        """See Grounding."""
        return self._remembered(self._inner.cited(principal, feature, passages, parts, record))

    async def _remembered(self, parts: AsyncGenerator[Part, None]) -> AsyncGenerator[Part, None]:
        async with aclosing(parts):
            async for part in parts:
                if isinstance(part, Quoted):
                    self._seen.citations.append(part.citation)
                elif isinstance(part, Finished):
                    self._seen.groundedness = part.groundedness
                yield part


def _call(principal: Principal, model: str, example: Example) -> Call:
    messages = [{"role": turn.role, "content": turn.content} for turn in example.history]
    messages.append({"role": "user", "content": example.question})
    asked: dict[str, object] = {"model": model, "messages": messages}
    if example.inputs:
        asked["inputs"] = dict(example.inputs)
    return Call(
        dialect=CHAT_DIALECT,
        format=CHAT_DIALECT.name,
        surface=CHAT_DIALECT.surface,
        key=NO_KEY,
        model=model,
        body=Body.read(msgspec.json.encode(asked)),
        trace=new_id(),
        arrived_at=time.time(),
        started_ns=time.perf_counter_ns(),
        reply=[],
        caller=principal,
    )


async def _whole(answer: Whole | AsyncGenerator[Event, None]) -> Answer:
    if isinstance(answer, Whole):
        if answer.answer is not None:
            return answer.answer
        return CHAT.read_answer(answer.body)
    events = []
    async with aclosing(answer):
        async for event in answer:
            if isinstance(event, Told):
                events += event.events
            elif not isinstance(event, (Head, Relayed)):
                events.append(event)
    said = collect(events)
    assert said is not None  # noqa: S101 -- a feature's events end with their end, or raise
    return said


def _used(block: ToolCallBlock) -> ToolUse:
    try:
        arguments = msgspec.json.decode(block.arguments)
    except msgspec.DecodeError:
        arguments = {}
    return ToolUse(block.name, arguments if isinstance(arguments, dict) else {})
