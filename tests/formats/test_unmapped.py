"""What answers say that no word carries is counted, and of all that the vendors' own types describe it is nothing.

When a vendor's types learn a new member, the first test fails until it has a word, or a reason in `unmapped.SILENT`.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from botocore_oracle import BotocoreOracle
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from typed_samples import samples_of

from headworks.errors import HeadworksError
from headworks.formats import unmapped
from headworks.formats.chat.format import CHAT
from headworks.formats.contract import Spoken
from headworks.formats.converse.format import CONVERSE
from headworks.formats.gemini.format import GEMINI
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import FormatName
from headworks.formats.responses.format import RESPONSES
from headworks.testing import bedrock_replies

Json = dict[str, Any]
UNCARRIED: set[tuple[FormatName, str]] = {
    ("chat", "moderation"),
    ("responses", "moderation"),
    ("responses", "content.async"),
    ("responses", "content.caller"),
    ("responses", "content.namespace"),
    ("messages", "content.caller"),
    ("responses", "response.audio.delta"),
    ("responses", "response.audio.done"),
    ("responses", "response.audio.transcript.delta"),
    ("responses", "response.audio.transcript.done"),
    ("converse", "content.citations.location.searchResultLocation"),
    ("gemini", "candidates.content.parts.audioTranscription"),
    ("gemini", "candidates.continuationToken"),
    ("gemini", "candidates.grounding_metadata"),
    ("gemini", "candidates.url_context_metadata"),
}
"""What could matter to a caller, has no word, and is only said to who asked for it in the provider's own format."""


def uncarried(*names: FormatName) -> set[tuple[FormatName, str]]:
    """All of these formats: what has got a word is to leave the list."""
    return {each for each in UNCARRIED if each[0] in names}


class Counted:
    """What was counted since the test began."""

    def __init__(self) -> None:
        self._before = unmapped.counts()

    @property
    def places(self) -> dict[tuple[FormatName, str], int]:
        now = unmapped.counts()
        return {
            each: count - self._before.get(each, 0) for each, count in now.items() if count > self._before.get(each, 0)
        }


@pytest.fixture
def counted() -> Counted:
    return Counted()


def read(spoken: Spoken, body: Any) -> None:
    """A whole answer; that a sample is of a kind which we refuse is not the point."""
    with suppress(HeadworksError):
        spoken.read_answer(json.dumps(body).encode())


def hear(spoken: Spoken, *events: Json) -> None:
    """A stream, as above."""
    reader = spoken.reader()
    with suppress(HeadworksError):
        for event in events:
            name = f"event: {event['type']}\n" if "type" in event else ""
            reader.feed(f"{name}data: {json.dumps(event)}\n\n".encode())


def test_all_that_openai_says_is_carried_or_means_nothing(counted: Counted) -> None:
    for spoken, whole, part in (
        (CHAT, ChatCompletion, ChatCompletionChunk),
        (RESPONSES, Response, ResponseStreamEvent),
    ):
        for each in samples_of(whole):
            read(spoken, each)
        for each in samples_of(part):
            hear(spoken, each)
    assert counted.places.keys() == uncarried("chat", "responses")


def test_all_that_anthropic_says_is_carried_or_means_nothing(counted: Counted) -> None:
    for each in samples_of(Message):
        read(MESSAGES, each)
    for each in samples_of(RawMessageStreamEvent):
        hear(MESSAGES, each)
    assert counted.places.keys() == uncarried("messages")


def test_all_that_google_says_is_carried_or_means_nothing(counted: Counted) -> None:
    ours = {"sdkHttpResponse", "automaticFunctionCallingHistory", "parsed"}  # of the client, not of the wire
    for each in samples_of(GenerateContentResponse):
        said = {name: value for name, value in each.items() if name not in ours}
        read(GEMINI, said)
        hear(GEMINI, said)
    assert counted.places.keys() == uncarried("gemini")


