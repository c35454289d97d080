"""Inspect's scorers that look at one answer and its target."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Mapping
from typing import Any

from inspect_ai import scorer
from inspect_ai.model import ChatMessageUser, ModelAPI, ModelName, ModelOutput, get_model, modelapi
from inspect_ai.solver import TaskState

from headworks.adapters.scoring.asking import (
    NO_REFERENCE,
    SETTINGS,
    UNKNOWN,
    UNPARSABLE,
    Asking,
    Case,
    NotScorable,
    Said,
    made,
)

DISTRIBUTION = "inspect-ai"
OFFERED = (
    "answer", "exact", "f1", "includes", "match", "math", "model_graded_fact", "model_graded_qa", "pattern",
)  # fmt: skip
"""Others score several answers at once, read files, or need a model's probabilities."""
_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_NAME = "headworks/model"


@modelapi(name="headworks")
class _Api(ModelAPI):
    """The server's models, as Inspect asks a provider."""

    def __init__(self, model_name: str, *, asking: Asking, **_: Any) -> None:
        super().__init__(model_name)
        self._asking = asking

    async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> ModelOutput:  # noqa: A002 -- Inspect's name
        del tools, tool_choice, config
        messages = [{"role": each.role, "content": each.text} for each in input]
        return ModelOutput.from_content(_NAME, await asyncio.to_thread(self._asking.complete, messages))


async def score(metric: str, settings: Mapping[str, Any], case: Case, asking: Asking) -> Said:
    """One case. Raises NotScorable, and whatever the scorer raises."""
    if metric not in OFFERED:
        raise NotScorable(UNKNOWN, f"There is no scorer `{metric}`. There are {', '.join(OFFERED)}.")
    factory = getattr(scorer, metric)
    given = {key: _text_and_no_file(key, value) for key, value in settings.items()}
    if "model" in inspect.signature(factory).parameters:
        given["model"] = get_model(_NAME, memoize=False, asking=asking)
    one = made(factory, given)
    if case.reference_text is None:
        raise NotScorable(NO_REFERENCE, "The example has no reference, which is Inspect's target.")
    found = await one(_state(case), scorer.Target(_targets(case)))
    return _said(found)


def _text_and_no_file(key: str, value: Any) -> Any:
    """Inspect takes a template that names a file for the file."""
    if key == "template" and "{" not in str(value):
        raise NotScorable(SETTINGS, "`template` is a text with {question}, {answer} and {criterion}.")
    return value


def _targets(case: Case) -> list[str]:
    """Several texts are several targets."""
    if isinstance(case.reference, list):
        return [str(each) for each in case.reference]
    return [case.reference_text or ""]


def _state(case: Case) -> TaskState:
    return TaskState(
        model=ModelName(_NAME),
        sample_id="1",
        epoch=1,
        input=case.question,
        messages=[ChatMessageUser(content=case.question)],
        output=ModelOutput.from_content(_NAME, case.answer),
        metadata=dict(case.metadata),
    )


def _said(found: Any) -> Said:
    """A letter, a number or a boolean as a number."""
    reason = str(found.explanation or "")
    value = _LETTERS.get(found.value, found.value) if isinstance(found.value, str) else found.value
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise NotScorable(UNPARSABLE, reason or f"Inspect says {found.value!r}, which is no number.")
    return Said(float(value), reason)
