"""Whole answers in Responses: judged, read, written; and errors."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_samples import ANSWER, URL_CITATION, WHOLE, checked_response, events_of, stream_of

from headworks.errors import InvalidRequest, Unmapped, UpstreamError
from headworks.formats.neutral import (
    Answer,
    AudioBlock,
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
from headworks.formats.responses.format import RESPONSES
from headworks.types.models import Usage


def body(**members: Any) -> bytes:
    return json.dumps({**ANSWER, **members}).encode()


def a_foreign(*blocks: Block, stopped: Stopped | None = None, usage: Usage | None = None) -> Answer:
    started = Started("msg_1", "claude-opus-5", 1741476542, origin="messages")
    return Answer(started, list(blocks), stopped or Stopped("stop", "end_turn"), usage or Usage(3, 4))


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


# Judged.


def test_an_answer_is_known_with_its_count() -> None:
    verdict = RESPONSES.judge(body())
    assert verdict.kind == "answer"
    assert verdict.usage == Usage(36, 87, 10, cache_write_tokens=4, reasoning_tokens=30, service_tier="default")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b'{"error":{"message":"no","type":"x","param":null,"code":null}}', "error"),
        (body(status="failed", error={"code": "server_error", "message": "x"}), "error"),
        (body(status="failed"), "error"),
        (body(status="incomplete"), "answer"),
        (body(status="queued", output=[], usage=None), "answer"),
        (b'{"object":"list"}', "nothing"),
        (b"{}", "nothing"),
        (body(status="incomplete", output=[]), "answer"),
        (body(status="completed", output=[]), "nothing"),
        (b'{"output":null,"status":"queued"}', "nothing"),
        (b'{"output":[{}],"usage":{"input_tokens":"many"}}', "answer"),
    ],
)
def test_what_a_body_is(said: bytes, kind: str) -> None:
    assert RESPONSES.judge(said).kind == kind


@pytest.mark.parametrize("said", [b"", b"<html>", b"[]", b'{"output":[', b'{"status":3}', b'{"output":[]} x'])
def test_a_body_that_is_no_json_object_is_not_judged(said: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        RESPONSES.judge(said)


def test_a_failed_answer_is_still_paid_for() -> None:
    said = RESPONSES.judge(body(status="failed"))
    assert said.usage is not None
    assert said.usage.output_tokens == 87


@pytest.mark.parametrize(
    "said",
    [
        body(),
        json.dumps(ANSWER, indent=2).encode(),
        stream_of(events_of(ANSWER)[:1]),
        b'data: {"type":"x","response":{"id":"' + ANSWER["id"].encode() + b'"}}\r\n\r\n',
    ],
)
def test_a_response_is_known_by_its_id(said: bytes) -> None:
    assert RESPONSES.response_id(said) == ANSWER["id"]


@pytest.mark.parametrize("said", [b"", b"x", b"{}", b": ping\n\n", b'{"id":3}', b"[]", b"event: a\ndata: {}\n\n"])
def test_what_is_no_response_has_no_id(said: bytes) -> None:
    assert RESPONSES.response_id(said) is None


# Read and written back.


def test_nothing_of_an_answer_is_lost() -> None:
    assert json.loads(RESPONSES.write_answer(RESPONSES.read_answer(body()))) == ANSWER


def test_an_answer_is_read_into_its_words() -> None:
    answer = RESPONSES.read_answer(body())
    assert (answer.started.id, answer.started.model) == (ANSWER["id"], "gpt-5.6-2026-08-01")
    assert answer.started.created == 1741476542
    assert answer.stopped == Stopped("tool_calls", "completed")
    thought, search, text, call = answer.blocks
    assert isinstance(thought, ThinkingBlock)
    assert (thought.summary, thought.signature, thought.origin) == (
        ("**Thinking**\n\nhard",),
        "gAAAAABo",
        "responses",
    )
    assert isinstance(search, OpaqueBlock)
    assert search.kind == "web_search_call"
    assert isinstance(text, TextBlock)
    assert (text.text, text.citations[0].url) == ("In a peaceful grove…", "https://example.org")
    assert isinstance(call, ToolCallBlock)
    assert (call.id, call.name, call.arguments) == ("call_1", "weather", b'{"city":"Bern"}')


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"output": ANSWER["output"][:3]}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "pause"),
        ({"status": "incomplete", "incomplete_details": {"reason": "something_new"}}, "error"),
        ({"status": "incomplete", "incomplete_details": None}, "error"),
    ],
)
def test_why_an_answer_ended_is_read_and_never_invented(members: dict[str, Any], reason: str) -> None:
    answer = RESPONSES.read_answer(body(**members))
    assert answer.stopped.reason == reason
    assert json.loads(RESPONSES.write_answer(answer)) == {**ANSWER, **members}


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, Usage()),
        ({}, Usage()),
        ({"input_tokens": 3}, Usage(3)),
        ({"input_tokens": 3, "output_tokens": 4, "input_tokens_details": None}, Usage(3, 4)),
        (
            {
                "input_tokens": 9,
                "output_tokens": 4,
                "input_tokens_details": {
                    "cache_write_tokens": 5,
                    "cache_write_tokens_details": {"ttl_30m_tokens": 2, "ttl_12h_tokens": 3},
                },
            },
            Usage(9, 4, cache_write_tokens=2, cache_write_1h_tokens=3),
        ),
        ({"input_tokens": "3"}, Usage()),
    ],
)
def test_every_shape_of_a_count_is_read_and_kept(usage: Any, read: Usage) -> None:
    answer = RESPONSES.read_answer(body(usage=usage, service_tier=None))
    assert answer.usage == read
    assert json.loads(RESPONSES.write_answer(answer))["usage"] == usage


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>busy</html>",
        b"{}",
        b'{"output":3}',
        b'{"output":[{"type":"message"}]}',
        b'{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text"}]}]}',
        body(status="failed", error={"code": "server_error", "message": "Oh."}),
        body(status="in_progress"),
        body(status="cancelled"),
    ],
)
def test_what_is_no_answer_is_an_error_of_the_provider(said: bytes) -> None:
    with pytest.raises(UpstreamError):
        RESPONSES.read_answer(said)


def test_a_thought_that_looks_packed_by_us_is_the_providers_own_in_its_answer() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "hw1.W10="}
    answer = RESPONSES.read_answer(body(output=[item]))
    assert answer.blocks == [ThinkingBlock(signature="hw1.W10=", id="rs_1", origin="responses")]


texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)


@given(values | st.fixed_dictionaries({"output": st.lists(values)}, optional={"status": values, "usage": values}))
def test_any_json_is_an_answer_or_an_error_of_the_provider(said: Any) -> None:
    text = json.dumps(said).encode()
    try:
        again = RESPONSES.write_answer(RESPONSES.read_answer(text))
    except UpstreamError:
        return
    assert json.loads(again) == said


# Written for callers.


def test_an_answer_of_another_format_is_whole_by_openais_types() -> None:
    answer = a_foreign(
        ThinkingBlock("Hm.", signature="sig", origin="messages"),
        TextBlock("Cats purr.", citations=(Citation(quote="purr", url="https://example.org", title="Cats"),)),
        TextBlock("Dogs don't."),
        TextBlock("I won't.", is_refusal=True),
        ToolCallBlock("toolu_1", "weather", b'{"city":"Bern"}'),
        ToolCallBlock("toolu_2", "shell", b"ls", is_custom=True, signature="s"),
        ImageBlock(Source(media_type="image/png", data="aGk=")),
        stopped=Stopped("tool_calls", "tool_use"),
        usage=Usage(10, 20, 3, cache_write_tokens=1, cache_write_1h_tokens=2, reasoning_tokens=7),
    )
    said = checked_response(RESPONSES.write_answer(answer))
    assert [item["type"] for item in said["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "image_generation_call",
    ]
    assert said["id"].startswith("resp_")
    assert (said["model"], said["status"], said["created_at"]) == ("claude-opus-5", "completed", 1741476542)
    assert [part["type"] for part in said["output"][1]["content"]] == ["output_text", "output_text", "refusal"]
    assert said["output"][1]["content"][0]["annotations"] == [
        {
            "type": "url_citation",
            "start_index": 0,
            "end_index": 10,
            "url": "https://example.org",
            "title": "Cats",
            "headworks": {"quote": "purr"},
        }
    ]
    assert said["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 3},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 7},
        "total_tokens": 30,
    }
    assert len({item["id"] for item in said["output"]}) == 5


def test_what_a_client_gets_it_can_give_back() -> None:
    blocks: list[Block] = [
        ThinkingBlock("Hm.", signature="sig", origin="messages"),
        ThinkingBlock(redacted="secret", origin="messages"),
        TextBlock("I look."),
        ToolCallBlock("toolu_1", "weather", b"{}", signature="gemini's"),
    ]
    said = json.loads(RESPONSES.write_answer(a_foreign(*blocks)))
    request = RESPONSES.read_request(json.dumps({"model": "m", "input": said["output"]}).encode())
    (turn,) = request.turns
    assert turn.blocks[:2] == blocks[:2]
    assert isinstance(turn.blocks[2], TextBlock)
    assert turn.blocks[2].text == "I look."
    call = turn.blocks[3]
    assert isinstance(call, ToolCallBlock)
    assert (call.id, call.signature, call.arguments) == ("toolu_1", "gemini's", b"{}")


def test_a_citation_of_ours_has_all_that_it_takes_to_check_it() -> None:
    check = {"document": "d", "version": 2, "start": 5, "end": 9, "quote": "purr", "sha256": "ab"}
    citation = Citation(
        quote="purr",
        title="Cats",
        url="/documents/d#char=5,9",
        start=11,
        end=14,
        document_start=5,
        document_end=9,
        ext={"headworks": raw(check)},
    )
    said = checked_response(RESPONSES.write_answer(a_foreign(TextBlock("Cats purr. [1]", citations=(citation,)))))
    assert said["output"][0]["content"][0]["annotations"] == [
        {
            "type": "url_citation",
            "start_index": 11,
            "end_index": 14,
            "url": "/documents/d#char=5,9",
            "title": "Cats",
            "headworks": check,
        }
    ]


def test_a_citation_without_an_address_is_one_of_a_file() -> None:
    citation = Citation(
        quote="purr", title="Cats", document_index=2, document_start=5, document_end=9, kind="char_location"
    )
    said = checked_response(RESPONSES.write_answer(a_foreign(TextBlock("Cats.", citations=(citation,)))))
    assert said["output"][0]["content"][0]["annotations"] == [
        {
            "type": "file_citation",
            "file_id": "",
            "filename": "Cats",
            "index": 2,
            "headworks": {"quote": "purr", "start": 5, "end": 9},
        }
    ]


def test_a_response_echoes_what_was_asked() -> None:
    request = RESPONSES.read_request(json.dumps(WHOLE | {"previous_response_id": "resp_0", "store": False}).encode())
    said = checked_response(RESPONSES.write_answer(a_foreign(TextBlock("x")), request))
    for name in ("instructions", "metadata", "max_output_tokens", "temperature", "top_p", "tool_choice", "truncation"):
        assert said[name] == WHOLE[name]
    assert said["reasoning"] == WHOLE["reasoning"]
    assert said["text"] == WHOLE["text"]
    assert said["tools"][0] == WHOLE["tools"][0]
    assert (said["store"], said["previous_response_id"]) == (False, "resp_0")
    assert (said["parallel_tool_calls"], said["service_tier"], said["user"]) == (False, "flex", "u")


@pytest.mark.parametrize(
    ("stopped", "status", "details"),
    [
        (Stopped("stop"), "completed", None),
        (Stopped("stop_sequence", sequence="x"), "completed", None),
        (Stopped("tool_calls"), "completed", None),
        (Stopped("length"), "incomplete", {"reason": "max_output_tokens"}),
        (Stopped("context_window"), "incomplete", {"reason": "max_output_tokens"}),
        (Stopped("content_filter"), "incomplete", {"reason": "content_filter"}),
        (Stopped("refusal"), "incomplete", {"reason": "content_filter"}),
        (Stopped("malformed_tool_call", "MALFORMED_FUNCTION_CALL"), "failed", None),
        (Stopped("error"), "failed", None),
    ],
)
def test_each_end_has_its_status(stopped: Stopped, status: str, details: Any) -> None:
    answer = a_foreign(TextBlock("a"), ToolCallBlock("c", "f", b'{"a'), stopped=stopped)
    said = checked_response(RESPONSES.write_answer(answer))
    assert (said["status"], said["incomplete_details"]) == (status, details)
    assert [item["status"] for item in said["output"]] == [
        "completed",
        "completed" if status == "completed" else "incomplete",
    ]
    assert (said["error"] is not None) == (status == "failed")


def test_a_count_that_is_not_known_is_null() -> None:
    said = checked_response(RESPONSES.write_answer(a_foreign(TextBlock("x"), usage=Usage(None, 3))))
    assert said["usage"] is None


@pytest.mark.parametrize(
    "block",
    [AudioBlock(Source(data="x")), OpaqueBlock("messages", "server_tool_use", raw({})), ImageBlock(Source(url="x"))],
)
def test_what_an_answer_cannot_hold_is_named(block: Block) -> None:
    with pytest.raises(Unmapped):
        RESPONSES.write_answer(a_foreign(block))


def test_a_pause_that_nobody_could_end_is_refused() -> None:
    with pytest.raises(Unmapped):
        RESPONSES.write_answer(a_foreign(TextBlock("x"), stopped=Stopped("pause", "pause_turn")))


# Errors.

ERROR = {"message": "Slow down.", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}


def test_an_error_of_a_provider_is_read_and_passed_on() -> None:
    said = json.dumps({"error": ERROR, "x": 1}).encode()
    failed = RESPONSES.read_error(429, said)
    assert failed is not None
    assert (failed.kind, failed.message, failed.code, failed.status) == (
        "tokens",
        "Slow down.",
        "rate_limit_exceeded",
        429,
    )
    assert RESPONSES.error_body(failed) == said


@pytest.mark.parametrize("said", [b"", b"oh", b"{}", b'{"error":"text"}', b'{"error":null}', b'{"error":{"code":1}}'])
def test_another_body_is_no_error_of_the_format(said: bytes) -> None:
    assert RESPONSES.read_error(500, said) is None


def test_an_error_of_another_format_has_all_four_members() -> None:
    failed = Failed("overloaded_error", "Busy.", status=529, raw=raw({"type": "error"}), origin="messages")
    assert json.loads(RESPONSES.error_body(failed)) == {
        "error": {"message": "Busy.", "type": "overloaded_error", "param": None, "code": None}
    }


def test_an_error_of_ours_has_all_four_members() -> None:
    error = InvalidRequest("`input` is required.", param="input", code="missing_field")
    assert json.loads(RESPONSES.error_body(error)) == {
        "error": {
            "message": "`input` is required.",
            "type": "invalid_request_error",
            "param": "input",
            "code": "missing_field",
        }
    }


def test_the_sample_is_what_openai_sends() -> None:
    annotation = ANSWER["output"][2]["content"][0]["annotations"][0]
    assert annotation == URL_CITATION
