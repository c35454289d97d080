"""What a caller sees of an answer, byte by byte, against a provider that is told what to send."""

from __future__ import annotations

import gc
import json
import socket
from typing import Any

import httpx
import openai
import pytest
from running_gateway import World

from headworks.gateway.calls import Call
from headworks.gateway.wire.bodies import Body
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion, streamed

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 3}}


def stream(world: World, model: str = "outside", **more: Any) -> httpx.Response:
    return world.post({"model": model, "messages": ASK, "stream": True, **more})


def events_of(answer: httpx.Response) -> list[Any]:
    data = [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


# ── Same bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_arrives_byte_for_byte(world: World, provider: SimulatedProvider) -> None:
    reply = Reply.events([b": keep-alive\n\n", *streamed("Hel", "lo é \u2028")], x_request_id="req_1")
    provider.will(reply)
    answer = stream(world, stream_options={"include_usage": True})
    assert answer.status_code == 200
    assert answer.content == b"".join(reply.pieces)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-headworks-release"].startswith("sha256:")


def test_odd_but_legal_streams_arrive_byte_for_byte(world: World, provider: SimulatedProvider) -> None:
    odd = [
        b": comment\r\n\r\n",
        b'event: message\r\ndata: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\r\n\r\n',
        b'data:{"choices":[{"index":0,"delta":{"content":"b","big":12345678901234567890,"f":1.10}}],',
        b'"unknown":[1]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    ]
    provider.will(Reply.events(odd))
    assert stream(world, stream_options={"include_usage": True}).content == b"".join(odd)


def test_a_character_may_lie_across_two_packets(world: World, provider: SimulatedProvider) -> None:
    said = 'data: {"choices":[{"index":0,"delta":{"content":"né🙂"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    text = said.encode()
    at = text.index("🙂".encode()) + 2
    provider.will(Reply.events([text[:at], text[at : at + 1], text[at + 1 :]], gap_s=0.01))
    assert stream(world).content == text


def test_a_whole_answer_arrives_byte_for_byte(world: World, provider: SimulatedProvider) -> None:
    body = (
        b'{ "id":"x", "unknown": 12345678901234567890, "f": 1.10, "choices": [ {"message":{"content":"\\u00e9"}} ],\n'
        b'  "usage": {"prompt_tokens": 1, "completion_tokens": 1} }'
    )
    provider.will(Reply.raw(body, x_request_id="req_2"))
    answer = world.post({"model": "outside", "messages": ASK})
    assert answer.content == body
    assert answer.headers["x-request-id"] == "req_2"


def test_the_request_arrives_byte_for_byte_but_for_the_model(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    sent = (
        b'{"temperature": 1.10 , "model":"outside",  "seed": 12345678901234567890, "unknown":{"b":1,"a":[ ]},'
        b'"messages":[{"role":"user","content":"\\u00e9\xc3\xa9"}] }\n'
    )
    assert world.post(sent).status_code == 200
    assert provider.last.body == sent.replace(b'"outside"', b'"m1"')


def test_headers_that_clients_act_on_survive(world: World, provider: SimulatedProvider) -> None:
    given = {
        "x_ratelimit_remaining_requests": "7",
        "x_ratelimit_reset_tokens": "6m0s",
        "openai_processing_ms": "12",
        "openai_version": "2020-10-01",
        "x_request_id": "req_3",
        "retry_after": "3",
        "set_cookie": "secret=1",
        "server": "somebody",
    }
    provider.will(Reply.json(completion("ok"), **given), Reply.events(streamed("ok"), **given))
    for answer in (world.post({"model": "outside", "messages": ASK}), stream(world)):
        for name, value in given.items():
            expected = None if name in {"set_cookie", "server"} else value
            assert answer.headers.get(name.replace("_", "-")) == expected, name


def test_the_callers_headers_that_providers_act_on_go_on(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"idempotency-key": "once", "traceparent": parent, "cookie": "mine"}
    assert world.post({"model": "outside", "messages": ASK}, **headers).status_code == 200
    seen = provider.last.headers
    assert (seen["idempotency-key"], seen["traceparent"]) == ("once", parent)
    assert "cookie" not in seen
    assert "authorization" not in seen  # the account has no key, and the caller's is ours


# ── Usage ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_usage_is_asked_for_and_hidden_from_who_did_not_ask(world: World, provider: SimulatedProvider) -> None:
    with_null = [{**each, "usage": None} if isinstance(each, dict) else each for each in streamed("Hi", "!")]
    counted = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    provider.will(Reply.events([*with_null[:-1], counted, "[DONE]"]))
    answer = stream(world)
    assert provider.last.json["stream_options"] == {"include_usage": True}
    assert b"usage" not in answer.content
    assert answer.content == b"".join(Reply.events(streamed("Hi", "!")).pieces)
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens, row.cached_input_tokens, row.is_estimated) == (9, 4, 3, False)


def test_usage_is_shown_to_who_asked(world: World, provider: SimulatedProvider) -> None:
    reply = Reply.events(streamed("Hi", usage=USAGE))
    provider.will(reply)
    answer = stream(world, stream_options={"include_usage": True, "include_obfuscation": False})
    assert provider.last.json["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert answer.content == b"".join(reply.pieces)
    assert world.records.row().output_tokens == 4


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}])
def test_other_stream_options_are_kept(
    world: World, provider: SimulatedProvider, options: dict[str, Any] | None
) -> None:
    provider.will(Reply.events(streamed("Hi", usage=USAGE)))
    answer = stream(world, stream_options=options)
    assert provider.last.json["stream_options"] == {**(options or {}), "include_usage": True}
    assert b"usage" not in answer.content


