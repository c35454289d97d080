"""The scorers of autoevals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import autoevals
import jsonschema
from autoevals import EmbeddingSimilarity, Scorer
from autoevals.oai import LLMClient

from headworks.adapters.scoring.asking import Asking, Case, NotScorable, Said, chosen, made

DISTRIBUTION = "autoevals"
NOT_MEASURED = "not_measured"


class _Forgetful(dict[Any, Any]):
    """EmbeddingSimilarity keeps vectors by text alone, whatever model made them: here it keeps none."""

    def __setitem__(self, key: Any, value: Any) -> None:
        del key, value


EmbeddingSimilarity._CACHE = _Forgetful()  # noqa: SLF001 -- there is no setting for it


class _Never(Exception):
    """Calls wait for their turn on the server; none is to be repeated here."""


class _Client(LLMClient):
    """The server's models, in the shape of OpenAI's client. Never asks OpenAI."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.openai = None
        self.is_async = True
        self._is_wrapped = False
        self.RateLimitError = _Never

    async def complete(self, *, messages: list[dict[str, Any]], tools: Any = None, **_: Any) -> dict[str, Any]:
        """A chat completion; where a tool must be called its arguments are what the model answers."""
        said = [{"role": each["role"], "content": str(each["content"])} for each in messages]
        if not tools:
            return _completion({"content": await asyncio.to_thread(self._asking.complete, said)})
        function = tools[0]["function"]

        def reader(text: str) -> str:
            value = json.loads(text)
            try:
                jsonschema.validate(value, function["parameters"])
            except jsonschema.ValidationError as error:
                raise ValueError(error.message) from None
            return text

        # In one turn: some models take no two of the same side in a row.
        *before, last = said
        asked = {"role": last["role"], "content": f"{last['content']}\n\n{_as_answer(function)}"}
        arguments = await self._asking.read_soon([*before, asked], function["parameters"], reader)
        call = {"id": "1", "type": "function", "function": {"name": function["name"], "arguments": arguments}}
        return _completion({"content": None, "tool_calls": [call]})

    async def embed(self, *, input: Any, **_: Any) -> dict[str, Any]:  # noqa: A002 -- OpenAI's name
        """Embeddings as OpenAI's client gives them."""
        texts = [input] if isinstance(input, str) else list(input)
        return {"data": [{"embedding": each} for each in await asyncio.to_thread(self._asking.embed, texts)]}

    async def moderation(self, **_: Any) -> dict[str, Any]:
        """There is none behind the server's models."""
        raise NotScorable("scorer_settings", "It wants OpenAI's moderation, which is no model of the server.")


def _completion(message: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def _as_answer(function: Mapping[str, Any]) -> str:
    schema = json.dumps(function["parameters"], ensure_ascii=False)
    return f"Call `{function['name']}` by answering with its arguments, one JSON object and nothing else: {schema}"


async def score(metric: str, settings: Mapping[str, Any], case: Case, asking: Asking) -> Said:
    """One case. Raises NotScorable, and whatever the scorer raises."""
    kind = chosen(vars(autoevals), metric, Scorer)
    asks = hasattr(kind, "_request_args") or kind.__module__ in {"autoevals.ragas", "autoevals.moderation"}
    client = {"client": _Client(asking)} if asks or kind is EmbeddingSimilarity else {}
    one = made(kind, {**settings, **client})
    output, expected = _compared(case)
    contexts = list(case.passages) or list(case.context)
    result = await one.eval_async(
        output=output, expected=expected, input=case.question, **({"context": contexts} if contexts else {})
    )
    if result.score is None:
        raise NotScorable(NOT_MEASURED, "The scorer skipped it.")
    metadata = result.metadata or {}
    return Said(float(result.score), str(metadata.get("rationale") or metadata.get("reason") or ""))


def _compared(case: Case) -> tuple[Any, Any]:
    """Answer and reference: as JSON values where the reference is one and the answer can be read as one."""
    if case.reference is None or isinstance(case.reference, str):
        return case.answer, case.reference
    try:
        return json.loads(case.answer), case.reference
    except ValueError:
        return case.answer, case.reference
