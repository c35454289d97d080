"""Neutral events as a caller's stream of Responses: OpenAI's own types take each event, and nothing is left open."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_samples import ANSWER, WHOLE, checked_events, checked_response, events_of, stream_of

from headworks.errors import Unmapped, UpstreamTruncated
from headworks.formats.answers import collect, replay
from headworks.formats.neutral import (
    Answer,
    Aside,
    Block,
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
from headworks.formats.responses.format import RESPONSES
from headworks.types.models import Usage


def written(events: Iterable[Event], **options: Any) -> list[dict[str, Any]]:
    writer = RESPONSES.writer(**options)
    stream = b"".join(writer.write(event) for event in events) + writer.end()
    told = checked_events(stream)
    assert writer.final is not None
    assert told[-1]["response"] == json.loads(writer.final)
    assert told[-1]["response"]["id"] == writer.response_id
    checked_response(writer.final)
    return told


def an_answer(*blocks: Block, reason: Any = "stop") -> Answer:
    return Answer(Started("msg_1", "claude", 7), list(blocks), Stopped(reason), Usage(3, 4))


def kinds(told: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in told]


def test_a_text_has_its_whole_life_cycle() -> None:
    told = written(replay(an_answer(TextBlock("Cats purr."))))
    assert kinds(told) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = told[-1]["response"]
    assert response["output"][0]["content"][0]["text"] == told[5]["text"] == "Cats purr."
    assert told[2]["item"]["id"] == told[4]["item_id"] == response["output"][0]["id"]
    assert (told[0]["response"]["status"], told[0]["response"]["output"]) == ("in_progress", [])
    assert (response["model"], response["created_at"], response["usage"]["total_tokens"]) == ("claude", 7, 7)


def test_calls_thoughts_and_summaries_have_theirs() -> None:
    blocks = [
        ThinkingBlock("Hm.", "sig", summary=("First.", "Second."), origin="messages"),
        ToolCallBlock("c1", "weather", b'{"a":1}'),
        ToolCallBlock("c2", "shell", b"ls", is_custom=True),
        ImageBlock(Source(media_type="image/png", data="aGk=")),
    ]
    told = written(replay(an_answer(*blocks, reason="tool_calls")))
    assert kinds(told)[2:-1] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "output_item.added",
        "output_item.done",
    ]
    output = told[-1]["response"]["output"]
    assert [event["item"]["id"] for event in told if event["type"].endswith("item.added")] == [
        item["id"] for item in output
    ]
    assert output[1]["arguments"] == '{"a":1}'


texts = st.text(min_size=1, max_size=6)
citations = st.builds(
    Citation,
    title=texts,
    url=texts,
    start=st.integers(0, 9),
    end=st.integers(0, 9),
    kind=st.just(""),
)
blocks = st.one_of(
    st.builds(TextBlock, texts, st.booleans()),
    st.builds(TextBlock, texts, citations=st.lists(citations, max_size=2).map(tuple)),
    st.builds(ThinkingBlock, texts, texts, summary=st.lists(texts, max_size=2).map(tuple), origin=st.just("responses")),
    st.builds(ToolCallBlock, texts, texts, texts.map(str.encode), st.booleans()),
)


@given(st.lists(blocks, max_size=5), st.sampled_from(["stop", "length", "content_filter"]))
def test_what_is_written_reads_the_same(made: list[Block], reason: Any) -> None:
    has_call = any(isinstance(block, ToolCallBlock) for block in made)
    answer = an_answer(*made, reason="tool_calls" if has_call and reason == "stop" else reason)
    told = written(replay(answer))
    reader = RESPONSES.reader()
    again = collect([*reader.feed(stream_of(told)), *reader.end()])
    assert again is not None
    assert [bare(block) for block in again.blocks] == [bare(block) for block in made]
    assert (again.stopped.reason, again.usage.input_tokens) == (answer.stopped.reason, 3)
    whole = RESPONSES.read_answer(json.dumps(told[-1]["response"]).encode())
    assert [bare(block) for block in whole.blocks] == [bare(block) for block in made]


def bare(block: Any) -> Any:
    block = msgspec.structs.replace(block, ext={})
    if isinstance(block, ThinkingBlock):
        block.id = None
    if isinstance(block, TextBlock):
        block.citations = tuple(msgspec.structs.replace(each, kind="", ext={}) for each in block.citations)
    return block


def test_a_stream_of_the_same_format_is_told_again() -> None:
    reader = RESPONSES.reader()
    told = written([*reader.feed(stream_of(events_of(ANSWER))), *reader.end()])
    output = told[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "web_search_call", "message", "function_call"]
    assert output[0]["encrypted_content"] == "gAAAAABo"
    assert output[1] == ANSWER["output"][1]
    assert told[-1]["response"]["usage"] == ANSWER["usage"]
    assert told[-1]["response"]["id"] == ANSWER["id"]


def test_blocks_that_are_open_side_by_side_are_kept_apart() -> None:
    events: list[Event] = [
        Opened(0, TextBlock("")),
        Opened(1, ToolCallBlock("c1", "f", b"")),
        Opened(2, ToolCallBlock("c2", "f", b"")),
        Grown(2, "2"),
        Grown(0, "a"),
        Grown(1, "1"),
        Grown(0, "b"),
        Closed(0),
        Closed(1),
        Closed(2),
        Stopped("tool_calls"),
    ]
    output = written(events)[-1]["response"]["output"]
    assert output[0]["content"][0]["text"] == "ab"
    assert [item["arguments"] for item in output[1:]] == ["1", "2"]


def test_a_block_that_opens_with_content_loses_none() -> None:
    cited = TextBlock("ab", citations=(Citation(url="u", title="t"),))
    events: list[Event] = [
        Opened(0, cited),
        Opened(1, ThinkingBlock("Hm", summary=("s",))),
        Opened(2, ToolCallBlock("c", "f", b"{")),
        Grown(2, "}"),
        Stopped("stop"),
    ]
    output = written(events)[-1]["response"]["output"]
    assert output[0]["content"][0]["text"] == "ab"
    assert output[0]["content"][0]["annotations"][0]["end_index"] == 2
    assert (output[1]["summary"][0]["text"], output[1]["content"][0]["text"]) == ("s", "Hm")
    assert output[2]["arguments"] == "{}"


def test_a_citation_is_told_at_once_and_stays_with_its_text() -> None:
    events: list[Event] = [
        Opened(0, TextBlock("")),
        Grown(0, "Cats."),
        Cited(0, Citation(title="T", url="u", quote="q", ext={"headworks": msgspec.Raw(b'{"quote":"q"}')})),
        Closed(0),
        Stopped("stop"),
    ]
    told = written(events)
    annotation = told[5]["annotation"]
    assert told[5]["type"] == "response.output_text.annotation.added"
    assert (annotation["start_index"], annotation["end_index"], annotation["headworks"]) == (0, 5, {"quote": "q"})
    assert told[-1]["response"]["output"][0]["content"][0]["annotations"] == [annotation]


def test_a_signature_that_comes_after_the_call_began_is_in_its_id() -> None:
    events: list[Event] = [
        Opened(0, ToolCallBlock("c", "f", b"")),
        Signed(0, "gemini's"),
        Grown(0, "{}"),
        Closed(0),
        Stopped("tool_calls"),
    ]
    told = written(events)
    added = next(event for event in told if event["type"] == "response.output_item.added")
    final = told[-1]["response"]["output"][0]
    assert added["item"]["call_id"] == final["call_id"] != "c"


def test_a_count_after_the_end_counts() -> None:
    events: list[Event] = [Opened(0, TextBlock("x")), Stopped("stop"), Counted(Usage(5, 6)), Counted(Usage(None, 7))]
    usage = written(events)[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (5, 7)


def test_only_what_was_cut_off_is_incomplete() -> None:
    answer = an_answer(
        TextBlock("a"), ToolCallBlock("c1", "f", b"{}"), ToolCallBlock("c2", "f", b'{"a'), reason="length"
    )
    told = written(replay(answer))
    assert told[-1]["type"] == "response.incomplete"
    assert told[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in told[-1]["response"]["output"]] == ["completed", "completed", "incomplete"]
    done = [event["item"]["status"] for event in told if event["type"] == "response.output_item.done"]
    assert done == ["completed", "completed", "incomplete"]


def test_an_end_that_is_none_fails_the_response() -> None:
    told = written(replay(an_answer(TextBlock("a"), reason="malformed_tool_call")))
    assert told[-1]["type"] == "response.failed"
    assert told[-1]["response"]["error"]["code"] == "server_error"


def test_a_response_that_says_nothing_is_one() -> None:
    assert kinds(written([Stopped("stop")])) == ["created", "in_progress", "completed"]


def test_the_response_echoes_its_request_and_has_the_id_that_it_is_given() -> None:
    request = RESPONSES.read_request(json.dumps(WHOLE).encode())
    told = written(replay(an_answer(TextBlock("a"))), request=request, response_id="resp_ours")
    for event in (told[0], told[-1]):
        assert event["response"]["id"] == "resp_ours"
        assert event["response"]["instructions"] == "Be brief."
        assert event["response"]["metadata"] == {"run": "7"}


# What is no end.


def test_an_error_of_ours_ends_the_stream_and_says_its_code() -> None:
    writer = RESPONSES.writer()
    stream = writer.write(Opened(0, TextBlock(""))) + writer.write(Grown(0, "a"))
    told = checked_events(stream + writer.fail(UpstreamTruncated("The answer ended before its end.")))
    last = told[-1]
    assert (last["type"], last["code"], last["message"]) == (
        "error",
        "stream_truncated",
        "The answer ended before its end.",
    )
    assert last["error"]["type"] == "api_error"
    assert writer.final is None


def test_an_error_of_the_provider_is_told_in_its_words() -> None:
    writer = RESPONSES.writer()
    stream = writer.write(Started()) + writer.write(Failed("overloaded_error", "Busy."))
    last = checked_events(stream)[-1]
    assert (last["type"], last["code"], last["error"]["message"]) == ("error", "overloaded_error", "Busy.")


def test_without_a_stop_there_is_no_end() -> None:
    writer = RESPONSES.writer()
    writer.write(Opened(0, TextBlock("a")))
    with pytest.raises(RuntimeError):
        writer.end()


def test_what_only_another_format_knows_is_refused() -> None:
    writer = RESPONSES.writer()
    with pytest.raises(Unmapped):
        writer.write(Opened(0, OpaqueBlock("messages", "server_tool_use", msgspec.Raw(b"{}"))))


def test_an_aside_says_nothing() -> None:
    assert RESPONSES.writer().write(Aside("messages", "ping", msgspec.Raw(b"{}"))) == b""
