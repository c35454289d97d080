"""Events are cut out of a stream of bytes, however it comes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.formats.sse import Framer, data_of, split
from headworks.gateway.wire.sse import is_done, is_finish, read_chunk, says_something, usage_in, without_null_usage

EVENTS = st.lists(
    st.one_of(
        st.text(max_size=20).map(lambda text: b"data: " + json.dumps(text).encode()),
        st.text(max_size=20).map(
            lambda text: b"data:" + json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
        ),
        st.just(b": comment"),
        st.just(b"event: message\ndata: 1"),
        st.just(b"data: [DONE]"),
    ),
    max_size=6,
)


@given(EVENTS, st.sampled_from([b"\n\n", b"\r\n\r\n"]), st.lists(st.integers(0, 200), max_size=10), st.booleans())
def test_however_it_is_cut_the_same_events_come_out(
    events: list[bytes],
    boundary: bytes,
    cuts: list[int],
    is_open: bool,  # noqa: FBT001 -- drawn
) -> None:
    end = b"" if is_open else boundary
    text = boundary.join(events) + end if events else b""
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    framer = Framer()
    whole = [framer.whole(text[a:b]) for a, b in pairwise(places)]
    assert b"".join(whole) + framer.rest == text
    found = [event for each in whole for event in split(each)]
    assert [event[: -len(boundary)] for event in found] == (events[:-1] if is_open else events)
    assert framer.rest == (events[-1] if is_open and events else b"")


@given(st.text())
def test_what_a_text_says_is_never_taken_for_what_the_stream_says(text: str) -> None:
    for said in (text, '"finish_reason":"stop"', "data: [DONE]\n\ndata: [DONE]", ',"usage":null', '{"error":{}}'):
        chunk = {"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": None}]}
        event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        assert not is_finish(event)
        assert not is_done(event)
        assert without_null_usage(event) == event


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        ('{"choices":[{"delta":{"role":"assistant","content":""}}]}', False),
        ('{"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":[]}}]}', False),
        ('{"choices":[],"prompt_filter_results":[1]}', False),
        ('{"choices":null}', False),
        ('{"choices":[{"delta":{"content":"x"}}]}', True),
        ('{"choices":[{"delta":{"reasoning_content":"x"}}]}', True),
        ('{"choices":[{"delta":{"anything_new":{"a":1}}}]}', True),
        ('{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}', True),
        ('{"choices":[{"delta":{},"finish_reason":"stop"}]}', True),
        ('{"choices":[],"usage":{"prompt_tokens":1}}', True),
    ],
)
def test_output_is_told_from_what_comes_before_it(chunk: str, *, expected: bool) -> None:
    assert says_something(read_chunk(chunk.encode())) is expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ('{"prompt_tokens":5,"completion_tokens":2}', (5, 2, None)),
        ('{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":3}}', (5, 2, 3)),
        ('{"prompt_tokens":5,"completion_tokens":2,"prompt_cache_hit_tokens":4}', (5, 2, 4)),
        ('{"prompt_tokens":"5"}', None),
        ("null", None),
        ("[]", None),
    ],
)
def test_usage_is_read_as_the_providers_write_it(usage: str, expected: tuple[int, int, int | None] | None) -> None:
    found = usage_in(read_chunk(f'{{"usage":{usage}}}'.encode()).usage)
    counts = None if found is None else (found.input_tokens, found.output_tokens, found.cached_input_tokens)
    assert counts == expected


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: 1\n\n", b"1"),
        (b"data:1\r\n\r\n", b"1"),
        (b": c\n\n", b""),
        (b"event: x\ndata: 1\ndata: 2\n\n", b"1\n2"),
    ],
)
def test_the_data_of_an_event_is_what_its_lines_say(event: bytes, data: bytes) -> None:
    assert data_of(event) == data
