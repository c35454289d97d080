"""The contract of calling a feature: what is the caller's, what the feature fixes, what is ignored aloud."""

from __future__ import annotations

from typing import Any

import pytest
from running_gateway import World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]


def refused(world: World, body: dict[str, Any], status: int = 400) -> dict[str, Any]:
    answer = world.post({"messages": ASK, **body})
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert not world.providers[0].seen
    return error


def test_the_last_user_message_is_the_question_and_the_turns_before_it_are_history(
    world: World, provider: SimulatedProvider
) -> None:
    turns = [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "First."},
        {"role": "user", "content": [{"type": "text", "text": "Sec"}, {"type": "text", "text": "ond?"}]},
    ]
    provider.will(Reply.json(completion("ok")))
    assert world.post({"model": "claims", "messages": turns}).status_code == 200
    sent = provider.last.json["messages"]
    assert [each["role"] for each in sent] == ["system", "user", "assistant", "user"]
    assert [each["content"] for each in sent[1:]] == ["First?", "First.", "Second?"]
    assert world.shelf.asked[-1][1] == "Second?"
    assert [each.content for each in world.shelf.asked_with[-1]["history"]] == ["First?", "First."]


def test_history_that_a_feature_has_no_use_for_is_named(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    turns = [{"role": "user", "content": "First?"}, {"role": "assistant", "content": "x"}, *ASK]
    answer = world.post({"model": "bare", "messages": turns, "temperature": 1})
    assert answer.headers["x-headworks-ignored"] == "messages[:-1], temperature"
    assert [each["role"] for each in provider.last.json["messages"]] == ["system", "user"]


def test_the_caller_s_fields_are_the_caller_s(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    fields = {"user": "u1", "metadata": {"a": "b"}, "max_tokens": 5, "stream": False, "stream_options": None}
    answer = world.post({"model": "bare", "messages": ASK, **fields})
    assert answer.status_code == 200
    assert not {"x-headworks-ignored", "x-headworks-clamped"} & set(answer.headers)
    assert set(provider.last.json) == {"messages", "model", "max_completion_tokens"}
    assert provider.last.json["max_completion_tokens"] == 5
    assert world.records.row().end_user == "u1"


def test_sampling_and_unknown_fields_are_ignored_and_named(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    fields = {"temperature": 2, "top_p": 0.1, "seed": 1, "n": 1, "tools": None, "a\nb": 1, "zzz": {}}
    answer = world.post({"model": "bare", "messages": ASK, **fields})
    assert answer.status_code == 200
    assert answer.headers["x-headworks-ignored"] == "(unprintable), seed, temperature, top_p, zzz"
    assert set(provider.last.json) == {"messages", "model", "max_completion_tokens"}


@pytest.mark.parametrize(
    ("body", "param", "named"),
    [
        ({"tools": [{"type": "function"}]}, "tools", "tools"),
        ({"tool_choice": "auto"}, "tool_choice", "tools"),
        ({"functions": []}, "functions", "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format", "response_format"),
        ({"n": 2}, "n", "n"),
        ({"messages": [{"role": "system", "content": "x"}, *ASK]}, "messages[0]", "system"),
        ({"messages": [*ASK, {"role": "developer", "content": "x"}]}, "messages[1]", "developer"),
        ({"messages": [{"role": "tool", "content": "x"}, *ASK]}, "messages[0]", "tools"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}, *ASK]}, "messages[0]", "tools"),
    ],
)
def test_what_the_feature_fixes_can_t_be_set(world: World, body: dict[str, Any], param: str, named: str) -> None:
    error = refused(world, {"model": "bare", **body})
    assert (error["code"], error["param"]) == ("fixed_by_feature", param)
    assert f"`bare` fixes `{named}`" in error["message"]


def test_what_a_feature_accepts_is_passed_on(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("{}")))
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"z": 1, "a": 2.50}}}
    turns = [{"role": "system", "content": "In French."}, *ASK]
    answer = world.post({"model": "accepting", "messages": turns, "response_format": schema})
    assert answer.status_code == 200
    sent = provider.last.json
    assert sent["response_format"] == schema
    assert [each["content"] for each in sent["messages"]] == ["Be brief.", "In French.", "Hello?"]
    assert refused_after(world, {"model": "accepting", "messages": ASK, "tools": [1]})["code"] == "fixed_by_feature"


def refused_after(world: World, body: dict[str, Any]) -> dict[str, Any]:
    answer = world.post(body)
    error: dict[str, Any] = answer.json()["error"]
    return error


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"messages": [{"role": "user"}]}, "messages[0].content", "must be text"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages", "must be the user's"),
        ({"messages": ["x"]}, "messages", "can't be read"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages", "`messages[0].content`"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "user or assistant"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file"}]}]},
            "messages[0].content",
            "not `file`",
        ),
        ({"inputs": "x"}, "inputs", "an object"),
        ({"max_tokens": "5"}, "max_tokens", "whole number"),
        ({"max_tokens": 0}, "max_tokens", "whole number"),
        ({"n": "two"}, "n", "whole number"),
    ],
)
def test_a_call_of_the_wrong_shape_is_named(world: World, body: dict[str, Any], param: str, said: str) -> None:
    error = refused(world, {"model": "bare", **body})
    assert error["param"] == param
    assert said in error["message"]


