"""Whole answers in Anthropic's Messages: judged, read, written, and errors."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic_types import require_error, require_message
from hypothesis import example, given
from hypothesis import strategies as st

from headworks import errors as tree
from headworks.errors import HeadworksError, Unmapped, UpstreamError, UpstreamRejected
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import (
    Answer,
    Block,
    Citation,
    Failed,
    ImageBlock,
    OpaqueBlock,
    Source,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

LEAST: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 3},
}
WHOLE: dict[str, Any] = {
    **LEAST,
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "EmwK"},
        {
            "type": "text",
            "text": "Grass is green.",
            "citations": [
                {
                    "type": "char_location",
                    "cited_text": "Grass",
                    "document_index": 0,
                    "document_title": "Plan",
                    "start_char_index": 0,
                    "end_char_index": 5,
                    "file_id": None,
                }
            ],
        },
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "x"},
            "caller": {"type": "direct"},
        },
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://example.org",
                    "title": "T",
                    "encrypted_content": "EqgfCioIARgB",
                    "page_age": None,
                }
            ],
        },
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "weather",
            "input": {"at": [1.5, 2]},
            "caller": {"type": "direct"},
        },
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_details": None,
    "container": {"id": "container_1", "expires_at": "2026-11-22T00:00:00Z", "skills": None},
    "diagnostics": None,
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens": 70,
        "output_tokens_details": {"thinking_tokens": 20},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        "service_tier": "standard",
        "inference_geo": "eu",
        "speed": None,
    },
}
_COUNT = st.integers(0, 10**9)
_LIFETIMES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
USAGES = st.fixed_dictionaries(
    {"input_tokens": _COUNT, "output_tokens": _COUNT},
    optional={
        "cache_creation_input_tokens": st.none() | _COUNT,
        "cache_read_input_tokens": st.none() | _COUNT,
        "cache_creation": st.none() | st.fixed_dictionaries(dict.fromkeys(_LIFETIMES, _COUNT)),
        "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": _COUNT}),
        "server_tool_use": st.none() | st.fixed_dictionaries({"web_search_requests": _COUNT}),
        "service_tier": st.sampled_from(("standard", "priority")),
    },
)


def read(body: dict[str, Any]) -> Answer:
    return MESSAGES.read_answer(json.dumps(body).encode())


def written(*blocks: Block, reason: Any = "stop", **words: Any) -> dict[str, Any]:
    answer = Answer(Started("chatcmpl-1", "gpt"), list(blocks), Stopped(reason), Usage(7, 3), **words)
    return require_message(MESSAGES.write_answer(answer)).model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"usage": {"input_tokens": 1, "output_tokens": 1, "cache_creation": None}},
        {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        {"stop_reason": "refusal", "stop_details": {"type": "refusal", "category": None, "explanation": "no"}},
        {"stop_reason": "compaction"},
        {"content": []},
        {"content": [{"type": "text", "text": "", "citations": []}]},
        {"content": [{"type": "text", "text": "x", "citations": None}]},
        {"content": [{"type": "brand_new", "thing": 1}], "later": {"a": [1]}},
        {"context_management": {"applied_edits": []}},
    ],
)
def test_an_answer_is_written_as_it_was_read(change: dict[str, Any]) -> None:
    for base in (LEAST, WHOLE):
        body = {**base, **change}
        assert json.loads(MESSAGES.write_answer(read(body))) == body


def test_an_answer_that_does_not_say_its_stop_sequence_is_written_so() -> None:
    body = {name: value for name, value in LEAST.items() if name != "stop_sequence"}
    assert json.loads(MESSAGES.write_answer(read(body))) == body


@given(USAGES)
@example({"input_tokens": 0, "output_tokens": 0, "cache_creation": dict.fromkeys(_LIFETIMES, 0)})
def test_no_count_is_lost(usage: dict[str, Any]) -> None:
    body = {**LEAST, "usage": usage}
    assert json.loads(MESSAGES.write_answer(read(body))) == body


def test_counts_are_inclusive_in_our_words() -> None:
    answer = read(WHOLE)
    assert answer.usage == Usage(
        input_tokens=540,
        output_tokens=70,
        cached_input_tokens=500,
        cache_write_tokens=20,
        cache_write_1h_tokens=10,
        reasoning_tokens=20,
        service_tier="standard",
    )
    assert sorted(answer.usage_ext) == ["inference_geo", "server_tool_use", "service_tier", "speed"]


def test_counts_without_lifetimes_are_of_the_short_one() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 8}
    assert read({**LEAST, "usage": usage}).usage == Usage(13, 2, 8, cache_write_tokens=4)


def test_the_words_of_an_answer_are_ours() -> None:
    answer = read(WHOLE)
    thought, hidden, cited, search, found, call, empty = answer.blocks
    assert thought == ThinkingBlock("Hm.", "EqQB", origin="messages")
    assert hidden == ThinkingBlock(redacted="EmwK", origin="messages")
    assert isinstance(cited, TextBlock)
    assert cited.citations[0].quote == "Grass"
    assert isinstance(search, OpaqueBlock)
    assert isinstance(found, OpaqueBlock)
    assert isinstance(call, ToolCallBlock)
    assert json.loads(call.arguments) == {"at": [1.5, 2]}
    assert empty == ToolCallBlock("toolu_2", "now", b"{}")
    assert (answer.started.id, answer.started.model, answer.started.origin) == ("msg_1", "claude-opus-5", "messages")
    assert (answer.stopped.reason, answer.stopped.word) == ("tool_calls", "tool_use")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "context_window"),
        ("never_heard_of", "error"),
    ],
)
def test_each_end_has_its_word(word: str, reason: str) -> None:
    assert read({**LEAST, "stop_reason": word}).stopped.reason == reason
    if reason != "error":
        assert written(TextBlock("x"), reason=reason)["stop_reason"] == word


def test_an_answer_that_a_filter_cut_off_is_a_refusal() -> None:
    assert written(TextBlock("x"), reason="content_filter")["stop_reason"] == "refusal"
    assert written(TextBlock("No.", is_refusal=True))["stop_reason"] == "refusal"


@pytest.mark.parametrize("reason", ["error", "malformed_tool_call"])
def test_an_end_that_is_none_is_not_invented(reason: str) -> None:
    with pytest.raises(UpstreamError):
        written(TextBlock("x"), reason=reason)


def test_an_answer_of_another_format_is_a_message() -> None:
    message = written(
        ThinkingBlock("Hm."),
        TextBlock("Green."),
        ToolCallBlock("call_1", "weather", b' {"a": 1.50} '),
        ToolCallBlock("call_2", "now", b""),
        reason="tool_calls",
    )
    assert message == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": ""},
            {"type": "text", "text": "Green."},
            {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"a": 1.5}},
            {"type": "tool_use", "id": "call_2", "name": "now", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }


def test_what_stood_beside_the_words_of_another_format_stays_there() -> None:
    raw = msgspec.Raw(b'"fp_1"')
    answer = Answer(
        Started("a", "b", ext={"system_fingerprint": raw}, origin="chat"),
        [TextBlock("x", ext={"logprobs": raw})],
        Stopped("stop", ext={"stop_reason": raw}),
        Usage(),
        {"total_tokens": raw},
    )
    assert require_message(MESSAGES.write_answer(answer)).stop_reason == "end_turn"


def test_citations_of_ours_are_places_in_a_document() -> None:
    citation = Citation(
        quote="500 francs",
        title="Plan",
        url="https://here/documents/1",
        start=3,
        end=9,
        document="doc-1",
        document_index=2,
        document_start=40,
        document_end=50,
    )
    text = written(TextBlock("It is 500 francs.", citations=(citation,)))["content"][0]
    assert text["citations"] == [
        {
            "type": "char_location",
            "cited_text": "500 francs",
            "document_index": 2,
            "document_title": "Plan",
            "start_char_index": 40,
            "end_char_index": 50,
        }
    ]


def test_a_citation_of_the_web_is_an_address() -> None:
    text = written(TextBlock("x", citations=(Citation(url="https://example.org", title="T"),)))["content"][0]
    assert text["citations"][0]["url"] == "https://example.org"


def test_a_call_whose_arguments_were_cut_off_is_not_passed_on() -> None:
    with pytest.raises(UpstreamError, match="no JSON object"):
        written(ToolCallBlock("a", "b", b'{"a": '), reason="length")


@pytest.mark.parametrize(
    "block",
    [
        ImageBlock(Source("image/png", "AAAA")),
        ToolCallBlock("a", "b", b"free", is_custom=True),
        OpaqueBlock("responses", "web_search_call", msgspec.Raw(b"{}")),
    ],
)
def test_a_block_that_a_message_can_not_hold_is_refused(block: Block) -> None:
    with pytest.raises(Unmapped):
        written(block)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"type":"completion"}',
        json.dumps({**LEAST, "content": None}).encode(),
        json.dumps({**LEAST, "content": [{"type": "tool_use", "id": "x"}]}).encode(),
        json.dumps({**LEAST, "stop_reason": None}).encode(),
        json.dumps({**LEAST, "usage": {"input_tokens": "many"}}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_an_error_of_the_provider(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        MESSAGES.read_answer(body)


def test_bytes_are_judged_for_what_matters() -> None:
    verdict = MESSAGES.judge(json.dumps(WHOLE).encode())
    assert (verdict.kind, verdict.usage) == ("answer", read(WHOLE).usage)
    assert MESSAGES.judge(b'{"type":"error","error":{"type":"api_error","message":"x"}}').kind == "error"
    count = MESSAGES.judge(b'{"input_tokens":14}')
    assert (count.kind, count.usage) == ("answer", Usage(0, 0))
    assert MESSAGES.judge(b'{"type":"message","stop_reason":"end_turn","usage":"odd"}').kind == "answer"
    assert MESSAGES.judge(b'{"type":"message","stop_reason":null,"usage":{"output_tokens":1}}').kind == "nothing"
    assert MESSAGES.judge(b'{"choices":[]}').kind == "nothing"
    with pytest.raises(msgspec.DecodeError):
        MESSAGES.judge(b"<html>")


def test_a_count_is_read_and_written() -> None:
    assert MESSAGES.read_count(MESSAGES.write_count(14)) == 14
    with pytest.raises(UpstreamError):
        MESSAGES.read_count(b"{}")


_EXPECTED = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    500: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
}


def _kinds() -> list[type[HeadworksError]]:
    found = [kind for kind in vars(tree).values() if isinstance(kind, type) and issubclass(kind, HeadworksError)]
    return [kind for kind in found if kind is not UpstreamRejected]


@pytest.mark.parametrize("kind", _kinds())
def test_each_of_our_errors_has_its_type(kind: type[HeadworksError]) -> None:
    body = MESSAGES.error_body(kind("It failed.", next_step="Try again.", param="messages"))
    told = json.loads(body)
    assert told == {
        "type": "error",
        "error": {
            "type": _EXPECTED[kind.status],
            "message": "It failed. Try again.",
            "param": "messages",
            "code": kind.code,
        },
        "request_id": None,
    }
    if kind.status != 413:  # which the SDK only knows by its status
        require_error(body)


def test_an_error_names_the_request_of_the_provider() -> None:
    rejected = UpstreamRejected(529, b"busy", {"request-id": "req_1"})
    told = require_error(MESSAGES.error_body(rejected))
    assert (told.error.type, told.request_id) == ("overloaded_error", "req_1")


def test_an_error_of_the_provider_is_passed_on_as_it_stood() -> None:
    body = b'{"type": "error", "error": {"type":"rate_limit_error","message":"Slow.","details":null},"request_id":"r"}'
    failed = MESSAGES.read_error(429, body)
    assert failed is not None
    assert (failed.kind, failed.message, failed.status) == ("rate_limit_error", "Slow.", 429)
    assert MESSAGES.error_body(failed) == body


@pytest.mark.parametrize(
    ("failed", "kind"),
    [
        (Failed("server_error", "x", status=529), "overloaded_error"),
        (Failed("insufficient_quota", "x", status=429), "rate_limit_error"),
        (Failed("overloaded_error", "x"), "overloaded_error"),
        (Failed("whatever", "x"), "api_error"),
        (Failed("payment", "x", status=402), "billing_error"),
    ],
)
def test_an_error_of_another_format_gets_the_type_of_its_status(failed: Failed, kind: str) -> None:
    assert require_error(MESSAGES.error_body(failed)).error.type == kind


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"error":{"message":"x"}}', b'{"error":"x"}', b"[" * 99_999])
def test_what_is_no_error_is_none(body: bytes) -> None:
    assert MESSAGES.read_error(500, body) is None


@given(st.binary(max_size=40))
def test_any_bytes_are_an_answer_or_an_error_of_the_provider(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        MESSAGES.read_answer(body)
    assert MESSAGES.read_error(500, body) is None


@pytest.mark.parametrize(
    "thought",
    [
        ThinkingBlock("Hm.", origin="chat", signature="sig"),
        ThinkingBlock("Hm.", origin="gemini", signature="gemini:sig"),
        ThinkingBlock("", redacted="gAAA", id="rs_1", summary=("First.", "Then."), origin="responses"),
        ThinkingBlock("", redacted="gAAA", id="rs_1", origin="responses"),
        ThinkingBlock("", id="rs_1", summary=("First.",), origin="responses", signature="sig"),
        ThinkingBlock("Hm.", redacted="AAAA", origin="converse"),
    ],
)
def test_a_foreign_thought_comes_back_from_a_client_as_it_was(thought: ThinkingBlock) -> None:
    content = written(thought, TextBlock("x"))["content"]
    body = {
        "model": "m",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": content}],
    }
    request = MESSAGES.read_request(json.dumps(body).encode())
    assert request.turns[1].blocks[0] == thought


def test_a_thought_without_a_signature_belongs_to_nobody() -> None:
    content = [{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "x"}]
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": content}]}
    request = MESSAGES.read_request(json.dumps(body).encode())
    assert request.turns[0].blocks[0] == ThinkingBlock("Hm.", "")
    out = MESSAGES.write_request(request)
    assert out.left_out == ("messages[0].content[0]",)
    assert json.loads(out.body)["messages"][0]["content"] == content[1:]


def test_what_only_looks_like_a_packed_thought_is_a_signature() -> None:
    for signature in ("headworks.", "headworks.####", "headworks.AAAA"):
        content = [{"type": "thinking", "thinking": "Hm.", "signature": signature}]
        body = {"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": content}]}
        request = MESSAGES.read_request(json.dumps(body).encode())
        assert json.loads(MESSAGES.write_request(request).body) == body
