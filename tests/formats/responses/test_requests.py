"""Requests in Responses, read and written: nothing is lost, and what is wrong is named."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from responses_samples import WHOLE, checked_request

from headworks.errors import InvalidRequest, Unmapped
from headworks.formats.neutral import (
    AudioBlock,
    Cache,
    Citation,
    FileBlock,
    ImageBlock,
    OpaqueBlock,
    OutputFormat,
    Reasoning,
    Request,
    Source,
    TextBlock,
    ThinkingBlock,
    Tool,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    Turn,
)
from headworks.formats.responses.format import RESPONSES
from headworks.formats.responses.thoughts import call_id, packed


def read(said: Any) -> Request:
    return RESPONSES.read_request(json.dumps(said).encode())


def written_again(said: Any) -> Any:
    return json.loads(RESPONSES.write_request(read(said)).body)


def a_request(**members: Any) -> dict[str, Any]:
    return {"model": "m", "input": "Hello.", **members}


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def test_nothing_of_a_whole_request_is_lost() -> None:
    assert written_again(WHOLE) == WHOLE


def test_each_member_has_its_word() -> None:
    request = read(WHOLE)
    assert (request.model, request.max_output, request.temperature, request.top_p) == ("gpt-5.6", 500, 0.2, 0.95)
    assert (request.parallel_tool_calls, request.service_tier, request.end_user) == (False, "flex", "u")
    assert (request.top_logprobs, request.logprobs, request.stream) == (2, True, True)
    assert request.reasoning == Reasoning(effort="high", summary="auto")
    assert request.verbosity == "low"
    assert request.output_format is not None
    assert (request.output_format.kind, request.output_format.strict) == ("json_schema", True)
    assert request.tool_choice == ToolChoice("allowed", names=("weather",), is_required=True)
    assert [(tool.name, tool.is_custom, tool.origin) for tool in request.tools] == [
        ("weather", False, None),
        ("later", False, None),
        ("shell", True, None),
        ("web_search", False, "responses"),
        ("mcp", False, "responses"),
    ]


def test_items_become_turns_in_their_place() -> None:
    turns = read(WHOLE).turns
    assert [(turn.role, [type(block).__name__ for block in turn.blocks]) for turn in turns] == [
        ("system", ["TextBlock"]),
        ("system", ["TextBlock"]),
        ("developer", ["TextBlock", "TextBlock"]),
        ("user", ["TextBlock", *["ImageBlock"] * 3, *["FileBlock"] * 3, "AudioBlock", "OpaqueBlock"]),
        ("assistant", [*["ThinkingBlock"] * 2, *["TextBlock"] * 5, *["ToolCallBlock"] * 3]),
        ("user", ["ToolResultBlock"] * 3),
        ("assistant", ["OpaqueBlock"]),
        ("user", ["OpaqueBlock"]),
        ("assistant", ["OpaqueBlock"] * 2),
        ("user", ["TextBlock"]),
    ]


def test_media_texts_and_calls_are_read_for_what_they_are() -> None:
    turns = read(WHOLE).turns
    user = turns[3].blocks
    assert isinstance(user[1], ImageBlock)
    assert user[1].source == Source(media_type="image/png", data="iVBORw0KGgo=")
    assert isinstance(user[4], FileBlock)
    assert (user[4].name, user[4].source) == ("a.pdf", Source(media_type="application/pdf", data="JVBERi0="))
    assert isinstance(user[7], AudioBlock)
    assert user[7].encoding == "wav"
    marked = turns[2].blocks[0]
    assert isinstance(marked, TextBlock)
    assert marked.cache == Cache()
    thought, answer, call = turns[4].blocks[0], turns[4].blocks[2], turns[4].blocks[7]
    assert isinstance(thought, ThinkingBlock)
    assert (thought.text, thought.summary, thought.signature) == ("abc", ("Looks.", "Thinks."), "gAAAAABo")
    assert isinstance(answer, TextBlock)
    assert [cite.kind for cite in answer.citations] == [
        "url_citation",
        "file_citation",
        "container_file_citation",
        "file_path",
    ]
    assert (answer.citations[0].url, answer.citations[0].end) == ("https://example.org", 5)
    assert isinstance(call, ToolCallBlock)
    assert call.arguments == b'{"city": "Bern", "big": 12345678901234567890}'


@pytest.mark.parametrize(
    "member",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1", "version": "2"}},
        {"background": True},
    ],
)
def test_what_only_the_owner_of_a_state_can_honour_stays_in_the_bag_by_its_name(member: dict[str, Any]) -> None:
    said = a_request(**member)
    assert written_again(said) == said
    assert {name for name in read(said).ext if not name.startswith("~")} == member.keys()


@pytest.mark.parametrize(
    "said",
    [
        a_request(instructions=""),
        a_request(instructions=None, temperature=None, tools=None, text=None, reasoning=None, tool_choice=None),
        a_request(text={}, reasoning={}, tools=[], stream=False, include=[]),
        a_request(text={"format": None, "verbosity": None}, reasoning={"effort": None, "mode": "pro"}),
        a_request(text={"format": {"type": "grammar", "grammar": "x"}}),
        a_request(text={"format": {"type": "text", "new": 1}}),
        a_request(tool_choice={"type": "file_search"}),
        a_request(tool_choice={"type": "function", "name": "f", "extra": 1}),
        a_request(tool_choice={"type": "mcp", "server_label": "x"}),
        {"model": "m", "input": []},
        {"model": "m", "previous_response_id": "resp_1"},
        {"model": "m", "previous_response_id": "resp_1", "input": None},
        {"model": "m", "input": [{"role": "user", "content": []}]},
        {"model": "m", "input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        {"model": "m", "input": [{"role": "assistant", "content": [{"type": "new_part"}]}]},
        {"model": "m", "input": [{"role": "user", "content": [{"type": "new_part"}]}, {"type": "x_output"}]},
        {"model": "m", "input": [{"type": "function_call_output", "output": "by name", "name": "f"}]},
        {"model": "m", "input": [{"type": "reasoning", "summary": [], "content": []}]},
        {"model": "m", "input": [{"type": "reasoning", "summary": [{"type": "other", "text": "x"}]}]},
        {"model": "m", "input": [{"type": "message", "role": "user", "content": "x", "id": None}]},
    ],
)
def test_how_something_was_written_is_kept(said: dict[str, Any]) -> None:
    assert written_again(said) == said


texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
more = st.dictionaries(st.sampled_from(["zz", "status", "namespace", "phase", "future"]), values, max_size=2)


def parts(kinds: list[str]) -> st.SearchStrategy[Any]:
    annotation = st.fixed_dictionaries(
        {"type": st.sampled_from(["url_citation", "file_citation", "odd"])},
        optional={"url": texts, "title": texts, "start_index": st.integers(), "file_id": texts, "index": values},
    )
    text = st.fixed_dictionaries(
        {"type": st.sampled_from(kinds), "text": texts},
        optional={"annotations": st.lists(annotation, max_size=2), "logprobs": values, "more": values},
    )
    image = st.fixed_dictionaries(
        {"type": st.just("input_image")},
        optional={"image_url": texts | st.just("data:image/png;base64,aGk="), "file_id": texts, "detail": texts},
    )
    file = st.fixed_dictionaries(
        {"type": st.just("input_file")},
        optional={"file_data": texts, "file_url": texts, "file_id": texts, "filename": texts, "detail": values},
    )
    refusal = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": texts})
    return st.lists(st.one_of(text, image, file, refusal), max_size=3)


def merge(pair: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return {**pair[1], **pair[0]}


def with_more(strategy: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(
        strategy, more.filter(lambda each: not isinstance(each.get("status"), (int, float, list, dict)))
    ).map(merge)


items = st.one_of(
    with_more(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "system", "developer"]), "content": texts | parts(["input_text"])},
            optional={"type": st.just("message"), "id": texts},
        )
    ),
    with_more(
        st.fixed_dictionaries(
            {"role": st.just("assistant"), "content": texts | parts(["output_text", "input_text"])},
            optional={"type": st.just("message"), "id": texts},
        )
    ),
    with_more(
        st.fixed_dictionaries(
            {"type": st.just("function_call"), "call_id": texts, "name": texts, "arguments": texts},
            optional={"id": texts},
        )
    ),
    with_more(
        st.fixed_dictionaries({"type": st.just("custom_tool_call"), "call_id": texts, "name": texts, "input": texts})
    ),
    with_more(
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(["function_call_output", "custom_tool_call_output"]),
                "call_id": texts,
                "output": texts | parts(["input_text"]),
            },
            optional={"id": texts, "name": texts},
        )
    ),
    with_more(
        st.fixed_dictionaries(
            {
                "type": st.just("reasoning"),
                "summary": st.lists(
                    st.fixed_dictionaries({"type": st.just("summary_text"), "text": texts}), max_size=2
                ),
            },
            optional={
                "id": texts,
                "encrypted_content": texts | st.none(),
                "content": st.lists(
                    st.fixed_dictionaries({"type": st.just("reasoning_text"), "text": texts}), max_size=3
                ),
            },
        )
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["web_search_call", "item_reference", "mcp_call"]), "x": values}),
)
requests = st.fixed_dictionaries(
    {"model": texts, "input": texts | st.lists(items, max_size=4)},
    optional={
        "instructions": texts | st.none(),
        "temperature": st.floats(0, 2) | st.none(),
        "max_output_tokens": st.integers(1),
        "metadata": values,
        "text": st.fixed_dictionaries(
            {}, optional={"verbosity": texts | st.none(), "format": st.just({"type": "json_object"}), "q": values}
        ),
        "reasoning": st.fixed_dictionaries({}, optional={"effort": texts, "summary": st.none(), "q": values}),
        "tools": st.lists(
            st.fixed_dictionaries(
                {"type": st.just("function"), "name": texts},
                optional={"parameters": st.dictionaries(texts, values, max_size=2), "strict": st.none(), "q": values},
            ),
            max_size=2,
        ),
        "tool_choice": st.sampled_from(["auto", "none", {"type": "function", "name": "x"}, {"type": "shell"}]),
        "background": st.booleans(),
        "stream": st.booleans(),
        "unknown": values,
    },
)


@given(requests)
@example(WHOLE)
def test_whatever_is_said_is_written_again(said: dict[str, Any]) -> None:
    assert written_again(said) == said


@given(
    st.one_of(
        values,
        st.fixed_dictionaries(
            {"model": texts | values},
            optional={
                name: values
                | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["message", "function_call", "reasoning"])}))
                for name in ("input", "tools", "tool_choice", "text", "reasoning", "instructions", "stream")
            },
        ),
        st.fixed_dictionaries(
            {
                "model": texts,
                "input": st.lists(
                    st.fixed_dictionaries(
                        {"role": st.sampled_from(["user", "assistant", "king"]) | values, "content": values},
                        optional={"type": values, "id": values},
                    ),
                    max_size=2,
                ),
            }
        ),
    )
)
def test_any_json_is_a_request_or_named_as_none(said: Any) -> None:
    body = json.dumps(said).encode()
    with contextlib.suppress(InvalidRequest):
        RESPONSES.write_request(RESPONSES.read_request(body))


@given(st.binary(max_size=40) | st.binary(max_size=20).map(lambda tail: b'{"model":"m","input":"' + tail + b'"}'))
def test_any_bytes_are_a_request_or_named_as_none(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        RESPONSES.read_request(body)


def test_deep_nesting_is_refused_and_crashes_nothing() -> None:
    deep = b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(InvalidRequest):
        RESPONSES.read_request(deep)


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": "m"}, "input"),
        (a_request(temperature="hot"), "temperature"),
        (a_request(tools=[{"type": "function"}]), "tools[0].name"),
        (a_request(tools=[{"name": "f"}]), "tools[0].type"),
        (a_request(tools=[{"type": "function", "name": "f", "parameters": []}]), "tools[0].parameters"),
        (a_request(max_output_tokens=0), "max_output_tokens"),
        (a_request(tool_choice="sometimes"), "tool_choice"),
        (a_request(text={"format": {"type": "json_schema", "name": "a"}}), "text.format.schema"),
        (a_request(text={"format": "json"}), "text.format"),
        (a_request(text={"verbosity": 3}), "text.verbosity"),
        (a_request(reasoning={"effort": 3}), "reasoning.effort"),
        (a_request(input=3), "input"),
        (a_request(input=[{}]), "input[0].type"),
        (a_request(input=[{"role": "king", "content": "x"}]), "input[0].role"),
        (a_request(input=["x", {"role": "user", "content": [{"text": "x"}]}]), "input[0]"),
        (a_request(input=[{"role": "user", "content": [{"text": "x"}]}]), "input[0].content[0].type"),
        (a_request(input=[{"role": "user", "content": [{"type": "input_text"}]}]), "input[0].content[0].text"),
        (
            a_request(
                input=[{"role": "assistant", "content": [{"type": "output_text", "text": "", "annotations": [{}]}]}]
            ),
            "input[0].content[0].annotations[0].type",
        ),
        (a_request(input=[{"type": "function_call", "call_id": "c", "name": "f"}]), "input[0].arguments"),
        (
            a_request(input=[{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text"}]}]),
            "input[0].output[0].text",
        ),
    ],
)
def test_what_is_wrong_is_named_as_the_caller_wrote_it(said: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(said)
    assert caught.value.param == param
    assert f"`{param}`" in caught.value.message


# From other formats.

SCHEMA = raw({"type": "object", "properties": {}, "additionalProperties": False})


def foreign(**members: Any) -> Request:
    members.setdefault("turns", [Turn("user", [TextBlock("Hello.")])])
    members.setdefault("origin", "chat")
    return Request(model="m", **members)


def test_a_request_of_another_format_is_valid_by_openais_types() -> None:
    request = foreign(
        turns=[
            Turn("system", [TextBlock("Be brief.")]),
            Turn(
                "user", [TextBlock("See:", cache=Cache("5m")), ImageBlock(Source(media_type="image/png", data="aGk="))]
            ),
            Turn("user", [FileBlock(Source(media_type="application/pdf", data="JVBERi0="))]),
            Turn(
                "assistant",
                [
                    ThinkingBlock("Hm.", signature="sig", origin="messages"),
                    TextBlock("I look.", citations=(Citation(quote="q"),)),
                    ToolCallBlock("call_1", "weather", b"{}"),
                    ToolCallBlock("call_2", "shell", b"ls", is_custom=True),
                ],
            ),
            Turn(
                "user",
                [
                    ToolResultBlock("call_1", (TextBlock("20"),), is_error=True),
                    ToolResultBlock("call_2", (ImageBlock(Source(url="https://example.org/b.png")),), is_custom=True),
                    TextBlock("And?"),
                ],
            ),
        ],
        tools=[
            Tool("weather", "Tells the weather.", SCHEMA, cache=Cache("1h")),
            Tool("shell", is_custom=True, ext={"format": raw({"type": "grammar", "grammar": {"syntax": "lark"}})}),
            Tool("nothing", strict=True),
        ],
        tool_choice=ToolChoice("allowed", names=("weather", "shell")),
        output_format=OutputFormat("json_schema", schema=SCHEMA),
        reasoning=Reasoning(budget_tokens=8_000, shows_text=True),
        max_output=100,
        end_user="u",
        stream=True,
        origin="messages",
    )
    written = RESPONSES.write_request(request)
    said = checked_request(written.body)
    assert said["instructions"] == "Be brief."
    assert said["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert [tool.get("strict") for tool in said["tools"]] == [False, None, True]
    assert said["tools"][1]["format"] == {"type": "grammar", "syntax": "lark"}
    assert said["tool_choice"]["tools"][1] == {"type": "custom", "name": "shell"}
    assert [item["type"] for item in said["input"]] == [
        "message",
        "message",
        "message",
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
        "message",
    ]
    assert said["input"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert said["input"][1]["content"][0]["filename"] == "document.pdf"
    assert said["input"][2] == {"type": "message", "role": "assistant", "content": "I look."}
    assert set(written.left_out) == {"cache_control.ttl", "citations", "is_error", "thinking", "tools[0].cache_control"}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"stop": ("x",)}, "stop"),
        ({"stop": ("x",), "origin": "messages"}, "stop_sequences"),
        ({"choices": 2}, "n"),
        ({"top_k": 4, "origin": "messages"}, "top_k"),
        ({"seed": 0}, "seed"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"ext": {"logit_bias": raw({"1": 2})}}, "logit_bias"),
        ({"tools": [Tool("web_search", origin="messages", raw=raw({}))]}, "tools[0]"),
        ({"tools": [Tool("f", ext={"input_examples": raw([])})]}, "tools[0].input_examples"),
        ({"turns": [Turn("user", [AudioBlock(Source(data="x"), "wav")])]}, "audio"),
        ({"turns": [Turn("user", [OpaqueBlock("messages", "search_result", raw({}))])]}, "search_result"),
        ({"turns": [Turn("assistant", [OpaqueBlock("messages", "server_tool_use", raw({}))])]}, "server_tool_use"),
        ({"turns": [Turn("assistant", [ImageBlock(Source(url="x"))])]}, "image"),
        ({"turns": [Turn("user", [FileBlock(Source(data="x"), wants_citations=True)])]}, "citations"),
        ({"turns": [Turn("user", [FileBlock(Source(data="x"), context="of")])]}, "context"),
        ({"turns": [Turn("user", [TextBlock("x", ext={"speed": raw(1)})])]}, "speed"),
    ],
)
def test_what_responses_cannot_say_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    with pytest.raises(Unmapped) as caught:
        RESPONSES.write_request(foreign(**members))
    assert caught.value.param == param


def test_nothing_is_stored_that_the_other_format_would_not_store() -> None:
    assert json.loads(RESPONSES.write_request(foreign()).body)["store"] is False
    assert json.loads(RESPONSES.write_request(foreign(ext={"store": raw(True)})).body)["store"] is True
    assert json.loads(RESPONSES.write_request(foreign(ext={"store": raw(None)})).body)["store"] is False


@pytest.mark.parametrize(
    ("reasoning", "include"),
    [
        (None, None),
        (Reasoning(enabled=False), None),
        (Reasoning(effort="none"), None),
        (Reasoning(effort="low"), ["reasoning.encrypted_content"]),
        (Reasoning(is_adaptive=True), ["reasoning.encrypted_content"]),
    ],
)
def test_what_is_thought_and_not_stored_is_asked_for_encrypted(reasoning: Any, include: Any) -> None:
    assert json.loads(RESPONSES.write_request(foreign(reasoning=reasoning)).body).get("include") == include


def test_a_thought_of_this_format_that_another_formats_client_gives_back_is_itself_again() -> None:
    thought = ThinkingBlock("", "gAAAAABo", id="rs_1", summary=("s",), origin="responses")
    turns = [Turn("user", [TextBlock("x")]), Turn("assistant", [thought, TextBlock("y")])]
    said = checked_request(RESPONSES.write_request(foreign(turns=turns, origin="messages")).body)
    assert said["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "s"}],
        "encrypted_content": "gAAAAABo",
    }


# What is stored, and what follows it.


@pytest.mark.parametrize(
    ("said", "items"),
    [
        ({}, []),
        ({"input": None}, []),
        (
            {"input": "Hi."},
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}],
        ),
        ({"input": WHOLE["input"]}, WHOLE["input"]),
    ],
)
def test_the_items_of_an_input_are_given_to_be_stored(said: dict[str, Any], items: list[Any]) -> None:
    assert [json.loads(bytes(each)) for each in RESPONSES.input_items(json.dumps(said).encode())] == items


@pytest.mark.parametrize("said", [b"", b"[]", b'{"input":3}', b'{"input":{}}'])
def test_an_input_that_is_none_has_no_items(said: bytes) -> None:
    with pytest.raises(InvalidRequest):
        RESPONSES.input_items(said)


@pytest.mark.parametrize("instructions", [{}, {"instructions": ""}, {"instructions": "Be brief."}])
def test_what_was_said_before_stands_before_the_input(instructions: dict[str, Any]) -> None:
    before = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "one"}]
    request = read(a_request(previous_response_id="resp_1", **instructions))
    whole = RESPONSES.following(request, [raw(each) for each in before])
    assert json.loads(RESPONSES.write_request(whole).body) == {
        "model": "m",
        **instructions,
        "input": [
            *before,
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]},
        ],
    }
    assert "previous_response_id" in request.ext


def test_the_results_of_tools_follow_their_calls() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "1"}
    whole = RESPONSES.following(read(a_request(previous_response_id="r", input=[result])), [raw(call)])
    assert [type(turn.blocks[0]).__name__ for turn in whole.turns] == ["ToolCallBlock", "ToolResultBlock"]


def test_members_that_mean_the_same_in_chat_are_carried() -> None:
    ext = {"metadata": raw({"a": "b"}), "store": raw(True), "prompt_cache_key": raw("k"), "seed2": raw(None)}
    said = checked_request(RESPONSES.write_request(foreign(ext=ext, choices=1, presence_penalty=0.0)).body)
    assert (said["metadata"], said["store"], said["prompt_cache_key"]) == ({"a": "b"}, True, "k")
    assert "seed2" not in said


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning(effort="minimal"), "minimal"),
        (Reasoning(enabled=False), "none"),
        (Reasoning(budget_tokens=1_024), "low"),
        (Reasoning(budget_tokens=16_384), "high"),
        (Reasoning(is_adaptive=True), None),
    ],
)
def test_how_much_to_think_has_its_word(reasoning: Reasoning, effort: str | None) -> None:
    said = json.loads(RESPONSES.write_request(foreign(reasoning=reasoning)).body)
    assert said.get("reasoning", {}).get("effort") == effort


def test_a_system_text_with_a_cache_marker_keeps_it() -> None:
    turns = [Turn("system", [TextBlock("Rules.", cache=Cache())]), Turn("user", [TextBlock("Hello.")])]
    said = checked_request(RESPONSES.write_request(foreign(turns=turns)).body)
    assert "instructions" not in said
    assert said["input"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}


def test_the_name_of_who_speaks_is_left_out_and_named() -> None:
    written = RESPONSES.write_request(foreign(turns=[Turn("user", [TextBlock("x")], name="bo")]))
    assert written.left_out == ("name",)


def test_a_plain_document_is_given_as_text() -> None:
    turns = [Turn("user", [FileBlock(Source(), name="Notes", text="Grass.")])]
    said = checked_request(RESPONSES.write_request(foreign(turns=turns)).body)
    assert said["input"][0]["content"] == [{"type": "input_text", "text": "Notes\n\nGrass."}]


# Thoughts of other formats' models come back.


@given(texts, texts, st.sampled_from(["messages", "gemini", "converse", "chat"]))
def test_a_foreign_thought_that_a_client_gives_back_is_itself_again(text: str, signature: str, origin: Any) -> None:
    thought = ThinkingBlock(text, signature, origin=origin)
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": packed(thought)}
    request = read(a_request(input=[item]))
    assert request.turns[0].blocks == [thought]
    assert RESPONSES.carries_foreign_thoughts(json.dumps(a_request(input=[item])).encode())


def test_a_redacted_thought_comes_back_although_the_client_kept_only_what_is_encrypted() -> None:
    thought = ThinkingBlock(redacted="xyz", origin="messages")
    item = {"type": "reasoning", "summary": [], "encrypted_content": packed(thought)}
    assert read(a_request(input=[item])).turns[0].blocks == [thought]


def test_a_foreign_thought_is_left_out_for_a_provider_of_this_format() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": packed(ThinkingBlock("Hm.", "sig", origin="messages")),
    }
    written = RESPONSES.write_request(read(a_request(input=[item, {"role": "user", "content": "x"}])))
    assert [each["role"] for each in json.loads(written.body)["input"]] == ["user"]
    assert written.left_out == ("reasoning",)


@pytest.mark.parametrize("encrypted", ["hw1.", "hw1.!!", "hw1.bm90", "hw1.eyJhIjoxfQ=="])
def test_what_only_looks_like_a_package_stays_as_it_is(encrypted: str) -> None:
    said = a_request(input=[{"type": "reasoning", "summary": [], "encrypted_content": encrypted}])
    assert written_again(said) == said


@given(texts, texts)
def test_the_signature_of_a_call_comes_back_with_its_id(own_id: str, signature: str) -> None:
    known_as = call_id(ToolCallBlock(own_id, "f", b"{}", signature=signature))
    request = read(
        a_request(
            input=[
                {"type": "function_call", "call_id": known_as, "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": known_as, "output": "1"},
            ]
        )
    )
    call, result = request.turns[0].blocks[0], request.turns[1].blocks[0]
    assert isinstance(call, ToolCallBlock)
    assert isinstance(result, ToolResultBlock)
    assert (call.id, call.signature, result.id) == (own_id, signature, own_id)


def test_only_what_is_foreign_is_taken_for_it() -> None:
    known_as = call_id(ToolCallBlock("c", "f", b"{}", signature="s"))
    call = {"type": "function_call", "call_id": known_as, "name": "f", "arguments": "{}"}
    assert RESPONSES.carries_foreign_thoughts(json.dumps(a_request(input=[call])).encode())
    for said in (
        WHOLE,
        a_request(input='about __hw_ and "hw1.'),
        a_request(input=[{"role": "user", "content": known_as}]),
    ):
        assert not RESPONSES.carries_foreign_thoughts(json.dumps(said).encode())
