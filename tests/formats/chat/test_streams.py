"""A provider's stream becomes the same events however its bytes are cut, and never ends better than it did."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from chat_samples import AZURE_FRAME, CITED, COUNT, DONE, FIRST, STREAMS, call, chunk, event
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import HeadworksError, Unmapped, UpstreamError, UpstreamTruncated
from headworks.formats.answers import collect
from headworks.formats.chat.format import CHAT
from headworks.formats.neutral import (
    Answer,
    Aside,
    AudioBlock,
    Closed,
    Counted,
    Event,
    Failed,
    Grown,
    ImageBlock,
    Opened,
    Source,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage


def read(pieces: Iterable[bytes]) -> list[Event]:
    """All events of one stream."""
    reader = CHAT.reader()
    events = [found for piece in pieces for found in reader.feed(piece)]
    return [*events, *reader.end()]


def whole(pieces: Iterable[bytes]) -> Answer:
    found = collect(read(pieces))
    assert found is not None
    return found


@pytest.mark.parametrize("name", STREAMS)
@given(st.lists(st.integers(0, 3000), max_size=30))
def test_any_cutting_gives_the_same_events(name: str, cuts: list[int]) -> None:
    text = b"".join(STREAMS[name])
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert read(text[a:b] for a, b in pairwise(places)) == read([text])


@pytest.mark.parametrize("name", STREAMS)
def test_byte_by_byte_gives_the_same_events(name: str) -> None:
    text = b"".join(STREAMS[name])
    assert read(bytes([each]) for each in text) == read([text])


@pytest.mark.parametrize("name", STREAMS)
def test_blocks_are_opened_once_grow_while_open_and_are_closed_before_the_end(name: str) -> None:
    now: int | None = None
    seen: list[int] = []
    for found in read(STREAMS[name]):
        match found:
            case Opened(index):
                assert now is None
                seen.append(index)
                now = index
            case Grown(index) | Closed(index):
                assert now == index
                now = None if isinstance(found, Closed) else index
            case Stopped():
                assert now is None
    assert seen == list(range(len(seen)))


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_counted_comes_before_the_end_and_the_end_last(name: str) -> None:
    kinds = [type(found) for found in read(STREAMS[name])]
    assert kinds[-1] is Stopped
    assert kinds.count(Stopped) == kinds.count(Started) == 1


def test_a_stream_in_neutral_words() -> None:
    assert read(STREAMS["openai"]) == [
        Started("chatcmpl-1", "gpt-5", 1790000000, {}, "chat"),
        Opened(0, TextBlock("")),
        Grown(0, "Grüße"),
        Grown(0, " 🌊!"),
        Closed(0),
        Counted(Usage(9, 5, reasoning_tokens=2)),
        Stopped("stop", "stop"),
    ]


def test_calls_come_one_after_the_other() -> None:
    assert whole(STREAMS["calls"]).blocks == [
        TextBlock("Let me look."),
        ToolCallBlock("call_1", "weather", b'{"city":"Bern"}'),
        ToolCallBlock("call_2", "time", b"{}"),
    ]


@pytest.mark.parametrize("name", ["mixed calls", "calls of one index"])
def test_calls_whose_pieces_are_mixed_are_put_in_order(name: str) -> None:
    first, second = (b'{"a":1}', b'{"b":2}')
    assert whole(STREAMS[name]).blocks == [
        ToolCallBlock("call_1", "weather", first),
        ToolCallBlock("call_2", "time", second),
    ]


def test_a_call_streams_while_it_is_the_only_one() -> None:
    reader = CHAT.reader()
    reader.feed(FIRST + chunk(call(0, "", "weather", "call_1")))
    assert list(reader.feed(chunk(call(0, '{"a"')))) == [Grown(0, '{"a"')]


def test_calls_without_index_or_id_are_told_apart_as_well_as_can_be() -> None:
    blocks = whole(
        [
            FIRST,
            chunk(call(None, "{", "f", "a")),
            chunk(call(None, "}")),
            chunk(call(None, "{}", "g", "b")),
            chunk({}, "tool_calls"),
            DONE,
        ]
    ).blocks
    assert blocks == [ToolCallBlock("a", "f", b"{}"), ToolCallBlock("b", "g", b"{}")]
    bare = whole([FIRST, chunk(call(0, "{", "f")), chunk(call(0, "}")), chunk({}, "tool_calls"), DONE]).blocks
    assert bare == [ToolCallBlock("call_chatcmpl1_0", "f", b"{}")]


def test_a_call_without_arguments_is_one() -> None:
    pieces = [FIRST, chunk(call(0, "", "f", "a")), chunk(call(1, "", "g", "b")), chunk({}, "tool_calls"), DONE]
    assert whole(pieces).blocks == [ToolCallBlock("a", "f", b""), ToolCallBlock("b", "g", b"")]


def test_a_custom_tools_call_is_text() -> None:
    first = {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]}
    more = {"tool_calls": [{"index": 0, "custom": {"input": " -l"}}]}
    blocks = whole([FIRST, chunk(first), chunk(more), chunk({}, "tool_calls"), DONE]).blocks
    assert blocks == [ToolCallBlock("c", "sh", b"ls -l", is_custom=True)]


def test_geminis_signature_is_read_from_a_call() -> None:
    delta = call(0, "{}", "f", "c")
    delta["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "sg"}}
    blocks = whole([FIRST, chunk(delta), chunk({}, "tool_calls"), DONE]).blocks
    assert blocks == [ToolCallBlock("c", "f", b"{}", signature="sg")]
    late = {"tool_calls": [{"index": 0, "extra_content": {"google": {"thought_signature": "sg"}}}]}
    blocks = whole([FIRST, chunk(call(0, "{}", "f", "c")), chunk(late), chunk({}, "tool_calls"), DONE]).blocks
    assert blocks == [ToolCallBlock("c", "f", b"{}", signature="sg")]


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk(call(0, "{}", "f", "a")), chunk(call(1, "{}", "g", "b")), chunk(call(0, "more"))],
        [chunk(call(0, "{}", None, "a")), chunk({}, "tool_calls")],
    ],
)
def test_a_call_in_disorder_is_never_passed_on_as_good(pieces: list[bytes]) -> None:
    with pytest.raises(UpstreamError) as caught:
        read([FIRST, *pieces, DONE])
    assert caught.value.code == "malformed_tool_call"


def test_thoughts_refusals_and_the_older_call_have_blocks() -> None:
    assert whole(STREAMS["vllm"]).blocks == [ThinkingBlock("hm, so", origin="chat"), TextBlock("Hi")]
    assert whole(STREAMS["refusal"]).blocks == [TextBlock("I can't", is_refusal=True)]
    older = whole(STREAMS["function call"])
    assert isinstance(older.blocks[0], ToolCallBlock)
    assert (older.blocks[0].name, older.blocks[0].arguments) == ("f", b"{}")
    assert (older.stopped.reason, older.stopped.word) == ("tool_calls", "function_call")


def test_a_signed_thought_keeps_its_signature_and_says_nothing_twice() -> None:
    assert whole(STREAMS["signed"]).blocks == [
        ThinkingBlock("hm", "sig", origin="chat"),
        ThinkingBlock(redacted="zz", origin="messages"),
        TextBlock("So"),
    ]


def test_sound_is_put_together_from_pieces_that_are_base64_each() -> None:
    sound = whole(STREAMS["sound"]).blocks[0]
    assert isinstance(sound, AudioBlock)
    assert sound.source == Source(data="AAABAQ==", file_id="a1")
    assert {name: bytes(raw) for name, raw in sound.ext.items()} == {"transcript": b'"Hi you"', "expires_at": b"99"}


def test_pictures_are_blocks() -> None:
    assert isinstance(whole(STREAMS["pictures"]).blocks[0], ImageBlock)


def test_citations_stand_in_the_block_that_they_are_about() -> None:
    block = whole(STREAMS["cited"]).blocks[0]
    assert isinstance(block, TextBlock)
    assert (block.citations[0].start, block.citations[0].end, block.citations[0].quote) == (4, 7, "covers")
    later = whole(
        [
            FIRST,
            chunk({"content": "abc"}),
            chunk(call(0, "{}", "f", "a")),
            chunk({"content": "defgh", "annotations": [CITED]}),
            chunk({}, "stop"),
            DONE,
        ]
    ).blocks[2]
    assert isinstance(later, TextBlock)
    assert (later.citations[0].start, later.citations[0].end) == (1, 4)


def test_log_probabilities_are_collected() -> None:
    ext = whole(STREAMS["token by token"]).stopped.ext
    assert json.loads(bytes(ext["logprobs"])) == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


def test_a_filters_frame_says_nothing_and_starts_nothing() -> None:
    events = read(STREAMS["azure"])
    assert isinstance(events[0], Aside)
    assert (events[0].kind, events[0].origin) == ("frame", "chat")
    assert isinstance(events[1], Started)


def test_what_is_new_is_told_aside() -> None:
    found = {each.kind: bytes(each.raw) for each in read(STREAMS["new things"]) if isinstance(each, Aside)}
    assert found == {"delta.reasoning_details": b'[{"type":"x"}]', "provider": b'"X"'}
    answer = whole(STREAMS["new things"])
    assert bytes(answer.started.ext["provider"]) == b'"X"'
    assert bytes(answer.stopped.ext["native_finish_reason"]) == b'"end_turn"'


def test_usage_on_every_chunk_is_told_when_it_changes() -> None:
    counts = [each.usage.output_tokens for each in read(STREAMS["vllm"]) if isinstance(each, Counted)]
    assert counts == [0, 1, 5]


def test_the_tier_that_served_is_counted() -> None:
    pieces = [chunk({"content": "x"}, service_tier="flex"), chunk({}, "stop"), COUNT, DONE]
    assert whole(pieces).usage.service_tier == "flex"


def test_an_error_is_told_and_ends_the_stream() -> None:
    said = {"error": {"message": "Overloaded", "type": "server_error", "param": None, "code": "503"}}
    events = read([FIRST, chunk({"content": "x"}), event(said), chunk({"content": "y"}), DONE])
    failure = events[-1]
    assert isinstance(failure, Failed)
    assert (failure.kind, failure.message, failure.code, failure.status) == ("server_error", "Overloaded", "503", 503)
    assert json.loads(bytes(failure.raw or b"")) == said


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [FIRST],
        [AZURE_FRAME],
        [FIRST, chunk({"content": "x"})],
        [FIRST, chunk({"content": "x"}), DONE],
        [DONE],
        [FIRST, chunk({"content": "x"}), COUNT],
        [FIRST, b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"cut'],
        [FIRST, chunk({}, "stop")[:-20]],
    ],
)
def test_a_stream_that_has_not_ended_is_truncated(pieces: list[bytes]) -> None:
    with pytest.raises(UpstreamTruncated):
        read(pieces)


def test_an_end_without_its_empty_line_is_an_end() -> None:
    assert read([FIRST, chunk({}, "stop").rstrip(b"\n")])[-1] == Stopped("stop", "stop")
    assert read([FIRST, chunk({}, "stop"), DONE.rstrip(b"\n")])[-1] == Stopped("stop", "stop")


def test_nothing_is_read_after_the_end() -> None:
    assert read([*STREAMS["openai"], chunk({"content": "late"}), b"data: nonsense\n\n"]) == read(STREAMS["openai"])


@pytest.mark.parametrize(
    "said",
    [
        "data: nonsense\n\n",
        'data: {"choices":5}\n\n',
        'data: {"choices":[5]}\n\n',
        'data: {"choices":[{"delta":5}]}\n\n',
        'data: {"choices":[{"delta":{"content":5}}]}\n\n',
        'data: {"choices":[{"delta":{"audio":{"data":"?"}},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        'data: {"choices":[{"delta":{"annotations":[1]}}]}\n\n',
        'data: {"choices":[{"delta":{"images":[1]}}]}\n\n',
        'data: {"choices":[{"delta":{"content":"\\ud800"}}]}\n\n',
        "data: " + "[" * 5000 + "\n\n",
    ],
)
def test_what_is_no_chunk_is_the_providers_fault(said: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        read([said.encode()])
    assert caught.value.code == "upstream_not_an_answer"


def test_several_choices_are_refused_by_name() -> None:
    with pytest.raises(Unmapped) as caught:
        read([chunk({"content": "x"}, choice={"index": 1})])
    assert caught.value.param == "n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["content", "tool_calls", "function", "index", "id", "name", "arguments", "delta", "type"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(st.lists(st.tuples(JSON, st.none() | st.just("stop")), max_size=4), st.booleans())
def test_any_json_is_a_chunk_or_refused(
    said: list[tuple[Any, str | None]],
    has_end: bool,  # noqa: FBT001 -- drawn
) -> None:
    pieces = [
        event({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}) for delta, end in said
    ]
    try:
        events = read([*pieces, DONE] if has_end else pieces)
    except (UpstreamError, Unmapped):
        return
    assert isinstance(events[-1], Stopped)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_stream_or_refused(data: bytes) -> None:
    try:
        read([b"data: " + data + b"\n\n", data])
    except HeadworksError:
        return
    raise AssertionError("nothing of this stream has ended")
