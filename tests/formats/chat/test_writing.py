"""Every chunk is one that the client's own types take, and together they are the answer that was told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from chat_samples import CITED, STREAMS
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from headworks.errors import Blocked, Unmapped, UpstreamError, UpstreamTruncated
from headworks.formats.answers import collect, replay
from headworks.formats.chat.format import CHAT
from headworks.formats.neutral import (
    Answer,
    Aside,
    AudioBlock,
    Block,
    Citation,
    Cited,
    Closed,
    Counted,
    Event,
    Failed,
    FileBlock,
    Grown,
    ImageBlock,
    Opened,
    Request,
    Signed,
    Source,
    Started,
    Stopped,
    StopReason,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

COUNTING = Request("chat", "m", stream=True, wants_usage=True)
SILENT = Request("chat", "m", stream=True)
STARTED = Started("msg_1", "claude", 1790000000, origin="messages")


def write(events: Iterable[Event], request: Request = SILENT) -> bytes:
    writer = CHAT.writer(request)
    return b"".join([writer.write(event) for event in events] + [writer.end()])


def chunks(stream: bytes) -> list[dict[str, Any]]:
    """The chunks, each checked against the client's types."""
    found = []
    for event in stream.split(b"\n\n"):
        if event and event != b"data: [DONE]" and not event.startswith(b":"):
            text = event.removeprefix(b"data: ")
            ChatCompletionChunk.model_validate_json(text, strict=True)
            chunk = json.loads(text)
            for choice in chunk["choices"]:
                assert choice.keys() >= {"index", "delta", "finish_reason"}
            found.append(chunk)
    return found


def deltas(stream: bytes) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks(stream) for choice in chunk["choices"]]


def texts(*pieces: str, index: int = 0) -> list[Event]:
    return [Opened(index, TextBlock("")), *(Grown(index, piece) for piece in pieces), Closed(index)]


def test_a_stream_in_full() -> None:
    events: list[Event] = [STARTED, *texts("He", "llo"), Counted(Usage(3, 2)), Stopped("stop", "end_turn")]
    head = {"id": "msg_1", "object": "chat.completion.chunk", "created": 1790000000, "model": "claude"}

    def one(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice], "usage": None}

    stream = write(events, COUNTING)
    assert chunks(stream) == [
        one({"role": "assistant", "content": "", "refusal": None}),
        one({"content": "He"}),
        one({"content": "llo"}),
        one({}, "stop"),
        {**head, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
    ]
    assert stream.endswith(b"data: [DONE]\n\n")


def test_who_did_not_ask_for_usage_sees_none() -> None:
    events: list[Event] = [STARTED, *texts("x"), Counted(Usage(3, 2)), Stopped("stop")]
    assert b"usage" not in write(events)


@pytest.mark.parametrize("name", sorted(STREAMS.keys() - {"azure"}))
def test_a_stream_that_is_read_and_written_tells_the_same_answer(name: str) -> None:
    def told(stream: bytes) -> Answer | None:
        reader = CHAT.reader()
        return collect([*reader.feed(stream), *reader.end()])

    reader = CHAT.reader()
    events = [*reader.feed(b"".join(STREAMS[name])), *reader.end()]
    assert told(write(events, COUNTING)) == collect(events)


def test_the_writer_starts_by_itself() -> None:
    found = chunks(write([*texts("x"), Stopped("stop")]))
    assert found[0]["choices"][0]["delta"]["role"] == "assistant"
    assert found[0]["id"].startswith("chatcmpl-")
    assert len({chunk["id"] for chunk in found}) == 1
    assert chunks(write([Stopped("length")]))[-1]["choices"][0]["finish_reason"] == "length"


def test_citations_stand_in_the_last_chunk_that_has_content() -> None:
    proof = msgspec.Raw(json.dumps(CITED["headworks"]).encode())
    citation = Citation("covers", "Plan", "https://a.example/d#char=3,9", 4, 7, ext={"headworks": proof})
    events: list[Event] = [
        STARTED,
        *texts("Before. "),
        Opened(1, TextBlock("")),
        Grown(1, "See [1]"),
        Cited(1, citation),
        Grown(1, " now"),
        Closed(1),
        Stopped("stop"),
    ]
    found = deltas(write(events))
    moved = {**CITED["url_citation"], "start_index": 12, "end_index": 15}
    assert found[-2] == {"content": "", "annotations": [{**CITED, "url_citation": moved}]}
    assert all("annotations" not in delta for delta in found[:-2])


def test_calls_are_numbered_in_their_own_order() -> None:
    events: list[Event] = [
        STARTED,
        *texts("Look"),
        Opened(1, ToolCallBlock("a", "f", b"", signature="sg")),
        Grown(1, '{"x":'),
        Grown(1, "1}"),
        Closed(1),
        Opened(2, ToolCallBlock("b", "g", b"")),
        Signed(2, "late"),
        Closed(2),
        Stopped("tool_calls", "tool_use"),
    ]
    stream = write(events)
    found = [delta["tool_calls"][0] for delta in deltas(stream) if "tool_calls" in delta]
    assert [each["index"] for each in found] == [0, 0, 0, 1, 1]
    assert found[0]["function"] == {"name": "f", "arguments": ""}
    assert found[0]["extra_content"] == {"google": {"thought_signature": "sg"}}
    assert found[4]["extra_content"] == {"google": {"thought_signature": "late"}}
    assert "".join(each["function"]["arguments"] for each in found[:3]) == '{"x":1}'
    assert chunks(stream)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_custom_tools_call_is_written_as_openai_does() -> None:
    writer = CHAT.writer(SILENT)
    first = writer.write(Opened(0, ToolCallBlock("c", "sh", b"", is_custom=True)))
    assert b'"type":"custom","custom":{"name":"sh","input":""}' in first
    assert b'"custom":{"input":"ls"}' in writer.write(Grown(0, "ls"))


def test_who_offers_functions_gets_a_function_call() -> None:
    request = CHAT.read_request(
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"functions":[{"name":"f"}],"stream":true}'
    )
    events: list[Event] = [
        STARTED,
        Opened(0, ToolCallBlock("c", "f", b"")),
        Grown(0, "{}"),
        Closed(0),
        Stopped("tool_calls"),
    ]
    stream = write(events, request)
    assert [delta["function_call"] for delta in deltas(stream) if "function_call" in delta] == [
        {"name": "f", "arguments": ""},
        {"arguments": "{}"},
    ]
    assert chunks(stream)[-1]["choices"][0]["finish_reason"] == "function_call"
    writer = CHAT.writer(request)
    writer.write(events[1])
    with pytest.raises(UpstreamError):
        writer.write(Opened(1, ToolCallBlock("d", "g", b"")))


