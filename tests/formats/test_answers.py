"""A whole answer and its events tell the same."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headworks.formats.answers import collect, merged, replay
from headworks.formats.neutral import (
    Answer,
    Aside,
    Block,
    Citation,
    Closed,
    Counted,
    Event,
    Grown,
    ImageBlock,
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

TEXT = st.text(max_size=12)
BLOCK = (
    st.builds(TextBlock, TEXT, citations=st.lists(st.builds(Citation, TEXT), max_size=2).map(tuple))
    | st.builds(ThinkingBlock, TEXT, TEXT | st.none(), TEXT | st.none(), summary=st.lists(TEXT, max_size=3).map(tuple))
    | st.builds(ToolCallBlock, TEXT, TEXT, TEXT.map(lambda text: text.encode("utf-8", "replace")), signature=TEXT)
    | st.builds(ImageBlock, st.builds(Source, data=TEXT))
)
COUNT = st.none() | st.integers(0, 99)
ANSWER = st.builds(
    Answer,
    st.builds(Started, TEXT, TEXT, COUNT),
    st.lists(BLOCK, max_size=5),
    st.builds(Stopped, st.sampled_from(["stop", "length", "error"]), TEXT),
    st.builds(Usage, COUNT, COUNT, COUNT),
)


@given(ANSWER)
def test_an_answer_that_is_told_and_collected_is_itself(answer: Answer) -> None:
    before = msgspec.json.encode(answer)
    assert collect(replay(answer)) == answer
    assert msgspec.json.encode(answer) == before


@given(ANSWER)
def test_collecting_changes_no_event(answer: Answer) -> None:
    events = list(replay(answer))
    before = msgspec.json.encode(events)
    collect(events)
    assert msgspec.json.encode(events) == before


def test_what_has_not_stopped_is_no_answer() -> None:
    assert collect([Started("x"), Opened(0, TextBlock("")), Grown(0, "a"), Closed(0)]) is None


def test_pieces_are_joined_in_their_blocks() -> None:
    events: list[Event] = [
        Opened(0, ThinkingBlock()),
        Grown(0, "one", 0),
        Grown(0, "two", 1),
        Grown(0, "!", 0),
        Grown(0, "deep"),
        Signed(0, "sig"),
        Opened(1, ToolCallBlock("c", "f", b"")),
        Grown(1, "{"),
        Aside("chat", "frame", msgspec.Raw(b"{}")),
        Grown(1, "}"),
        Stopped("stop"),
    ]
    found = collect(events)
    assert found is not None
    assert found.blocks == [ThinkingBlock("deep", "sig", summary=("one!", "two")), ToolCallBlock("c", "f", b"{}")]


def test_many_pieces_take_no_time() -> None:
    events: list[Event] = [Opened(0, TextBlock("")), *(Grown(0, "word ") for _ in range(200_000)), Stopped("stop")]
    found = collect(events)
    assert found is not None
    block: Block = found.blocks[0]
    assert isinstance(block, TextBlock)
    assert len(block.text) == 1_000_000


def test_a_later_count_replaces_what_it_knows() -> None:
    assert merged(Usage(1, 2, 3), Usage(output_tokens=5)) == Usage(1, 5, 3)
    answer = collect([Counted(Usage(1)), Counted(Usage(None, 4), {"x": msgspec.Raw(b"1")}), Stopped("stop")])
    assert answer is not None
    assert answer.usage == Usage(1, 4)
    assert set(answer.usage_ext) == {"x"}
