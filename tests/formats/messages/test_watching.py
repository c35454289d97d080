"""Streams in Messages, watched while their bytes go by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.formats import sse
from headworks.formats.messages.format import MESSAGES
from headworks.types.models import Usage


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members}, separators=(',', ':'))}\n\n".encode()


def text(said: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": said})


START = event(
    "message_start",
    message={
        "id": "m",
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
            "output_tokens": 1,
        },
    },
)
PING = event("ping")
OPEN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
CLOSE = event("content_block_stop", index=0)
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 70})
STOP = event("message_stop")
WHOLE = [START, PING, OPEN, text("Hello"), text(" there"), CLOSE, END, STOP]


def seen(*events: bytes) -> Any:
    watch = MESSAGES.watch()
    for each in events:
        assert watch.see(each) is each
    return watch


def test_a_whole_stream_is_understood() -> None:
    watch = seen(*WHOLE)
    assert (watch.has_begun, watch.is_finished, watch.is_terminal, watch.has_failed) == (True, True, True, False)
    assert watch.heard == 2
    assert watch.usage == Usage(22, 70, 5, cache_write_tokens=4, cache_write_1h_tokens=3)


def test_nothing_is_known_before_the_first_event() -> None:
    watch = seen()
    assert (watch.has_begun, watch.is_finished, watch.is_terminal, watch.has_failed) == (False,) * 4
    assert watch.usage is None


@pytest.mark.parametrize("start", [[START], [START, PING], [START, PING, OPEN], [START, OPEN, text("")], [b": hi\n\n"]])
def test_a_start_says_nothing_yet(start: list[bytes]) -> None:
    assert not seen(*start).has_begun


@pytest.mark.parametrize(
    "first",
    [
        text("H"),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "H"}),
        event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "E"}),
        event("content_block_start", index=0, content_block={"type": "tool_use", "id": "a", "name": "b", "input": {}}),
        event("content_block_start", index=0, content_block={"type": "redacted_thinking", "data": "E"}),
        END,
        CLOSE.replace(b"content_block_stop", b"content_block_start"),
        OPEN + text("H"),
    ],
)
def test_the_first_word_of_an_answer_begins_it(first: bytes) -> None:
    has_content = b'"index":0}' not in first
    assert seen(START, first).has_begun is has_content


def test_an_error_is_seen() -> None:
    watch = seen(START, event("error", error={"type": "overloaded_error", "message": "x"}))
    assert watch.has_failed
    assert (watch.has_begun, watch.is_finished, watch.is_terminal) == (False, False, False)


def test_words_in_a_text_are_no_events() -> None:
    said = 'event: message_stop\ndata: {"type":"message_stop"}\n\nevent: error\n"content_block_delta"'
    watch = seen(START, text(said))
    assert (watch.is_terminal, watch.has_failed, watch.heard) == (False, False, 1)


def test_an_end_without_a_reason_is_none() -> None:
    watch = seen(START, event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 5}))
    assert not watch.is_finished
    assert watch.usage is not None
    assert watch.usage.output_tokens == 5


@pytest.mark.parametrize("data", [b"{", b"5", b'{"usage":"many"}', b"\xff"])
def test_counts_that_can_not_be_read_are_not_ours_to_judge(data: bytes) -> None:
    watch = seen(b"event: message_delta\ndata: " + data + b"\n\n")
    assert watch.usage is None
    assert not watch.has_failed


def test_counts_are_the_callers_whatever_we_asked_for() -> None:
    watch = MESSAGES.watch(strips_usage=True)
    assert watch.see(END) == END


@pytest.mark.parametrize("space", [b"", b" "])
@pytest.mark.parametrize("line", [b"\n", b"\r\n", b"\r"])
def test_lines_may_be_written_in_any_way(line: bytes, space: bytes) -> None:
    watch = MESSAGES.watch()
    for each in WHOLE:
        watch.see(each.replace(b"event: ", b"event:" + space).replace(b"\n", line))
    assert (watch.has_begun, watch.is_finished, watch.is_terminal) == (True, True, True)
    assert watch.usage == seen(*WHOLE).usage


@given(st.sets(st.integers(0, sum(map(len, WHOLE)))))
def test_a_stream_is_understood_however_it_is_cut(cuts: set[int]) -> None:
    data, framer, watch, at, out = b"".join(WHOLE), sse.Framer(), MESSAGES.watch(), 0, b""
    for cut in [*sorted(cuts), len(data)]:
        whole = framer.whole(data[at:cut])
        out += watch.see(whole) if whole else b""
        at = cut
    assert out == data
    one = seen(*WHOLE)
    assert (watch.has_begun, watch.is_finished, watch.is_terminal, watch.heard, watch.usage) == (
        one.has_begun, one.is_finished, one.is_terminal, one.heard, one.usage,
    )  # fmt: skip
