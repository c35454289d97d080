"""The simulated Anthropic API says what Anthropic's own client reads, and refuses what Anthropic refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic.types import TextBlock, ToolUseBlock
from anthropic_types import require_error, require_event, require_message, require_request

from headworks.formats import sse
from headworks.testing import anthropic_replies as replies
from headworks.testing.anthropic import SimulatedAnthropic
from headworks.testing.replies import Reply

RULES = [
    {"when": "Hello?", "answer": "Hi there."},
    {"when": "slow", "answer": "one two", "delay_s": 0.01, "token_delay_s": 0.01},
    {"when": "cut", "answer": "one two three", "cut_after": 1},
    {"when": "busy", "status": 429, "retry_after_s": 7, "answer": "Slow down."},
    {"when": "overloaded", "status": 529},
    {"when": "long", "answer": "no end", "finish_reason": "length"},
]
ASK: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello?"}]}
TOOL: dict[str, Any] = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"at": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["at", "days"],
    },
}
EVERYTHING = [
    replies.thought("Hm."),
    replies.hidden(),
    replies.text("Grass is green.", replies.citation("Grass", title="Plan")),
    *replies.search("grass"),
    replies.call("weather", {"at": "Bern", "days": 2}),
]


def asked(question: str, **more: Any) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": question}], **more}


@pytest.fixture
def simulated() -> Iterator[SimulatedAnthropic]:
    with SimulatedAnthropic(script=RULES) as running:
        yield running


@pytest.fixture
def client(simulated: SimulatedAnthropic) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="any", base_url=simulated.origin, max_retries=0) as made:
        yield made


@pytest.fixture
async def patient(simulated: SimulatedAnthropic) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="any", base_url=simulated.origin, max_retries=0) as made:
        yield made


def post(simulated: SimulatedAnthropic, body: Any, path: str = "messages", **headers: str) -> httpx.Response:
    known = {"x-api-key": "any", "anthropic-version": "2023-06-01", **headers}
    return httpx.post(f"{simulated.url}/{path}", content=json.dumps(body), headers=known)


def test_it_answers_by_its_script(simulated: SimulatedAnthropic, client: anthropic.Anthropic) -> None:
    answer = client.messages.create(**ASK)
    assert isinstance(answer.content[0], TextBlock)
    assert (answer.content[0].text, answer.stop_reason) == ("Hi there.", "end_turn")
    assert answer._request_id == "req_sim1"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1, 2)
    assert simulated.last.path == "/v1/messages"
    assert client.messages.create(**asked("long")).stop_reason == "max_tokens"
    require_request(simulated.last.body)


async def test_it_streams_by_its_script(client: anthropic.Anthropic, patient: anthropic.AsyncAnthropic) -> None:
    with client.messages.stream(**ASK) as stream:
        assert list(stream.text_stream) == ["Hi", " there."]
        assert stream.get_final_message().usage.output_tokens == 2
    kinds = [event.type for event in client.messages.create(**ASK, stream=True)]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    async with patient.messages.stream(**asked("slow")) as later:
        assert [said async for said in later.text_stream] == ["one", " two"]


def test_all_that_it_can_say_is_read_whole_and_streamed(
    simulated: SimulatedAnthropic, client: anthropic.Anthropic
) -> None:
    told = replies.message(*EVERYTHING, counts=replies.usage(10, 70, cached=500, written=20, written_1h=10))
    simulated.will(Reply.json(told), replies.stream(*EVERYTHING))
    require_message(json.dumps(told).encode())
    whole = client.messages.create(**ASK)
    with client.messages.stream(**ASK) as stream:
        streamed = stream.get_final_message()
    assert whole.to_dict()["content"] == told["content"]
    assert streamed.to_dict()["content"] == told["content"]
    assert streamed.stop_reason == whole.stop_reason == "tool_use"
    assert whole.usage.cache_creation is not None
    assert whole.usage.cache_creation.ephemeral_1h_input_tokens == 10


def test_each_event_of_a_stream_is_one_that_the_sdk_knows() -> None:
    for event in replies.spoken(*EVERYTHING):
        if event["type"] != "ping":
            require_event(event)
        whole = replies.event(event)
        assert sse.name_of(whole).decode() == event["type"]


def test_a_tool_that_must_be_called_is_called(client: anthropic.Anthropic) -> None:
    choice: Any = {"type": "tool", "name": "weather"}
    answer = client.messages.create(**ASK, tools=[TOOL], tool_choice=choice)  # type: ignore[list-item]
    assert isinstance(answer.content[0], ToolUseBlock)
    assert answer.content[0].input == {"at": "x", "days": 1}
    assert answer.stop_reason == "tool_use"


def test_it_counts_and_lists(client: anthropic.Anthropic) -> None:
    count = client.messages.count_tokens(model="m", messages=ASK["messages"], system="Be very kind.")
    assert count.input_tokens == 4
    assert [model.id for model in client.models.list()] == ["claude-simulated"]


@pytest.mark.parametrize(
    ("question", "kind"), [("busy", anthropic.RateLimitError), ("overloaded", anthropic.InternalServerError)]
)
def test_it_fails_by_its_script(
    client: anthropic.Anthropic, question: str, kind: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(kind) as failed:
        client.messages.create(**asked(question))
    assert failed.value.request_id == "req_sim1"
    if question == "busy":
        assert failed.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 504, 529])
def test_each_failure_is_an_error_that_the_sdk_knows(status: int) -> None:
    require_error(replies.failure(status).pieces[0])


def test_an_error_inside_a_stream_reaches_the_client(
    simulated: SimulatedAnthropic, client: anthropic.Anthropic
) -> None:
    simulated.will(replies.events(replies.begun(), replies.ping(), replies.error("overloaded_error", "Overloaded")))
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"), client.messages.stream(**ASK) as stream:
        stream.until_done()


def test_it_breaks_off_by_its_script(simulated: SimulatedAnthropic) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        post(simulated, asked("cut"))
    assert simulated.last.wait_until_ended() == "cut"
    with pytest.raises(httpx.RemoteProtocolError):
        post(simulated, asked("cut", stream=True))
    assert simulated.last.wait_until_ended() == "cut"


def test_it_is_found_at_its_own_addresses_only(simulated: SimulatedAnthropic) -> None:
    assert post(simulated, ASK, "complete").status_code == 404


@pytest.mark.parametrize(("missing", "status"), [("x-api-key", 401), ("anthropic-version", 400)])
def test_it_wants_a_key_and_a_version(simulated: SimulatedAnthropic, missing: str, status: int) -> None:
    answer = post(simulated, ASK, **{missing: ""})
    assert answer.status_code == status
    require_error(answer.content)


_CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": {}}]}
_RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]}
_USER = ASK["messages"][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "greater than or equal to 1"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}, _USER]}, "non-empty content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "must be non-empty"),
        ({"messages": [_USER, _RESULT]}, "unexpected `tool_use_id`"),
        ({"messages": [_USER, _CALL, _USER]}, "without `tool_result` blocks"),
        ({"messages": [{"role": "assistant", "content": [replies.thought("x", "foreign")]}]}, "Invalid `signature`"),
        ({"messages": [{"role": "assistant", "content": [replies.hidden("foreign")]}]}, "Invalid `data`"),
        ({"messages": 5}, "not valid JSON"),
        ({"presence_penalty": 1}, "Extra inputs are not permitted"),
        ({"temperature": 1.5}, "range: 0..1"),
        ({"tool_choice": {"type": "auto"}}, "while providing tools"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "must be greater than"),
        ({"thinking": {"type": "adaptive"}, "temperature": 0.5}, "may only be set to 1"),
        ({"thinking": {"type": "adaptive"}, "tools": [TOOL], "tool_choice": {"type": "any"}}, "forces tool use"),
    ],
)
def test_it_refuses_what_anthropic_refuses(simulated: SimulatedAnthropic, change: dict[str, Any], said: str) -> None:
    answer = post(simulated, {**ASK, **change})
    assert answer.status_code == 400
    assert said in require_error(answer.content).error.message


def test_what_it_said_may_come_back(simulated: SimulatedAnthropic) -> None:
    asked_again = {**ASK, "messages": [_USER, {"role": "assistant", "content": EVERYTHING}, _RESULT], "tools": [TOOL]}
    asked_again["messages"][2]["content"][0]["tool_use_id"] = "toolu_sim1"
    assert post(simulated, asked_again).status_code == 200
