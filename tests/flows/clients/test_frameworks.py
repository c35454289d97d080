"""LangChain and LlamaIndex through us, to every vendor. Features and embeddings: tests/flows/test_langchain.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from answering_providers import BEGUN, DEGREES, GAVE_UP, WAIT_S
from client_stage import Stage
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

TARGETS = ("gpt", "claude", "gemini", "bedrock")
BOTH = [{"city": "Basel"}, {"city": "Bern"}]
ASKED = "The weather in Basel and Bern?"


class Weather(pydantic.BaseModel):
    """A structured answer."""

    city: str
    degrees: float


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return f"12 in {city}"


def chat(stage: Stage, model: str, retries: int = 0, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=stage.url, api_key=stage.key, model=model, max_retries=retries, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("by_responses", [False, True])
@pytest.mark.parametrize("model", TARGETS)
def test_langchain_chats_and_streams(stage: Stage, model: str, *, by_responses: bool) -> None:
    llm = chat(stage, model, use_responses_api=by_responses, stream_usage=True)
    whole = llm.invoke("Hi.")
    assert whole.text == "You said: Hi."
    assert whole.usage_metadata["total_tokens"] == 15  # type: ignore[index]
    pieces = list(llm.stream("Hi there."))
    assert "".join(each.text for each in pieces) == "You said: Hi there."
    assert sum((each.usage_metadata or {}).get("output_tokens", 0) for each in pieces) > 0


@pytest.mark.parametrize("by_responses", [False, True])
@pytest.mark.parametrize("model", TARGETS)
def test_langchain_calls_tools(stage: Stage, model: str, *, by_responses: bool) -> None:
    llm = chat(stage, model, use_responses_api=by_responses).bind_tools([weather])
    first: Any = None
    for piece in llm.stream(ASKED):
        first = piece if first is None else first + piece
    assert isinstance(first, AIMessageChunk)
    assert [each["args"] for each in first.tool_calls] == BOTH
    results = [ToolMessage(weather.invoke(each["args"]), tool_call_id=each["id"]) for each in first.tool_calls]
    asked = AIMessage(first.content, tool_calls=first.tool_calls)
    assert llm.invoke([HumanMessage(ASKED), asked, *results]).text == DEGREES


@pytest.mark.parametrize("model", TARGETS)
def test_langchain_parses_and_is_refused(stage: Stage, model: str) -> None:
    llm = chat(stage, model)
    assert llm.with_structured_output(Weather).invoke("Say it as JSON.") == Weather(city="Basel", degrees=12.5)
    with pytest.raises(openai.RateLimitError, match="Too many at once."):
        llm.invoke("You are overloaded.")


@pytest.mark.parametrize(("words", "said"), [("It breaks off.", "closed the connection"), ("It gives up.", GAVE_UP)])
@pytest.mark.parametrize("model", TARGETS)
def test_langchain_hears_how_a_stream_breaks(stage: Stage, model: str, words: str, said: str) -> None:
    texts: list[str] = []
    with pytest.raises(openai.APIError, match=said):
        texts.extend(each.text for each in chat(stage, model).stream(words))
    assert "".join(texts) == BEGUN


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_langchain_tries_again_and_leaves(stage: Stage, model: str) -> None:
    words = f"busy langchain-{model} now"
    assert chat(stage, model, retries=2).invoke(words).text == f"You said: {words}"
    first, second = stage.seen(model, words)
    assert second.arrived_at - first.arrived_at >= WAIT_S
    slow = f"slowly, langchain to {model}"
    pieces = chat(stage, model).stream(slow)
    assert any(each.text for each in pieces)
    pieces.close()  # type: ignore[attr-defined] # a generator
    assert stage.is_abandoned(model, slow)


@pytest.fixture(scope="module")
def llama(stage: Stage, clients_python: Path) -> Mapping[tuple[str, str], Any]:
    return stage.run([clients_python, Path(__file__).parents[2] / "clients" / "python" / "llama_index_client.py"])


@pytest.mark.parametrize("model", TARGETS)
def test_llama_index_talks(stage: Stage, llama: Mapping[tuple[str, str], Any], model: str) -> None:
    assert llama["chat", model] == {"text": "You said: Hi."}
    assert llama["stream", model] == {"text": "You said: Hi there.", "several": True}
    assert llama["tools", model] == {"calls": BOTH, "text": DEGREES}
    assert llama["schema", model] == {"city": "Basel", "degrees": 12.5}
    if model == "gemini":  # it has no word for calling tools one by one
        assert "parallel_tool_calls" in llama["one_by_one", model]["said"]
    else:
        assert llama["one_by_one", model] == {"calls": BOTH[:1]}
    assert llama["overloaded", model]["raised"] == "RateLimitError"
    for check, said in (("broken", "closed the connection"), ("failed", GAVE_UP)):
        saw = llama[check, model]
        assert (saw["text"], saw["raised"]) == (BEGUN, "APIError")
        assert said in saw["said"]
    assert llama["retry", model] == {"text": f"You said: busy llama-{model} now"}
    assert len(stage.seen(model, f"busy llama-{model} now")) == 2
    assert stage.is_abandoned(model, f"slowly, llama to {model}")
