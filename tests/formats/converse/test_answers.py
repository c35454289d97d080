"""Answers and errors of Converse in neutral words."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import UpstreamError
from headworks.formats.converse.format import CONVERSE
from headworks.formats.neutral import (
    Answer,
    AudioBlock,
    Citation,
    ImageBlock,
    OpaqueBlock,
    Source,
    Started,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def answer(*content: Any, reason: str = "end_turn", usage: Any = None, **more: Any) -> Answer:
    said = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": reason,
        "usage": usage or {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
        **more,
    }
    return CONVERSE.read_answer(json.dumps(said).encode())


def test_a_recorded_answer_with_a_call_of_a_tool() -> None:
    read = CONVERSE.read_answer(
        b'{"metrics":{"latencyMs":12218},"output":{"message":{"content":[{"toolUse":{"input":'
        b'{"year": 12345678901234567890},'
        b'"name":"get_olympics_host","toolUseId":"tooluse_lYKOXHgZwE67ZIbFINPr6d","type":"tool_use"}}],"role":"assistant"}},'
        b'"stopReason":"tool_use","usage":{"cacheReadInputTokenCount":0,"cacheReadInputTokens":0,'
        b'"cacheWriteInputTokenCount":0,"cacheWriteInputTokens":0,"inputTokens":750,"outputTokens":57,'
        b'"serverToolUsage":{},"totalTokens":807}}'
    )
    assert read.started == Started(origin="converse")
    assert read.blocks == [
        ToolCallBlock("tooluse_lYKOXHgZwE67ZIbFINPr6d", "get_olympics_host", b'{"year": 12345678901234567890}')
    ]
    assert (read.stopped.reason, read.stopped.word) == ("tool_calls", "tool_use")
    assert read.usage == Usage(750, 57, 0, cache_write_tokens=0)
    assert read.usage_ext == {"metrics": msgspec.Raw(b'{"latencyMs":12218}')}


def test_every_kind_of_block() -> None:
    own_call = {"toolUse": {"toolUseId": "s", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}}
    own_result = {"toolResult": {"toolUseId": "s", "content": [{"json": {"stdOut": "7"}}], "type": "x_result"}}
    failed = {"image": {"format": "png", "source": {"bytes": "AA=="}, "error": {"message": "blocked"}}}
    read = answer(
        {"text": "Hi."},
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig"}}},
        {"reasoningContent": {"reasoningText": {"text": "Hm."}}},
        {"reasoningContent": {"redactedContent": "RXRR"}},
        {"image": {"format": "png", "source": {"bytes": "AA=="}}},
        {"audio": {"format": "wav", "source": {"bytes": "AA=="}}},
        own_call,
        own_result,
        failed,
        {"video": {"format": "mp4", "source": {"bytes": "AA=="}}},
        {"reasoningContent": {"later": 1}},
    )
    assert read.blocks[:6] == [
        TextBlock("Hi."),
        ThinkingBlock("Hm.", "sig", origin="converse"),
        ThinkingBlock("Hm.", origin="converse"),
        ThinkingBlock(redacted="RXRR", origin="converse"),
        ImageBlock(Source(media_type="image/png", data="AA==")),
        AudioBlock(Source(media_type="audio/wav", data="AA=="), encoding="wav"),
    ]
    opaque = [block for block in read.blocks[6:] if isinstance(block, OpaqueBlock)]
    assert [block.kind for block in opaque] == ["toolUse", "toolResult", "image", "video", "reasoningContent"]
    assert [msgspec.json.decode(block.raw) for block in opaque[:3]] == [own_call, own_result, failed]


def test_citations_say_where_a_claim_stands() -> None:
    characters = {"documentChar": {"documentIndex": 1, "start": 10, "end": 20}}
    found = [
        {"title": "Plan", "sourceContent": [{"text": "the "}, {"text": "quote"}], "location": characters},
        {"source": "web", "location": {"web": {"url": "https://example.com", "domain": "example.com"}}},
        {"title": "P", "location": {"documentPage": {"documentIndex": 0, "start": 3, "end": 4}}},
        {},
    ]
    (block,) = answer(
        {"citationsContent": {"content": [{"text": "A "}, {"text": "claim."}], "citations": found}}
    ).blocks
    assert isinstance(block, TextBlock)
    assert block.text == "A claim."
    plain = [msgspec.structs.replace(each, ext={}) for each in block.citations]
    assert plain == [
        Citation("the quote", "Plan", document_index=1, document_start=10, document_end=20, kind="document_char"),
        Citation(url="https://example.com", document="web", kind="web"),
        Citation(title="P", document_index=0, kind="document_page"),
        Citation(),
    ]
    assert [msgspec.json.decode(each.ext["~citation"]) for each in block.citations] == found


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "malformed_tool_call"),
        ("model_context_window_exceeded", "context_window"),
        ("something_new", "error"),
        ("", "error"),
    ],
)
def test_no_end_is_taken_for_a_good_one_that_is_none(word: str, reason: str) -> None:
    stopped = answer({"text": "x"}, reason=word).stopped
    assert (stopped.reason, stopped.word) == (reason, word)


@pytest.mark.parametrize(
    ("fields", "sequence"),
    [({"stop_sequence": "END"}, "END"), ({"stop_sequence": None}, None), ([1], None), ({}, None)],
)
def test_the_stop_sequence_stands_in_fields_of_the_model(fields: Any, sequence: str | None) -> None:
    stopped = answer({"text": "x"}, reason="stop_sequence", additionalModelResponseFields=fields).stopped
    assert stopped.sequence == sequence
    assert msgspec.json.decode(stopped.ext["additionalModelResponseFields"]) == fields
    assert answer({"text": "x"}, additionalModelResponseFields=None).stopped.ext == {}


@pytest.mark.parametrize(
    ("counted", "usage"),
    [
        ({"inputTokens": 10, "outputTokens": 5}, Usage(10, 5)),
        ({"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 100}, Usage(110, 5, 100)),
        (
            {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 30, "cacheWriteInputTokens": 400},
            Usage(431, 2, 30, cache_write_tokens=400),
        ),
        (
            {
                "inputTokens": 1,
                "outputTokens": 2,
                "cacheWriteInputTokens": 70,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 50}, {"ttl": "5m", "inputTokens": 20}],
            },
            Usage(71, 2, cache_write_tokens=20, cache_write_1h_tokens=50),
        ),
        (
            {"inputTokens": 1, "outputTokens": 2, "cacheDetails": [{"ttl": "5m", "inputTokens": 20}]},
            Usage(21, 2, cache_write_tokens=20, cache_write_1h_tokens=0),
        ),
        ({"outputTokens": 5}, Usage(None, 5)),
        ({}, Usage()),
    ],
)
def test_usage_is_inclusive(counted: Any, usage: Usage) -> None:
    assert answer({"text": "x"}, usage=counted or {"totalTokens": 0}).usage == usage


def test_what_has_no_word_is_kept() -> None:
    counted = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3, "serverToolUsage": {"web": 2}}
    read = answer({"text": "x"}, usage=counted, trace={"guardrail": {}}, serviceTier={"type": "flex"})
    assert {name: msgspec.json.decode(raw) for name, raw in read.usage_ext.items()} == {
        "usage": {"serverToolUsage": {"web": 2}},
        "trace": {"guardrail": {}},
        "serviceTier": {"type": "flex"},
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"message":"no"}',
        b'{"output":{"message":{"content":[{}]}},"stopReason":"end_turn","usage":{}}',
        b'{"output":{"message":{"content":[{"text":1}]}},"stopReason":"end_turn","usage":{}}',
        b'{"output":{"message":{"content":[]}},"stopReason":"end_turn","usage":{"inputTokens":"x"}}',
        b'{"output":{"message":{"content":[]}},"usage":{}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError, match="can't be read as Bedrock's Converse") as refused:
        CONVERSE.read_answer(body)
    assert refused.value.code == "upstream_not_an_answer"


members = st.sampled_from(["text", "toolUse", "reasoningContent", "citationsContent", "image", "audio", "toolResult"])
answers = st.fixed_dictionaries(
    {
        "output": st.fixed_dictionaries(
            {"message": st.fixed_dictionaries({"content": st.lists(st.dictionaries(members, json_values, max_size=2))})}
        ),
        "stopReason": st.text(max_size=5),
        "usage": st.dictionaries(st.sampled_from(["inputTokens", "cacheDetails", "x"]), json_values, max_size=2),
    }
)


@given(json_values | answers)
def test_any_json_is_an_answer_or_refused(value: Any) -> None:
    try:
        read = CONVERSE.read_answer(json.dumps(value).encode())
    except UpstreamError:
        return
    assert len(read.blocks) == len(value["output"]["message"]["content"])


# Errors.

THROTTLED = b'{"message":"Too many tokens per day, please wait before trying again."}'


@pytest.mark.parametrize(
    ("body", "headers", "kind"),
    [
        (THROTTLED, [(b"x-amzn-errortype", b"ThrottlingException")], "ThrottlingException"),
        (
            THROTTLED,
            [(b"X-Amzn-ErrorType", b"ThrottlingException:http://internal.amazon.com/x/")],
            "ThrottlingException",
        ),
        (b'{"__type":"ThrottlingException","message":"Rate exceeded"}', [], "ThrottlingException"),
        (b'{"__type":"com.amazon.coral.service#ThrottlingException","Message":"Rate"}', [], "ThrottlingException"),
        (b"{}", [(b"x-amzn-errortype", b"UnknownOperationException")], "UnknownOperationException"),
        (THROTTLED, [], ""),
    ],
)
def test_the_kind_of_an_error_stands_in_a_header_or_in_the_body(
    body: bytes, headers: list[tuple[bytes, bytes]], kind: str
) -> None:
    failed = CONVERSE.read_error(429, body, headers)
    assert failed is not None
    assert (failed.kind, failed.status, failed.origin, failed.code) == (kind, 429, "converse", None)
    said = json.loads(body)
    assert failed.message == (said.get("message") or said.get("Message") or "")
    assert failed.raw == msgspec.Raw(body)


@pytest.mark.parametrize("message", ["Input is too long for requested model.", "prompt is too long: 2 > 1 maximum"])
def test_a_prompt_that_is_too_long_has_a_code(message: str) -> None:
    body = json.dumps({"message": message}).encode()
    failed = CONVERSE.read_error(400, body, [(b"x-amzn-errortype", b"ValidationException")])
    assert failed is not None
    assert failed.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("value", "seconds"), [(b"7", 7.0), (b"0.5", 0.5), (b"soon", None), (b"-1", None), (b"inf", None)]
)
def test_how_long_to_wait_is_read(value: bytes, seconds: float | None) -> None:
    failed = CONVERSE.read_error(429, THROTTLED, [(b"retry-after", value)])
    assert failed is not None
    assert failed.retry_after_s == seconds


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"error":{"message":"x"}}', b'{"message":1}', b"\xff"]
)
def test_what_is_no_error_of_amazons_is_none(body: bytes) -> None:
    assert CONVERSE.read_error(500, body) is None
