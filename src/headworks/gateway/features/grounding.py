"""Passages before the answer, citations in it: the stages of a feature that read documents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from headworks.gateway.calls import Call, Question
from headworks.gateway.contract import CitationStream, Retriever
from headworks.gateway.features.citing_json import CitingJson
from headworks.gateway.features.judging import Judging
from headworks.gateway.features.outputs import check_cited
from headworks.gateway.plans import Plan
from headworks.gateway.recording import Record
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.wire.parts import Finished, Part, Quoted, Text
from headworks.types.features import Feature
from headworks.types.identity import Principal
from headworks.types.retrieval import Citation, Passage

_LONGEST_NOTICE = 500
"""Characters of a header."""


class Grounding:
    """See the module. Everything here reads under the caller's rights, in the caller's tenant."""

    def __init__(self, retriever: Retriever, snapshots: Snapshots, judging: Judging) -> None:
        self._retriever = retriever
        self._snapshots = snapshots
        self._judging = judging

    async def passages(
        self, principal: Principal, plan: Plan, call: Call, question: Question, record: Record
    ) -> Sequence[Passage]:
        """What the caller may read and what fits. Raises DatabaseUnavailable at once while there is none."""
        if plan.feature is None or plan.feature.retrieval is None:
            return ()
        self._snapshots.require_database()
        with record.span("retrieve") as span:
            settings = plan.feature.retrieval
            span.attributes["collection"] = settings.collection
            found = await self._retriever.passages(
                principal,
                settings,
                question.text,
                record.row.trace_id,
                history=question.history,
                inputs=question.inputs,
            )
            passages = found.passages
            span.attributes["passages"] = len(passages)
            if notice := " ".join(found.notice.split())[:_LONGEST_NOTICE]:
                span.attributes["notice"] = notice
                call.tell(b"x-headworks-search-notice", notice)
            record.keep(span, {"passages": list(map(_reference, passages))}, [each.document for each in passages])
        record.row.retrieval_us = span.duration_us
        if self._judging.wants(plan.feature, record):
            record.question = question.text
        return passages

    def cited(
        self,
        principal: Principal,
        feature: Feature,
        passages: Sequence[Passage],
        parts: AsyncGenerator[Text | Finished, None],
        record: Record,
    ) -> AsyncGenerator[Part, None]:
        """The answer's text with its citations, each after the text that it belongs to.

        In an answer by a schema markers count in its strings only, and it must fit still: raises OutputInvalid.
        """
        about = _About(principal, feature, passages, record)
        if feature.output is None:
            return self._cited(self._retriever.citing(principal, passages), about, parts)
        citing = CitingJson(self._retriever.citing(principal, passages))
        return _fitting(feature, self._cited(citing, about, parts))

    async def _cited(
        self,
        citing: CitationStream,
        about: _About,
        parts: AsyncGenerator[Text | Finished, None],
    ) -> AsyncGenerator[Part, None]:
        answer: list[str] = []
        citations: list[Citation] = []
        async with aclosing(parts):
            async for part in parts:
                ready = await (citing.finish() if isinstance(part, Finished) else citing.feed(part.text))
                for each in ready:
                    if isinstance(each, Citation):
                        citations.append(each)
                        yield Quoted(each)
                    else:
                        answer.append(each.text)
                        yield Text(each.text)
                if isinstance(part, Finished):
                    self._note(about, citing, "".join(answer), citations)
                    yield msgspec.structs.replace(part, groundedness=citing.groundedness)

    def _note(self, about: _About, citing: CitationStream, answer: str, citations: Sequence[Citation]) -> None:
        """What was cited and what was dropped; the answer itself may hold text of any passage."""
        record, feature = about.record, about.feature
        with record.span("cite") as span:
            span.attributes.update(citations=len(citations), dropped=citing.dropped, unknown=citing.unknown)
            span.attributes.update(citing.groundedness.counts())
            judged = self._judging.take(feature, about.principal, answer, citing.groundedness, about.passages, record)
            if judged and feature.judge is not None:
                span.attributes.update(judge=judged, judge_sample=feature.judge.sample)
            references = [
                {
                    "number": each.number,
                    "document": each.document,
                    "version": each.version,
                    "start": each.start,
                    "end": each.end,
                }
                for each in citations
            ]
            record.keep(span, {"citations": references}, [each.document for each in citations])
        record.keep_answer({"answer": answer}, [each.document for each in about.passages])


@dataclass(frozen=True, slots=True)
class _About:
    """Whose answer to which request is cited."""

    principal: Principal
    feature: Feature
    passages: Sequence[Passage]
    record: Record


async def _fitting(feature: Feature, parts: AsyncGenerator[Part, None]) -> AsyncGenerator[Part, None]:
    """The text in one piece, then its citations and its end."""
    async with aclosing(parts):
        said = [part async for part in parts]
    text = "".join(part.text for part in said if isinstance(part, Text))
    check_cited(feature, text)
    yield Text(text)
    for part in said:
        if not isinstance(part, Text):
            yield part


def _reference(passage: Passage) -> dict[str, object]:
    """A passage by its place: its text is re-read under the viewer's rights."""
    return {
        "number": passage.number,
        "document": passage.document,
        "version": passage.version,
        "start": passage.start,
        "end": passage.end,
        "score": passage.score,
    }
