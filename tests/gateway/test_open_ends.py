"""Providers that finish an answer and leave the stream open: who waits for what, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from running_gateway import World

from headworks.formats.chat.watching import ChatWatch
from headworks.gateway.answers import lingering
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, streamed

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]
COUNT = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
DONE = b"data: [DONE]\n\n"


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "_GRACE_S", 0.2)


def of(index: int, content: str | None = None, finish_reason: str | None = None) -> dict[str, Any]:
    """A chunk of one of several answers. Its call has an `index` of its own, which is none of an answer."""
    call = {"index": 7, "function": {"arguments": '{"index": 9, "finish_reason": "stop"}'}}
    made = chunk(content, finish_reason, tool_calls=[call] if finish_reason is None else [])
    made["choices"][0]["index"] = index
    return made


def test_a_finished_stream_that_is_left_open_is_ended_after_a_while(world: World, provider: SimulatedProvider) -> None:
    """The route would wait for a minute, the test's client for less."""
    sent = Reply.events(streamed("Hi")[:-1], end="hang")
    provider.will(sent)
    answer = world.post({"model": "patient-chat", "messages": ASK, "stream": True})
    assert answer.content == b"".join(sent.pieces) + DONE
    row = world.records.row()
    assert (row.status, row.error_code, row.is_estimated) == (200, None, True)
    assert provider.last.wait_until_ended() == "abandoned"


def test_its_count_is_waited_for(world: World, provider: SimulatedProvider) -> None:
    sent = Reply.events(streamed("Hi", usage=COUNT)[:-1], gap_s=0.05, end="hang")
    provider.will(sent)
    asked = {"model": "patient-chat", "messages": ASK, "stream": True, "stream_options": {"include_usage": True}}
    assert world.post(asked).content == b"".join(sent.pieces) + DONE
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (10, 5, False)


def test_half_an_event_is_not_joined_with_the_end(world: World, provider: SimulatedProvider) -> None:
    whole = streamed("Hi")[:-1]
    provider.will(Reply.events([*whole, b'data: {"choices":[],"usa'], end="hang"))
    answer = world.post({"model": "patient-chat", "messages": ASK, "stream": True})
    assert answer.content == b"".join(Reply.events(whole).pieces) + DONE


@pytest.mark.usefixtures("impatient")
def test_the_idle_deadline_ends_it_in_the_same_way(
    world: World, provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "_GRACE_S", 60)
    sent = Reply.events(streamed("Hi")[:-1], end="hang")
    provider.will(sent)
    answer = world.post({"model": "outside", "messages": ASK, "stream": True})
    assert answer.content == b"".join(sent.pieces) + DONE


def test_who_hangs_up_is_not_spoken_for(world: World, provider: SimulatedProvider) -> None:
    sent = Reply.events(streamed("Hi")[:-1])
    provider.will(sent)
    assert world.post({"model": "patient-chat", "messages": ASK, "stream": True}).content == b"".join(sent.pieces)


def test_clients_see_a_good_end(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events(streamed("Hi", finish_reason="length")[:-1], end="hang"))
    with world.client().chat.completions.create(model="patient-chat", messages=ASK, stream=True) as chunks:
        reasons = [each.choices[0].finish_reason for each in chunks]
    assert reasons[-1] == "length"


def test_a_message_that_is_left_open_gets_its_last_event(world: World, provider: SimulatedProvider) -> None:
    start = {"type": "message", "role": "assistant", "model": "c", "id": "m", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**start, "usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    ]
    sent = Reply.events(
        [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events], end="hang"
    )
    provider.will(sent)
    asked = {"model": "patient-claude", "messages": ASK, "stream": True, "max_tokens": 9}
    last = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert world.post(asked, "/v1/messages").content == b"".join(sent.pieces) + last
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (9, 3, False)


def test_told_in_another_format_it_is_ended_after_a_while_too(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events(streamed("Hi", finish_reason="length")[:-1], end="hang"))
    asked = {"model": "patient-chat", "messages": ASK, "stream": True, "max_tokens": 9}
    answer = world.post(asked, "/v1/messages").text
    assert "error" not in answer
    assert '"stop_reason":"max_tokens"' in answer
    assert answer.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
    row = world.records.row()
    assert (row.status, row.error_code, row.is_estimated) == (200, None, True)
    assert provider.last.wait_until_ended() == "abandoned"


def test_told_in_another_format_its_count_is_waited_for(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events(streamed("Hi", usage=COUNT)[:-1], gap_s=0.05, end="hang"))
    asked = {"model": "patient-chat", "messages": ASK, "stream": True, "max_tokens": 9}
    answer = world.post(asked, "/v1/messages").text
    assert answer.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (10, 5, False)


@pytest.mark.parametrize("n", [2, 3])
def test_of_several_answers_all_are_waited_for(world: World, provider: SimulatedProvider, n: int) -> None:
    """The gap between two events is longer than what is left to a finished stream."""
    begun = [of(index, "a") for index in range(n)]
    sent = Reply.events([*begun, *(of(index, None, "stop") for index in range(n))], gap_s=0.3, end="hang")
    provider.will(sent)
    answer = world.post({"model": "patient-chat", "messages": ASK, "stream": True, "n": n})
    assert answer.content == b"".join(sent.pieces) + DONE


@pytest.mark.parametrize("end", ["clean", "cut"])
def test_several_answers_of_which_one_is_cut_off_are_an_error(
    world: World, provider: SimulatedProvider, end: Any
) -> None:
    provider.will(Reply.events([of(0, "a"), of(1, "b"), of(0, None, "stop")], end=end))
    client = world.client()
    with (
        pytest.raises(openai.APIError),
        client.chat.completions.create(model="outside", messages=ASK, stream=True, n=2) as chunks,
    ):
        list(chunks)
    assert world.records.row().error_code == "stream_truncated"


def test_fewer_answers_than_were_asked_for_are_no_error_where_the_provider_ends(
    world: World, provider: SimulatedProvider
) -> None:
    sent = Reply.events([of(0, "a"), of(0, None, "stop")])
    provider.will(sent)
    answer = world.post({"model": "outside", "messages": ASK, "stream": True, "n": 2})
    assert answer.content == b"".join(sent.pieces)


def test_a_prompt_of_texts_has_as_many_answers_as_there_are_texts(world: World, provider: SimulatedProvider) -> None:
    events = [
        {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [each]}
        for each in (
            {"index": 0, "text": "a", "finish_reason": "stop"},
            {"index": 1, "text": "b", "finish_reason": None},
        )
    ]
    provider.will(Reply.events(events))
    answer = world.post({"model": "outside", "prompt": ["a", "b"], "stream": True}, "/v1/completions")
    assert "stream_truncated" in answer.text


def test_nobody_ends_a_stream_of_which_nobody_knows_how_many_answers_it_tells() -> None:
    watch = ChatWatch().of_several(None)
    watch.see(b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n')
    assert (watch.is_finished, watch.ending) == (True, b"")
    watch.see(b'data: {"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null}]}\n\n')
    assert not watch.is_finished