def test_all_that_amazon_says_is_carried_or_means_nothing(counted: Counted, botocore: BotocoreOracle) -> None:
    for each in botocore.ask("samples", operation="Converse"):
        read(CONVERSE, each)
    for each in botocore.ask("samples", operation="ConverseStream"):
        for kind, payload in each["stream"].items():
            if kind.endswith("Exception"):  # those come in frames of another kind
                continue
            with suppress(HeadworksError):
                CONVERSE.reader().feed(bedrock_replies.event(kind, {**payload, "p": "abcdef"}))
    assert counted.places.keys() == uncarried("converse")


CHAT_ANSWER: Json = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
MESSAGE: Json = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
RESPONSE: Json = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": []}
GEMINIS: Json = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}
CONVERSES: Json = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn"}


@pytest.mark.parametrize(
    ("spoken", "answer", "at", "place"),
    [
        (CHAT, CHAT_ANSWER, (), "new"),
        (CHAT, CHAT_ANSWER, ("choices", 0), "choices.new"),
        (CHAT, CHAT_ANSWER, ("choices", 0, "message"), "choices.message.new"),
        (CHAT, CHAT_ANSWER, ("usage",), "usage.new"),
        (MESSAGES, MESSAGE, (), "new"),
        (MESSAGES, MESSAGE, ("content", 0), "content.new"),
        (MESSAGES, MESSAGE, ("usage",), "usage.new"),
        (RESPONSES, RESPONSE, (), "new"),
        (GEMINI, GEMINIS, (), "new"),
        (GEMINI, GEMINIS, ("candidates", 0), "candidates.new"),
        (GEMINI, GEMINIS, ("candidates", 0, "content"), "candidates.content.new"),
        (GEMINI, GEMINIS, ("candidates", 0, "content", "parts", 0), "candidates.content.parts.new"),
        (CONVERSE, CONVERSES, (), "new"),
        (CONVERSE, CONVERSES, ("output", "message"), "output.message.new"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_new_member_is_counted_where_it_stands(
    counted: Counted, spoken: Spoken, answer: Json, at: tuple[Any, ...], place: str
) -> None:
    said = json.loads(json.dumps(answer))
    inner = said
    for step in at:
        inner = inner[step]
    inner["new"] = None
    read(spoken, said)
    assert not counted.places, "null says nothing"
    inner["new"] = {"deep": [12345678901234567890]}
    read(spoken, said)
    assert counted.places == {(spoken.name, place): 1}


def test_the_log_tells_it_at_the_first_time_and_at_the_tenth(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(11):
        unmapped.note("chat", "of.this.test")
    told = [each.getMessage() for each in caplog.records if "of.this.test" in each.getMessage()]
    assert [each.rpartition(": ")[2] for each in told] == ["1 so far", "10 so far"]
    assert {each.levelno for each in caplog.records} == {logging.WARNING}


def test_a_provider_that_invents_names_fills_neither_memory_nor_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmapped, "_seen", type(unmapped._seen)())
    for number in range(3000):
        unmapped.note("messages", f"{number}\n{'x' * 1000}")
    assert len(unmapped.counts()) <= 1001
    assert sum(unmapped.counts().values()) == 3000
    assert len(caplog.records) < 1010
    assert all("\n" not in each.getMessage() and len(each.getMessage()) < 300 for each in caplog.records)


class _Inner(msgspec.Struct, rename="camel"):
    some_text: str = ""


class _Outer(msgspec.Struct, rename="camel"):
    inner: _Inner | None = None
    many: list[_Inner] = []
    raw: msgspec.Raw = msgspec.Raw(b"null")


def test_what_is_read_is_the_same_with_and_without_what_is_new(counted: Counted) -> None:
    reading: unmapped.Reading[_Outer] = unmapped.Reading("gemini", _Outer, "at")
    plain = b'{"inner":{"someText":"a"},"many":[{"someText":"b"}],"raw":{"any":1}}'
    more = b'{"inner":{"someText":"a","x":1},"many":[{"y":[],"someText":"b"}],"raw":{"any":1},"z":{}}'
    assert msgspec.json.encode(reading(plain)) == msgspec.json.encode(reading(more)) == plain
    assert counted.places == {("gemini", f"at.{name}"): 1 for name in ("inner.x", "many.y", "z")}
    with pytest.raises(msgspec.ValidationError):
        reading(b'{"inner":{"someText":1,"x":1}}')
