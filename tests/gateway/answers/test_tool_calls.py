"""Calls of tools: whole, or an error with a name, in whichever format they are told."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from responses_samples import ANSWER, events_of, stream_of
from running_gateway import World

from headworks.errors import UpstreamError
from headworks.formats.answers import replay
from headworks.formats.chat.called import ChatCalled
from headworks.formats.contract import Calling
from headworks.formats.messages.called import MessagesCalled
from headworks.formats.neutral import Answer, Started, Stopped, StopReason, ToolCallBlock
from headworks.formats.responses.called import ResponsesCalled
from headworks.gateway.answers.tool_calls import CallWatch, check_calls
from headworks.testing.anthropic_replies import begun, ended, text, told
from headworks.testing.anthropic_replies import call as anthropic_call
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


# ── Where both sides share a format ──


def of_messages(arguments: str, reason: str = "tool_use") -> Reply:
    """Their whole answers have no arguments that could be torn."""
    half = len(arguments) // 2
    called = [event for event in told(1, anthropic_call("pay", {})) if event["type"] != "content_block_delta"]
    pieces = [
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}
        for piece in (arguments[:half], arguments[half:])
    ]
    said = [begun(), *told(0, text("I pay.")), called[0], *pieces, called[1], *ended(reason)]
    return Reply.events([f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in said])


def of_responses(arguments: str, status: str = "completed") -> dict[str, Any]:
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "pay", "arguments": arguments}
    return {**ANSWER, "status": status, "output": [{**item, "status": "completed"}]}


def responded(arguments: str, status: str = "completed") -> Reply:
    events = stream_of(events_of(of_responses(arguments, status)))
    return Reply.events([event + b"\n\n" for event in events.split(b"\n\n") if event])


def ask_natively(world: World, path: str, *, stream: bool) -> httpx.Response:
    messages = [{"role": "user", "content": "Pay."}]
    body: dict[str, Any] = {
        "/v1/chat/completions": {"model": "outside", "messages": messages},
        "/v1/messages": {"model": "claude/c", "max_tokens": 100, "messages": messages},
        "/v1/responses": {"model": "outside", "input": "Pay.", "store": False},
    }[path]
    return world.post({**body, "stream": stream}, path)


WHOLE = {
    "/v1/chat/completions": whole,
    "/v1/responses": lambda arguments: Reply.json(of_responses(arguments)),
}
STREAMS = {
    "/v1/chat/completions": in_pieces,
    "/v1/messages": of_messages,
    "/v1/responses": responded,
}


@pytest.mark.parametrize("arguments", ['{"amount": 5}', ""])
@pytest.mark.parametrize("path", WHOLE)
def test_a_whole_call_is_relayed(world: World, provider: SimulatedProvider, path: str, arguments: str) -> None:
    reply = WHOLE[path](arguments)
    provider.will(reply)
    answer = ask_natively(world, path, stream=False)
    assert (answer.status_code, answer.content) == (200, b"".join(reply.pieces))


@pytest.mark.parametrize("arguments", ['{"amount": 5}', ""])
@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_with_a_whole_call_is_relayed(
    world: World, provider: SimulatedProvider, path: str, arguments: str
) -> None:
    reply = STREAMS[path](arguments)
    provider.will(reply)
    answer = ask_natively(world, path, stream=True)
    assert (answer.status_code, answer.content) == (200, b"".join(reply.pieces))
    assert world.records.row().error_code is None


@pytest.mark.parametrize("arguments", BAD)
@pytest.mark.parametrize("path", WHOLE)
def test_a_call_that_is_not_whole_is_no_answer_in_its_own_format_either(
    world: World, provider: SimulatedProvider, path: str, arguments: str
) -> None:
    provider.will(WHOLE[path](arguments))
    answer = ask_natively(world, path, stream=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "malformed_tool_call")
    row = world.records.row()
    assert (row.status, row.error_code) == (502, "malformed_tool_call")
    assert row.output_tokens


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_with_such_a_call_has_no_good_end_in_its_own_format_either(
    world: World, provider: SimulatedProvider, path: str
) -> None:
    provider.will(STREAMS[path]('{"amount": 5'))
    answer = ask_natively(world, path, stream=True)
    assert "`pay` with arguments that are no whole JSON object" in answer.text
    for good in ("[DONE]", '"finish_reason": "tool_calls"', "message_stop", "message_delta", "response.completed"):
        assert good not in answer.text
    row = world.records.row()
    assert (row.status, row.error_code) == (502, "malformed_tool_call")
    assert row.output_tokens


def test_the_next_target_is_asked_for_a_torn_call_in_the_same_format(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(whole('{"amount": 5'))
    other.will(whole('{"amount": 6}'))
    answer = world.post({"model": "pair", "messages": [{"role": "user", "content": "Pay."}]})
    assert answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"amount": 6}'


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("/v1/chat/completions", in_pieces('{"amount": 5', "length")),
        ("/v1/messages", of_messages('{"amount": 5', "max_tokens")),
        ("/v1/responses", responded('{"amount": 5', "incomplete")),
    ],
)
def test_a_relayed_end_that_says_itself_that_it_was_cut_off_is_passed_on(
    world: World, provider: SimulatedProvider, path: str, reply: Reply
) -> None:
    provider.will(reply)
    assert ask_natively(world, path, stream=True).content == b"".join(reply.pieces)


def test_the_words_in_a_text_are_no_call(world: World, provider: SimulatedProvider) -> None:
    said = json.dumps({"tool_calls": [{"function": {"name": "pay", "arguments": "{"}}], "arguments": "{"})
    provider.will(Reply.json(completion(said)))
    assert ask_natively(world, "/v1/chat/completions", stream=False).status_code == 200


def piece(arguments: str, **more: Any) -> dict[str, Any]:
    return {"function": {"arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ([[piece("{}", index=0, id="a"), piece("{}", index=1, id="b")]], 2),
        ([[piece("{}", index=0, id="a")], [piece("{}", index=0, id="b")]], 2),
        ([[piece('{"a":', id="a"), piece("1}")], [piece('{"a":', id="b"), piece("1}")]], 2),
        ([[piece("{", index=0, id="a"), piece("{", index=1, id="b")], [piece("}", index=1), piece("}", index=0)]], 2),
        ([[piece("{", index=0, id="a")], [piece("}", index=0, id="a")]], 1),
    ],
)
def test_calls_are_told_apart_however_a_provider_numbers_them(pieces: list[list[dict[str, Any]]], count: int) -> None:
    calls = ChatCalled().in_stream()
    for each in pieces:
        assert calls.see(f"data: {json.dumps(chunk(tool_calls=each))}\n\n".encode()) == []
    found = calls.see(f"data: {json.dumps(chunk(finish_reason='tool_calls'))}\n\n".encode())
    assert len(found) == count
    assert all(isinstance(json.loads(each.arguments), dict) for each in found)


@pytest.mark.parametrize("calling", [ChatCalled(), MessagesCalled(), ResponsesCalled()])
@pytest.mark.parametrize("odd", [b"{", b"[]", b"\xff", b'{"choices": 5, "output": 5}', b"[" * 5000])
def test_what_has_another_shape_is_not_judged(calling: Calling, odd: bytes) -> None:
    assert calling.in_answer(odd) == []
    assert calling.in_stream().see(b"data: " + odd + b"\n\n") == []


# ── In neutral words ──


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
