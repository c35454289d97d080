"""The vendor's own client, synchronous, against a whole server: what it sends arrives, what it reads is understood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pydantic
import pytest
from running_server import FEATURE, PROMPT, READERS, Server

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion, streamed

ASK: list[Any] = [{"role": "user", "content": "What is the weather in Basel?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Basel"}'}}


class Weather(pydantic.BaseModel):
    """A structured answer."""

    city: str
    degrees: float


@dataclass
class Scene:
    server: Server
    provider: SimulatedProvider

    def client(self, **more: Any) -> openai.OpenAI:
        options = {"max_retries": 0, "api_key": self.server.admin_key} | more
        return openai.OpenAI(base_url=f"{self.server.url}/v1", **options)


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[Scene]:
    with SimulatedProvider() as provider:
        tenant = server.as_tenant("openai-sdk")
        tenant.apply(
            {
                "providers.yaml": f"providers:\n  outside: {{kind: openai, base_url: '{provider.url}'}}\n",
                "routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n"
                "  outside: {targets: [outside/m1]}\n",
                "collections/docs.yaml": READERS,
                "features/assistant/feature.yaml": FEATURE,
                "features/assistant/prompts/answer.prompty": PROMPT,
            }
        )
        yield Scene(tenant, provider)


@pytest.fixture
def scene(world: Scene) -> Scene:
    world.provider.forget()
    return world


def test_every_field_that_the_client_sends_arrives_and_none_is_added(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    fields: dict[str, Any] = {
        "temperature": 0.1,
        "seed": 2**53 + 1,
        "logit_bias": {"50256": -100},
        "prompt_cache_key": "k",
        "reasoning_effort": "low",
        "service_tier": "flex",
        "verbosity": "low",
        "metadata": {"a": "b"},
        "stop": ["\n", "END"],
    }
    with scene.client() as client:
        answer = client.chat.completions.create(model="outside", messages=ASK, extra_body={"new_field": [1]}, **fields)
    assert answer.choices[0].message.content == "ok"
    assert scene.provider.last.json == {"messages": ASK, "model": "m1", **fields, "new_field": [1]}


def test_what_the_provider_adds_is_there_to_be_read(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok", service_tier="flex", brand_new={"x": 1}), x_request_id="req_1"))
    with scene.client() as client:
        answer = client.chat.completions.create(model="outside", messages=ASK)
    assert answer.service_tier == "flex"
    assert answer.model_extra == {"brand_new": {"x": 1}}
    assert answer._request_id == "req_1"


def test_tool_calls_stream_through(scene: Scene) -> None:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    parts = [{"index": 0, "function": {"arguments": part}} for part in ('{"ci', 'ty":"Ba', 'sel"}')]
    chunks = [chunk(None, role="assistant", tool_calls=[first]), *[chunk(None, tool_calls=[part]) for part in parts]]
    scene.provider.will(Reply.events([*chunks, chunk(finish_reason="tool_calls"), "[DONE]"]))
    with (
        scene.client() as client,
        client.chat.completions.stream(model="outside", messages=ASK, tools=[TOOL]) as stream,
    ):
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]  # type: ignore[index]
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Basel"}')
    assert final.choices[0].finish_reason == "tool_calls"
    assert scene.provider.last.json["tools"] == [TOOL]


def test_a_conversation_with_tools_goes_both_ways(scene: Scene) -> None:
    asked = completion("", "tool_calls")
    asked["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    scene.provider.will(Reply.json(asked), Reply.json(completion("12 degrees.")))
    with scene.client() as client:
        first = client.chat.completions.create(model="outside", messages=ASK, tools=[TOOL]).choices[0].message
        turns = [*ASK, first, {"role": "tool", "tool_call_id": "call_1", "content": "12"}]
        answer = client.chat.completions.create(model="outside", messages=turns, tools=[TOOL])
    assert answer.choices[0].message.content == "12 degrees."
    assert [turn["role"] for turn in scene.provider.last.json["messages"]] == ["user", "assistant", "tool"]


def test_a_structured_answer_is_parsed(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion(json.dumps({"city": "Basel", "degrees": 12.5}))))
    with scene.client() as client:
        answer = client.chat.completions.parse(model="outside", messages=ASK, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Basel", degrees=12.5)
    assert scene.provider.last.json["response_format"]["json_schema"]["name"] == "Weather"


def test_the_client_waits_as_long_as_the_provider_asks(scene: Scene) -> None:
    scene.provider.will(Reply.error(429, retry_after="1"), Reply.json(completion("Second.")))
    with scene.client(max_retries=1) as client:
        answer = client.chat.completions.create(model="outside", messages=ASK)
    assert answer.choices[0].message.content == "Second."
    first, second = scene.provider.seen
    assert second.arrived_at - first.arrived_at >= 1.0
    scene.provider.will(Reply.error(503, x_should_retry="false"))
    with scene.client(max_retries=3) as client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="outside", messages=ASK)
    assert len(scene.provider.seen) == 3


def test_a_stream_can_be_left_and_the_next_call_made(scene: Scene) -> None:
    scene.provider.will(Reply.events([chunk("One"), *[chunk("more")] * 50], gap_s=0.1), Reply.json(completion("Next.")))
    with scene.client() as client:
        with client.chat.completions.create(model="outside", messages=ASK, stream=True) as stream:
            assert next(iter(stream)).choices[0].delta.content == "One"
        assert scene.provider.last.wait_until_ended() == "abandoned"
        answer = client.chat.completions.create(model="outside", messages=ASK)
    assert answer.choices[0].message.content == "Next."


def test_a_cut_stream_is_an_error_and_no_answer(scene: Scene) -> None:
    scene.provider.will(Reply.events(streamed("Half", finish_reason=None)[:2], end="cut"))
    with scene.client() as client:
        stream = client.chat.completions.create(model="outside", messages=ASK, stream=True)
        assert next(stream).choices[0].delta.content == ""
        with pytest.raises(openai.APIError) as cut:
            list(stream)
    assert cut.value.code == "stream_truncated"


@pytest.mark.parametrize(
    ("model", "more", "raised", "code"),
    [
        ("nothing", {}, openai.NotFoundError, "model_not_found"),
        ("assistant", {"tools": [TOOL]}, openai.BadRequestError, "fixed_by_feature"),
        ("assistant", {"extra_body": {"inputs": {"x": 1}}}, openai.BadRequestError, "invalid_request"),
        ("outside", {"user": 1}, openai.BadRequestError, "invalid_type"),
        ("openai/gpt-5-mini", {}, openai.InternalServerError, "model_missing"),
    ],
)
def test_our_errors_are_the_client_s_exceptions(
    scene: Scene, model: str, more: dict[str, Any], raised: type[openai.APIStatusError], code: str
) -> None:
    with scene.client() as client, pytest.raises(raised) as refused:
        client.chat.completions.create(model=model, messages=ASK, **more)
    assert refused.value.code == code
    assert refused.value.type
    assert refused.value.response.headers["x-headworks-trace"]


def test_a_wrong_key_and_a_missing_right_are_told_apart(scene: Scene) -> None:
    with scene.client(api_key="sk-wrong") as client, pytest.raises(openai.AuthenticationError) as unknown:
        client.models.list()
    assert unknown.value.code == "malformed_api_key"
    key = scene.server.key_of("caller", permissions=["feature:call"])
    with scene.client(api_key=key) as client, pytest.raises(openai.PermissionDeniedError, match="model:call"):
        client.chat.completions.create(model="outside", messages=ASK)


def test_a_large_prompt_passes_and_a_larger_one_is_refused(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    long: Any = [{"role": "user", "content": "é" * 2_000_000}]
    with scene.client() as client:
        assert client.chat.completions.create(model="outside", messages=long).choices[0].message.content == "ok"
        assert scene.provider.last.json["messages"] == long
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model="outside", messages=[{"role": "user", "content": "x" * 50_000_000}])
    assert refused.value.status_code == 413
    assert refused.value.code == "body_too_large"


def test_the_trace_of_a_call_is_found_by_its_header(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    with scene.client() as client:
        raw = client.chat.completions.with_raw_response.create(model="outside", messages=ASK)
    usage = scene.server.trace(raw.headers["x-headworks-trace"])["usage"]
    assert (usage["asked_model"], usage["provider"], usage["model"], usage["status"]) == (
        "outside",
        "outside",
        "m1",
        200,
    )
    assert usage["release"] == raw.headers["x-headworks-release"]
