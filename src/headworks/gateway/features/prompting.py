"""From what was asked to what is sent: the caller's own bytes for a plain route, a rendered prompt for a feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headworks.gateway.calls import Call, Question
from headworks.gateway.contract import InputCheck, Renderer
from headworks.gateway.features.binding import bind
from headworks.gateway.outgoing import Composed, Forwarded, Outgoing
from headworks.gateway.plans import Plan
from headworks.gateway.recording import Record
from headworks.types.models import Message, Prompt
from headworks.types.retrieval import Passage

_NO_QUESTION = Question("")


class Prompting:
    """See the module."""

    def __init__(self, render: Renderer, check_inputs: InputCheck) -> None:
        self._render = render
        self._check_inputs = check_inputs

    def bind(self, plan: Plan, call: Call) -> Question:
        """What the feature is asked; a plain route's request is the provider's to judge."""
        return _NO_QUESTION if plan.feature is None else bind(plan, call, self._check_inputs)

    def render(
        self, plan: Plan, call: Call, question: Question, passages: Sequence[Passage], record: Record
    ) -> Outgoing:
        """What is sent. Raises InvalidRequest where the template fails."""
        if plan.feature is None:
            return Forwarded(call)
        with record.span("render") as span:
            prompt = self._render(plan.feature, question.text, question.history, question.inputs, passages)
            if question.system:
                prompt = replace(prompt, messages=_after_system(prompt, question.system))
            span.attributes["messages"] = len(prompt.messages)
            asked = {"question": question.text, "inputs": question.inputs, "history": len(question.history)}
            record.keep(span, asked)
        record.row.render_us = span.duration_us
        return Composed(call, prompt, question.max_output, question.extra)


def _after_system(prompt: Prompt, extra: Sequence[Message]) -> tuple[Message, ...]:
    """The caller's system messages, where the feature accepts them, come after its own."""
    own = [each for each in prompt.messages if each.role in {"system", "developer"}]
    rest = [each for each in prompt.messages if each.role not in {"system", "developer"}]
    return (*own, *extra, *rest)
