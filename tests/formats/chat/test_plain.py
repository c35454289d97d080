"""What is read and written at once is what the long way makes of it; and what is usual does take the short one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import HeadworksError, UpstreamError
from headworks.formats.chat import answers, chunks, messages, plain, requests, tools
from headworks.formats.chat.members import NO_RAW, Misread
from headworks.formats.chat.streams import ChatReader
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
COUNTS = st.none() | st.integers(0, 9)
RAW = msgspec.Raw(b"1")
EXTS: st.SearchStrategy[Ext] = st.sampled_from(({}, {"~list": RAW}, {"~content": RAW}, {"~inline": RAW}))
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CAPS = ("max_tokens", "max_completion_tokens")


def outcome(make: Any, *given: Any, **more: Any) -> Any:
    """What comes of it; of an error what it says."""
    try:
        return make(*given, **more)
    except Misread as error:
        return (error.what, error.path, error.code)
    except HeadworksError as error:
        return (type(error), error.param, str(error))


def each_by_itself(raw: msgspec.Raw) -> list[Turn]:
    return messages.MessageReader().read(msgspec.json.decode(raw, type=list[msgspec.Raw]), is_careful=True)


CUSTOM = {"id": "x", "type": "custom", "custom": {"name": "f", "input": "i"}}
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(("user", "assistant", "system", "developer", "tool", "x"))},
        optional={
            "content": TEXTS | ODD,
            "name": TEXTS | ODD,
            "refusal": ODD,
            "tool_calls": st.lists(st.just(CALL) | st.just(CALL | {"index": 0}) | st.just(CUSTOM), max_size=2) | ODD,
            "tool_call_id": st.sampled_from(("x", None, 7)),
        },
    )
    | st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXTS}, optional={"tool_calls": st.just([CALL])})
    | st.fixed_dictionaries({"role": st.just("tool"), "content": TEXTS, "tool_call_id": st.sampled_from(("x", "y"))}),
    min_size=1,
    max_size=4,
)


@given(MESSAGES)
def test_messages_read_at_once_are_those_read_one_by_one(value: list[dict[str, Any]]) -> None:
    raw = msgspec.Raw(json.dumps(value).encode())
    assert outcome(messages.read_messages, raw) == outcome(each_by_itself, raw)


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(("function", "custom", "new"))},
        optional={
            "function": st.fixed_dictionaries(
                {"name": TEXTS | ODD},
                optional={
                    "parameters": st.just({"type": "object"}) | ODD,
                    "description": TEXTS | ODD,
                    "strict": ODD,
                    "new": ODD,
                },
            )
            | ODD,
            "cache_control": st.just({"type": "ephemeral"}) | ODD,
            "new": ODD,
        },
    )
)
def test_a_tool_read_at_once_is_the_one_read_carefully(value: dict[str, Any]) -> None:
    raw = msgspec.Raw(json.dumps(value).encode())
    read = outcome(tools.read_tools, [raw])
    carefully = outcome(tools.read_tool_carefully, raw)
    if isinstance(carefully, Tool):
        assert read == [carefully]
    else:
        assert (read[0], read[2]) == (carefully[0], carefully[2])


def test_what_are_no_messages_is_named() -> None:
    for value, what in ((b"[]", "is empty"), (b"null", "must be a list, not null"), (b"{}", "must be a list, not an")):
        with pytest.raises(Misread, match=what) as error:
            messages.read_messages(msgspec.Raw(value))
        assert error.value.path == ".messages"


BLOCKS = st.builds(TextBlock, TEXTS) | st.builds(
    TextBlock,
    TEXTS,
    st.booleans(),
    st.sampled_from(((), (Citation("q"),))),
    st.sampled_from((None, Cache("1h"))),
    EXTS,
)


def turns_of(texts: st.SearchStrategy[TextBlock]) -> st.SearchStrategy[list[Turn]]:
    roles = st.sampled_from(("user", "assistant", "system", "developer"))
    return st.lists(
        st.builds(Turn, roles, st.lists(texts, min_size=1, max_size=2), st.none() | TEXTS, EXTS), max_size=3
    )


REQUESTS = st.builds(
    Request,
    st.sampled_from(("messages", "responses", "completions", "chat")),
    TEXTS,
    turns_of(BLOCKS) | turns_of(st.builds(TextBlock, st.just("x"))),
    tools=st.sampled_from(([], [], [Tool("f")])),
    tool_choice=st.sampled_from((None, None, ToolChoice("auto"))),
    parallel_tool_calls=st.sampled_from((None, None, False)),
    max_output=COUNTS,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stop=st.sampled_from(((), ("a", "b"))),
    seed=COUNTS,
    presence_penalty=st.none() | st.floats(0, 1),
    frequency_penalty=st.none() | st.floats(0, 1),
    end_user=st.none() | TEXTS,
    stream=st.booleans(),
    wants_usage=st.booleans(),
    service_tier=st.sampled_from((None, None, "default")),
    verbosity=st.sampled_from((None, None, "low")),
    reasoning=st.sampled_from((None, None, Reasoning("low"))),
    output_format=st.sampled_from((None, None, OutputFormat("json"))),
    ext=st.sampled_from(({}, {"~=stream": RAW}, {"metadata": RAW}, {"new": RAW})),
)


@given(REQUESTS, st.sampled_from(CAPS), st.sampled_from((frozenset(), frozenset(("cache_control",)))))
def test_a_request_written_at_once_is_the_one_written_carefully(
    request: Request, cap: str, accepts: frozenset[str]
) -> None:
    said = plain.write_request(request, cap)
    if said is not None:
        written = requests.write_carefully(request, cap=cap, accepts=accepts)
        assert (json.loads(written.body), written.left_out) == (json.loads(said), ())


@pytest.mark.parametrize("cap", CAPS)
def test_a_usual_request_is_written_at_once(cap: str) -> None:
    turns = [Turn("system", [TextBlock("s")]), Turn("user", [TextBlock("x")], ext={"~list": RAW})]
    settings: dict[str, Any] = {"temperature": 0, "top_p": 0.5, "stop": ("a",), "end_user": "u", "max_output": 5}
    for streams, wants_usage in ((False, False), (True, False), (True, True)):
        request = Request("messages", "m", turns, stream=streams, wants_usage=wants_usage, **settings)
        said = plain.write_request(request, cap)
        assert said is not None
        assert json.loads(said) == json.loads(requests.write_carefully(request, cap=cap).body)


DETAILS = st.fixed_dictionaries({}, optional={"cached_tokens": st.integers(0, 3), "new": st.integers(0, 3)}) | ODD


@given(
    st.fixed_dictionaries(
        {
            "id": TEXTS,
            "object": st.sampled_from(("chat.completion", "x")),
            "created": st.integers(0, 9),
            "model": TEXTS,
            "choices": st.lists(
                st.fixed_dictionaries(
                    {
                        "index": st.sampled_from((0, 0, 1)),
                        "message": st.fixed_dictionaries(
                            {"role": st.just("assistant")},
                            optional={
                                "content": TEXTS | ODD,
                                "refusal": st.none() | TEXTS,
                                "annotations": st.just([]) | st.none(),
                                "tool_calls": st.just([CALL]) | st.just([]) | ODD,
                                "new": ODD,
                            },
                        ),
                        "finish_reason": st.sampled_from(("stop", "tool_calls", "new", None)),
                    },
                    optional={"logprobs": ODD},
                ),
                max_size=2,
            ),
        },
        optional={
            "usage": st.fixed_dictionaries(
                {"prompt_tokens": st.integers(0, 3), "completion_tokens": st.integers(0, 3)},
                optional={
                    "total_tokens": st.integers(0, 6) | ODD,
                    "prompt_tokens_details": DETAILS,
                    "completion_tokens_details": DETAILS,
                },
            )
            | ODD,
            "service_tier": st.just("default") | ODD,
            "system_fingerprint": ODD,
        },
    )
)
def test_an_answer_read_at_once_is_the_one_read_carefully(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    assert outcome(answers.read_answer, body) == outcome(answers.read_carefully, body)


ANSWER_BLOCKS: st.SearchStrategy[Block] = st.one_of(
    BLOCKS,
    st.builds(
        ToolCallBlock,
        TEXTS,
        TEXTS,
        st.sampled_from((b"", b'{"n":1.50}')),
        st.sampled_from((False, False, True)),
        st.sampled_from((None, None, "sig")),
        st.sampled_from((None, Cache())),
        st.sampled_from(({}, {"~=caller": RAW}, {"~function_call": RAW})),
    ),
    st.builds(ThinkingBlock, TEXTS),
)
USAGES = st.builds(
    Usage,
    *(COUNTS for _ in range(3)),
    cache_write_tokens=COUNTS,
    cache_write_1h_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    audio_input_tokens=COUNTS,
    audio_output_tokens=COUNTS,
)
ANSWERS = st.builds(
    Answer,
    st.builds(Started, st.just("a"), TEXTS, st.just(1), EXTS, st.sampled_from(("messages", "gemini", None))),
    st.lists(ANSWER_BLOCKS, max_size=3),
    st.builds(Stopped, st.sampled_from(("stop", "tool_calls", "error")), TEXTS, st.none() | TEXTS, EXTS),
    st.just(Usage()) | USAGES,
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
    blocks: list[Block] = [TextBlock("Hello."), ToolCallBlock("toolu_1", "f", b"{}")]
    said = plain.write_answer(Answer(Started("msg_1", "claude"), blocks, Stopped("tool_calls"), Usage(3, 4)))
    assert said is not None
    assert json.loads(said)["choices"][0]["message"]["tool_calls"] == [CALL | {"id": "toolu_1"}]


CHUNK: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "gpt",
    "choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": None, "finish_reason": None}],
    "usage": None,
}


@given(
    st.fixed_dictionaries(
        {
            "choices": st.lists(
                st.fixed_dictionaries(
                    {
                        "delta": st.fixed_dictionaries(
                            {"content": TEXTS | ODD},
                            optional={
                                "role": st.sampled_from(("assistant", None, "user")),
                                "refusal": st.none() | TEXTS,
                                "tool_calls": st.none() | st.just([]),
                                "reasoning_content": st.none() | TEXTS,
                                "reasoning": st.none() | TEXTS,
                                "function_call": st.none() | st.just({}),
                                "new": ODD,
                            },
                        )
                    },
                    optional={
                        "index": st.sampled_from((0, 0, 1)),
                        "finish_reason": st.sampled_from((None, None, "stop")),
                        "logprobs": st.none() | st.just({"content": []}),
                        "stop_reason": ODD,
                    },
                ),
                max_size=2,
            )
        },
        optional={
            "id": TEXTS | ODD,
            "created": st.just(1) | ODD,
            "usage": st.none() | st.just({"prompt_tokens": 1}),
            "error": ODD,
            "service_tier": st.just("default") | ODD,
            "system_fingerprint": ODD,
            "obfuscation": ODD,
            "new": ODD,
        },
    )
)
def test_a_chunk_of_text_says_nothing_else(value: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    found = chunks.read_text(data)
    if found is None:
        return
    chunk, extras = chunks.read_chunk(data)
    assert extras is chunks.NO_EXTRAS
    assert chunk.choices is not None
    (choice,) = chunk.choices
    assert choice.delta is not None
    said = {name: each for name in choice.delta.__struct_fields__ if (each := getattr(choice.delta, name)) is not None}
    assert said.pop("role", "assistant") == "assistant"
    assert said == {"content": found[0]}
    assert (choice.index, choice.finish_reason, choice.stop_reason) == (0, None, NO_RAW)
    assert (chunk.error, chunk.service_tier) == (NO_RAW, found[1])


@pytest.mark.parametrize("more", [{}, {"obfuscation": "a", "service_tier": "default", "system_fingerprint": None}])
def test_a_usual_chunk_is_read_at_once(more: dict[str, Any]) -> None:
    found = chunks.read_text(json.dumps(CHUNK | more).encode())
    assert found is not None
    assert found[0] == "x"


def test_what_comes_before_an_event_that_can_not_be_read_is_kept() -> None:
    event = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
    events: list[Any] = []
    with pytest.raises(UpstreamError):
        ChatReader().feed_into(event * 2 + b"data: {]\n\n", events)
    assert [type(each).__name__ for each in events] == ["Started", "Opened", "Grown", "Grown"]
