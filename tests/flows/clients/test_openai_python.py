"""OpenAI's Python client through us, to its own vendor and to all others: Chat Completions and Responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest
from answering_providers import BEGUN, DEGREES, GAVE_UP, LONG_WAIT_S, WAIT_S
from client_stage import Stage

TARGETS = ("gpt", "compatible", "claude", "gemini", "bedrock")
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": PARAMETERS}}
FLAT_TOOL: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
BOTH = [{"city": "Basel"}, {"city": "Bern"}]


class Weather(pydantic.BaseModel):
    """A structured answer."""

    city: str
    degrees: float


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=stage.url, api_key=stage.key, max_retries=0, timeout=30) as made:
        yield made


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("model", TARGETS)
def test_a_chat_is_answered(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=[{"role": "system", "content": "Hm."}, *user("Hi.")])
    assert answer.choices[0].message.content == "You said: Hi."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith(("chatcmpl-", "msg_", "simulated-"))
    assert answer.model
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (10, 15)


@pytest.mark.parametrize("model", TARGETS)
def test_a_chat_streams_with_its_usage(client: openai.OpenAI, model: str) -> None:
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    with client.chat.completions.create(model=model, messages=user("Hi there."), **asked) as stream:  # type: ignore[call-overload]
        chunks = list(stream)
    assert len({each.id for each in chunks}) == 1
    said = [each.choices[0] for each in chunks if each.choices]
    assert "".join(each.delta.content or "" for each in said) == "You said: Hi there."
    assert [each.finish_reason for each in said if each.finish_reason] == ["stop"]
    assert chunks[-1].usage.total_tokens > 10


@pytest.mark.parametrize("model", TARGETS)
def test_two_tools_are_called_at_once_and_their_results_go_back(client: openai.OpenAI, model: str) -> None:
    turns = user("The weather in Basel and Bern?")
    first = client.chat.completions.create(model=model, messages=turns, tools=[TOOL])
    calls: Any = first.choices[0].message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls"
    assert [json.loads(each.function.arguments) for each in calls] == BOTH
    results = [{"role": "tool", "tool_call_id": each.id, "content": "12"} for each in calls]
    last = client.chat.completions.create(
        model=model, messages=[*turns, first.choices[0].message, *results], tools=[TOOL]
    )
    assert last.choices[0].message.content == DEGREES


@pytest.mark.parametrize("model", TARGETS)
def test_streamed_calls_of_tools_are_put_together(client: openai.OpenAI, model: str) -> None:
    with client.chat.completions.stream(
        model=model, messages=user("The weather in Basel and Bern?"), tools=[TOOL]
    ) as stream:
        choice = stream.get_final_completion().choices[0]
    calls: Any = choice.message.tool_calls
    assert [json.loads(each.function.arguments) for each in calls] == BOTH
    assert len({each.id for each in calls}) == 2
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("model", TARGETS)
def test_a_structured_answer_is_parsed(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=user("Say it as JSON."), response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Basel", degrees=12.5)


@pytest.mark.parametrize("model", TARGETS)
def test_too_many_at_once_is_said_with_the_time_to_wait(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model=model, messages=user("You are overloaded."))
    assert "Too many at once." in refused.value.message
    if model != "bedrock":
        assert float(refused.value.response.headers["retry-after"]) == LONG_WAIT_S


@pytest.mark.parametrize("model", ["gpt", "claude", "gemini"])
def test_the_client_tries_again_when_it_was_told_to(stage: Stage, client: openai.OpenAI, model: str) -> None:
    words = f"busy openai-{model} now"
    answer = client.with_options(max_retries=2).chat.completions.create(model=model, messages=user(words))
    assert answer.choices[0].message.content == f"You said: {words}"
    first, second = stage.seen(model, words)
    assert second.arrived_at - first.arrived_at >= WAIT_S


@pytest.mark.parametrize("model", TARGETS)
def test_a_stream_that_is_left_is_left_at_the_provider(stage: Stage, client: openai.OpenAI, model: str) -> None:
    words = f"slowly, openai to {model}"
    with client.chat.completions.create(model=model, messages=user(words), stream=True) as stream:
        assert any(each.choices and each.choices[0].delta.content for each in stream)
    assert stage.is_abandoned(model, words)


@pytest.mark.parametrize(("words", "said"), [("It breaks off.", "closed the connection"), ("It gives up.", GAVE_UP)])
@pytest.mark.parametrize("model", TARGETS)
def test_a_stream_that_breaks_is_an_error(client: openai.OpenAI, model: str, words: str, said: str) -> None:
    stream = client.chat.completions.create(model=model, messages=user(words), stream=True)
    texts: list[str] = []
    with pytest.raises(openai.APIError, match=said):
        texts.extend(each.choices[0].delta.content or "" for each in stream)
    assert "".join(texts) == BEGUN


def test_names_and_keys_that_are_none(stage: Stage, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Near names: claude") as unknown:
        client.chat.completions.create(model="claud", messages=user("Hi."))
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError) as stranger:
        client.with_options(api_key="sk-wrong").responses.create(model="gpt", input="Hi.")
    assert stranger.value.code == "malformed_api_key"


def test_what_another_format_can_not_say_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="claude", messages=user("Hi."), logit_bias={"50256": -100})
    assert refused.value.param == "logit_bias"


@pytest.mark.parametrize("model", TARGETS)
def test_a_response_is_given(client: openai.OpenAI, model: str) -> None:
    answer = client.responses.create(model=model, instructions="Be brief.", input="Hi.", store=False)
    assert (answer.status, answer.output_text) == ("completed", "You said: Hi.")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 15


@pytest.mark.parametrize("model", TARGETS)
def test_a_response_streams(client: openai.OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="Hi there.", store=False) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    assert [each.sequence_number for each in events] == list(range(len(events)))
    deltas = [each.delta for each in events if each.type == "response.output_text.delta"]
    assert "".join(deltas) == final.output_text == "You said: Hi there."


@pytest.mark.parametrize("model", TARGETS)
def test_responses_call_tools_and_take_their_results(client: openai.OpenAI, model: str) -> None:
    turns = user("The weather in Basel and Bern?")
    with client.responses.stream(model=model, input=turns, tools=[FLAT_TOOL], store=False) as stream:
        output = stream.get_final_response().output
    calls = [each for each in output if each.type == "function_call"]
    assert [json.loads(each.arguments) for each in calls] == BOTH
    results = [{"type": "function_call_output", "call_id": each.call_id, "output": "12"} for each in calls]
    items: Any = [*turns, *[each.to_dict(exclude_unset=True) for each in calls], *results]
    for each in items:
        each.pop("parsed_arguments", None)
    last = client.responses.create(model=model, input=items, tools=[FLAT_TOOL], store=False)
    assert last.output_text == DEGREES


@pytest.mark.parametrize("model", TARGETS)
def test_a_structured_response_is_parsed(client: openai.OpenAI, model: str) -> None:
    answer = client.responses.parse(model=model, input="Say it as JSON.", text_format=Weather, store=False)
    assert answer.output_parsed == Weather(city="Basel", degrees=12.5)


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_a_response_that_is_left_is_left_at_the_provider(stage: Stage, client: openai.OpenAI, model: str) -> None:
    words = f"slowly, responses to {model}"
    with client.responses.create(model=model, input=words, stream=True, store=False) as stream:
        assert any(each.type == "response.output_text.delta" for each in stream)
    assert stage.is_abandoned(model, words)


@pytest.mark.parametrize("model", ["claude", "gemini", "compatible"])
def test_a_response_that_we_keep_goes_on_and_is_forgotten(stage: Stage, client: openai.OpenAI, model: str) -> None:
    first = client.responses.create(model=model, input=f"The first to {model}.")
    assert client.responses.retrieve(first.id).output_text == first.output_text
    assert len(client.responses.input_items.list(first.id).data) == 1
    words = f"The second to {model}."
    second = client.responses.create(model=model, input=words, previous_response_id=first.id)
    assert second.output_text == f"You said: {words}"
    assert f"The first to {model}.".encode() in stage.seen(model, words)[-1].body
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
