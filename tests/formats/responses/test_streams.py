"""A provider's stream of Responses, read: whole however it is cut, and never taken for more than it is."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_samples import ANSWER, URL_CITATION, events_of, stream_of

from headworks.errors import UpstreamError, UpstreamTruncated
from headworks.formats.answers import collect
from headworks.formats.neutral import (
    Aside,
    Cited,
    Closed,
    Counted,
    Event,
    Failed,
    Grown,
    OpaqueBlock,
    Opened,
    Signed,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.responses.format import RESPONSES
from headworks.types.models import Usage

STREAM = stream_of(events_of(ANSWER))


def read(*pieces: bytes) -> list[Event]:
    reader = RESPONSES.reader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return [*events, *reader.end()]


def read_events(*events: dict[str, Any]) -> list[Event]:
    return read(stream_of(list(events)))


def completed(**members: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", **members}}


def test_a_stream_tells_what_the_whole_answer_says() -> None:
    told = collect(read(STREAM))
    whole = RESPONSES.read_answer(json.dumps(ANSWER).encode())
    assert told is not None
    assert (told.started.id, told.started.model) == (whole.started.id, whole.started.model)
    assert (told.stopped, told.usage) == (whole.stopped, whole.usage)
    assert [bare(block) for block in told.blocks] == [bare(block) for block in whole.blocks]


def bare(block: Any) -> Any:
    """A block without how it was written."""
    if isinstance(block, OpaqueBlock):
        return block.kind, json.loads(bytes(block.raw))
    return msgspec.structs.replace(block, ext={})


def test_each_piece_is_told_as_it_comes() -> None:
    events = read(STREAM)
    assert [type(event) for event in events if not isinstance(event, Aside)] == [
        Started,
        *(Opened, Grown, Grown, Signed, Closed),
        *(Opened, Closed),
        *(Opened, Grown, Grown, Cited, Closed),
        *(Opened, Grown, Grown, Closed),
        Counted,
        Stopped,
    ]
    assert [event.kind for event in events if isinstance(event, Aside)] == [
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
    ]
    assert [event.part for event in events if isinstance(event, Grown)] == [0, 0, None, None, None, None]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12), st.sampled_from([b"\n", b"\r\n"]))
def test_however_the_bytes_are_cut_the_events_are_the_same(cuts: list[int], line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    at = [0, *sorted(cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(at)]
    assert shown(read(*pieces)) == shown(read(STREAM))


def test_byte_by_byte() -> None:
    assert shown(read(*(bytes([each]) for each in STREAM))) == shown(read(STREAM))


def shown(events: list[Event]) -> list[str]:
    return [msgspec.json.encode(event).decode() for event in events]


@pytest.mark.parametrize("kept", range(1, len(events_of(ANSWER))))
def test_a_stream_that_ends_early_is_truncated(kept: int) -> None:
    reader = RESPONSES.reader()
    reader.feed(stream_of(events_of(ANSWER)[:kept]))
    with pytest.raises(UpstreamTruncated):
        reader.end()


def test_an_event_without_its_end_is_none() -> None:
    reader = RESPONSES.reader()
    reader.feed(STREAM[:-1])
    with pytest.raises(UpstreamTruncated):
        reader.end()


def test_comments_and_what_follows_the_end_say_nothing() -> None:
    events = read(b": hello\n\n" + STREAM + b"data: [DONE]\n\n" + STREAM)
    assert shown(events) == shown(read(STREAM))


@pytest.mark.parametrize(
    "said",
    [
        b"data: <html>\n\n",
        b"data: {\n\n",
        b'data: {"type":3}\n\n',
        b'data: {"type":"response.output_text.delta","delta":3}\n\n',
        b'data: {"type":"response.output_item.done","output_index":0,"item":{"type":"message"}}\n\n',
        b'data: {"type":"response.output_item.added","output_index":"x"}\n\n',
        b'data: {"type":"response.completed"}\n\n',
        b'data: {"type":"response.created","response":[]}\n\n',
    ],
)
def test_what_is_no_event_is_an_error_of_the_provider(said: bytes) -> None:
    with pytest.raises(UpstreamError):
        RESPONSES.reader().feed(said)


indices = st.integers(-2, 3)
kinds = sorted({event["type"] for event in events_of(ANSWER)} | {"error", "response.failed", "response.refusal.delta"})
strange = st.fixed_dictionaries(
    {"type": st.sampled_from(kinds)},
    optional={
        "output_index": indices,
        "content_index": indices,
        "summary_index": indices | st.just(10**12),
        "delta": st.text(max_size=3) | st.none(),
        "item": st.sampled_from([*ANSWER["output"], {}, None]),
        "part": st.sampled_from([{"type": "output_text"}, {"type": "refusal"}, {}, None]),
        "annotation": st.sampled_from([URL_CITATION, {}, None]),
        "response": st.sampled_from([ANSWER, {"id": "x"}, {}, None]),
        "error": st.sampled_from([{"message": "x"}, {}, None, "x"]),
    },
)


@given(st.lists(strange, max_size=12))
def test_any_order_of_events_is_a_story_or_an_error_of_the_provider(events: list[dict[str, Any]]) -> None:
    reader = RESPONSES.reader()
    told: list[Event] = []
    try:
        told += reader.feed(stream_of(events))
    except UpstreamError:
        return
    opened: set[int] = set()
    closed: set[int] = set()
    for event in told:
        match event:
            case Opened():
                assert event.index not in opened
                opened.add(event.index)
            case Grown() | Signed() | Cited() | Closed():
                assert event.index in opened - closed
                if isinstance(event, Closed):
                    closed.add(event.index)
            case _:
                pass
    collect(told)


# What providers leave out.


def test_a_provider_that_tells_all_at_the_end_is_heard() -> None:
    events = read_events(completed(output=ANSWER["output"], usage=ANSWER["usage"]))
    told = collect(events)
    assert told is not None
    assert [type(block) for block in told.blocks] == [ThinkingBlock, OpaqueBlock, TextBlock, ToolCallBlock]
    assert told.stopped.reason == "tool_calls"
    assert told.usage == Usage(36, 87, 10, cache_write_tokens=4, reasoning_tokens=30)


def test_items_without_deltas_are_told_when_they_are_done() -> None:
    done = [
        {"type": "response.output_item.done", "output_index": at, "item": item}
        for at, item in enumerate(ANSWER["output"])
    ]
    told = collect(read_events(*done, completed()))
    assert told is not None
    assert [bare(block) for block in told.blocks] == [
        bare(block) for block in RESPONSES.read_answer(json.dumps(ANSWER).encode()).blocks
    ]


def test_deltas_alone_make_a_text() -> None:
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0}
    told = collect(read_events({**delta, "delta": "a"}, {**delta, "delta": "b"}, completed()))
    assert told is not None
    assert told.blocks == [TextBlock("ab")]
    assert told.usage == Usage()


def test_the_rest_of_a_text_that_no_delta_told_is_told_with_its_item() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "abc"}]}
    told = collect(
        read_events(
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            completed(),
        )
    )
    assert told is not None
    assert [block.text for block in told.blocks if isinstance(block, TextBlock)] == ["abc"]


def test_a_refusal_is_one() -> None:
    where = {"output_index": 0, "content_index": 0}
    told = collect(
        read_events(
            {"type": "response.content_part.added", **where, "part": {"type": "refusal", "refusal": ""}},
            {"type": "response.refusal.delta", **where, "delta": "No."},
            completed(),
        )
    )
    assert told is not None
    assert told.blocks == [TextBlock("No.", is_refusal=True)]
    assert told.stopped == Stopped("stop", "completed")


def test_raw_reasoning_grows_as_text() -> None:
    item = {"id": "rs_1", "type": "reasoning", "summary": []}
    told = collect(
        read_events(
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "Hm"},
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {**item, "content": [{"type": "reasoning_text", "text": "Hm."}], "encrypted_content": "e"},
            },
            completed(),
        )
    )
    assert told is not None
    assert told.blocks == [ThinkingBlock("Hm.", "e", id="rs_1", origin="responses")]


def test_calls_side_by_side_keep_their_arguments() -> None:
    def added(at: int, kind: str) -> dict[str, Any]:
        item = {"type": kind, "call_id": f"c{at}", "name": "f"}
        return {"type": "response.output_item.added", "output_index": at, "item": item}

    told = collect(
        read_events(
            added(0, "function_call"),
            added(1, "custom_tool_call"),
            {"type": "response.custom_tool_call_input.delta", "output_index": 1, "delta": "ls"},
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
            completed(),
        )
    )
    assert told is not None
    assert told.blocks == [ToolCallBlock("c0", "f", b"{}"), ToolCallBlock("c1", "f", b"ls", is_custom=True)]
    assert told.stopped.reason == "tool_calls"


# Ends.


def test_an_incomplete_answer_says_why() -> None:
    said = {"id": "r", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    events = read_events({"type": "response.incomplete", "response": said})
    assert events[-1] == Stopped("length", "max_output_tokens")


@pytest.mark.parametrize(
    ("event", "kind", "message", "status"),
    [
        (
            {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "Slow."}}},
            "rate_limit_exceeded",
            "Slow.",
            429,
        ),
        ({"type": "error", "code": "server_error", "message": "Oh.", "param": None}, "server_error", "Oh.", 500),
        (
            {"type": "error", "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "Slow."}},
            "tokens",
            "Slow.",
            429,
        ),
        ({"type": "error", "error": {"type": "invalid", "code": "bad", "message": "No."}}, "invalid", "No.", 500),
        ({"type": "error", "code": "image_too_large", "message": "No.", "param": None}, "image_too_large", "No.", 400),
        (
            {"type": "error", "error": {"type": "invalid_request_error", "code": "bad", "message": "No."}},
            "invalid_request_error",
            "No.",
            400,
        ),
    ],
)
def test_an_error_inside_the_stream_is_told_and_ends_it(
    event: dict[str, Any], kind: str, message: str, status: int
) -> None:
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"}
    events = read_events(delta, event)
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.message, failed.status) == (kind, message, status)
    assert collect(events) is None


def test_what_a_failed_answer_cost_is_told() -> None:
    events = read_events({"type": "response.failed", "response": {"error": None, "usage": ANSWER["usage"]}})
    assert isinstance(events[0], Counted)
    assert isinstance(events[1], Failed)
