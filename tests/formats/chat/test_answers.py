"""Whole answers: read without loss, written as OpenAI's own types want them, judged by what they are."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from chat_samples import ANSWERS, CALLS, CITED, answer
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from headworks.errors import HeadworksError, Unmapped, UpstreamError
from headworks.formats.answers import collect, replay
from headworks.formats.chat.format import CHAT
from headworks.formats.neutral import (
    Answer,
    AudioBlock,
    Block,
    Citation,
    ImageBlock,
    OpaqueBlock,
    Request,
    Source,
    Started,
    Stopped,
    StopReason,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

TEXT = st.text(max_size=12)


def read(value: Any) -> Answer:
    return CHAT.read_answer(json.dumps(value).encode())


def written(found: Answer, request: Request | None = None) -> Any:
    body = CHAT.write_answer(found, request)
    ChatCompletion.model_validate_json(body, strict=True)
    return json.loads(body)


def made(*blocks: Block, reason: StopReason = "stop", **more: Any) -> Answer:
    """An answer of another format."""
    usage = more.pop("usage", Usage(5, 3))
    stopped = Stopped(reason, more.pop("word", "end_turn"), ext={"new": msgspec.Raw(b"1")})
    return Answer(
        Started("msg_1", "claude", 1790000000, {"kind": msgspec.Raw(b"1")}, "messages"), [*blocks], stopped, usage
    )


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_read_is_written_as_it_was(name: str) -> None:
    assert json.loads(CHAT.write_answer(read(ANSWERS[name]))) == ANSWERS[name]


@pytest.mark.parametrize("name", sorted(ANSWERS.keys() - {"tgi", "vllm"}))
def test_the_samples_are_what_the_client_takes_for_an_answer(name: str) -> None:
    ChatCompletion.model_validate_json(json.dumps(ANSWERS[name]), strict=True)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_told_in_events_is_the_same_answer(name: str) -> None:
    found = read(ANSWERS[name])
    assert collect(replay(found)) == found


def test_an_answer_in_neutral_words() -> None:
    found = read(answer({"reasoning_content": "hm", "tool_calls": CALLS[:1]}, finish_reason="tool_calls"))
    assert found.blocks == [
        ThinkingBlock("hm", origin="chat"),
        TextBlock("Hello"),
        ToolCallBlock("call_1", "weather", b'{"city": "Bern"}'),
    ]
    assert (found.stopped.reason, found.stopped.word) == ("tool_calls", "tool_calls")
    assert found.usage == Usage(
        19,
        10,
        2,
        reasoning_tokens=3,
        audio_input_tokens=0,
        audio_output_tokens=0,
        service_tier="default",
    )
    assert (found.started.id, found.started.model, found.started.origin) == ("chatcmpl-1", "gpt-5-2026", "chat")


def test_sound_pictures_refusals_and_citations_have_blocks_of_their_own() -> None:
    assert read(ANSWERS["refusal"]).blocks == [TextBlock("I can't", is_refusal=True)]
    sound = read(ANSWERS["sound"]).blocks[0]
    assert isinstance(sound, AudioBlock)
    assert sound.source == Source(data="UklGRg==", file_id="a")
    assert isinstance(read(ANSWERS["pictures"]).blocks[1], ImageBlock)
    cited = read(ANSWERS["cited"]).blocks[0]
    assert isinstance(cited, TextBlock)
    assert cited.citations[0].quote == "covers"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("eos_token", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("length", "length"),
        ("model_length", "context_window"),
        ("function_call", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed_tool_call"),
        ("insufficient_system_resource", "error"),
        ("never heard of", "error"),
    ],
)
def test_words_for_an_end_are_understood_or_taken_for_an_error(word: str, reason: StopReason) -> None:
    stopped = read(answer(finish_reason=word)).stopped
    assert (stopped.reason, stopped.word) == (reason, word)


def test_the_stop_sequence_that_was_met_is_told() -> None:
    assert read(ANSWERS["vllm"]).stopped.sequence == "END"


@pytest.mark.parametrize("reason", ["error", "malformed_tool_call", "pause"])
def test_an_end_that_is_none_is_never_written(reason: StopReason) -> None:
    with pytest.raises(UpstreamError, match="not whole"):
        CHAT.write_answer(made(TextBlock("x"), reason=reason))
    with pytest.raises(UpstreamError, match="not whole"):
        CHAT.write_answer(read(answer(finish_reason="error")))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":{}}',
        b'{"choices":[{}]}',
        b'{"choices":[{"message":{"role":"user","content":"x"},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"role":"assistant","content":"x"},"finish_reason":null}]}',
        b'{"choices":[{"message":{"role":"assistant","content":5},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"role":"assistant","tool_calls":[{}]},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"role":"assistant","images":1},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"role":"assistant","audio":1},"finish_reason":"stop"}]}',
        b'{"choices":' + b"[" * 5000,
    ],
)
def test_what_is_no_answer_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        CHAT.read_answer(body)
    assert caught.value.code == "upstream_not_an_answer"


def test_several_choices_are_refused_by_name() -> None:
    two = answer()
    two["choices"] *= 2
    with pytest.raises(Unmapped) as caught:
        read(two)
    assert caught.value.param == "n"


def test_a_call_without_an_id_gets_one_and_gives_it_back() -> None:
    bare = answer({"content": None, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]})
    found = read(bare)
    assert isinstance(found.blocks[0], ToolCallBlock)
    assert found.blocks[0].id == "call_chatcmpl1_0"
    assert json.loads(CHAT.write_answer(found)) == bare


# From other formats.


def test_another_formats_answer_is_one_of_ours() -> None:
    found = written(
        made(
            ThinkingBlock("hm", "sig", origin="messages"),
            ThinkingBlock(redacted="zz", origin="messages"),
            TextBlock(
                "One. ", citations=(Citation("q", "t", "u", document_index=0, document_start=1, kind="char_location"),)
            ),
            TextBlock("Two.", citations=(Citation(url="v", start=1, end=3),)),
            ToolCallBlock("c", "f", b"{}", signature="sg"),
            reason="tool_calls",
            usage=Usage(10, 5, 4, cache_write_tokens=2, cache_write_1h_tokens=1, reasoning_tokens=1),
        )
    )
    message = found["choices"][0]["message"]
    assert message["content"] == "One. Two."
    assert found["choices"][0]["finish_reason"] == "tool_calls"
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "zz"},
    ]
    assert message["reasoning_content"] == "hm"
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "sg"}}
    assert [each["url_citation"]["start_index"] for each in message["annotations"]] == [0, 6]
    assert message["annotations"][0]["headworks"] == {"document_index": 0, "start": 1, "quote": "q"}
    assert found["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3, "cache_write_1h_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert "kind" not in found
    assert "new" not in found["choices"][0]


def test_the_text_of_an_answer_is_one_string_whatever_its_blocks() -> None:
    assert written(made(TextBlock("a"), TextBlock("b")))["choices"][0]["message"]["content"] == "ab"


def test_thoughts_come_back_as_they_were_given() -> None:
    thoughts = [
        ThinkingBlock("hm", "sig", origin="messages"),
        ThinkingBlock(redacted="zz", origin="messages"),
        ThinkingBlock(redacted="enc", id="rs_1", summary=("a", "b"), origin="responses"),
        ThinkingBlock("t", "g", origin="gemini"),
    ]
    message = written(made(*thoughts, TextBlock("x")))["choices"][0]["message"]
    again = CHAT.read_request(json.dumps({"model": "m", "messages": [message]}).encode())
    assert [block for block in again.turns[0].blocks if isinstance(block, ThinkingBlock)] == thoughts


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("context_window", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
    ],
)
def test_ends_have_our_words(reason: StopReason, word: str) -> None:
    assert written(made(TextBlock("x"), reason=reason))["choices"][0]["finish_reason"] == word


def test_a_features_citation_keeps_its_proof() -> None:
    proof = msgspec.Raw(b'{"document":"d1","version":3,"start":3,"end":9,"quote":"covers","sha256":"ab"}')
    citation = Citation("covers", "Plan", "https://a.example/d#char=3,9", 4, 7, ext={"headworks": proof})
    found = Answer(Started(model="claims"), [TextBlock("See [1]", citations=(citation,))], Stopped("stop"), Usage(1, 2))
    message = written(found)["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "See [1]", "refusal": None, "annotations": [CITED]}


def test_who_offers_functions_gets_a_function_call() -> None:
    request = CHAT.read_request(b'{"model":"m","messages":[{"role":"user","content":"x"}],"functions":[{"name":"f"}]}')
    found = written(made(ToolCallBlock("c", "f", b"{}"), reason="tool_calls"), request)["choices"][0]
    assert found["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in found["message"]
    assert found["finish_reason"] == "function_call"
    two = made(ToolCallBlock("c", "f", b"{}"), ToolCallBlock("d", "g", b"{}"), reason="tool_calls")
    with pytest.raises(UpstreamError) as caught:
        CHAT.write_answer(two, request)
    assert caught.value.code == "several_function_calls"


def test_a_block_without_a_word_is_refused() -> None:
    with pytest.raises(Unmapped):
        CHAT.write_answer(made(OpaqueBlock("messages", "server_tool_use", msgspec.Raw(b"{}"))))


def test_an_uncounted_answer_says_so() -> None:
    assert written(made(TextBlock("x"), usage=Usage()))["usage"] is None


BLOCK = (
    st.builds(TextBlock, TEXT, is_refusal=st.booleans())
    | st.builds(ThinkingBlock, TEXT, TEXT | st.none(), TEXT | st.none(), summary=st.lists(TEXT, max_size=2).map(tuple))
    | st.builds(
        ToolCallBlock, TEXT, TEXT, TEXT.map(lambda text: text.encode("utf-8", "replace")), is_custom=st.booleans()
    )
    | st.builds(ImageBlock, st.builds(Source, data=TEXT))
)


@given(st.lists(BLOCK, max_size=4), st.sampled_from(["stop", "length", "tool_calls", "error"]))
def test_any_answer_is_written_as_the_client_takes_it_or_refused(blocks: list[Block], reason: StopReason) -> None:
    try:
        written(made(*blocks, reason=reason))
    except HeadworksError:
        assert reason == "error"


@given(
    st.recursive(
        st.none() | st.integers() | TEXT,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    )
)
def test_any_json_in_a_message_is_an_answer_or_refused(value: Any) -> None:
    for name in ("content", "tool_calls", "annotations", "audio", "images", "thinking_blocks", "new"):
        try:
            found = read(answer({name: value}))
        except UpstreamError:
            continue
        assert json.loads(CHAT.write_answer(found)) == answer({name: value})


# Judged.


@pytest.mark.parametrize(
    ("body", "kind", "counts"),
    [
        (b'{"choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":2}}', "answer", (3, 2)),
        (b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}', "nothing", (3, 2)),
        (b'{"choices": [ ],"data":null}', "nothing", None),
        (b'{"choices":null,"data":[{}]}', "answer", None),
        (b'{"choices":[1],"usage":"many"}', "answer", None),
        (b'{"choices":[1],"usage":null}', "answer", None),
        (b'{"data":[{}],"usage":{"prompt_tokens":3,"total_tokens":3}}', "answer", (3, 0)),
        (b'{"data":[]}', "nothing", None),
        (b'{"error":{"message":"x"}}', "error", None),
        (b'{"error":"x"}', "error", None),
        (b'{"error":null}', "nothing", None),
        (b"{}", "nothing", None),
    ],
)
def test_a_body_is_judged_by_what_it_has(body: bytes, kind: str, counts: tuple[int, int] | None) -> None:
    verdict = CHAT.judge(body)
    assert verdict.kind == kind
    assert (verdict.usage and (verdict.usage.input_tokens, verdict.usage.output_tokens)) == counts


def test_a_judged_answer_counts_as_a_read_one() -> None:
    for sample in ANSWERS.values():
        counted = CHAT.judge(json.dumps(sample).encode()).usage
        assert (counted or Usage()) == read(sample).usage or counted is None


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"choices":[', b"[1", b'{"choices":[]}trailing'])
def test_what_is_no_json_is_not_judged(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        CHAT.judge(body)