def test_usage_is_not_asked_of_a_provider_that_refuses_the_question(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events(streamed("Hi")))
    answer = stream(world, "silent")
    assert "stream_options" not in provider.last.json
    assert answer.content == b"".join(Reply.events(streamed("Hi")).pieces)
    row = world.records.row()
    assert row.is_estimated
    assert (row.input_tokens or 0) > 0
    assert (row.output_tokens or 0) > 0


def test_a_word_usage_in_the_answer_is_left_alone(world: World, provider: SimulatedProvider) -> None:
    text = 'set {"usage":null} and "usage": {"prompt_tokens": 1}, "finish_reason":"stop", data: [DONE]'
    provider.will(Reply.events(streamed(text, usage=USAGE)))
    chunks = list(world.client().chat.completions.create(model="outside", messages=ASK, stream=True))
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == text
    assert all(each.usage is None for each in chunks)


# ── Ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_that_just_stops_is_an_error_and_no_end(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events([chunk("", role="assistant"), chunk("Half of")]))
    answer = stream(world)
    assert answer.status_code == 200
    *given, last = events_of(answer)
    assert given[-1]["choices"][0]["delta"]["content"] == "Half of"
    assert last["error"]["code"] == "stream_truncated"
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert "without a finish reason" in last["error"]["message"]
    assert "[DONE]" not in answer.text
    row = world.records.row()
    assert (row.status, row.error_code) == (502, "stream_truncated")


def test_a_stream_cut_in_the_middle_of_an_event_is_an_error(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events([chunk("One"), b'data: {"choices":[{"ind'], end="cut"))
    answer = stream(world)
    *given, last = events_of(answer)
    assert [each["choices"][0]["delta"]["content"] for each in given] == ["One"]
    assert last["error"]["code"] == "stream_truncated"
    provider.will(Reply.events([chunk("One")], end="cut"))
    chunks = world.client().chat.completions.create(model="outside", messages=ASK, stream=True)
    with pytest.raises(openai.APIError, match="in the middle of its answer"):
        list(chunks)


def test_a_stream_without_done_is_left_without_done(world: World, provider: SimulatedProvider) -> None:
    reply = Reply.events(streamed("Hi")[:-1])
    provider.will(reply)
    assert stream(world).content == b"".join(reply.pieces)
    assert world.records.row().status == 200


def test_a_last_event_without_its_empty_line_still_counts(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events([chunk("Hi"), b"data: [DONE]"]))
    assert stream(world).content.endswith(b"data: [DONE]")


def test_an_error_event_in_the_middle_is_passed_on_unchanged(world: World, provider: SimulatedProvider) -> None:
    error = {"error": {"message": "Overloaded.", "type": "server_error", "param": None, "code": "busy"}}
    reply = Reply.events([chunk("One"), error], end="cut")
    provider.will(reply)
    assert stream(world).content == b"".join(reply.pieces)
    row = world.records.row()
    assert (row.status, row.error_code) == (200, "upstream_error")


