"""Ragas' metrics (`ragas.metrics.collections`)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from ragas.embeddings.base import BaseRagasEmbedding
from ragas.llms.base import InstructorBaseRagasLLM
from ragas.messages import AIMessage, HumanMessage, ToolCall
from ragas.metrics import collections
from ragas.metrics.collections.base import BaseMetric

from headworks.adapters.scoring.asking import (
    NO_REFERENCE,
    SETTINGS,
    Asking,
    Case,
    NotScorable,
    Said,
    chosen,
    made,
    one_turn,
)

DISTRIBUTION = "ragas"


class _Model(InstructorBaseRagasLLM):
    """The server's models, as Ragas asks its own."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def generate(self, prompt: str, response_model: Any) -> Any:
        return self._asking.read(
            one_turn(prompt), response_model.model_json_schema(), response_model.model_validate_json
        )

    async def agenerate(self, prompt: str, response_model: Any) -> Any:
        return await asyncio.to_thread(self.generate, prompt, response_model)


class _Embedder(BaseRagasEmbedding):
    """The server's embeddings."""

    def __init__(self, asking: Asking) -> None:
        super().__init__()
        self._asking = asking

    def embed_text(self, text: str, **_: Any) -> list[float]:
        return self._asking.embed([text])[0]

    async def aembed_text(self, text: str, **_: Any) -> list[float]:
        return await asyncio.to_thread(self.embed_text, text)

    def embed_texts(self, texts: list[str], **_: Any) -> list[list[float]]:
        return self._asking.embed(texts)

    async def aembed_texts(self, texts: list[str], **_: Any) -> list[list[float]]:
        return await asyncio.to_thread(self._asking.embed, texts)


async def score(metric: str, settings: Mapping[str, Any], case: Case, asking: Asking) -> Said:
    """One case. Raises NotScorable, and whatever the metric raises."""
    kind = chosen(vars(collections), metric, BaseMetric)
    takes = inspect.signature(kind).parameters
    given = {key: _typed(key, value) for key, value in settings.items()}
    if "llm" in takes:
        given["llm"] = _Model(asking)
    if "embeddings" in takes:
        given["embeddings"] = _Embedder(asking)
    one = made(kind, given)
    result = await one.ascore(**_arguments(one, case))
    return Said(float(result.value), str(result.reason or ""))


def _arguments(one: Any, case: Case) -> dict[str, Any]:
    """What the metric wants of the case, by the names that Ragas has for it. Raises NotScorable for what is missing."""
    there = {
        "user_input": case.question,
        "response": case.answer,
        "reference": case.reference_text,
        "retrieved_contexts": list(case.passages),
        "reference_contexts": list(case.context),
        "reference_tool_calls": _tools(case.expected_tools),
    }
    given: dict[str, Any] = {}
    for name, wanted in inspect.signature(one.ascore).parameters.items():
        if name == "user_input" and "Message" in str(wanted.annotation):
            given[name] = [HumanMessage(content=case.question), _turn(case)]
        elif there.get(name):
            given[name] = there[name]
        elif wanted.default is inspect.Parameter.empty:
            raise NotScorable(NO_REFERENCE, f"Nothing of the example is Ragas' `{name}`.")
    return given


def _turn(case: Case) -> AIMessage:
    return AIMessage(content=case.answer, tool_calls=_tools(case.tools))


def _tools(used: Any) -> list[ToolCall]:
    return [ToolCall(name=each["name"], args=dict(each["arguments"])) for each in used]


def _typed(key: str, value: Any) -> Any:
    """The words of Ragas' one enumeration; everything else as JSON has it."""
    if key != "distance_measure":
        return value
    try:
        return collections.DistanceMeasure(value)
    except ValueError as error:
        raise NotScorable(SETTINGS, str(error)) from None
