"""Events are cut out of a stream of bytes, however it comes."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.formats.sse import Framer, around, data_of, name_of, payloads, split

EVENTS = st.lists(
    st.one_of(
        st.text(max_size=20).map(lambda text: b"data: " + json.dumps(text).encode()),
        st.text(max_size=20).map(
            lambda text: b"data:" + json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
        ),
        st.just(b": comment"),
        st.just(b"event: message\ndata: 1"),
        st.lists(
            st.sampled_from((b"event: a", b"data: 1", b"data:2", b"data", b"event", b": ", b"data: ")),
            min_size=1,
            max_size=3,
        ).map(b"\n".join),
        st.just(b"data: [DONE]"),
    ),
    max_size=6,
)
BOUNDARIES = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"])


@given(EVENTS, BOUNDARIES, st.lists(st.integers(0, 200), max_size=10), st.booleans())
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


@given(EVENTS, BOUNDARIES)
def test_byte_by_byte_the_same_events_come_out(events: list[bytes], boundary: bytes) -> None:
    framer = Framer()
    text = b"".join(event + boundary for event in events)
    whole = b"".join(framer.whole(bytes([each])) for each in text)
    assert (whole, framer.rest) == (text, b"")


@given(EVENTS, BOUNDARIES)
def test_the_payloads_are_the_data_of_the_events(events: list[bytes], boundary: bytes) -> None:
    text = b"".join(event + boundary for event in events)
    assert payloads(text) == [data for event in split(text) if (data := data_of(event))]


@given(EVENTS, BOUNDARIES, st.sampled_from((b"1", b"data", b"a", b'"')), st.booleans())
def test_events_are_found_by_what_is_in_them(
    events: list[bytes],
    boundary: bytes,
    word: bytes,
    is_open: bool,  # noqa: FBT001 -- drawn
) -> None:
    text = boundary.join([*events, b"data: 1" if is_open else b""])
    found = [text[start:end] for start, end in around(re.compile(word), text)]
    assert found == [event for event in split(text) if word in event]


def test_events_are_given_as_soon_as_they_are_whole() -> None:
    framer = Framer()
    assert framer.whole(b"data: 1\n") == b""
    assert framer.whole(b"\ndata: 2\n\ndata") == b"data: 1\n\ndata: 2\n\n"
    assert framer.rest == b"data"


def test_a_last_event_without_a_boundary_is_given_too() -> None:
    assert list(split(b"data: 1\n\ndata: 2")) == [b"data: 1\n\n", b"data: 2"]


@pytest.mark.parametrize(
    ("event", "data", "name"),
    [
        (b"data: 1\n\n", b"1", b""),
        (b"data:1\r\n\r\n", b"1", b""),
        (b": c\n\n", b"", b""),
        (b"event: x\ndata: 1\ndata: 2\n\n", b"1\n2", b"x"),
        (b"data:  two\n\n", b" two", b""),
        (b"event: a\nevent: b\ndata: 1\n\n", b"1", b"b"),
    ],
)
def test_the_data_and_the_name_of_an_event_are_what_its_lines_say(event: bytes, data: bytes, name: bytes) -> None:
    assert data_of(event) == data
    assert name_of(event) == name
