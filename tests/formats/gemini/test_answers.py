"""Whole answers of Gemini in neutral words: blocks, ends, counts, citations, and errors."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import UpstreamError, UpstreamTruncated
from headworks.formats.gemini.format import GEMINI
from headworks.formats.neutral import (
    Answer,
    AudioBlock,
    FileBlock,
    ImageBlock,
    OpaqueBlock,
    Request,
    Source,
    StopReason,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)
from headworks.testing import gemini_replies as replies
from headworks.types.models import Usage

SIGNATURE = "QUJD+/8="


def read(value: Any) -> Answer:
    return GEMINI.read_answer(json.dumps(value).encode())


def test_each_part_is_a_block_and_texts_in_a_row_are_one() -> None:
    parts = [
        replies.thought("Let me "),
        replies.thought("see.", signature=SIGNATURE),
        replies.text("He"),
        replies.text("re:"),
        replies.picture("iVBORw0KGgo="),
        replies.picture("UklGRg==", "audio/wav"),
        replies.picture("JVBERg==", "application/pdf"),
        replies.call("look", {"at": 1}, signature=SIGNATURE),
        replies.call("look", {}, id="given"),
    ]
    found = read(replies.answer(*parts))
    assert found.started.origin == "gemini"
    assert (found.started.id, found.started.model) == ("simulated-1", replies.MODEL)
    assert found.blocks == [
        ThinkingBlock("Let me see.", signature=f"gemini:{SIGNATURE}", origin="gemini"),
        TextBlock("Here:"),
        ImageBlock(Source(media_type="image/png", data="iVBORw0KGgo=")),
        AudioBlock(Source(media_type="audio/wav", data="UklGRg=="), encoding="wav"),
        FileBlock(Source(media_type="application/pdf", data="JVBERg==")),
        ToolCallBlock("sig18_call_simulated-1_0QUJD-_8", "look", b'{"at": 1}'),
        ToolCallBlock("given", "look", b"{}"),
    ]
    assert found.stopped.reason == "tool_calls"


def test_what_signs_a_text_follows_it_as_a_thought_without_words() -> None:
    found = read(replies.answer(replies.text("Hello.", signature="QUJD"), replies.text("", signature="REVG")))
    assert found.blocks == [
        TextBlock("Hello."),
        ThinkingBlock(signature="gemini:QUJD", origin="gemini"),
        ThinkingBlock(signature="gemini:REVG", origin="gemini"),
    ]


def test_parts_that_say_nothing_are_no_blocks() -> None:
    assert read(replies.answer({}, {"text": ""}, {"text": "", "thought": True}, {"text": None})).blocks == []


def test_parts_of_googles_own_tools_stay_as_they_stood() -> None:
    part = {"executableCode": {"language": "PYTHON", "code": "print(12345678901234567890)"}}
    (block,) = read(replies.answer(part)).blocks
    assert isinstance(block, OpaqueBlock)
    assert (block.origin, block.kind, json.loads(bytes(block.raw))) == ("gemini", "executableCode", part)


def test_an_answer_goes_back_as_it_came() -> None:
    """The next turn of a conversation: what the model sees is what it said."""
    parts = [
        replies.thought("Hm.", signature="QUJD"),
        replies.text("Here."),
        replies.call("look", {"at": 1}, signature=SIGNATURE),
        replies.call("look", {"at": 2}, id="given"),
    ]
    blocks = read(replies.answer(*parts)).blocks
    results = [ToolResultBlock(block.id, ()) for block in blocks if isinstance(block, ToolCallBlock)]
    turns = [Turn("user", [TextBlock("x")]), Turn("assistant", blocks), Turn("user", [*results])]
    body = json.loads(GEMINI.write_request(Request("chat", "gemini-3-pro", turns)).body)
    parts[2]["functionCall"]["id"] = "call_simulated-1_0"
    assert body["contents"][1]["parts"] == parts
    answered = [part["functionResponse"]["id"] for part in body["contents"][2]["parts"]]
    assert answered == ["call_simulated-1_0", "given"]


# How it ends.

FILTERED = {
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "ESCALATION",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
}
ENDS: dict[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "MALFORMED_FUNCTION_CALL": "malformed_tool_call",
    "UNEXPECTED_TOOL_CALL": "malformed_tool_call",
}


@pytest.mark.parametrize("word", [*(reason.value for reason in types.FinishReason), "A_NEW_ONE"])
def test_every_end_that_google_knows_has_a_reason_and_one_alone_is_stop(word: str) -> None:
    stopped = read(replies.answer(replies.text("x"), finish_reason=word, finishMessage="Because.")).stopped
    assert stopped.reason == ENDS.get(word, "content_filter" if word in FILTERED else "error")
    assert (stopped.reason == "stop") is (word == "STOP")
    assert (stopped.word, bytes(stopped.ext["finish_message"])) == (word, b'"Because."')


@pytest.mark.parametrize("word", ["MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "TOO_MANY_TOOL_CALLS"])
def test_a_call_does_not_hide_a_bad_end(word: str) -> None:
    assert read(replies.answer(replies.call("f", {}), finish_reason=word)).stopped.reason == ENDS.get(
        word, "content_filter" if word == "SAFETY" else "error"
    )


@pytest.mark.parametrize("word", [reason.value for reason in types.BlockedReason])
def test_a_blocked_prompt_is_a_refusal_of_the_filter(word: str) -> None:
    found = read(replies.blocked(word, "Not this."))
    assert found.blocks == []
    assert (found.stopped.reason, found.stopped.word) == ("content_filter", word)
    assert bytes(found.stopped.ext["finish_message"]) == b'"Not this."'
    assert (found.usage.input_tokens, found.usage.output_tokens) == (10, 0)


def test_feedback_that_blocks_nothing_is_no_end() -> None:
    value = {**replies.answer(replies.text("x")), "promptFeedback": {"safetyRatings": []}}
    assert read(value).stopped.reason == "stop"


@pytest.mark.parametrize(
    "value", [{}, {"candidates": []}, replies.answer(replies.text("x"), finish_reason=None), {"promptFeedback": {}}]
)
def test_an_answer_without_an_end_is_not_whole(value: Any) -> None:
    with pytest.raises(UpstreamTruncated):
        read(value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"x"',
        b'{"candidates": 1}',
        b'{"candidates": [{"content": {"parts": [1]}}]}',
        b'{"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": [1]}}]}}]}',
        b'{"error": {"code": 500}}',
        b'{"a":' * 5000,
    ],
)
def test_what_is_no_answer_is_an_error_of_the_provider(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        GEMINI.read_answer(body)


NAMES = [
    "args",
    "candidates",
    "citationMetadata",
    "citations",
    "content",
    "error",
    "finishReason",
    "functionCall",
    "index",
    "inlineData",
    "jsonPath",
    "name",
    "partialArgs",
    "parts",
    "promptTokenCount",
    "startIndex",
    "text",
    "thought",
    "thoughtSignature",
    "usageMetadata",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_an_answer_or_an_error_of_the_provider(value: Any) -> None:
    try:
        read(value)
    except UpstreamError:
        return


# What it cost.


def test_counts_are_inclusive() -> None:
    counted = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "toolUsePromptTokenCount": 5,
        "totalTokenCount": 155,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 80}, {"modality": "AUDIO", "tokenCount": 20}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}, {"modality": "TEXT"}],
    }
    usage = read(replies.answer(replies.text("x"), counts=counted)).usage
    assert usage == Usage(
        input_tokens=105,
        output_tokens=50,
        cached_input_tokens=60,
        reasoning_tokens=30,
        audio_input_tokens=20,
        audio_output_tokens=7,
    )
    assert (usage.input_tokens or 0) + (usage.output_tokens or 0) == counted["totalTokenCount"]


@pytest.mark.parametrize(
    ("counted", "usage"),
    [
        ({"promptTokenCount": 3}, Usage(input_tokens=3)),
        ({"promptTokenCount": 3, "totalTokenCount": 3}, Usage(input_tokens=3, output_tokens=0)),
        ({"promptTokenCount": 3, "thoughtsTokenCount": 2}, Usage(3, 2, reasoning_tokens=2)),
        ({"promptTokenCount": "3"}, Usage(input_tokens=3)),
        ({}, Usage()),
    ],
)
def test_what_google_does_not_say_is_not_known(counted: dict[str, Any], usage: Usage) -> None:
    value = replies.answer(replies.text("x"))
    assert read({**value, "usageMetadata": counted}).usage == usage


# What it quotes.


@pytest.mark.parametrize("name", ["citations", "citationSources"])
def test_sources_are_citations_in_characters(name: str) -> None:
    source = {"startIndex": 3, "endIndex": 6, "uri": "https://a/b", "title": "B", "license": "MIT"}
    value = replies.answer(replies.text("é: ûx"), citationMetadata={name: [source, source, {"uri": "https://c"}]})
    (block,) = read(value).blocks
    assert isinstance(block, TextBlock)
    first, second = block.citations
    assert (first.url, first.title, block.text[first.start : first.end]) == ("https://a/b", "B", " û")
    assert (second.url, second.start, second.end) == ("https://c", None, None)


def test_what_grounds_an_answer_is_kept() -> None:
    value = replies.answer(replies.text("x"), groundingMetadata={"webSearchQueries": ["q"]}, urlContextMetadata=None)
    assert read(value).stopped.ext == {"grounding_metadata": msgspec.Raw(b'{"webSearchQueries": ["q"]}')}


# Errors.


def test_an_error_says_what_google_says() -> None:
    body = replies.error(429, "Quota exceeded.", retry_delay_s=34.5, reason="RATE_LIMIT_EXCEEDED")
    failed = GEMINI.read_error(429, json.dumps(body).encode())
    assert failed is not None
    assert (failed.kind, failed.message, failed.code) == (
        "RESOURCE_EXHAUSTED",
        "Quota exceeded.",
        "RATE_LIMIT_EXCEEDED",
    )
    assert (failed.status, failed.retry_after_s, failed.origin) == (429, 34.5, "gemini")
    assert failed.raw is not None
    assert json.loads(bytes(failed.raw)) == body["error"]
    assert GEMINI.read_error(429, json.dumps([body]).encode()) == failed


@pytest.mark.parametrize(
    ("delay", "seconds"), [("7s", 7.0), ("0.003s", 0.003), ("34.074824224s", 34.074824224), ("1h", None), ("", None)]
)
def test_the_time_to_wait_is_in_seconds(delay: str, seconds: float | None) -> None:
    body = {"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]}}
    failed = GEMINI.read_error(503, json.dumps(body).encode())
    assert failed is not None
    assert (failed.status, failed.retry_after_s) == (503, seconds)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"error": "no"}', b'{"error": null}', b'{"error": {"code": "x"}}', b"\xff"]
)
def test_another_body_is_no_error_of_google(body: bytes) -> None:
    assert GEMINI.read_error(500, body) is None


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_error_or_none(body: bytes) -> None:
    failed = GEMINI.read_error(500, body)
    assert failed is None or failed.origin == "gemini"
