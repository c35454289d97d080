"""A legacy answer is a text and why it stopped, as OpenAI's own types want it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types import Completion

from headworks.errors import Blocked, Unmapped, UpstreamError, UpstreamTruncated
from headworks.formats.completions.format import COMPLETIONS
from headworks.formats.neutral import (
    Answer,
    Aside,
    Block,
    Citation,
    Cited,
    Closed,
    Counted,
    Event,
    Failed,
    Grown,
    Opened,
    Request,
    Started,
    Stopped,
    StopReason,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

COUNTING = Request("completions", "m", stream=True, wants_usage=True)
STARTED = Started("msg_1", "claude", 1790000000, origin="messages")


def made(*blocks: Block, reason: StopReason = "stop") -> Answer:
    return Answer(STARTED, list(blocks), Stopped(reason, "end_turn"), Usage(3, 2))


def test_an_answer_is_a_text() -> None:
    body = COMPLETIONS.write_answer(made(ThinkingBlock("hm"), TextBlock("a"), TextBlock("b"), reason="length"))
    found = Completion.model_validate_json(body, strict=True)
    assert (found.choices[0].text, found.choices[0].finish_reason) == ("ab", "length")
    assert (found.id, found.model, found.created, found.object) == ("msg_1", "claude", 1790000000, "text_completion")
    assert found.usage is not None
    assert found.usage.total_tokens == 5


@pytest.mark.parametrize(
    "answer",
    [
        made(ToolCallBlock("c", "f", b"{}")),
        made(TextBlock("x"), reason="tool_calls"),
        made(TextBlock("x", citations=(Citation("q"),))),
    ],
)
def test_what_is_no_text_has_no_word(answer: Answer) -> None:
    with pytest.raises(Unmapped):
        COMPLETIONS.write_answer(answer)


@pytest.mark.parametrize("reason", ["error", "malformed_tool_call", "pause"])
def test_an_end_that_is_none_is_never_written(reason: StopReason) -> None:
    with pytest.raises(UpstreamError):
        COMPLETIONS.write_answer(made(TextBlock("x"), reason=reason))


def chunks(stream: bytes) -> list[dict[str, Any]]:
    """The chunks; the client's type does not know that a reason may be missing before the end, though it always is."""
    found = []
    for event in stream.split(b"\n\n"):
        if event.startswith(b"data: {"):
            chunk = json.loads(event.removeprefix(b"data: "))
            choices = [{**each, "finish_reason": each["finish_reason"] or "stop"} for each in chunk["choices"]]
            Completion.model_validate_json(json.dumps({**chunk, "choices": choices}), strict=True)
            found.append(chunk)
    return found


def test_a_stream_in_full() -> None:
    events: list[Event] = [
        STARTED,
        Aside("messages", "ping", msgspec.Raw(b"{}")),
        Opened(0, ThinkingBlock()),
        Grown(0, "hm"),
        Closed(0),
        Opened(1, TextBlock("")),
        Grown(1, "He"),
        Grown(1, "llo"),
        Closed(1),
        Counted(Usage(3, 2)),
        Stopped("stop", "end_turn"),
    ]
    writer = COMPLETIONS.writer(COUNTING)
    stream = b"".join([*map(writer.write, events), writer.end()])
    head = {"id": "msg_1", "object": "text_completion", "created": 1790000000, "model": "claude"}

    def one(text: str, reason: str | None = None) -> dict[str, Any]:
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice], "usage": None}

    assert chunks(stream) == [
        one("He"),
        one("llo"),
        one("", "stop"),
        {**head, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
    ]
    assert stream.startswith(b": ping\n\n")
    assert stream.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_nobody_started_has_a_head_and_no_usage_unasked() -> None:
    writer = COMPLETIONS.writer(Request("completions", "m", stream=True))
    stream = b"".join([*map(writer.write, [Opened(0, TextBlock("x")), Stopped("stop")]), writer.end()])
    found = chunks(stream)
    assert [each["choices"][0]["text"] for each in found] == ["x", ""]
    assert found[0]["id"].startswith("cmpl-")
    assert len({each["id"] for each in found}) == 1
    assert "usage" not in found[0]


@pytest.mark.parametrize(
    "event", [Opened(0, ToolCallBlock("c", "f", b"")), Cited(0, Citation("q")), Stopped("tool_calls")]
)
def test_an_event_without_a_word_is_refused(event: Event) -> None:
    with pytest.raises(Unmapped):
        COMPLETIONS.writer(COUNTING).write(event)


def test_a_stream_that_has_not_stopped_does_not_end() -> None:
    with pytest.raises(UpstreamTruncated):
        COMPLETIONS.writer(COUNTING).end()


def test_failures_are_events_that_clients_raise_on() -> None:
    writer = COMPLETIONS.writer(COUNTING)
    told = writer.write(Failed("overloaded_error", "Overloaded", origin="messages"))
    assert json.loads(told.removeprefix(b"data: "))["error"]["message"] == "Overloaded"
    ours = writer.fail(Blocked("The rule `pii` refused."))
    assert json.loads(ours.removeprefix(b"data: "))["error"]["code"] == "guardrail_blocked"
    assert b"[DONE]" not in ours
    assert json.loads(COMPLETIONS.error_body(Blocked("x")))["error"].keys() == {"message", "type", "param", "code"}


def test_its_own_streams_and_answers_are_seen_for_what_they_are() -> None:
    assert COMPLETIONS.judge(b'{"choices":[{"text":"x"}],"usage":{"prompt_tokens":1}}').kind == "answer"
    watch = COMPLETIONS.watch(strips_usage=True)
    start = b'data: {"choices":[{"text":"","index":0,"finish_reason":null}],"usage":null}\n\n'
    assert watch.see(start) == start.replace(b',"usage":null', b"")
    assert not watch.has_begun
    watch.see(b'data: {"choices":[{"text":"x","index":0,"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    assert (watch.has_begun, watch.is_finished, watch.is_terminal) == (True, True, True)
