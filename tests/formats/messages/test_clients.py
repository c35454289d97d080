"""What we write for callers, read by Anthropic's own client; and what it sends, read by us."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import TextBlock as SdkText
from anthropic.types import ThinkingBlock as SdkThinking
from anthropic.types import ToolUseBlock

from headworks.errors import Blocked, Unavailable, UpstreamTruncated
from headworks.formats.answers import collect
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import (
    Answer,
    Citation,
    Cited,
    Closed,
    Counted,
    Event,
    Grown,
    Opened,
    Request,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.testing.anthropic import SimulatedAnthropic
from headworks.testing.replies import Reply
from headworks.types.models import Usage

ASK: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello?"}]}
CITED = Citation("500 francs", "Plan", document_index=0, document_start=4, document_end=14)
EVENTS: list[Event] = [
    Started("chatcmpl-1", "gpt"),
    Opened(0, ThinkingBlock(origin="chat")),
    Grown(0, "Hm."),
    Closed(0),
    Opened(1, TextBlock("")),
    Grown(1, "It is "),
    Grown(1, "500 francs."),
    Cited(1, CITED),
    Closed(1),
    Opened(2, ToolCallBlock("call_1", "weather", b"")),
    Opened(3, ToolCallBlock("call_2", "now", b"")),
    Grown(3, "{}"),
    Grown(2, '{"at": '),
    Grown(2, '"Bern"}'),
    Closed(2),
    Closed(3),
    Stopped("tool_calls"),
    Counted(Usage(40, 20, 30, reasoning_tokens=5)),
]


@pytest.fixture
def simulated() -> Iterator[SimulatedAnthropic]:
    with SimulatedAnthropic() as running:
        yield running


@pytest.fixture
def client(simulated: SimulatedAnthropic) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="any", base_url=simulated.origin, max_retries=0) as made:
        yield made


@pytest.fixture
async def patient(simulated: SimulatedAnthropic) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="any", base_url=simulated.origin, max_retries=0) as made:
        yield made


def written(events: Iterable[Event]) -> Reply:
    writer = MESSAGES.writer(Request("messages", "m"))
    pieces = [writer.write(each) for each in events]
    return Reply.events([piece for piece in [*pieces, writer.end()] if piece])


def check(message: Any) -> None:
    thought, text, weather, now = message.content
    assert isinstance(thought, SdkThinking)
    assert thought.thinking == "Hm."
    assert isinstance(text, SdkText)
    assert text.text == "It is 500 francs."
    assert text.citations is not None
    assert text.citations[0].cited_text == "500 francs"
    assert isinstance(weather, ToolUseBlock)
    assert (weather.id, weather.input) == ("call_1", {"at": "Bern"})
    assert isinstance(now, ToolUseBlock)
    assert now.input == {}
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (10, 30)
    assert message.usage.output_tokens == 20


def test_a_stream_of_ours_is_read(simulated: SimulatedAnthropic, client: anthropic.Anthropic) -> None:
    simulated.will(written(EVENTS))
    with client.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream) == "It is 500 francs."
        check(stream.get_final_message())


async def test_a_stream_of_ours_is_read_by_the_patient_client(
    simulated: SimulatedAnthropic, patient: anthropic.AsyncAnthropic
) -> None:
    simulated.will(written(EVENTS))
    async with patient.messages.stream(**ASK) as stream:
        check(await stream.get_final_message())


def test_an_answer_of_ours_is_read(simulated: SimulatedAnthropic, client: anthropic.Anthropic) -> None:
    answer: Answer | None = collect(EVENTS)
    assert answer is not None
    simulated.will(Reply.raw(MESSAGES.write_answer(answer)))
    check(client.messages.create(**ASK))


def test_an_error_in_a_stream_of_ours_is_raised(simulated: SimulatedAnthropic, client: anthropic.Anthropic) -> None:
    writer = MESSAGES.writer(Request("messages", "m"))
    begun = [writer.write(each) for each in EVENTS[:6]]
    failed = writer.fail(UpstreamTruncated("The provider's answer broke off."))
    simulated.will(Reply.events([piece for piece in [*begun, failed] if piece]))
    with pytest.raises(anthropic.APIStatusError, match="broke off"), client.messages.stream(**ASK) as stream:
        stream.until_done()


def test_an_error_of_ours_is_raised_with_its_type(simulated: SimulatedAnthropic, client: anthropic.Anthropic) -> None:
    simulated.will(Reply.raw(MESSAGES.error_body(Blocked("A rule refused it.")), 422))
    with pytest.raises(anthropic.UnprocessableEntityError) as refused:
        client.messages.create(**ASK)
    assert refused.value.type == "invalid_request_error"
    simulated.will(Reply.raw(MESSAGES.error_body(Unavailable("Away.")), 503))
    with pytest.raises(anthropic.InternalServerError) as away:
        client.messages.create(**ASK)
    assert away.value.type == "api_error"


def test_what_the_client_sends_back_is_read_by_us(simulated: SimulatedAnthropic, client: anthropic.Anthropic) -> None:
    simulated.will(written(EVENTS), Reply.json({"type": "message", "content": []}))
    with client.messages.stream(**ASK) as stream:
        answer = stream.get_final_message()
    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        for block in answer.content
        if block.type == "tool_use"
    ]
    history: list[Any] = [
        *ASK["messages"],
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": results},
    ]
    client.messages.create(**{**ASK, "messages": history})
    request = MESSAGES.read_request(simulated.last.body)
    assert json.loads(MESSAGES.write_request(request).body)["messages"][0] == ASK["messages"][0]
    thought, text, *calls = request.turns[1].blocks
    assert isinstance(thought, ThinkingBlock)
    assert thought.origin is None
    assert isinstance(text, TextBlock)
    assert text.citations[0].quote == "500 francs"
    assert [call.arguments for call in calls if isinstance(call, ToolCallBlock)] == [b'{"at":"Bern"}', b"{}"]