def test_a_signed_thought_is_told_whole_at_its_end() -> None:
    events: list[Event] = [
        STARTED,
        Opened(0, ThinkingBlock(origin="messages")),
        Grown(0, "hm, "),
        Grown(0, "so"),
        Signed(0, "sig"),
        Closed(0),
        Opened(1, ThinkingBlock(redacted="zz", origin="messages")),
        Closed(1),
        *texts("x", index=2),
        Stopped("stop"),
    ]
    found = deltas(write(events))
    assert "".join(delta.get("reasoning_content", "") for delta in found) == "hm, so"
    assert [entry for delta in found for entry in delta.get("thinking_blocks", [])] == [
        {"type": "thinking", "thinking": "hm, so", "signature": "sig"},
        {"type": "redacted_thinking", "data": "zz"},
    ]


def test_a_thought_that_needs_no_signature_is_text_only() -> None:
    events: list[Event] = [
        STARTED,
        Opened(0, ThinkingBlock(origin="gemini")),
        Grown(0, "hm"),
        Closed(0),
        Stopped("stop"),
    ]
    assert all("thinking_blocks" not in delta for delta in deltas(write(events)))


def test_the_parts_of_a_summary_stand_one_below_the_other() -> None:
    thought = ThinkingBlock(id="rs_1", redacted="enc", origin="responses")
    events: list[Event] = [
        STARTED,
        Opened(0, thought),
        Grown(0, "one", 0),
        Grown(0, "!", 0),
        Grown(0, "two", 1),
        Closed(0),
        Stopped("stop"),
    ]
    found = deltas(write(events))
    assert "".join(delta.get("reasoning_content", "") for delta in found) == "one!\n\ntwo"
    entry = next(delta["thinking_blocks"][0] for delta in found if "thinking_blocks" in delta)
    assert (entry["id"], entry["data"], entry["summary"]) == ("rs_1", "enc", ["one!", "two"])


def test_refusals_pictures_and_sound_are_written() -> None:
    events: list[Event] = [
        STARTED,
        Opened(0, TextBlock("", is_refusal=True)),
        Grown(0, "No"),
        Closed(0),
        Opened(1, ImageBlock(Source("image/png", data="AA"))),
        Closed(1),
        Opened(2, AudioBlock(Source(data="AA", file_id="a"))),
        Closed(2),
        Stopped("stop"),
    ]
    assert deltas(write(events))[1:-1] == [
        {"refusal": "No"},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
        {"audio": {"id": "a", "data": "AA"}},
    ]


