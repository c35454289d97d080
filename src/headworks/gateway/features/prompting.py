"""From what a feature is asked to what is sent: a rendered prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headworks.gateway.answers.outgoing import Composed, Outgoing
from headworks.gateway.calls import Call, Question
from headworks.gateway.contract import InputCheck, Renderer
from headworks.gateway.features.binding import bind
from headworks.gateway.plans import Plan
from headworks.gateway.recording import Record
from headworks.types.models import Message, Prompt
from headworks.types.retrieval import Passage


class Prompting:
    """See the module."""

    def __init__(self, render: Renderer, check_inputs: InputCheck) -> None:
        self._render = render
        self._check_inputs = check_inputs

    def bind(self, plan: Plan, call: Call) -> Question:
        """What the feature is asked. Raises InvalidRequest, FixedByFeature."""
        if plan.feature is not None and plan.feature.notice:
            call.reply.append((b"x-headworks-notice", plan.feature.notice.encode("ascii")))
        return bind(plan, call, self._check_inputs)

    def render(
        self, plan: Plan, call: Call, question: Question, passages: Sequence[Passage], record: Record
    ) -> Outgoing:
        """What is sent. Raises InvalidRequest where the template fails."""
        assert plan.feature is not None  # noqa: S101 -- a plain route renders nothing
        with record.span("render") as span:
            prompt = self._render(plan.feature, question.text, question.history, question.inputs, passages)
            if question.system:
                prompt = replace(prompt, messages=_after_system(prompt, question.system))
            span.attributes["messages"] = len(prompt.messages)
            asked = {"question": question.text, "inputs": question.inputs, "history": len(question.history)}
            record.keep(span, asked)
        record.row.render_us = span.duration_us
        extra = question.extra
        if plan.feature.output is not None:
            extra = {**extra, "response_format": plan.feature.output.response_format}
        return Composed(call, prompt, question.max_output, extra)


def _after_system(prompt: Prompt, extra: Sequence[Message]) -> tuple[Message, ...]:
    """The caller's system messages, where the feature accepts them, come after its own."""
    own = [each for each in prompt.messages if each.role in {"system", "developer"}]
    rest = [each for each in prompt.messages if each.role not in {"system", "developer"}]
    return (*own, *extra, *rest)
