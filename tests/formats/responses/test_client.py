"""OpenAI's own client reads what we write: answers, streams, errors inside of them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai.types.responses import ParsedResponseOutputMessage, ResponseFunctionToolCall, ResponseReasoningItem

from headworks.errors import Blocked, HeadworksError, UpstreamTruncated
from headworks.formats.answers import replay
from headworks.formats.neutral import (
    Answer,
    Citation,
    Grown,
    Opened,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.responses.format import RESPONSES
from headworks.types.models import Usage

ANSWER = Answer(
    Started("msg_1", "claude-opus-5", 1),
    [
        ThinkingBlock("Hm.", "sig", summary=("Thinks.",), origin="messages"),
        TextBlock("Cats purr.", citations=(Citation(url="https://example.org", title="Cats", start=0, end=4),)),
        ToolCallBlock("call_1", "weather", b'{"city":"Bern"}'),
    ],
    Stopped("tool_calls", "tool_use"),
    Usage(3, 4),
)


def client(body: bytes, media_type: str) -> openai.OpenAI:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": media_type})

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://here/v1", http_client=transport, max_retries=0)


@pytest.fixture
def streaming() -> Iterator[openai.OpenAI]:
    writer = RESPONSES.writer()
    body = b"".join(writer.write(event) for event in replay(ANSWER)) + writer.end()
    with client(body, "text/event-stream") as made:
        yield made


def test_a_whole_answer() -> None:
    with client(RESPONSES.write_answer(ANSWER), "application/json") as made:
        response = made.responses.create(model="m", input="x")
    assert response.output_text == "Cats purr."
    thought, message, call = response.output
    assert isinstance(thought, ResponseReasoningItem)
    assert thought.summary[0].text == "Thinks."
    assert message.type == "message"
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.call_id, call.arguments) == ("call_1", '{"city":"Bern"}')
    assert response.usage is not None
    assert response.usage.total_tokens == 7


def test_a_stream_that_the_client_puts_together(streaming: openai.OpenAI) -> None:
    with streaming.responses.stream(model="m", input="x") as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert texts == ["Cats purr."]
    message = response.output[1]
    assert isinstance(message, ParsedResponseOutputMessage)
    assert response.output_text == "Cats purr."
    assert response.status == "completed"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamTruncated("It ended before its end."), "stream_truncated"),
        (Blocked("The rule `pii` refused."), "guardrail_blocked"),
    ],
)
def test_an_error_inside_a_stream_is_raised(error: HeadworksError, code: str) -> None:
    writer = RESPONSES.writer()
    body = writer.write(Opened(0, TextBlock(""))) + writer.write(Grown(0, "Cats")) + writer.fail(error)
    with (
        client(body, "text/event-stream") as made,
        pytest.raises(openai.APIError) as caught,
        made.responses.create(model="m", input="x", stream=True) as stream,
    ):
        for _ in stream:
            pass
    assert caught.value.code == code