def test_inputs_are_checked_and_have_defaults(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    client = world.client()
    client.chat.completions.create(model="typed", messages=ASK, extra_body={"inputs": {"plan": "Gold"}})
    assert provider.last.json["messages"][0]["content"] == "Gold 2026 Hello?"


@pytest.mark.parametrize(
    ("inputs", "param", "said"),
    [
        ({}, "inputs.plan", "is required"),
        ({"plan": 1}, "inputs.plan", "kind string"),
        ({"plan": "Gold", "year": "x"}, "inputs.year", "kind integer"),
        ({"plan": "Gold", "yaer": 1}, "inputs.yaer", "no such input"),
        ({"plan": "Gold", "question": "x"}, "inputs.question", "no such input"),
    ],
)
def test_a_wrong_input_is_named(world: World, inputs: dict[str, Any], param: str, said: str) -> None:
    error = refused(world, {"model": "typed", "inputs": inputs})
    assert error["param"] == param
    assert said in error["message"]


def test_a_prompt_that_burns_its_fuel_is_stopped(world: World) -> None:
    error = refused(world, {"model": "looping"})
    assert error["code"] == "prompt_failed"
    assert "`looping`" in error["message"]


def test_a_higher_cap_is_cut_and_named(world: World, provider: SimulatedProvider) -> None:
    told = []
    for model, given in [("tight", {}), ("tight", {"max_tokens": 10}), ("tight", {"max_tokens": 99}), ("bare", {})]:
        provider.will(Reply.json(completion("ok")))
        answer = world.post({"model": model, "messages": ASK, **given})
        told.append((provider.last.json["max_completion_tokens"], answer.headers.get("x-headworks-clamped")))
    assert told == [(50, None), (10, None), (50, "max_tokens"), (4096, None)]


def test_the_parameters_of_the_route_hold_for_the_feature(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    answer = world.post({"model": "tight", "messages": ASK, "temperature": 2})
    assert provider.last.json["temperature"] == 0.5
    assert answer.headers["x-headworks-ignored"] == "temperature"


def test_the_answer_has_the_shape_that_clients_know(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Yes.", "length"), x_request_id="req_5"))
    raw = world.client().chat.completions.with_raw_response.create(model="bare", messages=ASK)
    answer = raw.parse()
    assert (answer.object, answer.model) == ("chat.completion", "bare")
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Yes.", "length")
    assert answer.choices[0].message.annotations == []
    assert answer.usage is not None
    assert answer.usage.total_tokens == 15
    assert raw.headers["x-request-id"] == "req_5"
    assert raw.headers["x-headworks-release"].startswith("sha256:")
    assert answer.id == f"chatcmpl-{raw.headers['x-headworks-trace'].replace('-', '')}"


@pytest.mark.parametrize("asked", [True, False])
def test_a_streamed_answer_has_the_shape_that_clients_know(
    world: World, provider: SimulatedProvider, *, asked: bool
) -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    provider.will(Reply.events(streamed("Y", "es", ".", usage=usage)))
    options: Any = {"include_usage": True} if asked else None
    chunks = list(
        world.client().chat.completions.create(model="bare", messages=ASK, stream=True, stream_options=options)
    )
    texts = [each.choices[0].delta.content for each in chunks if each.choices]
    assert (texts[0], "".join(text or "" for text in texts), texts[-1]) == (
        "",
        "Yes.",
        None,
    )  # come together, told together
    finishes = [each.choices[0].finish_reason for each in chunks if each.choices]
    assert finishes == [None] * (len(texts) - 1) + ["stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {each.object for each in chunks} == {"chat.completion.chunk"}
    assert len({each.id for each in chunks}) == 1
    assert [each.usage.total_tokens for each in chunks if each.usage] == ([6] if asked else [])
    assert provider.last.json["stream_options"] == {"include_usage": True}


def test_a_feature_s_stream_that_just_stops_is_an_error(world: World, provider: SimulatedProvider) -> None:
    for reply in (Reply.events(streamed("Half")[:2]), Reply.events(streamed("Half")[:2], end="cut")):
        provider.will(reply)
        answer = world.post({"model": "bare", "messages": ASK, "stream": True})
        assert "stream_truncated" in answer.text
        assert "[DONE]" not in answer.text
        assert '"finish_reason":"stop"' not in answer.text


def test_a_feature_s_answer_without_a_finish_reason_is_an_error(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Half", None)))
    answer = world.post({"model": "bare", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_not_an_answer")


def test_an_embedding_of_a_feature_is_refused(world: World) -> None:
    answer = world.post({"model": "bare", "input": "x"}, "/v1/embeddings")
    assert answer.status_code == 400
    assert "`bare` is a feature" in answer.json()["error"]["message"]
