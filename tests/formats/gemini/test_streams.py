"""Streams of Gemini as neutral events, however their bytes are cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import UpstreamError, UpstreamTruncated
from headworks.formats.answers import collect
from headworks.formats.gemini.format import GEMINI
from headworks.formats.neutral import (
    Closed,
    Counted,
    Event,
    Failed,
    Grown,
    Opened,
    Signed,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.testing import gemini_replies as replies
from headworks.types.models import Usage

SIGNATURE = "QUJD+/8="


def stream(*chunks: Any) -> bytes:
    return b"".join(chunk if isinstance(chunk, bytes) else replies.event(chunk) for chunk in chunks)


def events_of(*pieces: bytes) -> list[Event]:
    reader = GEMINI.reader()
    found = [event for piece in pieces for event in reader.feed(piece)]
    return [*found, *reader.end()]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def test_a_stream_is_told_event_by_event() -> None:
    parts = [
        replies.thought("Hm", signature=None),
        replies.thought(".", signature=SIGNATURE),
        replies.text("Hel"),
        replies.text("lo."),
        replies.call("look", {"at": 1}, signature=SIGNATURE),
        replies.call("look", {}),
    ]
    assert events_of(stream(*replies.chunks(*parts))) == [
        Started("simulated-1", replies.MODEL, origin="gemini"),
        Counted(Usage(10, 1)),
        Opened(0, ThinkingBlock(origin="gemini")),
        Grown(0, "Hm"),
        Counted(Usage(10, 2)),
        Grown(0, "."),
        Signed(0, f"gemini:{SIGNATURE}"),
        Closed(0),
        Counted(Usage(10, 3)),
        Opened(1, TextBlock("")),
        Grown(1, "Hel"),
        Counted(Usage(10, 4)),
        Grown(1, "lo."),
        Counted(Usage(10, 5)),
        Closed(1),
        Opened(2, ToolCallBlock("sig18_call_simulated-1_0QUJD-_8", "look", b"")),
        Grown(2, '{"at": 1}'),
        Closed(2),
        Counted(Usage(10, 6)),
        Opened(3, ToolCallBlock("call_simulated-1_1", "look", b"")),
        Grown(3, "{}"),
        Closed(3),
        Stopped("tool_calls", "STOP"),
    ]


PARTS = st.one_of(
    st.builds(replies.text, st.text(max_size=6)),
    st.builds(replies.thought, st.text(max_size=6), signature=st.none() | st.just(SIGNATURE)),
    st.builds(replies.call, st.just("f"), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)),
    st.just(replies.picture("AAAA")),
    st.just({"executableCode": {"code": "1"}}),
)


@given(st.lists(PARTS, max_size=5), st.lists(st.integers(0, 2000), max_size=12), st.sampled_from([b"\n", b"\r\n"]))
def test_any_cutting_tells_the_same(parts: list[Any], places: list[int], line: bytes) -> None:
    data = b": hello" + line * 2 + stream(*replies.chunks(*parts)).replace(b"\r\n", line)
    whole = events_of(data)
    assert events_of(*cut(data, places)) == whole
    assert events_of(*(data[at : at + 1] for at in range(len(data)))) == whole


@given(st.lists(PARTS, max_size=5))
def test_a_stream_and_a_whole_answer_tell_the_same(parts: list[Any]) -> None:
    counts = replies.usage(10, 7)
    told = collect(events_of(stream(*replies.chunks(*parts, counts=counts))))
    assert told == GEMINI.read_answer(json.dumps(replies.answer(*parts, counts=counts)).encode())


@given(parts=st.lists(PARTS, max_size=4), place=st.integers(0, 3000), names_ends=st.booleans())
def test_a_stream_that_ends_early_is_never_whole(parts: list[Any], place: int, *, names_ends: bool) -> None:
    chunks = replies.chunks(*parts)
    if names_ends:  # as some models do in every chunk
        chunks = [{**each, "candidates": [{**each["candidates"][0], "finishReason": "STOP"}]} for each in chunks]
    data, last = stream(*chunks), replies.event(chunks[-1])
    begun = len(data) - len(last) + len("data: {")
    with pytest.raises(UpstreamTruncated):
        events_of(data[: begun + place % (len(last) - len("data: {}\r\n\r\n"))])
    if not names_ends:
        with pytest.raises(UpstreamTruncated):
            events_of(data[: min(place, begun)])


def test_the_last_event_may_lack_its_empty_line() -> None:
    data = stream(*replies.chunks(replies.text("a")))
    assert events_of(data.rstrip()) == events_of(data)


def test_an_end_in_every_chunk_is_no_end_before_the_last() -> None:
    chunks = [replies.answer(replies.text(letter)) for letter in "abc"]
    told = collect(events_of(stream(*chunks)))
    assert told is not None
    assert told.blocks == [TextBlock("abc")]


def test_a_bad_end_is_not_taken_back() -> None:
    bad = replies.answer(replies.text("a"), finish_reason="SAFETY")
    told = collect(events_of(stream(bad, replies.answer(finish_reason="STOP"))))
    assert told is not None
    assert (told.stopped.reason, told.stopped.word) == ("content_filter", "SAFETY")


def test_counts_after_the_end_are_still_read() -> None:
    late = {"usageMetadata": replies.usage(10, 9), "responseId": "simulated-1"}
    events = events_of(stream(replies.answer(replies.text("a")), late))
    assert events[-3:] == [Counted(Usage(10, 9)), Closed(0), Stopped("stop", "STOP")]


def test_a_blocked_prompt_ends_the_stream_as_filtered() -> None:
    events = events_of(stream(replies.blocked("PROHIBITED_CONTENT")))
    assert events[-1] == Stopped("content_filter", "PROHIBITED_CONTENT")
    assert not any(isinstance(event, Opened) for event in events)


def test_citations_stand_where_their_text_is_open() -> None:
    cited = {"citationMetadata": {"citationSources": [{"startIndex": 0, "endIndex": 1, "uri": "https://a"}]}}
    chunks = [
        replies.answer(replies.text("a"), finish_reason=None, **cited),
        replies.answer(replies.text("b"), **cited),
        replies.answer(replies.call("f", {}), **cited),
    ]
    told = collect(events_of(stream(*chunks)))
    assert told is not None
    assert isinstance(told.blocks[0], TextBlock)
    assert [each.url for each in told.blocks[0].citations] == ["https://a"]


# Calls whose arguments come in pieces.


def piece(*partial: dict[str, Any], **members: Any) -> dict[str, Any]:
    given = {"partialArgs": list(partial)} if partial else {}
    return replies.answer({"functionCall": {**given, **members}}, finish_reason=None)


def test_a_call_in_pieces_is_told_when_it_is_whole() -> None:
    chunks = [
        piece(name="look", willContinue=True),
        piece({"jsonPath": "$.at", "stringValue": "Bos"}, willContinue=True),
        piece({"jsonPath": "$.at", "stringValue": "ton"}, {"jsonPath": "$.n[0]", "numberValue": 1}, willContinue=True),
        piece(),
        replies.answer(replies.call("look", {})),
    ]
    told = collect(events_of(stream(*chunks)))
    assert told is not None
    assert told.blocks == [
        ToolCallBlock("call_simulated-1_0", "look", b'{"at":"Boston","n":[1]}'),
        ToolCallBlock("call_simulated-1_1", "look", b"{}"),
    ]
    assert told.stopped.reason == "tool_calls"


def test_a_call_that_is_never_whole_is_malformed() -> None:
    chunks = [piece({"jsonPath": "$.a", "boolValue": True}, name="look", willContinue=True), replies.answer()]
    told = collect(events_of(stream(*chunks)))
    assert told is not None
    assert told.stopped.reason == "malformed_tool_call"
    assert told.blocks == [ToolCallBlock("call_simulated-1_0", "look", b"")]


# Errors.


def test_an_error_in_the_stream_is_told_and_is_its_end() -> None:
    begun = replies.answer(replies.text("a"), finish_reason=None)
    events = events_of(stream(begun, replies.error(503, "Overloaded.", retry_delay_s=2)))
    assert isinstance(events[-1], Failed)
    assert (events[-1].kind, events[-1].status, events[-1].retry_after_s) == ("UNAVAILABLE", 503, 2.0)
    assert not any(isinstance(event, Stopped) for event in events)


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: [body]])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"])
def test_an_error_that_is_no_event_is_read_as_well(wrap: Any, end: bytes) -> None:
    bare = json.dumps(wrap(replies.error(500, "Broken.")), indent=2).encode()
    begun = replies.event(replies.answer(replies.text("a"), finish_reason=None))
    failed = events_of(begun + bare + end)[-1]
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.message, failed.status) == ("INTERNAL", "Broken.", 500)


def test_comments_and_empty_events_say_nothing() -> None:
    data = b": ping\n\ndata:\n\nevent: x\n\n{}\n\n" + stream(*replies.chunks(replies.text("a")))
    assert events_of(data) == events_of(stream(*replies.chunks(replies.text("a"))))


@pytest.mark.parametrize(
    "data", [b"data: <html>\n\n", b"data: [DONE]\n\n", b'data: {"candidates": 5}\n\n', b"data: 1\n\n"]
)
def test_what_is_no_event_of_gemini_is_an_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        events_of(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_are_an_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        events_of(data)
