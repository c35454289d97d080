"""A stream that goes through: its bytes stay, and what it says of its beginning and end is seen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_samples import ANSWER, events_of, stream_of

from headworks.formats.responses.format import RESPONSES
from headworks.formats.responses.watching import ResponsesWatch
from headworks.types.models import Usage

EVENTS = events_of(ANSWER)
MESSAGE = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "content": []}}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"}


def seen(*events: dict[str, Any], layout: str = "usual") -> ResponsesWatch:
    watch = RESPONSES.watch()
    for at, event in enumerate(events):
        numbered = {**event, "sequence_number": at}
        if layout == "usual":
            line = f"event: {event['type']}\ndata: {json.dumps(numbered)}\n\n"
        elif layout == "unnamed":
            line = f"data: {json.dumps(numbered)}\n\n"
        else:
            line = f"data: {json.dumps(dict(reversed(numbered.items())))}\r\n\r\n"
        assert watch.see(line.encode()) == line.encode()
    return watch


LAYOUTS = pytest.mark.parametrize("layout", ["usual", "unnamed", "type_last"])


@LAYOUTS
def test_a_whole_stream_is_seen_for_what_it_is(layout: str) -> None:
    watch = seen(*EVENTS, layout=layout)
    assert watch.has_begun
    assert watch.is_finished
    assert watch.is_terminal
    assert not watch.has_failed
    assert watch.usage == Usage(36, 87, 10, cache_write_tokens=4, reasoning_tokens=30, service_tier="default")
    assert watch.response_id == ANSWER["id"]
    assert watch.heard == 6


@LAYOUTS
def test_start_up_is_not_output(layout: str) -> None:
    start = [
        EVENTS[0],
        {"type": "response.queued", "response": {}},
        EVENTS[1],
        MESSAGE,
        {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}},
        {"type": "response.output_item.added", "item": {"type": "reasoning", "summary": []}},
    ]
    watch = seen(*start, layout=layout)
    assert not watch.has_begun
    assert watch.response_id == ANSWER["id"]
    assert seen(*start, DELTA, layout=layout).has_begun


@pytest.mark.parametrize(
    "event",
    [
        DELTA,
        {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}},
        {"type": "response.output_item.added", "item": {"type": "web_search_call"}},
        {"type": "response.reasoning_summary_text.delta", "delta": "x"},
        {"type": "response.output_item.done", "item": {"type": "reasoning"}},
        {"type": "response.some_future_event"},
    ],
)
def test_what_says_something_is_the_beginning(event: dict[str, Any]) -> None:
    assert seen(EVENTS[0], event).has_begun


def test_comments_say_nothing() -> None:
    watch = RESPONSES.watch()
    assert watch.see(b": keep-alive\n\n") == b": keep-alive\n\n"
    assert not watch.has_begun
    assert watch.response_id is None


@LAYOUTS
@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.failed", "response": {"id": "resp_1", "error": {"message": "x"}, "usage": ANSWER["usage"]}},
        {"type": "error", "message": "x", "code": None},
        {"type": "error", "error": {"message": "x"}},
    ],
)
@pytest.mark.parametrize("before", [[], [EVENTS[0], MESSAGE], [EVENTS[0], MESSAGE, DELTA]])
def test_a_failure_is_seen_and_is_no_finish(before: list[dict[str, Any]], event: dict[str, Any], layout: str) -> None:
    watch = seen(*before, event, layout=layout)
    assert watch.has_failed
    assert watch.is_terminal
    assert not watch.is_finished
    assert watch.has_begun == (DELTA in before)
    assert (watch.usage is not None) == (event["type"] == "response.failed")


@LAYOUTS
def test_an_incomplete_answer_has_a_finish_of_its_own(layout: str) -> None:
    watch = seen(EVENTS[0], DELTA, {"type": "response.incomplete", "response": {"usage": None}}, layout=layout)
    assert watch.is_finished
    assert watch.is_terminal
    assert watch.usage is None
    assert watch.response_id == ANSWER["id"]


@pytest.mark.parametrize("kept", range(len(EVENTS)))
def test_a_stream_that_was_cut_has_no_finish(kept: int) -> None:
    watch = seen(*EVENTS[:kept])
    assert not watch.is_finished
    assert not watch.is_terminal


@given(st.text() | st.just('event: response.completed\ndata: {"type":"error"}\n\n"type":"response.failed"'))
def test_no_text_of_a_model_is_taken_for_an_event(text: str) -> None:
    watch = seen(EVENTS[0], DELTA, {**DELTA, "delta": text}, {**DELTA, "text": text})
    assert not watch.is_terminal
    assert not watch.has_failed
    assert watch.heard == 3


@given(st.integers(0, len(EVENTS)))
def test_events_that_come_together_are_seen_as_well(at: int) -> None:
    stream = stream_of(EVENTS)
    ends = [place + 2 for place in range(len(stream)) if stream[place : place + 2] == b"\n\n"]
    cut = ([0, *ends])[at]
    watch = RESPONSES.watch()
    assert watch.see(stream[:cut]) + watch.see(stream[cut:]) == stream
    assert (watch.is_finished, watch.heard, watch.response_id) == (True, 6, ANSWER["id"])


def test_what_can_not_be_read_is_passed_on_and_is_no_finish() -> None:
    watch = RESPONSES.watch()
    for event in (b"data: <html>\n\n", b"event: response.created\ndata: {\n\n", b"data: [1]\n\n", b"\n\n"):
        assert watch.see(event) == event
    assert not watch.is_finished
    assert watch.response_id is None
