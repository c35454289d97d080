"""DeepEval's metrics for single answers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from deepeval import metrics
from deepeval.errors import MissingTestCaseParamsError
from deepeval.models import DeepEvalBaseLLM
from deepeval.test_case import LLMTestCase, SingleTurnParams, ToolCall, ToolCallParams

from headworks.adapters.scoring.asking import NO_REFERENCE, Asking, Case, NotScorable, Said, chosen, made, one_turn

DISTRIBUTION = "deepeval"
_ENUMS = {"evaluation_params": (SingleTurnParams, ToolCallParams)}


class _Model(DeepEvalBaseLLM):
    """The server's models, as DeepEval asks its own."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        super().__init__("headworks")

    def load_model(self) -> _Model:
        return self

    def get_model_name(self) -> str:
        return "headworks"

    def generate(self, prompt: Any, schema: Any = None) -> Any:
        if schema is None:
            return self._asking.complete(one_turn(prompt))
        return self._asking.read(one_turn(prompt), schema.model_json_schema(), schema.model_validate_json)

    async def a_generate(self, prompt: Any, schema: Any = None) -> Any:
        return await asyncio.to_thread(self.generate, prompt, schema)


async def score(metric: str, settings: Mapping[str, Any], case: Case, asking: Asking) -> Said:
    """One case. Raises NotScorable, and whatever the metric raises."""
    kind = chosen(vars(metrics), metric, metrics.BaseMetric)
    takes = inspect.signature(kind).parameters
    given = {key: _typed(key, value) for key, value in settings.items()}
    if "model" in takes:
        given["model"] = _Model(asking)
    one = made(kind, given)
    try:
        await one.a_measure(_case(case), _show_indicator=False)
    except MissingTestCaseParamsError as error:
        raise NotScorable(NO_REFERENCE, str(error)) from None
    return Said(float(one.score), str(one.reason or ""))


def _case(case: Case) -> LLMTestCase:
    return LLMTestCase(
        input=case.question,
        actual_output=case.answer,
        expected_output=case.reference_text,
        context=list(case.context) or None,
        retrieval_context=list(case.passages) or None,
        tools_called=_tools(case.tools),
        expected_tools=_tools(case.expected_tools),
    )


def _tools(used: Any) -> list[ToolCall]:
    return [ToolCall(name=each["name"], input_parameters=dict(each["arguments"])) for each in used]


def _typed(key: str, value: Any) -> Any:
    """Words of DeepEval's own enumerations; everything else as JSON has it."""
    if key not in _ENUMS or not isinstance(value, list):
        return value
    words = {each.value: each for enum in _ENUMS[key] for each in enum}
    return [words.get(each, each) for each in value]
