"""What is read and written at once is what the long way makes of it; and what is usual does take the short one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headworks.errors import HeadworksError
from headworks.formats.messages import answers, blocks, bodies, plain, requests
from headworks.formats.neutral import (
    Answer,
    Block,
    Cache,
    Citation,
    Ext,
    OutputFormat,
    Reasoning,
    Request,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    Tool,
    ToolCallBlock,
    ToolChoice,
    Turn,
)
from headworks.types.models import Usage

TEXTS = st.sampled_from(("", "a", "ä null", '"\\', "\u2028\x00"))
ODD: st.SearchStrategy[Any] = st.sampled_from((None, [], {}, "x", 7, True))
COUNTS = st.integers(-1, 40)
RAW = msgspec.Raw(b"1")
EXTS: st.SearchStrategy[Ext] = st.sampled_from(({}, {"~list": RAW}, {"~content": RAW}, {"~inline": RAW}))

ASKED = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello?"}]}
USUAL_REQUESTS: list[dict[str, Any]] = [
    ASKED,
    ASKED | {"temperature": 0, "top_p": 0.5, "top_k": 3, "stream": True, "system": "Be brief."},
    ASKED | {"stop_sequences": ["a"], "metadata": {"user_id": "u"}, "stream": False},
]
USAGE = {"input_tokens": 2, "output_tokens": 3, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 5}
ANSWERED = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 1.50}}
LIFETIMES = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0}
USUAL_ANSWERS: list[dict[str, Any]] = [
    ANSWERED,
    ANSWERED | {"content": [CALL, CALL | {"caller": {"type": "direct"}}], "stop_reason": "tool_use"},
    ANSWERED | {"usage": USAGE | {"cache_creation": LIFETIMES, "service_tier": "standard", "inference_geo": "eu"}},
    ANSWERED | {"stop_details": None, "container": None, "stop_sequence": "END", "stop_reason": "stop_sequence"},
]


def outcome(make: Any, *given: Any, **more: Any) -> Any:
    """What comes of it; of an error what it says."""
    try:
        return make(*given, **more)
    except HeadworksError as error:
        return (type(error), error.param, str(error))


@pytest.mark.parametrize("value", USUAL_REQUESTS)
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_a_usual_request_is_read_at_once(value: Any, separators: tuple[str, str]) -> None:
    body = json.dumps(value, separators=separators).encode()
    assert plain.read_request(body) == requests.read_carefully(body)


@given(
    st.fixed_dictionaries(
        {
            "model": TEXTS | ODD,
            "max_tokens": COUNTS | ODD,
            "messages": st.lists(
                st.fixed_dictionaries(
                    {"role": st.sampled_from(("user", "assistant", "system", "x")), "content": TEXTS | ODD},
                    optional={"name": TEXTS},
                ),
                max_size=3,
            ),
        },
        optional={
            "system": TEXTS | ODD,
            "temperature": st.floats(0, 2) | ODD,
            "top_p": st.floats(0, 1) | ODD,
            "top_k": COUNTS | ODD,
            "stream": st.booleans() | ODD,
            "stop_sequences": st.lists(TEXTS, max_size=2) | ODD,
            "metadata": st.fixed_dictionaries({"user_id": TEXTS | ODD}, optional={"more": ODD}) | ODD,
            "new": ODD,
        },
    )
)
def test_a_request_read_at_once_is_the_one_read_carefully(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    found = plain.read_request(body)
    assert found is None or found == requests.read_carefully(body)
    assert outcome(requests.read_request, body) == outcome(requests.read_carefully, body)


MARKERS = st.sampled_from(
    ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral", "ttl": "9h"})
)


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(("text", "tool_use", "tool_result", "thinking", "new"))},
        optional={
            "text": TEXTS | ODD,
            "citations": ODD,
            "id": TEXTS,
            "name": TEXTS,
            "input": ODD,
            "tool_use_id": TEXTS,
            "content": TEXTS | ODD,
            "is_error": st.booleans() | ODD,
            "cache_control": MARKERS | ODD,
            "new": ODD,
        },
    )
    | st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}, optional={"cache_control": MARKERS})
    | st.fixed_dictionaries(
        {"type": st.just("tool_use"), "id": TEXTS, "name": TEXTS, "input": ODD}, optional={"cache_control": MARKERS}
    )
    | st.fixed_dictionaries(
        {"type": st.just("tool_result"), "tool_use_id": TEXTS, "content": TEXTS},
        optional={"cache_control": MARKERS, "is_error": st.booleans()},
    )
)
def test_a_block_read_at_once_is_the_one_read_carefully(value: dict[str, Any]) -> None:
    raw = msgspec.Raw(json.dumps(value).encode())
    assert outcome(blocks.read_block, raw, "at") == outcome(blocks.read_block_carefully, raw, "at")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": TEXTS | ODD,
            "input_schema": ODD,
            "description": TEXTS | ODD,
            "type": st.sampled_from(("custom", "new", None)),
            "strict": ODD,
            "cache_control": MARKERS | ODD,
            "new": ODD,
        },
    )
    | st.fixed_dictionaries({"name": TEXTS, "input_schema": st.just({})}, optional={"description": TEXTS})
)
def test_a_tool_read_at_once_is_the_one_read_carefully(value: dict[str, Any]) -> None:
    raw = msgspec.Raw(json.dumps(value).encode())
    body = msgspec.json.encode(ASKED | {"tools": [raw]})
    read, carefully = outcome(requests.read_request, body), outcome(requests.read_tool_carefully, raw, "tools[0]")
    assert (read.tools if isinstance(read, Request) else [read]) == [carefully]


def turns_of(texts: st.SearchStrategy[TextBlock]) -> st.SearchStrategy[list[Turn]]:
    roles = st.sampled_from(("user", "assistant", "system", "developer"))
    return st.lists(
        st.builds(Turn, roles, st.lists(texts, min_size=1, max_size=2), st.none() | TEXTS, EXTS), max_size=4
    )


BLOCKS = st.builds(TextBlock, TEXTS) | st.builds(
    TextBlock,
    TEXTS,
    st.booleans(),
    st.sampled_from(((), (Citation("q"),))),
    st.sampled_from((None, Cache("1h"))),
    EXTS,
)
REQUESTS = st.builds(
    Request,
    st.sampled_from(("chat", "responses", "completions", "messages")),
    TEXTS,
    turns_of(BLOCKS) | turns_of(st.builds(TextBlock, st.just("x"))),
    tools=st.sampled_from(([], [], [Tool("f")])),
    tool_choice=st.sampled_from((None, None, ToolChoice("auto"))),
    parallel_tool_calls=st.sampled_from((None, False)),
    max_output=st.none() | COUNTS,
    temperature=st.sampled_from((None, 0, 0.5, 1.5)),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | COUNTS,
    stop=st.sampled_from(((), ("a", "b"))),
    end_user=st.none() | TEXTS,
    stream=st.booleans(),
    service_tier=st.sampled_from((None, None, "default")),
    verbosity=st.sampled_from((None, None, "low")),
    reasoning=st.sampled_from((None, None, Reasoning("low"))),
    output_format=st.sampled_from((None, None, OutputFormat("json"))),
    ext=st.sampled_from(({}, {"~max_output": RAW}, {"metadata": RAW}, {"new": RAW})),
)


@given(REQUESTS)
@example(Request("chat", "m", [Turn("system", [TextBlock("s")])]))
@example(Request("chat", "m", [Turn("system", [TextBlock("s")]), Turn("developer", [TextBlock("s")])]))
def test_a_request_written_at_once_is_the_one_written_carefully(request: Request) -> None:
    said = plain.write_request(request, 77)
    if said is not None:
        written = bodies.write_carefully(request, default_max_output=77)
        assert (json.loads(written.body), written.left_out) == (json.loads(said), ())


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_usual_request_is_written_at_once(role: Any) -> None:
    turns = [Turn(role, [TextBlock("s")]), Turn("user", [TextBlock("x")], ext={"~content": RAW})]
    request = Request("chat", "m", turns, temperature=0, top_p=0.5, stop=("a",), end_user="u", stream=True)
    said = plain.write_request(request, 77)
    assert said is not None
    assert json.loads(said) == json.loads(bodies.write_carefully(request, default_max_output=77).body)


@pytest.mark.parametrize("value", USUAL_ANSWERS)
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_a_usual_answer_is_read_at_once(value: Any, separators: tuple[str, str]) -> None:
    body = json.dumps(value, separators=separators).encode()
    assert plain.read_answer(body) == answers.read_carefully(body)


@given(
    st.fixed_dictionaries(
        {
            "id": TEXTS | ODD,
            "type": st.sampled_from(("message", "error")),
            "role": st.sampled_from(("assistant", "user")),
            "model": TEXTS | ODD,
            "content": st.lists(
                st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS | ODD}, optional={"citations": ODD})
                | st.fixed_dictionaries(
                    {"type": st.just("tool_use"), "id": TEXTS, "name": TEXTS, "input": ODD},
                    optional={"caller": st.just({"type": "direct"}) | ODD},
                )
                | st.just({"type": "thinking", "thinking": "t", "signature": "s"}),
                max_size=3,
            ),
            "stop_reason": st.sampled_from(("end_turn", "tool_use", "new", None)),
            "usage": st.fixed_dictionaries(
                {"input_tokens": COUNTS | ODD, "output_tokens": COUNTS},
                optional={
                    "cache_read_input_tokens": COUNTS | ODD,
                    "cache_creation_input_tokens": st.integers(0, 2) | ODD,
                    "cache_creation": st.fixed_dictionaries(
                        {
                            "ephemeral_5m_input_tokens": st.integers(0, 1),
                            "ephemeral_1h_input_tokens": st.integers(0, 1),
                        },
                        optional={"ephemeral_1d_input_tokens": COUNTS},
                    )
                    | ODD,
                    "output_tokens_details": st.just({"thinking_tokens": 2}) | st.just({"thinking_tokens": None}) | ODD,
                    "service_tier": st.sampled_from(("standard", 1, None)),
                    "inference_geo": ODD,
                    "server_tool_use": ODD,
                },
            )
            | ODD,
        },
        optional={"stop_sequence": TEXTS | ODD, "stop_details": ODD, "container": ODD, "new": ODD},
    )
)
def test_an_answer_read_at_once_is_the_one_read_carefully(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    found = plain.read_answer(body)
    assert found is None or found == answers.read_carefully(body)
    assert outcome(answers.read_answer, body) == outcome(answers.read_carefully, body)
    if found is not None:
        assert json.loads(answers.write_answer(found)) == value


ANSWER_BLOCKS: st.SearchStrategy[Block] = st.one_of(
    BLOCKS,
    st.builds(
        ToolCallBlock,
        TEXTS,
        TEXTS,
        st.sampled_from((b"", b" {}", b'{"n":1.50}', b"[]", b"{")),
        st.sampled_from((False, False, True)),
        st.none() | TEXTS,
    ),
    st.builds(ThinkingBlock, TEXTS),
)
USAGES = st.builds(
    Usage,
    *(st.none() | st.integers(0, 9) for _ in range(3)),
    cache_write_tokens=st.none() | st.integers(0, 9),
    cache_write_1h_tokens=st.none() | st.integers(0, 9),
    reasoning_tokens=st.none() | st.integers(0, 9),
)
ANSWERS = st.builds(
    Answer,
    st.builds(Started, TEXTS, TEXTS, st.just(1), EXTS, st.sampled_from(("chat", "gemini", None))),
    st.lists(ANSWER_BLOCKS, max_size=3),
    st.builds(Stopped, st.sampled_from(("stop", "tool_calls", "content_filter", "error")), TEXTS, st.none() | TEXTS),
    USAGES,
    EXTS,
)


@given(ANSWERS)
def test_an_answer_written_at_once_is_the_one_written_carefully(answer: Answer) -> None:
    said, carefully = outcome(plain.write_answer, answer), outcome(answers.write_carefully, answer)
    if isinstance(said, bytes):
        assert json.loads(said) == json.loads(carefully)
    else:
        assert said is None or said == carefully


def test_a_usual_answer_is_written_at_once() -> None:
    blocks: list[Block] = [TextBlock("Hello."), ToolCallBlock("call_1", "f", b"{}")]
    assert plain.write_answer(Answer(Started("chatcmpl-1", "gpt"), blocks, Stopped("tool_calls"), Usage(3, 4)))
