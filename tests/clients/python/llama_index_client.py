"""LlamaIndex's client of OpenAI-like servers: each check runs once for each model and prints a line of JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from openai import APIError
from pydantic import BaseModel

MODELS = ("gpt", "claude", "gemini", "bedrock")


class Named(OpenAI):
    """A model whose window LlamaIndex doesn't have in its own table."""

    @property
    def metadata(self) -> Any:
        known = OpenAI(model="gpt-4o-mini", api_key="-").metadata
        return known.model_copy(update={"model_name": self.model})


class Weather(BaseModel):
    """A structured answer."""

    city: str
    degrees: float


def weather(city: str) -> str:
    """Tells the weather."""
    return f"12 in {city}"


def chat(llm: OpenAI) -> Any:
    return {"text": llm.chat([ChatMessage(role="user", content="Hi.")]).message.content}


def stream(llm: OpenAI) -> Any:
    pieces = list(llm.stream_chat([ChatMessage(role="user", content="Hi there.")]))
    return {"text": "".join(each.delta or "" for each in pieces), "several": len(pieces) > 2}


def tools(llm: OpenAI) -> Any:
    tool = FunctionTool.from_defaults(weather)
    turns = [ChatMessage(role="user", content="The weather in Basel and Bern?")]
    first = llm.chat_with_tools([tool], chat_history=turns, allow_parallel_tool_calls=True)
    calls = llm.get_tool_calls_from_response(first)
    results = [
        ChatMessage(
            role="tool", content=str(tool(**call.tool_kwargs)), additional_kwargs={"tool_call_id": call.tool_id}
        )
        for call in calls
    ]
    last = llm.chat_with_tools([tool], chat_history=[*turns, first.message, *results], allow_parallel_tool_calls=True)
    return {"calls": [call.tool_kwargs for call in calls], "text": last.message.content}


def schema(llm: OpenAI) -> Any:
    asked = [ChatMessage(role="user", content="Say it as JSON.")]
    wanted = {"name": "Weather", "schema": Weather.model_json_schema() | {"additionalProperties": False}}
    made = llm.chat(asked, response_format={"type": "json_schema", "json_schema": wanted})
    return Weather.model_validate_json(made.message.content or "").model_dump()


def one_by_one(llm: OpenAI) -> Any:
    """What LlamaIndex asks for where nobody says otherwise: `parallel_tool_calls: false`."""
    tool = FunctionTool.from_defaults(weather)
    turns = [ChatMessage(role="user", content="The weather in Basel?")]
    first = llm.chat_with_tools([tool], chat_history=turns)
    return {"calls": [call.tool_kwargs for call in llm.get_tool_calls_from_response(first)]}


def overloaded(llm: OpenAI) -> Any:
    return {"text": llm.chat([ChatMessage(role="user", content="You are overloaded.")]).message.content}


def broken(llm: OpenAI) -> Any:
    return heard(llm, "It breaks off.")


def failed(llm: OpenAI) -> Any:
    return heard(llm, "It gives up.")


def heard(llm: OpenAI, asked: str) -> Any:
    """The text of a stream up to the error that ends it."""
    text = ""
    try:
        for each in llm.stream_chat([ChatMessage(role="user", content=asked)]):
            text += each.delta or ""
    except APIError as error:
        return {"text": text, "raised": type(error).__name__, "said": str(error)}
    return {"text": text}


def retry(llm: OpenAI) -> Any:
    patient = Named(model=llm.model, api_base=llm.api_base, api_key=llm.api_key, max_retries=2)
    asked = [ChatMessage(role="user", content=f"busy llama-{llm.model} now")]
    return {"text": patient.chat(asked).message.content}


def cancel(llm: OpenAI) -> Any:
    pieces = llm.stream_chat([ChatMessage(role="user", content=f"slowly, llama to {llm.model}")])
    next(each for each in pieces if each.delta)
    pieces.close()  # type: ignore[attr-defined]
    return {"left": True}


CHECKS: tuple[Callable[[OpenAI], Any], ...] = (
    chat,
    stream,
    tools,
    schema,
    one_by_one,
    overloaded,
    broken,
    failed,
    retry,
    cancel,
)


def main() -> None:
    """All of them."""
    base, key = os.environ["HEADWORKS_TEST_URL"] + "/v1", os.environ["HEADWORKS_TEST_KEY"]
    for model in MODELS:
        llm = Named(model=model, api_base=base, api_key=key, max_retries=0)
        for check in CHECKS:
            try:
                saw = check(llm)
            except Exception as error:  # noqa: BLE001 -- what was raised is what was seen
                saw = {"raised": type(error).__name__, "said": str(error)}
            print(json.dumps({"check": check.__name__, "model": model, "saw": saw}), flush=True)


if __name__ == "__main__":
    main()
