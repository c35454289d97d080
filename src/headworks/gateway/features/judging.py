"""A share of the answers is judged by a model after they were given: nobody waits for it, and nothing depends on it.

Which answers are judged follows from their trace alone, with the probability that the feature names; it is stored with
the verdicts, so that they can be weighted back. What waits is bounded: an answer beyond it is not judged, which its
trace says.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from headworks.errors import HeadworksError
from headworks.gateway.contract import LateRecorder
from headworks.gateway.recording import Record
from headworks.guardrails.service import cap_for_judge, prompt_for_judge, read_verdicts
from headworks.types.features import Feature, JudgeSettings
from headworks.types.identity import Principal
from headworks.types.ids import Digest, TraceId, new_id
from headworks.types.models import ModelCall, Models
from headworks.types.records import Span
from headworks.types.retrieval import Groundedness, Passage

MOST_WAITING: Final = 100
"""Answers of one worker."""
AT_ONCE: Final = 2
TIMEOUT_S: Final = 60.0
MOST_CHARACTERS: Final = 60_000
"""Of statements and passages together: what is longer is not judged."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Task:
    """One answer that waits."""

    principal: Principal
    settings: JudgeSettings
    trace: TraceId
    parent: Any
    release: Digest | None
    question: str
    statements: tuple[str, ...]
    passages: tuple[tuple[int, str], ...]
    redact: Callable[[object], object] | None


class Judging:
    """One worker's. Use it inside the event loop."""

    def __init__(self, models: Models, recorder: LateRecorder) -> None:
        self._models = models
        self._recorder = recorder
        self._waiting: deque[_Task] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self.dropped = 0
        """Answers that should have been judged, and found no room."""

    def wants(self, feature: Feature, record: Record) -> bool:
        """Whether the answer to this request is one of those that are judged."""
        return feature.judge is not None and _share(record.row.trace_id) < feature.judge.sample

    def take(
        self,
        feature: Feature,
        principal: Principal,
        answer: str,
        groundedness: Groundedness,
        passages: Sequence[Passage],
        record: Record,
    ) -> str:
        """Have an answer judged later, if it is one of those. What becomes of it; empty: the feature has no judge."""
        if feature.judge is None:
            return ""
        if not self.wants(feature, record):
            return "not_sampled"
        statements = tuple(answer[start:end] for start, end in groundedness.places)
        texts = tuple((each.number, each.text) for each in passages)
        if not statements or not texts:
            return "nothing_to_judge"
        if sum(map(len, statements)) + sum(len(text) for _, text in texts) > MOST_CHARACTERS:
            return "too_long"
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            _log.warning("An answer is not judged: %d wait already. So far: %d.", MOST_WAITING, self.dropped)
            return "dropped"
        row = record.row
        self._waiting.append(
            _Task(
                principal,
                feature.judge,
                TraceId(row.trace_id),
                record.root_id,
                feature.digest,
                record.question,
                statements,
                texts,
                record.redact,
            )
        )
        if len(self._running) < AT_ONCE:
            running = asyncio.get_running_loop().create_task(self._run())
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        return "queued"

    async def settle(self) -> None:
        """Until nothing waits."""
        while self._running:
            await asyncio.wait(self._running)

    async def stop(self) -> None:
        """What waits is given up."""
        self.dropped += len(self._waiting)
        self._waiting.clear()
        for each in self._running:
            each.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self) -> None:
        while self._waiting:
            task = self._waiting.popleft()
            span = _span(task)
            began_ns = time.perf_counter_ns()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    span.attributes |= await self._judged(task)
            except HeadworksError as error:
                span.attributes["outcome"], span.status = "failed", error.code
            except TimeoutError:
                span.attributes["outcome"], span.status = "failed", "timeout"
            except Exception:  # noqa: BLE001 -- the next answer waits, whatever is wrong with this one
                span.attributes["outcome"], span.status = "failed", "internal_error"
                _log.exception("an answer could not be judged")
            span.duration_us = (time.perf_counter_ns() - began_ns) // 1000
            try:
                self._recorder.add([span])
            except HeadworksError as error:
                _log.warning("the verdict on an answer could not be recorded: %s", error.code)

    async def _judged(self, task: _Task) -> dict[str, object]:
        question, statements, passages = task.question, list(task.statements), list(task.passages)
        if task.redact is not None:  # the judge may be further away than the model that answered
            shown: Any = task.redact(
                {"question": question, "statements": statements, "passages": [text for _, text in passages]}
            )
            question, statements = shown["question"], shown["statements"]
            passages = [(number, text) for (number, _), text in zip(passages, shown["passages"], strict=True)]
        word = _word()
        call = ModelCall(
            task.principal,
            task.settings.model,
            "judge",
            task.trace,
            task.release,
            {"max_tokens": cap_for_judge(len(statements)), "temperature": 0},
        )
        said = await self._models.complete(call, prompt_for_judge(question, statements, passages, word))
        found = read_verdicts(said.text, len(statements), word)
        if found is None:
            return {"outcome": "unparsable", "finish_reason": said.finish_reason}
        return {
            "outcome": "judged",
            "supported": found.supported,
            "contradicted": found.contradicted,
            "not_mentioned": found.not_mentioned,
            "score": round(found.supported / found.statements, 4),
        }


def _word() -> str:
    """One that no text in a document or an answer can have foreseen."""
    return secrets.token_hex(8)


def _share(trace: Any) -> float:  # noqa: ANN401 -- a UUID
    """A number from 0 to 1 that belongs to a trace, evenly spread."""
    return int.from_bytes(hashlib.sha256(b"judge" + trace.bytes).digest()[:8], "big") / 2**64


def _span(task: _Task) -> Span:
    now = datetime.now(UTC)
    return Span(
        tenant_id=task.principal.tenant,
        arrived_at=now,
        trace_id=task.trace,
        span_id=new_id(),
        parent_id=task.parent,
        principal_id=task.principal.id,
        key_id=task.principal.key,
        name="judge",
        started_at=now,
        release=task.release,
        attributes={
            "model": task.settings.model,
            "sample": task.settings.sample,
            "claims": len(task.statements),
        },
    )
