"""Personal data is looked for before text leaves: the caller's at once, passages before a provider outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import msgspec

from headworks.gateway.calls import Question
from headworks.gateway.plans import Plan
from headworks.gateway.recording import Record
from headworks.guardrails.service import Guardrails, refusal
from headworks.types.features import PiiSettings
from headworks.types.models import Message
from headworks.types.records import Span
from headworks.types.retrieval import Passage


class Guards:
    """The input guardrail of features. A finding's text is written nowhere; its kind and number are."""

    def __init__(self, guardrails: Guardrails, numbering: Callable[[], Any]) -> None:
        self._guardrails = guardrails
        self._numbering = numbering

    def check_input(self, plan: Plan, question: Question, record: Record) -> Question:
        """The question as it may go on. Raises Blocked."""
        if plan.feature is None or plan.feature.pii is None:
            return question
        settings, numbering = plan.feature.pii, self._numbering()
        record.redact = lambda payload: self._guardrails.redact_payload(settings, payload, numbering)
        with record.span("guard_input") as span:
            work = _Work(self._guardrails, settings, numbering, span)
            where = question.conversation
            return msgspec.structs.replace(
                question,
                text=work.text(question.text, where),
                history=tuple(work.message(each, where) for each in question.history),
                inputs={name: work.value(name, each, "inputs.") for name, each in question.inputs.items()},
                system=tuple(work.message(each, where) for each in question.system),
                extra={name: work.raw(name, each) for name, each in question.extra.items()},
                numbering=numbering,
            )

    def check_passages(
        self, plan: Plan, question: Question, passages: Sequence[Passage], record: Record
    ) -> Sequence[Passage]:
        """Passages as a provider outside this host may see them. Raises Blocked."""
        if plan.feature is None or plan.feature.pii is None or not passages or not plan.leaves_host:
            return passages
        with record.span("guard_passages") as span:
            work = _Work(self._guardrails, plan.feature.pii, question.numbering, span)
            return [work.passage(each) for each in passages]


class _Work:
    """One check of several texts, noted on a span."""

    def __init__(self, guardrails: Guardrails, settings: PiiSettings, numbering: Any, span: Span) -> None:  # noqa: ANN401 -- opaque here
        self._guardrails = guardrails
        self._settings = settings
        self._numbering = numbering
        self._counts: Counter[str] = Counter()
        span.attributes.update(rule="pii", action=settings.action, findings=self._counts)

    def text(self, text: str, where: str) -> str:
        if not text:
            return text
        checked = self._guardrails.check_text(self._settings, text, self._numbering)
        self._counts.update(checked.counts())
        if checked.is_blocked:
            raise refusal(checked.findings[0], where)
        return checked.text

    def message(self, message: Message, where: str) -> Message:
        return replace(message, content=self.text(message.content, where))

    def passage(self, passage: Passage) -> Passage:
        where = f"passage {passage.number}"
        section = tuple(self.text(each, where) for each in passage.section)
        title, text = self.text(passage.title, where), self.text(passage.text, where)
        return replace(passage, text=text, title=title, section=section)

    def value(self, name: str, value: Any, of: str = "") -> Any:  # noqa: ANN401 -- any JSON value
        """A value of the caller's under its name, which counts as its label: texts, long numbers and names in it."""
        checked = self._guardrails.check_value(self._settings, {name: value}, self._numbering)
        self._counts.update(checked.counts())
        if checked.is_blocked:
            raise refusal(checked.findings[0], f"{of}{name}")
        return value if not checked.findings else next(iter(cast("dict[str, Any]", checked.value).values()))

    def raw(self, name: str, value: msgspec.Raw) -> msgspec.Raw:
        """As `value`, for JSON that goes on as it was written where nothing is found in it."""
        given = msgspec.json.decode(value)
        checked = self.value(name, given)
        return value if checked is given else msgspec.Raw(msgspec.json.encode(checked))
