"""Streams in Anthropic's Messages: watched, read and written, however their bytes are cut."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from anthropic_types import require_event
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import UpstreamError, UpstreamTimeout, UpstreamTruncated
from headworks.formats import sse
from headworks.formats.answers import collect, replay
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import (
    Answer,
    Aside,
    Citation,
    Cited,
    Closed,
    Counted,
    Event,
    Failed,
    Grown,
    ImageBlock,
    OpaqueBlock,
    Opened,
    Request,
    Signed,
    Source,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

REQUEST = Request("messages", "m")
START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 500, "output_tokens": 1, "service_tier": "standard"},
    },
}
CITATION = {
    "type": "char_location",
    "cited_text": "Grass",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 5,
    "file_id": None,
}


def opened(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": 70, **usage},
    }


PING = {"type": "ping"}
STOP = {"type": "message_stop"}
WHOLE: list[dict[str, Any]] = [
    START,
    PING,
    opened(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="H"),
    delta(0, "thinking_delta", thinking="m…"),
    delta(0, "signature_delta", signature="EqQB"),
    closed(0),
    opened(1, type="redacted_thinking", data="EmwK"),
    closed(1),
    opened(2, type="text", text=""),
    delta(2, "text_delta", text="Gräss is "),
    PING,
    delta(2, "text_delta", text="green\n\ndata: x."),
    delta(2, "citations_delta", citation=CITATION),
    closed(2),
    opened(3, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
    delta(3, "input_json_delta", partial_json=""),
    delta(3, "input_json_delta", partial_json='{"query":'),
    delta(3, "input_json_delta", partial_json=' "x"}'),
    closed(3),
    opened(4, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[]),
    closed(4),
    opened(5, type="tool_use", id="toolu_1", name="weather", input={}),
    delta(5, "input_json_delta", partial_json='{"at": 1.'),
    delta(5, "input_json_delta", partial_json="50}"),
    closed(5),
    opened(6, type="tool_use", id="toolu_2", name="now", input={}),
    delta(6, "input_json_delta", partial_json=""),
    closed(6),
    ended("tool_use", server_tool_use={"web_search_requests": 1, "web_fetch_requests": 0}),
    STOP,
]


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


def read(data: bytes, cuts: Iterable[int] = ()) -> list[Event]:
    reader, at, events = MESSAGES.reader(), 0, []
    for cut in [*sorted(cuts), len(data)]:
        events += reader.feed(data[at:cut])
        at = cut
    return [*events, *reader.end()]


def written(events: Iterable[Event]) -> bytes:
    writer = MESSAGES.writer(REQUEST)
    said = b"".join([writer.write(each) for each in events])
    return said + writer.end()


def parsed(data: bytes) -> list[dict[str, Any]]:
    """The events, each of which the SDK knows, under the name that it has."""
    found = []
    for each in sse.split(data):
        value = json.loads(sse.data_of(each))
        assert sse.name_of(each).decode() == value["type"]
        if value["type"] not in {"ping", "error"}:
            require_event(value)
        found.append(value)
    return found


def told(data: bytes) -> Answer:
    answer = collect(read(data))
    assert answer is not None
    return answer


def test_a_stream_tells_an_answer() -> None:
    answer = told(stream(*WHOLE))
    thought, hidden, cited, search, found, call, empty = answer.blocks
    assert thought == ThinkingBlock("Hm…", "EqQB", origin="messages")
    assert hidden == ThinkingBlock(redacted="EmwK", origin="messages")
    assert isinstance(cited, TextBlock)
    assert (cited.text, cited.citations[0].quote) == ("Gräss is green\n\ndata: x.", "Grass")
    assert isinstance(search, OpaqueBlock)
    assert json.loads(bytes(search.raw))["input"] == {"query": "x"}
    assert isinstance(found, OpaqueBlock)
    assert call == ToolCallBlock("toolu_1", "weather", b'{"at": 1.50}')
    assert empty == ToolCallBlock("toolu_2", "now", b"{}")
    assert answer.usage == Usage(510, 70, 500, service_tier="standard")
    assert sorted(answer.usage_ext) == ["server_tool_use", "service_tier"]
    assert answer.stopped.reason == "tool_calls"


@given(st.sets(st.integers(0, len(stream(*WHOLE)))))
def test_a_stream_says_the_same_however_it_is_cut(cuts: set[int]) -> None:
    assert read(stream(*WHOLE), cuts) == read(stream(*WHOLE))


@pytest.mark.parametrize("line", [b"\r\n", b"\r"])
def test_lines_may_end_in_any_way(line: bytes) -> None:
    data = stream(*[each for each in WHOLE if each != PING]).replace(b"\n", line)
    assert collect(read(data)) == told(stream(*WHOLE))


def test_a_stream_is_written_as_it_was_read() -> None:
    again = written(read(stream(*WHOLE)))
    assert told(again) == told(stream(*WHOLE))
    kinds = [each["type"] for each in parsed(again)]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("ping") == 2
    assert parsed(again)[0] == START


def test_a_whole_answer_can_be_streamed_and_told_again() -> None:
    answer = told(stream(*WHOLE))
    again = told(written(replay(answer)))
    assert again.blocks == answer.blocks
    assert (again.usage, again.stopped) == (answer.usage, answer.stopped)


def test_what_stood_beside_the_end_survives() -> None:
    end = ended()
    end["delta"]["container"] = {"id": "c", "expires_at": "2026-11-22T00:00:00Z"}
    end["context_management"] = {"applied_edits": []}
    data = stream(START, opened(0, type="text", text=""), closed(0), end, STOP)
    last = parsed_loosely(written(read(data)))[-2]
    assert last["delta"] == end["delta"]
    assert last["context_management"] == end["context_management"]


def parsed_loosely(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(sse.data_of(each)) for each in sse.split(data)]


def test_a_comment_and_an_event_of_the_future_disturb_nobody() -> None:
    data = b": keep-alive\n\n" + stream({"type": "progress", "percent": 5}, START, ended(), STOP)
    events = read(data)
    assert events[0] == Aside("messages", "progress", msgspec.Raw(b'{"type": "progress", "percent": 5}'))
    assert isinstance(events[1], Started)


def test_an_error_inside_a_stream_is_told() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    events = read(stream(START, PING, error))
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.message, failed.status) == ("overloaded_error", "Overloaded", 529)
    writer = MESSAGES.writer(REQUEST)
    assert parsed(writer.write(failed)) == [error]


@pytest.mark.parametrize("length", range(1, len(WHOLE) - 2))
def test_a_stream_that_breaks_off_is_no_answer(length: int) -> None:
    reader = MESSAGES.reader()
    reader.feed(stream(*WHOLE[:length]))
    with pytest.raises(UpstreamTruncated):
        reader.end()


def test_what_comes_before_an_event_that_can_not_be_read_is_kept() -> None:
    events: list[Event] = []
    with pytest.raises(UpstreamError):
        MESSAGES.reader().feed_into(stream(*WHOLE[:3]) + b"data: {]\n\n", events)
    assert events
    assert events == [*MESSAGES.reader().feed(stream(*WHOLE[:3]))]


def test_half_an_event_is_no_end() -> None:
    reader = MESSAGES.reader()
    reader.feed(stream(START) + stream(ended(), STOP)[:-80])
    with pytest.raises(UpstreamTruncated):
        reader.end()


@pytest.mark.parametrize(
    "events",
    [
        [delta(0, "text_delta", text="x")],
        [opened(0, type="text", text=""), delta(0, "thinking_delta", thinking="x")],
        [opened(0, type="text", text=""), opened(0, type="text", text="")],
        [opened(0, type="text", text=""), delta(0, "brand_new_delta", thing=1)],
        [closed(0)],
        [opened(0, type="text", text=""), closed(0), closed(0)],
        [opened(0, type="text")],
        [{"type": "content_block_start", "index": "first"}],
        [{"type": "message_start", "message": 5}],
        [{"type": "error"}],
        [{"type": 5}],
        [opened(0, type="server_tool_use", id="a", name="b", input={}), delta(0, "input_json_delta", partial_json="{"),
         closed(0)],
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_an_error_of_the_provider(events: list[dict[str, Any]]) -> None:
    data = b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in events)
    with pytest.raises(UpstreamError):
        MESSAGES.reader().feed(data)


@pytest.mark.parametrize(
    "data", [b"data: [DONE]\n\n", b"data: {\n\n", b"data: \xff\n\n", b"data: " + b"[" * 99_999 + b"\n\n"]
)
def test_what_is_no_json_is_an_error_of_the_provider(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        MESSAGES.reader().feed(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_events_or_an_error_of_the_provider(data: bytes) -> None:
    reader = MESSAGES.reader()
    try:
        reader.feed(data + b"\n\n")
        reader.end()
    except UpstreamError:
        return
    raise AssertionError("nothing has ended here")


# Written for callers, from other formats' events.


def simple(*events: Event, reason: Any = "stop", **started: Any) -> list[dict[str, Any]]:
    return parsed(written([Started("a", "gpt", **started), *events, Stopped(reason)]))


def test_a_chat_stream_becomes_messages() -> None:
    events = simple(
        Opened(0, TextBlock("")),
        Grown(0, "Hel"),
        Grown(0, "lo\n"),
        Closed(0),
        Counted(Usage(7, 3, 2)),
    )
    assert events == [
        {
            "type": "message_start",
            "message": {
                "id": "a",
                "type": "message",
                "role": "assistant",
                "model": "gpt",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        },
        opened(0, type="text", text=""),
        delta(0, "text_delta", text="Hel"),
        delta(0, "text_delta", text="lo\n"),
        closed(0),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 3},
        },
        STOP,
    ]


def test_counts_that_come_after_the_stop_are_said() -> None:
    writer = MESSAGES.writer(REQUEST)
    said = writer.write(Started("a", "b")) + writer.write(Stopped("length")) + writer.write(Counted(Usage(7, 3)))
    end = parsed(said + writer.end())[-2]
    assert end["usage"] == {"input_tokens": 7, "output_tokens": 3}
    assert end["delta"]["stop_reason"] == "max_tokens"


def test_counts_that_come_first_stand_in_the_start() -> None:
    events = simple(Counted(Usage(7, 0)), Opened(0, TextBlock("x")), Closed(0), Counted(Usage(None, 3)))
    assert events[0]["message"]["usage"] == {"input_tokens": 7, "output_tokens": 0}
    assert events[-2]["usage"] == {"input_tokens": 7, "output_tokens": 3}


def test_blocks_that_open_side_by_side_come_one_after_another() -> None:
    events = simple(
        Opened(4, ToolCallBlock("a", "x", b"")),
        Opened(7, ToolCallBlock("b", "y", b"")),
        Grown(7, '{"n":'),
        Grown(4, "{}"),
        Opened(9, TextBlock("end")),
        Grown(7, "1}"),
        Closed(4),
        Closed(7),
        Closed(9),
        reason="tool_calls",
    )
    assert events[1:-2] == [
        opened(0, type="tool_use", id="a", name="x", input={}),
        delta(0, "input_json_delta", partial_json="{}"),
        closed(0),
        opened(1, type="tool_use", id="b", name="y", input={}),
        delta(1, "input_json_delta", partial_json='{"n":'),
        delta(1, "input_json_delta", partial_json="1}"),
        closed(1),
        opened(2, type="text", text=""),
        delta(2, "text_delta", text="end"),
        closed(2),
    ]


def test_a_block_that_is_still_open_at_the_end_is_closed() -> None:
    events = simple(Opened(0, TextBlock("x")), Opened(1, TextBlock("y")), Closed(1))
    assert [each["index"] for each in events if each["type"] == "content_block_stop"] == [0, 1]


def test_a_whole_block_is_said_in_deltas() -> None:
    citation = Citation("q", "T", document_index=1, document_start=2, document_end=3)
    events = simple(
        Opened(0, TextBlock("text", citations=(citation,))),
        Closed(0),
        Opened(1, ToolCallBlock("a", "x", b'{"n":1}')),
        Closed(1),
    )
    assert [each["delta"]["type"] for each in events if each["type"] == "content_block_delta"] == [
        "text_delta", "citations_delta", "input_json_delta",
    ]  # fmt: skip


def test_citations_of_ours_are_places_in_a_document() -> None:
    citation = Citation("500 francs", "Plan", "https://here", document_index=2, document_start=40, document_end=50)
    events = simple(Opened(0, TextBlock("")), Grown(0, "500."), Cited(0, citation), Closed(0))
    assert events[3] == delta(
        0,
        "citations_delta",
        citation={
            "type": "char_location",
            "cited_text": "500 francs",
            "document_index": 2,
            "document_title": "Plan",
            "start_char_index": 40,
            "end_char_index": 50,
        },
    )


def test_a_citation_that_comes_late_belongs_to_its_block() -> None:
    late = Cited(3, Citation("q", document_index=0, document_start=1, document_end=2))
    events = simple(Opened(3, TextBlock("x")), Closed(3), Opened(5, TextBlock("y")), late, Closed(5), late)
    cited = [each for each in events if each.get("delta", {}).get("type") == "citations_delta"]
    assert [each["index"] for each in cited] == [0, 0]


def test_a_block_that_has_ended_does_not_go_on() -> None:
    with pytest.raises(UpstreamError, match="had ended"):
        simple(Opened(0, TextBlock("x")), Closed(0), Grown(0, "y"))


def test_a_foreign_thought_carries_what_has_to_come_back() -> None:
    thought = ThinkingBlock(id="rs_1", origin="responses")
    events = simple(
        Opened(0, thought),
        Grown(0, "Fir", 0),
        Grown(0, "st.", 0),
        Grown(0, "Then.", 1),
        Signed(0, "gAAA"),
        Closed(0),
    )
    assert [each["delta"]["thinking"] for each in events[2:5]] == ["Fir", "st.", "\n\nThen."]
    block = {"type": "thinking", "thinking": "First.\n\nThen.", "signature": events[5]["delta"]["signature"]}
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [block]}]}
    back = MESSAGES.read_request(json.dumps(body).encode()).turns[0].blocks[0]
    assert back == ThinkingBlock(signature="gAAA", id="rs_1", summary=("First.", "Then."), origin="responses")


def test_a_foreign_thought_with_nothing_to_bring_back_has_no_signature() -> None:
    events = simple(Opened(0, ThinkingBlock("Hm.", origin="chat")), Closed(0))
    assert events[1:-2] == [
        opened(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Hm."),
        closed(0),
    ]


def test_a_refusal_is_said_as_one() -> None:
    events = simple(Opened(0, TextBlock("", is_refusal=True)), Grown(0, "No."), Closed(0))
    assert events[-2]["delta"]["stop_reason"] == "refusal"


def test_what_a_message_can_not_hold_is_an_error() -> None:
    writer = MESSAGES.writer(REQUEST)
    with pytest.raises(Exception, match="no block for a ImageBlock"):
        writer.write(Opened(0, ImageBlock(Source("image/png", "AAAA"))))


def test_asides_of_other_formats_are_not_told() -> None:
    assert MESSAGES.writer(REQUEST).write(Aside("chat", "filter", msgspec.Raw(b"{}"))) == b""


def test_a_stream_without_a_stop_has_no_end() -> None:
    writer = MESSAGES.writer(REQUEST)
    writer.write(Started())
    with pytest.raises(UpstreamTruncated):
        writer.end()


@pytest.mark.parametrize("reason", ["error", "malformed_tool_call"])
def test_an_end_that_is_none_is_not_invented(reason: Any) -> None:
    writer = MESSAGES.writer(REQUEST)
    with pytest.raises(UpstreamError):
        writer.write(Stopped(reason))


def test_an_error_of_ours_is_the_last_event() -> None:
    writer = MESSAGES.writer(REQUEST)
    writer.write(Started())
    (event,) = parsed(writer.fail(UpstreamTimeout("Too slow.")))
    assert event["error"]["type"] == "timeout_error"


_TEXTS = st.text(max_size=6)
_BLOCKS = st.one_of(
    st.builds(TextBlock, _TEXTS),
    st.builds(lambda a, b: ToolCallBlock(a, b, b'{"a": 1.0}'), _TEXTS, _TEXTS),
    st.builds(lambda a, b: ThinkingBlock(a, b, origin="messages"), _TEXTS, st.text(min_size=1, max_size=5)),
)
_USAGES = st.builds(
    lambda a, b, c, d: Usage(a + b + (c or 0) + (d or 0), 3, b, cache_write_tokens=c, cache_write_1h_tokens=d),
    *(st.integers(0, 99),) * 2,
    st.integers(0, 99),
    st.none() | st.integers(0, 99),
)


@given(st.lists(_BLOCKS, max_size=4), _USAGES, st.sampled_from(("stop", "length", "tool_calls", "pause")))
def test_any_answer_survives_its_stream(blocks: Sequence[Any], usage: Usage, reason: Any) -> None:
    words = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "pause": "pause_turn"}
    answer = Answer(Started("a", "b", origin="messages"), list(blocks), Stopped(reason, words[reason]), usage)
    data = written(replay(answer))
    parsed(data)
    assert told(data) == answer
