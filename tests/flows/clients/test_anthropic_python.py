"""Anthropic's Python client through us, to its own vendor and to all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pydantic
import pytest
from answering_providers import BEGUN, DEGREES, GAVE_UP, LONG_WAIT_S, WAIT_S
from client_stage import Stage

TARGETS = ("claude", "gpt", "gemini", "bedrock")
TOOL: Any = {
    "name": "weather",
    "description": "Tells it.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
BOTH = [{"city": "Basel"}, {"city": "Bern"}]


class Weather(pydantic.BaseModel):
    """A structured answer."""

    city: str
    degrees: float


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[anthropic.Anthropic]:
    url, key = stage.server.url, stage.key
    with anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30) as made:
        yield made


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def asked(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "max_tokens": 1000, "messages": user(text)}


@pytest.mark.parametrize("model", TARGETS)
def test_a_message_is_answered(client: anthropic.Anthropic, model: str) -> None:
    more: dict[str, Any] = {"system": "Be brief.", "stop_sequences": ["END"], "extra_body": {"temperature": 0.5}}
    answer = client.messages.create(**asked(model, "Hi."), **more)
    assert [(each.type, each.text) for each in answer.content] == [("text", "You said: Hi.")]  # type: ignore[union-attr]
    assert (answer.stop_reason, answer.role, answer.type) == ("end_turn", "assistant", "message")
    assert answer.id
    assert answer.model
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 5)


@pytest.mark.parametrize("model", TARGETS)
def test_a_message_streams(client: anthropic.Anthropic, model: str) -> None:
    with client.messages.stream(**asked(model, "Hi there.")) as stream:
        kinds = [each.type for each in stream]
        final = stream.get_final_message()
    assert [kinds[0], kinds[-1]] == ["message_start", "message_stop"]
    assert final.content[0].text == "You said: Hi there."  # type: ignore[union-attr]
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("model", TARGETS)
@pytest.mark.parametrize("streams", [False, True])
def test_two_tools_are_called_and_their_results_go_back(
    client: anthropic.Anthropic, model: str, *, streams: bool
) -> None:
    given = asked(model, "The weather in Basel and Bern?") | {"tools": [TOOL]}
    if streams:
        with client.messages.stream(**given) as stream:
            first = stream.get_final_message()
    else:
        first = client.messages.create(**given)
    calls = [each for each in first.content if each.type == "tool_use"]
    assert [each.input for each in calls] == BOTH
    assert first.stop_reason == "tool_use"
    results = [{"type": "tool_result", "tool_use_id": each.id, "content": "12"} for each in calls]
    turns = [*given["messages"], {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    last = client.messages.create(**given | {"messages": turns})
    assert last.content[0].text == DEGREES  # type: ignore[union-attr]


@pytest.mark.parametrize("model", TARGETS)
def test_a_structured_answer_is_parsed(client: anthropic.Anthropic, model: str) -> None:
    answer = client.messages.parse(**asked(model, "Say it as JSON."), output_format=Weather)
    assert answer.parsed_output == Weather(city="Basel", degrees=12.5)


@pytest.mark.parametrize("model", TARGETS)
def test_too_many_at_once_is_said_with_the_time_to_wait(client: anthropic.Anthropic, model: str) -> None:
    with pytest.raises(anthropic.RateLimitError, match="Too many at once.") as refused:
        client.messages.create(**asked(model, "You are overloaded."))
    assert refused.value.type == "rate_limit_error"
    if model != "bedrock":
        assert float(refused.value.response.headers["retry-after"]) == LONG_WAIT_S


@pytest.mark.parametrize("model", ["claude", "gpt"])
def test_the_client_tries_again_when_it_was_told_to(stage: Stage, client: anthropic.Anthropic, model: str) -> None:
    words = f"busy anthropic-{model} now"
    answer = client.with_options(max_retries=2).messages.create(**asked(model, words))
    assert answer.content[0].text == f"You said: {words}"  # type: ignore[union-attr]
    first, second = stage.seen(model, words)
    assert second.arrived_at - first.arrived_at >= WAIT_S


@pytest.mark.parametrize("model", TARGETS)
def test_a_stream_that_is_left_is_left_at_the_provider(stage: Stage, client: anthropic.Anthropic, model: str) -> None:
    words = f"slowly, anthropic to {model}"
    with client.messages.create(**asked(model, words), stream=True) as stream:
        assert any(each.type == "content_block_delta" for each in stream)
    assert stage.is_abandoned(model, words)


@pytest.mark.parametrize(("words", "said"), [("It breaks off.", "closed the connection"), ("It gives up.", GAVE_UP)])
@pytest.mark.parametrize("model", TARGETS)
def test_a_stream_that_breaks_is_an_error(client: anthropic.Anthropic, model: str, words: str, said: str) -> None:
    texts: list[str] = []
    with client.messages.stream(**asked(model, words)) as stream, pytest.raises(anthropic.APIError, match=said):
        texts.extend(stream.text_stream)
    assert "".join(texts) == BEGUN


def test_names_and_keys_that_are_none(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="Near names: claude") as unknown:
        client.messages.create(**asked("claud", "Hi."))
    assert unknown.value.type == "not_found_error"
    with pytest.raises(anthropic.AuthenticationError) as stranger:
        client.with_options(api_key="sk-wrong").messages.create(**asked("claude", "Hi."))
    assert stranger.value.type == "authentication_error"


def test_what_another_format_can_not_say_is_refused_by_name(client: anthropic.Anthropic) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(anthropic.BadRequestError, match=r"tools\[0\]"):
        client.messages.create(**asked("gpt", "Hi."), tools=[search])


@pytest.mark.parametrize("model", TARGETS)
def test_tokens_are_counted_or_estimated(client: anthropic.Anthropic, model: str) -> None:
    told = client.messages.with_raw_response.count_tokens(model=model, messages=user("one two three"))
    if model == "gpt":  # nothing counts for it
        assert told.headers["x-headworks-estimated"] == "true"
        assert told.parse().input_tokens > 0
    else:
        assert told.parse().input_tokens == 3