@pytest.mark.usefixtures("impatient")
def test_a_provider_that_falls_silent_in_the_middle_is_given_up(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events([chunk("One")], end="hang"))
    *_, last = events_of(stream(world))
    assert last["error"]["code"] == "upstream_timeout"
    assert "idle" in last["error"]["message"]
    assert provider.last.wait_until_ended() == "abandoned"


def test_a_provider_that_does_not_hang_up_after_done_costs_nobody_anything(
    world: World, provider: SimulatedProvider
) -> None:
    reply = Reply.events(streamed("Hi"), end="hang")
    provider.will(reply)
    assert stream(world).content == b"".join(reply.pieces)
    assert world.records.row().status == 200


def test_a_large_single_event_passes(world: World, provider: SimulatedProvider) -> None:
    text = "x" * 2_000_000
    data = b"".join(Reply.events(streamed(text)).pieces)
    provider.will(Reply.events([data[at : at + 50_000] for at in range(0, len(data), 50_000)]))
    assert stream(world).content == data


# ── Leaving ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["outside", "bare"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_work_stops_when_the_caller_leaves(
    world: World, provider: SimulatedProvider, model: str, *, is_stream: bool
) -> None:
    slow = Reply.events([chunk("One"), *[chunk("more")] * 100], gap_s=0.1) if is_stream else Reply.silence()
    provider.will(slow)
    body = json.dumps({"model": model, "messages": ASK, "stream": is_stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {world.admin_key}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", world.port)) as connection:
        connection.sendall(head.encode() + body)
        seen = provider.wait_for_request()
        if is_stream:
            assert connection.recv(65536)
        left_at = world.now()
    assert seen.wait_until_ended() == "abandoned"
    assert seen.ended_at is not None
    assert seen.ended_at - left_at < 10.0  # the promise is 0.1 s; a busy machine may need longer
    row = world.records.row()
    assert (row.status, row.error_code, row.is_estimated) == (499, "client_closed", True)
    assert (row.input_tokens or 0) > 0


def test_who_leaves_while_sending_is_forgotten(world: World, provider: SimulatedProvider) -> None:
    with socket.create_connection(("127.0.0.1", world.port)) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert world.post({"model": "outside", "messages": ASK}).status_code == 200
    assert len(provider.seen) == 1


@pytest.mark.parametrize("cut", [1, 40, 130])
def test_what_is_asked_during_a_stream_is_answered_after_it(
    world: World, provider: SimulatedProvider, cut: int
) -> None:
    pieces = [chunk("One", role="assistant"), *[chunk("more")] * 8, chunk("", finish_reason="stop"), "[DONE]"]
    provider.will(Reply.events(pieces, gap_s=0.05), Reply.json(completion("Next.")))
    first, second = (
        json.dumps({"model": "outside", "messages": ASK, "stream": is_stream}).encode() for is_stream in (True, False)
    )
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {world.admin_key}\r\n"
    requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in (first, second)]
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as connection:
        connection.sendall(requests[0])
        seen = connection.recv(65536)
        connection.sendall(requests[1][:cut])
        seen += connection.recv(65536)
        connection.sendall(requests[1][cut:])
        while b"Next." not in seen:
            piece = connection.recv(65536)
            assert piece, seen
            seen += piece
    streamed_bytes, _, rest = seen.partition(b"data: [DONE]")
    assert streamed_bytes.count(b"more") == 8
    assert rest.count(b"HTTP/1.1 200 OK") == 1


def test_a_long_stream_keeps_nothing_of_what_was_asked(world: World, provider: SimulatedProvider) -> None:
    word = "only-in-this-question"
    provider.will(Reply.events([chunk("One", role="assistant"), *[chunk("more")] * 200], gap_s=0.05))
    body = json.dumps({"model": "outside", "messages": [{"role": "user", "content": word * 2_000}], "stream": True})
    with httpx.stream(
        "POST", f"{world.url}/v1/chat/completions", content=body, headers={"authorization": f"Bearer {world.admin_key}"}
    ) as answer:
        pieces = answer.iter_raw()
        for _ in range(3):
            next(pieces)
        held = [each for each in gc.get_objects() if isinstance(each, Body) and word.encode() in each.raw]
        calls = [each for each in gc.get_objects() if isinstance(each, Call) and each.body.size > len(word) * 2_000]
    assert not held
    assert [each.body.raw for each in calls] == [b""]
