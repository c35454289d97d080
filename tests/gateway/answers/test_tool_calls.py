"""Calls of tools that are told in another format: whole, or an error with a name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from running_gateway import World

from headworks.errors import UpstreamError
from headworks.formats.answers import replay
from headworks.formats.neutral import Answer, Started, Stopped, StopReason, ToolCallBlock
from headworks.gateway.answers.tool_calls import CallWatch, check_calls
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion
from headworks.types.models import Usage

TOOL = {"name": "pay", "description": "Pays.", "input_schema": {"type": "object"}}
BAD = ['{"amount": 5', "[]", "null", '{"a": 1, "a": 2}', "{'a': 1}", '{"a": NaN}', '{"a": 1} and']


def call(arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": "call_1", "type": "function", "function": {"name": "pay", "arguments": arguments}}


def whole(arguments: str, finish: str = "tool_calls") -> Reply:
    answer = completion("", finish)
    answer["choices"][0]["message"] |= {"content": None, "tool_calls": [call(arguments)]}
    return Reply.json(answer)


def in_pieces(arguments: str, finish: str = "tool_calls") -> Reply:
    half = len(arguments) // 2
    rest = {"index": 0, "function": {"arguments": arguments[half:]}}
    return Reply.events([
        chunk(role="assistant", tool_calls=[call(arguments[:half])]),
        chunk(tool_calls=[rest]),
        chunk(finish_reason=finish),
        "[DONE]",
    ])  # fmt: skip


def ask(world: World, model: str = "outside", *, stream: bool = False) -> httpx.Response:
    """A caller of Messages, of a provider that speaks Chat."""
    messages = [{"role": "user", "content": "Pay."}]
    body = {"model": model, "max_tokens": 100, "messages": messages, "tools": [TOOL], "stream": stream}
    return world.post(body, "/v1/messages")


@pytest.mark.parametrize("stream", [False, True])
def test_a_whole_call_goes_on(world: World, provider: SimulatedProvider, *, stream: bool) -> None:
    provider.will((in_pieces if stream else whole)('{"amount": 5}'))
    answer = ask(world, stream=stream)
    assert answer.status_code == 200
    assert "tool_use" in answer.text
    assert "error" not in answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_without_arguments_goes_on(world: World, provider: SimulatedProvider, *, stream: bool) -> None:
    provider.will((in_pieces if stream else whole)(""))
    answer = ask(world, stream=stream)
    assert answer.status_code == 200
    assert world.records.row().error_code is None
    if not stream:
        assert answer.json()["content"][0]["input"] == {}


@pytest.mark.parametrize("arguments", BAD)
def test_a_call_that_is_not_whole_is_no_answer(world: World, provider: SimulatedProvider, arguments: str) -> None:
    provider.will(whole(arguments))
    answer = ask(world)
    assert (answer.status_code, answer.json()["type"]) == (502, "error")
    row = world.records.row()
    assert (row.status, row.error_code) == (502, "malformed_tool_call")


@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
def test_a_stream_with_such_a_call_ends_with_an_error(world: World, provider: SimulatedProvider, finish: str) -> None:
    provider.will(in_pieces('{"amount": 5', finish))
    answer = ask(world, stream=True)
    names = [line[7:] for line in answer.text.split("\n") if line.startswith("event: ")]
    assert names[-1] == "error"
    assert "message_stop" not in names
    assert "`pay`" in answer.text
    assert world.records.row().error_code == "malformed_tool_call"


def test_the_next_target_is_asked_while_nothing_is_said(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(whole('{"amount": 5'))
    other.will(whole('{"amount": 6}'))
    assert ask(world, "pair").json()["content"][0]["input"] == {"amount": 6}


def test_what_the_same_format_says_is_not_touched(world: World, provider: SimulatedProvider) -> None:
    provider.will(whole('{"amount": 5'))
    answer = world.post({"model": "outside", "messages": [{"role": "user", "content": "Pay."}]})
    assert answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"amount": 5'


def answered(arguments: bytes, reason: StopReason, *, is_custom: bool = False) -> Answer:
    block = ToolCallBlock("call_1", "pay", arguments, is_custom=is_custom)
    return Answer(Started(), [block], Stopped(reason), Usage())


def watched(answer: Answer) -> None:
    watch = CallWatch()
    for event in replay(answer):
        watch.note(event)


@pytest.mark.parametrize("reason", ["length", "content_filter", "malformed_tool_call"])
def test_an_end_that_says_itself_that_it_was_cut_off_is_passed_on(reason: StopReason) -> None:
    answer = answered(b'{"a', reason)
    check_calls(answer)
    watched(answer)


def test_tools_of_free_text_take_any() -> None:
    check_calls(answered(b"not json", "tool_calls", is_custom=True))


@pytest.mark.parametrize("arguments", BAD)
def test_a_stream_and_the_whole_are_judged_alike(arguments: str) -> None:
    answer = answered(arguments.encode(), "tool_calls")
    with pytest.raises(UpstreamError) as of_whole:
        check_calls(answer)
    with pytest.raises(UpstreamError) as of_stream:
        watched(answer)
    assert str(of_whole.value) == str(of_stream.value)