def test_a_block_without_a_word_is_refused() -> None:
    writer = CHAT.writer(SILENT)
    with pytest.raises(Unmapped):
        writer.write(Opened(0, FileBlock(Source(data="x"))))


@pytest.mark.parametrize("reason", ["error", "malformed_tool_call", "pause"])
def test_an_end_that_is_none_is_never_written(reason: StopReason) -> None:
    writer = CHAT.writer(SILENT)
    writer.write(STARTED)
    with pytest.raises(UpstreamError):
        writer.write(Stopped(reason, "odd"))
    with pytest.raises(UpstreamTruncated):
        writer.end()


def test_a_stream_that_has_not_stopped_does_not_end() -> None:
    writer = CHAT.writer(SILENT)
    writer.write(STARTED)
    with pytest.raises(UpstreamTruncated):
        writer.end()


def test_failures_are_events_that_clients_raise_on() -> None:
    writer = CHAT.writer(SILENT)
    writer.write(STARTED)
    foreign = writer.write(Failed("overloaded_error", "Overloaded", origin="messages"))
    assert json.loads(foreign.removeprefix(b"data: "))["error"].keys() == {"message", "type", "param", "code"}
    own = writer.write(Failed("x", "y", raw=msgspec.Raw(b'{"error":{"message":"y"},"id":1}'), origin="chat"))
    assert own == b'data: {"error":{"message":"y"},"id":1}\n\n'
    ours = writer.fail(Blocked("The rule `pii` refused."))
    assert b"[DONE]" not in ours
    assert json.loads(ours.removeprefix(b"data: "))["error"]["code"] == "guardrail_blocked"


def test_signs_of_life_go_through_as_comments_and_other_formats_asides_do_not() -> None:
    writer = CHAT.writer(SILENT)
    assert writer.write(Aside("messages", "ping", msgspec.Raw(b"{}"))) == b": ping\n\n"
    assert writer.write(Aside("responses", "response.queued", msgspec.Raw(b"{}"))) == b""
    assert writer.write(Aside("chat", "frame", msgspec.Raw(b'{"choices":[]}'))) == b'data: {"choices":[]}\n\n'


def test_whatever_is_new_in_our_own_format_goes_through() -> None:
    reader = CHAT.reader()
    events = [*reader.feed(b"".join(STREAMS["new things"])), *reader.end()]
    stream = write(events)
    assert all(chunk["provider"] == "X" for chunk in chunks(stream))
    assert {"reasoning_details": [{"type": "x"}]} in deltas(stream)
    assert chunks(stream)[-1]["choices"][0]["native_finish_reason"] == "end_turn"


TEXT = st.text(max_size=10)
BLOCK = (
    st.builds(TextBlock, TEXT.filter(bool))
    | st.builds(ThinkingBlock, TEXT.filter(bool), origin=st.just("chat"))
    | st.builds(
        ToolCallBlock, TEXT, TEXT.filter(bool), st.dictionaries(TEXT, TEXT, max_size=2).map(msgspec.json.encode)
    )
)


def _joined(blocks: list[Block]) -> list[Block]:
    """As the format tells them: neighbours that are both text, or both thoughts, are one."""
    found: list[Block] = []
    for block in blocks:
        last = found[-1] if found else None
        if isinstance(block, (TextBlock, ThinkingBlock)) and last is not None and type(last) is type(block):
            assert isinstance(last, (TextBlock, ThinkingBlock))
            last.text += block.text
        else:
            found.append(msgspec.structs.replace(block))
    return found


@given(st.lists(BLOCK, max_size=5, unique_by=lambda block: getattr(block, "id", id(block))), st.integers(0, 99))
def test_any_answer_comes_back_as_it_was_told(blocks: list[Block], tokens: int) -> None:
    blocks = [block for block in blocks if not isinstance(block, ToolCallBlock) or block.id]
    answer = Answer(Started("x", "m", 5, origin="messages"), blocks, Stopped("stop", "end_turn"), Usage(tokens, tokens))
    stream = write(replay(answer), COUNTING)
    chunks(stream)
    reader = CHAT.reader()
    back = collect([*reader.feed(stream), *reader.end()])
    assert back is not None
    assert back.blocks == _joined(blocks)
    assert (back.usage, back.stopped.reason) == (answer.usage, "stop")
