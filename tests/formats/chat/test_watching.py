"""A stream that goes by is seen for what it is, and not a byte of it is changed but what only we asked for."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from chat_samples import AZURE_FRAME, COUNT, DONE, FIRST, HEAD, STREAMS, USAGE, chunk, event
from hypothesis import given
from hypothesis import strategies as st

from headworks.formats.chat.format import CHAT
from headworks.formats.sse import Framer
from headworks.types.models import Usage

ERROR = event({"error": {"message": "m", "type": "server_error", "param": None, "code": None}})


def relay(text: bytes, cuts: list[int], *, strips: bool = False) -> tuple[Any, bytes]:
    """What the caller gets of a stream that comes in these pieces, and who watched it."""
    watch, framer = CHAT.watch(strips_usage=strips), Framer()
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    given_on = [watch.see(framer.whole(text[a:b])) for a, b in pairwise(places)]
    return watch, b"".join([*given_on, watch.see(framer.rest)])


@pytest.mark.parametrize("name", STREAMS)
@given(st.lists(st.integers(0, 3000), max_size=20))
def test_every_byte_goes_by_as_it_is(name: str, cuts: list[int]) -> None:
    text = b"".join(STREAMS[name])
    watch, given_on = relay(text, cuts)
    assert given_on == text
    assert (watch.has_begun, watch.is_finished, watch.has_failed) == (True, True, False)
    assert watch.is_terminal is (name != "no done")


ODD = [
    b': a comment\n\ndata:{"choices":[{"delta":{"content":"x"},"finish_reason":null}],"x":12345678901234567890}\n\n',
    b'event: message\r\nid: 7\r\ndata: {"choices" : [ {"delta":{"content":"\xc3\xbc\\u00fc"}} ], "new":[1.50]}\r\n\r\n',
    b'data: {"usage" : null , "choices":[{"delta":{"content":"\\"usage\\":null"},"finish_reason" : "stop"}]}\n\n',
    b"data: [DONE]\n\n",
]


@given(st.lists(st.integers(0, 600), max_size=20))
def test_odd_layouts_unknown_fields_and_long_numbers_go_by_as_they_are(cuts: list[int]) -> None:
    watch, given_on = relay(b"".join(ODD), cuts)
    assert given_on == b"".join(ODD)
    assert watch.is_finished
    assert watch.is_terminal


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (FIRST, False),
        (AZURE_FRAME, False),
        (b": comment\n\n", False),
        (chunk({"role": "assistant", "content": None, "tool_calls": []}), False),
        (event({"choices": None}), False),
        (event({"choices": []}), False),
        (DONE, False),
        (ERROR, False),
        (chunk({"content": "x"}), True),
        (chunk({"refusal": "x"}), True),
        (chunk({"reasoning_content": "x"}), True),
        (chunk({"anything_new": {"a": 1}}), True),
        (chunk({"tool_calls": [{"index": 0}]}), True),
        (chunk({}, "stop"), True),
        (COUNT, True),
        (event({"choices": 5}), True),
        (event({"choices": [{"index": 0, "text": "x", "finish_reason": None}]}), True),
        (event({"choices": [{"index": 0, "text": "", "finish_reason": None}]}), False),
    ],
)
def test_output_is_told_from_what_comes_before_it(events: bytes, *, expected: bool) -> None:
    watch = CHAT.watch()
    watch.see(events)
    assert watch.has_begun is expected


@pytest.mark.parametrize("events", [b"data: nonsense\n\n", b"data: <html>\n\n", b'data: {"choices":[\n\n'])
def test_what_is_no_json_at_the_start_is_no_stream(events: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        CHAT.watch().see(FIRST + events)
    begun = CHAT.watch()
    begun.see(chunk({"content": "x"}))
    assert begun.see(events) == events


def test_an_error_is_seen_before_and_after_output() -> None:
    early = CHAT.watch()
    assert early.see(FIRST + ERROR) == FIRST + ERROR
    assert (early.has_failed, early.has_begun) == (True, False)
    assert json.loads(early.error)["error"]["type"] == "server_error"
    late = CHAT.watch()
    late.see(chunk({"content": "x"}))
    late.see(ERROR)
    assert (late.has_failed, late.is_finished) == (True, False)
    fine = CHAT.watch()
    fine.see(chunk({"content": "x"}, error=None))
    assert not fine.has_failed


@given(st.text())
def test_what_a_text_says_is_never_taken_for_what_the_stream_says(text: str) -> None:
    for said in (
        text,
        '"finish_reason":"stop"',
        "data: [DONE]\n\ndata: [DONE]",
        ',"usage":null',
        ',"usage":{"prompt_tokens":5,"completion_tokens":5}',
        '{"error":{"message":"m"}}',
    ):
        watch = CHAT.watch(strips_usage=True)
        events = chunk({"content": said})
        assert watch.see(events) == events
        assert not any((watch.is_finished, watch.is_terminal, watch.has_failed, watch.usage))


def without_usage(name: str) -> bytes:
    """The stream as it would be had nobody asked for usage."""
    return b"".join(each for each in STREAMS[name] if each != COUNT).replace(b',"usage":null', b"")


@given(st.lists(st.integers(0, 3000), max_size=20))
def test_usage_that_only_we_asked_for_is_not_seen(cuts: list[int]) -> None:
    watch, given_on = relay(b"".join(STREAMS["openai"]), cuts, strips=True)
    assert given_on == without_usage("openai")
    assert watch.usage == Usage(9, 5, reasoning_tokens=2)


@pytest.mark.parametrize(
    ("given_in", "given_on"),
    [
        (
            b'data: {"choices":[{"delta":{"content":"x"}}] , "usage" : null}\n\n',
            b'data: {"choices":[{"delta":{"content":"x"}}] }\n\n',
        ),
        (
            b'data: {"usage":null,"choices":[{"delta":{"content":"x"}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n',
        ),
        (
            b'id: 7\r\ndata:{ "usage" : null , "choices":[{"delta":{"content":"x"}}]}\r\n\r\n',
            b'id: 7\r\ndata:{"choices":[{"delta":{"content":"x"}}]}\r\n\r\n',
        ),
        (b'data: {"choices":[{"usage":null}]}\n\n', None),
        (b'data: {"usage":null}\n\n', b"data: {}\n\n"),
        (event({"choices": [{"delta": {"content": "x"}}], "usage": USAGE}), None),
        (event({"choices": [], "usage": USAGE}), b""),
        (event({"choices": None, "usage": USAGE}), b""),
        (event({"choices": [], "usage": {"prompt_tokens": "many"}}), None),
    ],
)
def test_only_what_says_nothing_else_is_taken_out(given_in: bytes, given_on: bytes | None) -> None:
    watch = CHAT.watch(strips_usage=True)
    assert watch.see(given_in) == (given_in if given_on is None else given_on)


USAGES = st.sampled_from(
    [
        b"",
        b',"usage":null',
        b', "usage": null',
        b' , "usage" : null',
        b',"usage":{"prompt_tokens":5,"completion_tokens":5}',
        b', "usage" : {"prompt_tokens":7,"completion_tokens":1}',
        b',"usage":null,"other":{"usage":null}',
        b',"usage":"none"',
    ]
)
CHOICES = st.sampled_from(
    [
        b'"choices":[{"delta":{"content":"\\"usage\\": x"},"finish_reason":null}]',
        b'"choices": [{"delta": {"content": "\\"finish_reason\\":\\"stop\\""}, "finish_reason": null}]',
        b'"choices":[{"delta":{},"finish_reason" : "stop"}]',
        b'"choices":[{"delta":{},"finish_reason":null},{"delta":{},"finish_reason":"length"}]',
        b'"choices":[]',
    ]
)
TOGETHER = st.lists(
    st.tuples(CHOICES, USAGES).map(lambda parts: b"data: {%b%b}" % parts) | st.just(b": hi"), max_size=8
)


@given(TOGETHER, st.sampled_from([b"\n\n", b"\r\n\r\n"]), st.booleans())
def test_what_comes_together_is_seen_as_if_it_came_alone(
    events: list[bytes],
    boundary: bytes,
    strips: bool,  # noqa: FBT001 -- drawn
) -> None:
    together, alone = CHAT.watch(strips_usage=strips), CHAT.watch(strips_usage=strips)
    whole = together.see(b"".join(event + boundary for event in events))
    assert whole == b"".join(alone.see(event + boundary) for event in events)
    assert (together.usage, together.is_finished) == (alone.usage, alone.is_finished)


def test_usage_is_counted_wherever_it_stands() -> None:
    watch = CHAT.watch()
    watch.see(b"".join(STREAMS["vllm"]))
    assert watch.usage == Usage(9, 5, reasoning_tokens=2)
    watch = CHAT.watch()
    watch.see(event({**HEAD, "choices": [], "usage": USAGE, "service_tier": "flex"}))
    assert watch.usage == Usage(9, 5, reasoning_tokens=2, service_tier="flex")


def test_pieces_of_output_are_counted_from_the_first() -> None:
    watch = CHAT.watch()
    watch.see(FIRST)
    assert watch.heard == 0
    watch.see(chunk({"content": "a"}))
    watch.see(chunk({"content": "b"}) + chunk({"content": "c"}))
    assert watch.heard == 3


def test_a_stream_of_an_end_alone_is_empty() -> None:
    watch = CHAT.watch()
    watch.see(DONE)
    assert (watch.has_begun, watch.is_finished, watch.is_terminal) == (False, False, True)


def test_a_last_event_without_its_boundary_is_seen() -> None:
    watch = CHAT.watch(strips_usage=True)
    last = chunk({"content": "x"}, "stop", usage=USAGE).rstrip(b"\n")
    assert watch.see(last) == last
    assert watch.is_finished
    assert watch.usage is not None
