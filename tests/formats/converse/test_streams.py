"""Streams of Converse in neutral words, however their bytes are cut."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import msgspec
import pytest
from bedrock_events import BEGIN, RECORDED, USAGE, delta, ended, exception, frame, start, stop, stream
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import UpstreamError, UpstreamTruncated
from headworks.formats import answers
from headworks.formats.converse.format import CONVERSE
from headworks.formats.event_stream import encode
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
    Signed,
    Source,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

MIXED = stream(
    BEGIN,
    delta(0, reasoningContent={"text": "Let me "}),
    delta(0, reasoningContent={"text": "think."}),
    delta(0, reasoningContent={"signature": "sig"}),
    stop(0),
    delta(1, text="Häll"),
    delta(1, text="o."),
    stop(1),
    start(2, toolUse={"toolUseId": "a", "name": "f"}),
    delta(2, toolUse={"input": '{"n": 1234567890'}),
    delta(2, toolUse={"input": "1234567890}"}),
    stop(2),
    start(3, toolUse={"toolUseId": "b", "name": "g", "type": "tool_use"}),
    delta(3, toolUse={"input": ""}),
    stop(3),
    ended("tool_use"),
    USAGE,
)


def read(data: bytes) -> list[Event]:
    reader = CONVERSE.reader()
    return [*reader.feed(data), *reader.end()]


def whole(data: bytes) -> Answer:
    collected = answers.collect(read(data))
    assert collected is not None
    return collected


def test_an_answer_comes_event_by_event() -> None:
    assert read(MIXED) == [
        Started(origin="converse"),
        Opened(0, ThinkingBlock(origin="converse")),
        Grown(0, "Let me "),
        Grown(0, "think."),
        Signed(0, "sig"),
        Closed(0),
        Opened(1, TextBlock("")),
        Grown(1, "Häll"),
        Grown(1, "o."),
        Closed(1),
        Opened(2, ToolCallBlock("a", "f", b"")),
        Grown(2, '{"n": 1234567890'),
        Grown(2, "1234567890}"),
        Closed(2),
        Opened(3, ToolCallBlock("b", "g", b"")),
        Grown(3, "{}"),
        Closed(3),
        Counted(Usage(10, 5), {"metrics": msgspec.Raw(b'{"latencyMs": 20}')}),
        Stopped("tool_calls", "tool_use"),
    ]


def test_recorded_bytes_are_read() -> None:
    collected = whole(RECORDED)
    assert collected.blocks == [
        ToolCallBlock("tooluse_7hzWoeZES8ykBy2ZYAyUeA", "final_result", b'{"result":7006652.0}')
    ]
    assert collected.stopped == Stopped("tool_calls", "tool_use")
    assert collected.usage == Usage(1002, 59)


@given(st.lists(st.integers(0, len(MIXED)), max_size=20))
def test_any_cutting_gives_the_same_events(at: list[int]) -> None:
    reader = CONVERSE.reader()
    marks = [0, *sorted(at), len(MIXED)]
    events = [event for begin, end in itertools.pairwise(marks) for event in reader.feed(MIXED[begin:end])]
    assert [*events, *reader.end()] == read(MIXED)


def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    message = [
        {"reasoningContent": {"reasoningText": {"text": "Let me think.", "signature": "sig"}}},
        {"text": "Hällo."},
        {"toolUse": {"toolUseId": "a", "name": "f", "input": {}}},
        {"toolUse": {"toolUseId": "b", "name": "g", "input": {}}},
    ]
    said = {"output": {"message": {"content": message}}, "stopReason": "tool_use", **USAGE[1]}
    at_once, streamed = CONVERSE.read_answer(json.dumps(said).encode()), whole(MIXED)
    assert streamed.blocks[:2] == at_once.blocks[:2]
    assert (streamed.started, streamed.stopped, streamed.usage) == (at_once.started, at_once.stopped, at_once.usage)


@given(st.integers(0, len(MIXED) - 1))
def test_a_stream_that_is_cut_is_never_taken_for_a_whole_one(at: int) -> None:
    reader = CONVERSE.reader()
    events = reader.feed(MIXED[:at])
    has_stop = MIXED[:at].find(b"messageStop") >= 0 and at == len(MIXED) - len(frame(*USAGE))
    if has_stop:
        assert reader.lacks_only_its_count
        assert reader.end() == [Stopped("tool_calls", "tool_use")]  # whole, but for its usage
    else:
        assert not any(isinstance(event, Stopped) for event in events)
        with pytest.raises(UpstreamTruncated, match="not whole"):
            reader.end()


def test_encrypted_thoughts_come_in_one_piece() -> None:
    pieces = [base64.b64encode(each).decode() for each in (b"one", b"two!")]
    begin = stream(BEGIN, delta(0, reasoningContent={"redactedContent": pieces[0]}))
    alone = begin + stream(stop(0), ended(), USAGE)
    both = begin + stream(delta(0, reasoningContent={"redactedContent": pieces[1]}), stop(0), ended(), USAGE)
    assert whole(alone).blocks == [ThinkingBlock(redacted=pieces[0], origin="converse")]
    assert whole(both).blocks == [ThinkingBlock(redacted=base64.b64encode(b"onetwo!").decode(), origin="converse")]


def test_what_bedrock_runs_itself_is_told_when_it_is_whole() -> None:
    data = stream(
        BEGIN,
        start(0, toolUse={"toolUseId": "s", "name": "nova_code_interpreter", "type": "server_tool_use"}),
        delta(0, toolUse={"input": '{"snippet":'}),
        delta(0, toolUse={"input": '"1+1"}'}),
        stop(0),
        start(1, toolResult={"toolUseId": "s", "type": "x_result", "status": "success"}),
        delta(1, toolResult=[{"json": {"stdOut": "2"}}]),
        delta(1, toolResult=[{"text": "ok"}]),
        stop(1),
        start(2, novelty={"a": 1}),
        delta(2, novelty={"b": 2}),
        stop(2),
        delta(3, surprise=[3]),
        stop(3),
        ended(),
        USAGE,
    )
    blocks = whole(data).blocks
    assert all(isinstance(block, OpaqueBlock) for block in blocks)
    assert [msgspec.json.decode(block.raw) for block in blocks if isinstance(block, OpaqueBlock)] == [
        {
            "toolUse": {
                "toolUseId": "s",
                "name": "nova_code_interpreter",
                "type": "server_tool_use",
                "input": {"snippet": "1+1"},
            }
        },
        {
            "toolResult": {
                "toolUseId": "s",
                "type": "x_result",
                "status": "success",
                "content": [{"json": {"stdOut": "2"}}, {"text": "ok"}],
            }
        },
        {"novelty": {"start": {"a": 1}, "deltas": [{"b": 2}]}},
        {"surprise": {"start": None, "deltas": [[3]]}},
    ]


def test_pictures_come_in_pieces() -> None:
    pieces = [base64.b64encode(each).decode() for each in (b"\x89PN", b"G")]
    begin = [BEGIN, start(0, image={"format": "png"})]
    good = stream(*begin, *(delta(0, image={"source": {"bytes": each}}) for each in pieces), stop(0), ended(), USAGE)
    assert whole(good).blocks == [ImageBlock(Source("image/png", base64.b64encode(b"\x89PNG").decode()))]
    bad = stream(*begin, delta(0, image={"error": {"message": "blocked"}}), stop(0), ended("content_filtered"), USAGE)
    (block,) = whole(bad).blocks
    assert isinstance(block, OpaqueBlock)
    assert msgspec.json.decode(block.raw)["image"]["error"] == {"message": "blocked"}


def test_citations_belong_to_their_text() -> None:
    data = stream(BEGIN, delta(0, text="A."), delta(0, citation={"title": "T"}), stop(0), ended(), USAGE)
    cited = [event for event in read(data) if isinstance(event, Cited)]
    assert cited == [Cited(0, Citation(title="T", ext={"~citation": msgspec.Raw(b'{"title": "T"}')}))]


def test_blocks_that_say_nothing_are_not_made_up() -> None:
    assert whole(stream(BEGIN, stop(0), ended(), USAGE)).blocks == []
    assert whole(stream(BEGIN, delta(0, text=""), stop(0), ended(), USAGE)).blocks == [TextBlock("")]


def test_blocks_that_are_not_closed_are_closed_by_the_end() -> None:
    data = stream(BEGIN, delta(0, text="x"), delta(1, reasoningContent={"redactedContent": "AA=="}), ended(), USAGE)
    events = read(data)
    assert [event for event in events if isinstance(event, Closed)] == [Closed(0), Closed(1)]
    assert isinstance(events[-1], Stopped)


def test_the_stop_sequence_is_told() -> None:
    data = stream(BEGIN, ended("stop_sequence", additionalModelResponseFields={"stop_sequence": "END"}), USAGE)
    assert whole(data).stopped.sequence == "END"


def test_other_events_are_asides() -> None:
    event = frame("heartbeat", b'{"n": 12345678901234567890}')
    assert read(event + MIXED)[0] == Aside("converse", "heartbeat", msgspec.Raw(b'{"n": 12345678901234567890}'))


@pytest.mark.parametrize(
    ("kind", "payload", "status"),
    [
        ("throttlingException", {"message": "Slow down."}, 429),
        ("validationException", {"message": "Slow down."}, 400),
        ("internalServerException", {"message": "Slow down."}, 500),
        ("serviceUnavailableException", {"message": "Slow down."}, 503),
        ("modelStreamErrorException", {"message": "Slow down."}, 424),
        ("modelStreamErrorException", {"message": "Slow down.", "originalStatusCode": 529}, 529),
        ("novelException", {"Message": "Slow down."}, 500),
    ],
)
def test_an_exception_in_the_stream_is_a_failure(kind: str, payload: dict[str, Any], status: int) -> None:
    reader = CONVERSE.reader()
    events = reader.feed(stream(BEGIN, delta(0, text="Hi")) + exception(kind, payload))
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.message, failed.status, failed.origin) == (kind, "Slow down.", status, "converse")
    assert failed.raw is not None
    assert msgspec.json.decode(failed.raw) == payload
    assert reader.end() == []


def test_an_error_without_a_shape_is_a_failure() -> None:
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "Broken."}
    reader = CONVERSE.reader()
    (failed,) = reader.feed(encode(headers, b""))
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.message, failed.status, failed.raw) == ("InternalFailure", "Broken.", 500, None)
    (odd,) = reader.feed(encode({":message-type": "exception", ":exception-type": "x"}, b"<html>"))
    assert isinstance(odd, Failed)
    assert reader.end() == []


def test_usage_that_comes_again_does_not_end_twice() -> None:
    events = read(MIXED + stream(USAGE))
    assert sum(isinstance(event, Stopped) for event in events) == 1
    assert sum(isinstance(event, Counted) for event in events) == 2


@pytest.mark.parametrize(
    "said",
    [
        [("contentBlockDelta", {})],
        [delta(-1, text=1)],
        [delta(0, text="x"), delta(0, reasoningContent={"text": "y"})],
        [delta(0, text="x"), delta(0, toolUse={"input": "y"})],
        [delta(0, text="x"), start(0, toolUse={"toolUseId": "a", "name": "f"})],
        [delta(0, reasoningContent={"redactedContent": "AA=="}), delta(0, text="x")],
        [
            delta(0, reasoningContent={"redactedContent": "A"}),
            delta(0, reasoningContent={"redactedContent": "B"}),
            stop(0),
        ],
        [start(0, image={"format": "png"}), delta(0, text="x")],
        [start(0, toolUse={"name": "f"})],
        [
            start(0, toolUse={"toolUseId": "s", "name": "f", "type": "server_tool_use"}),
            delta(0, toolUse={"input": "{"}),
            stop(0),
        ],
        [("messageStop", {})],
    ],
)
def test_what_does_not_belong_together_is_refused(said: list[Any]) -> None:
    with pytest.raises(UpstreamError, match="can't be read as Bedrock's Converse"):
        list(CONVERSE.reader().feed(stream(*said)))


def test_what_comes_before_bytes_that_can_t_be_read_is_not_lost_with_them() -> None:
    good = stream(BEGIN, delta(0, text="Hällo"), delta(0, text="!"))
    reader = CONVERSE.reader()
    heard = iter(reader.feed(good + frame(*USAGE)[:-4] + bytes(4)))
    said = "".join(event.text for event in itertools.islice(heard, 4) if isinstance(event, Grown))
    assert said == "Hällo!"
    with pytest.raises(UpstreamError, match="checksum"):
        next(heard)
    for ask in (lambda: reader.feed(b""), reader.end):
        with pytest.raises(UpstreamError, match="checksum"):
            ask()


def test_an_answer_that_nobody_has_counted_is_one_all_the_same() -> None:
    uncounted = {"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": "end_turn"}
    assert CONVERSE.read_answer(json.dumps(uncounted).encode()).usage == Usage()
    assert whole(stream(BEGIN, delta(0, text="x"), stop(0), ended(), ("metadata", {}))).usage == Usage()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "text",
                    "toolUse",
                    "reasoningContent",
                    "redactedContent",
                    "input",
                    "image",
                    "format",
                    "toolUseId",
                    "name",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
kinds = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "x"]
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "contentBlockIndex": st.integers(0, 2),
        "delta": json_values,
        "start": json_values,
        "stopReason": st.just("end_turn"),
        "usage": st.just({}),
    },
)


@given(st.lists(st.tuples(kinds, payloads), max_size=6))
def test_any_events_are_an_answer_or_refused(said: list[Any]) -> None:
    try:
        events = read(stream(*said))
    except UpstreamError:
        return
    assert answers.collect(events) is not None


@given(st.binary(max_size=60))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    for kind in ("contentBlockDelta", "contentBlockStart", "messageStop", "metadata", "contentBlockStop"):
        try:
            CONVERSE.reader().feed(frame(kind, payload))
        except UpstreamError:
            continue
        assert kind == "metadata"  # which may say nothing
        assert isinstance(json.loads(payload), dict)
