"""Requests are read without loss, written without loss, and refused with the field's name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from chat_samples import CALLS, PIXEL, PLAIN, REQUESTS
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest, Unmapped
from headworks.formats.chat.format import CHAT, Chat
from headworks.formats.chat.requests import read_request, write_request
from headworks.formats.neutral import (
    AudioBlock,
    Block,
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


def read(value: Any) -> Request:
    return read_request(json.dumps(value).encode())


def written(request: Request, **how: Any) -> Any:
    return json.loads(write_request(request, **how).body)


def asked(*messages: dict[str, Any], **more: Any) -> Request:
    return read({"model": "m", "messages": list(messages), **more})


def foreign(*blocks: Block, role: str = "user", **more: Any) -> Request:
    """A request that was read from Messages."""
    turn = Turn(role, list(blocks))  # type: ignore[arg-type]
    return Request("messages", "m", [Turn("system", [TextBlock("s")]), turn], wants_usage=True, **more)


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_read_is_written_as_it_was(name: str) -> None:
    assert written(read(REQUESTS[name])) == REQUESTS[name]


@pytest.mark.parametrize("name", REQUESTS)
def test_layout_makes_no_difference(name: str) -> None:
    spread = json.dumps(REQUESTS[name], indent=1, ensure_ascii=True).encode()
    tight = json.dumps(REQUESTS[name], separators=(",", ":"), ensure_ascii=False).encode()
    assert json.loads(write_request(read_request(tight)).body) == REQUESTS[name]
    assert json.loads(write_request(read_request(spread)).body) == REQUESTS[name]


def test_settings_become_neutral_words() -> None:
    request = read(REQUESTS["every setting"])
    assert request.max_output == 1000
    assert (request.temperature, request.top_p, request.seed) == (0.7, 0.9, 12345678901234567890)
    assert request.stop == ("\n\n", "END")
    assert request.choices == 2
    assert request.reasoning == Reasoning("xhigh")
    assert (request.verbosity, request.end_user, request.service_tier) == ("low", "u-1", "flex")
    assert request.stream
    assert request.wants_usage
    assert request.parallel_tool_calls is False
    assert bytes(request.ext["logit_bias"]) == b'{"50256": -100}'


def test_either_name_of_the_cap_is_the_cap() -> None:
    assert read({**PLAIN, "max_tokens": 7}).max_output == 7
    assert read(REQUESTS["both caps"]).max_output == 5


def test_a_lowered_cap_holds_under_both_names() -> None:
    request = read(REQUESTS["both caps"])
    request.max_output = 2
    assert written(request) == {**PLAIN, "max_tokens": 2, "max_completion_tokens": 2}


def test_a_string_and_a_list_of_one_stop_sequence_are_the_same() -> None:
    assert read({**PLAIN, "stop": "a"}).stop == read({**PLAIN, "stop": ["a"]}).stop == ("a",)


def test_media_become_sources() -> None:
    blocks = read(REQUESTS["parts"]).turns[2].blocks
    images = [block.source for block in blocks if isinstance(block, ImageBlock)]
    assert images[0] == Source("image/png", data="iVBORw0KGgo=")
    assert images[1] == Source(url="https://a.example/i.png")
    assert images[2] == Source(url="data:image/svg+xml;charset=utf-8,<svg/>")
    files = [block for block in blocks if isinstance(block, FileBlock)]
    assert (files[0].source, files[0].name) == (Source("application/pdf", data="JVBERg=="), "a.pdf")
    assert [file.source for file in files[1:]] == [
        Source(file_id="file-1"),
        Source(data="JVBERg=="),
        Source(url="https://a.example/a.pdf"),
    ]
    sound = next(block for block in blocks if isinstance(block, AudioBlock))
    assert (sound.source, sound.encoding) == (Source("audio/wav", data="UklGRg=="), "wav")
    new = blocks[-1]
    assert isinstance(new, OpaqueBlock)
    assert (new.origin, new.kind) == ("chat", "video_url")


def test_cache_markers_are_read_wherever_they_stand() -> None:
    turns = read(REQUESTS["parts"]).turns
    texts = [block for turn in turns[:3] for block in turn.blocks if isinstance(block, TextBlock)]
    assert [block.cache for block in texts] == [Cache(), None, Cache("1h"), None, Cache(), Cache("5m")]


def test_results_of_tools_that_follow_each_other_are_one_turn_of_the_user() -> None:
    turns = read(REQUESTS["a long talk"]).turns
    results = turns[2].blocks
    assert turns[2].role == "user"
    assert all(isinstance(block, ToolResultBlock) for block in results)
    assert [block.id for block in results if isinstance(block, ToolResultBlock)] == ["call_1", "call_2", "call_3"]
    assert [block.is_custom for block in results if isinstance(block, ToolResultBlock)] == [False, False, True]


def test_calls_are_read_with_their_arguments_as_they_stand() -> None:
    calls = [block for block in read(REQUESTS["a long talk"]).turns[1].blocks if isinstance(block, ToolCallBlock)]
    assert [(call.id, call.name, call.arguments, call.is_custom, call.signature) for call in calls] == [
        ("call_1", "weather", b'{"city": "Bern"}', False, None),
        ("call_2", "time", b"", False, "c2ln"),
        ("call_3", "shell", b"ls -l", True, None),
    ]


def test_the_older_calls_are_bound_to_their_results() -> None:
    turns = read(REQUESTS["functions"]).turns
    called, result = turns[1].blocks[0], turns[2].blocks[0]
    assert isinstance(called, ToolCallBlock)
    assert isinstance(result, ToolResultBlock)
    assert called.id == result.id
    assert result.name == "weather"


def test_a_citation_is_read_with_its_proof() -> None:
    block = read(REQUESTS["a long talk"]).turns[3].blocks[0]
    assert isinstance(block, TextBlock)
    first = block.citations[0]
    assert (first.url, first.title, first.start, first.end) == ("https://a.example/d#char=3,9", "Plan", 4, 7)
    assert (first.document, first.document_start, first.document_end, first.quote) == ("d1", 3, 9, "covers")


def test_thoughts_know_who_had_them() -> None:
    turns = read(REQUESTS["thoughts"]).turns
    thoughts = [[block for block in turn.blocks if isinstance(block, ThinkingBlock)] for turn in turns]
    assert [(each.text, each.origin) for each in thoughts[0]] == [("hm", "chat")]
    assert [(each.text, each.signature, each.redacted, each.origin) for each in thoughts[5]] == [
        ("hm", "sig", None, "messages"),
        ("", None, "zz", "messages"),
    ]
    assert thoughts[6][0].summary == ("one", "two")
    assert (thoughts[6][0].origin, thoughts[6][0].id, thoughts[6][0].redacted) == ("responses", "rs_1", "enc")


@pytest.mark.parametrize(
    ("effort", "expected"),
    [
        ({"reasoning_effort": "low"}, Reasoning("low")),
        ({"reasoning": {"max_tokens": 9}}, Reasoning(budget_tokens=9)),
        ({"reasoning": {"enabled": False}}, Reasoning(enabled=False)),
        ({"reasoning": {"exclude": True}}, Reasoning(shows_text=False)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(is_adaptive=True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, Reasoning(budget_tokens=9, enabled=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        ({"reasoning": {"new": 1}}, None),
    ],
)
def test_how_much_to_think_is_read_from_every_dialect(effort: dict[str, Any], expected: Reasoning | None) -> None:
    assert read({**PLAIN, **effort}).reasoning == expected


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": 5}, "model"),
        ({"model": None}, "model"),
        ({"messages": {}}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": PIXEL}]}]},
            "messages[0].content[0].image_url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 1}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
            "messages[0].content[0].file",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": 1}]}]},
            "messages[0].content[0].cache_control",
        ),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": CALLS}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "user", "content": "x", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "tool", "tool_call_id": "c"}]}, "messages[0].content"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].name"),
        ({"messages": [{"role": "assistant", "tool_call_id": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "odd"}]}]},
            "messages[0].tool_calls[0].type",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {"messages": [{"role": "assistant", "thinking_blocks": [{"type": "odd"}]}]},
            "messages[0].thinking_blocks[0].type",
        ),
        (
            {"messages": [{"role": "assistant", "content": "x", "annotations": [{"type": "url_citation"}]}]},
            "messages[0].annotations[0].url_citation",
        ),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": 1}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 1}}]}, "tools[0].function.parameters"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "functions": [{"name": "g"}]}, "functions"),
        ({"functions": [{}]}, "functions[0].name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": "auto", "function_call": "auto"}, "tool_choice"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {}}, "response_format.type"),
        ({"reasoning": "high"}, "reasoning"),
        ({"n": "2"}, "n"),
        ({"user": 7}, "user"),
    ],
)
def test_a_wrong_field_is_named_as_the_caller_wrote_it(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read({**PLAIN, **change})
    assert caught.value.param == param
    assert f"`{param}`" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b'{"model":"m"',
        b'"text"',
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m","messages":' + b"[" * 5000,
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"x":' + b'{"a":' * 5000,
    ],
)
def test_what_is_no_request_is_the_callers_fault(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_request(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "role",
                    "content",
                    "text",
                    "image_url",
                    "url",
                    "function",
                    "name",
                    "arguments",
                    "tool_calls",
                    "id",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELD = st.sampled_from(sorted({name for sample in REQUESTS.values() for name in sample} | {"functions", "anything"}))


@given(st.dictionaries(FIELD, JSON, max_size=4), st.lists(JSON, max_size=3))
def test_any_json_is_a_request_or_refused(fields: dict[str, Any], messages: list[Any]) -> None:
    for body in ({**PLAIN, **fields}, {**PLAIN, "messages": messages, **fields}, fields):
        try:
            request = read(body)
        except InvalidRequest:
            continue
        json.loads(write_request(request).body)


@given(st.data())
def test_a_request_with_one_spoiled_value_is_read_or_refused(data: st.DataObject) -> None:
    sample = json.loads(json.dumps(REQUESTS[data.draw(st.sampled_from(sorted(REQUESTS)))]))
    place: Any = sample
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or data.draw(st.booleans()):
            place[key] = data.draw(JSON)
            break
        place = inner
    try:
        request = read(sample)
    except InvalidRequest:
        return
    json.loads(write_request(request).body)


TEXT = st.text(max_size=12)
OPEN = st.dictionaries(st.from_regex(r"x_[a-z]{1,4}", fullmatch=True), JSON, max_size=2)


def objects(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.fixed_dictionaries(required, optional=optional), OPEN).map(lambda two: {**two[1], **two[0]})


CACHE = st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral", "ttl": "9h"}])
DATA_URL = st.binary(max_size=6).map(lambda data: f"data:image/png;base64,{data.hex()}") | TEXT
PARTS = st.one_of(
    objects({"type": st.just("text"), "text": TEXT}, {"cache_control": CACHE}),
    objects(
        {"type": st.just("image_url"), "image_url": objects({"url": DATA_URL}, {"detail": st.just("low") | st.none()})},
        {},
    ),
    objects({"type": st.just("input_audio"), "input_audio": objects({"data": TEXT, "format": TEXT}, {})}, {}),
    objects(
        {"type": st.just("file"), "file": objects({"file_data": DATA_URL}, {"filename": TEXT, "file_id": TEXT})}, {}
    ),
    objects({"type": st.from_regex(r"new_[a-z]", fullmatch=True)}, {}),
)
CALL = st.one_of(
    objects({"id": TEXT, "type": st.just("function"), "function": objects({"name": TEXT, "arguments": TEXT}, {})}, {}),
    objects({"id": TEXT, "type": st.just("custom"), "custom": objects({"name": TEXT, "input": TEXT}, {})}, {}),
)
MESSAGES = st.one_of(
    objects(
        {"role": st.sampled_from(["user", "system"]), "content": TEXT | st.lists(PARTS, max_size=3)}, {"name": TEXT}
    ),
    objects(
        {"role": st.just("assistant")},
        {
            "content": TEXT | st.none(),
            "tool_calls": st.lists(CALL, max_size=3),
            "refusal": st.none() | TEXT,
            "reasoning_content": TEXT,
            "reasoning": TEXT,
            "annotations": st.just([]),
        },
    ),
    objects({"role": st.just("tool"), "tool_call_id": TEXT, "content": TEXT | st.lists(PARTS, max_size=2)}, {}),
)
TOOLS = st.one_of(
    objects(
        {"type": st.just("function"), "function": objects({"name": TEXT}, {"strict": st.booleans() | st.none()})}, {}
    ),
    objects({"type": st.just("custom"), "custom": objects({"name": TEXT}, {"description": TEXT | st.none()})}, {}),
)
WHOLE = objects(
    {"model": TEXT, "messages": st.lists(MESSAGES, min_size=1, max_size=4)},
    {
        "tools": st.none() | st.lists(TOOLS, max_size=3),
        "stop": st.none() | TEXT | st.lists(TEXT, max_size=3),
        "max_tokens": st.none() | st.integers(1, 10**25),
        "max_completion_tokens": st.none() | st.integers(1, 10**25),
        "temperature": st.none() | st.floats(0, 2),
        "stream": st.none() | st.booleans(),
        "stream_options": st.none() | objects({}, {"include_usage": st.booleans()}),
        "user": st.none() | TEXT,
        "safety_identifier": st.none() | TEXT,
        "seed": st.none() | st.integers(),
        "tool_choice": st.none() | st.sampled_from(["auto", "none", {"type": "function", "function": {"name": "f"}}]),
        "response_format": st.none() | objects({"type": st.sampled_from(["text", "json_object"])}, {}),
        "reasoning_effort": st.none() | TEXT,
        "thinking": st.none() | objects({"type": st.sampled_from(["enabled", "new"])}, {}),
    },
)


@given(WHOLE, st.sampled_from([(",", ":"), (", ", ": ")]))
def test_nothing_of_a_request_is_lost(request: dict[str, Any], separators: tuple[str, str]) -> None:
    body = json.dumps(request, separators=separators).encode()
    assert json.loads(write_request(read_request(body)).body) == request


# From other formats.


def test_another_formats_request_is_written_in_our_words() -> None:
    request = Request(
        "messages",
        "claude",
        [
            Turn("system", [TextBlock("You are kind.")]),
            Turn("user", [TextBlock("Hi"), ImageBlock(Source("image/png", data="AA"))]),
            Turn(
                "assistant",
                [
                    ThinkingBlock("hm", "sig", origin="messages"),
                    TextBlock("Looking."),
                    ToolCallBlock("c1", "weather", b'{"a":1}'),
                    ToolCallBlock("c2", "time", b"{}"),
                ],
            ),
            Turn(
                "user",
                [
                    ToolResultBlock("c1", (TextBlock("sunny"),), is_error=True),
                    ToolResultBlock("c2", ()),
                    TextBlock("And?"),
                ],
            ),
        ],
        tools=[Tool("weather", "d", msgspec.Raw(b'{"type":"object"}'), cache=Cache())],
        tool_choice=ToolChoice("required"),
        max_output=100,
        stop=("END",),
        reasoning=Reasoning(budget_tokens=4000, enabled=True),
        output_format=OutputFormat("json_schema", schema=msgspec.Raw(b"{}"), strict=True),
        end_user="u",
        stream=True,
        wants_usage=True,
    )
    found = write_request(request)
    assert json.loads(found.body) == {
        "model": "claude",
        "messages": [
            {"role": "system", "content": "You are kind."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Hi"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                ],
            },
            {
                "role": "assistant",
                "content": "Looking.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}},
                    {"id": "c2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "c2", "content": ""},
            {"role": "user", "content": "And?"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}}}
        ],
        "tool_choice": "required",
        "max_completion_tokens": 100,
        "stop": ["END"],
        "reasoning_effort": "medium",
        "response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": {}, "strict": True}},
        "user": "u",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert set(found.left_out) == {
        "messages[1].thinking",
        "messages[2].is_error",
        "cache_control",
        "thinking.budget_tokens",
    }


@pytest.mark.parametrize(
    ("block", "param"),
    [
        (ImageBlock(Source(file_id="f")), "messages[0].content[0].source.file_id"),
        (FileBlock(Source(url="https://a.example/x.pdf")), "messages[0].content[0].source.url"),
        (FileBlock(Source(file_id="f")), "messages[0].content[0].source.file_id"),
        (FileBlock(Source(data="x"), wants_citations=True), "messages[0].content[0].citations"),
        (FileBlock(Source(data="x"), context="c"), "messages[0].content[0].context"),
        (AudioBlock(Source(url="https://a.example/x.wav")), "messages[0].content[0].source"),
        (AudioBlock(Source("audio/odd", data="x")), "messages[0].content[0].source.media_type"),
        (OpaqueBlock("messages", "search_result", msgspec.Raw(b"{}")), "messages[0].content[0].search_result"),
        (TextBlock("x", ext={"new": msgspec.Raw(b"1")}), "messages[0].content[0].new"),
        (ToolResultBlock("c", (ImageBlock(Source(data="x")),)), "messages[0].content"),
    ],
)
def test_what_has_no_word_is_refused_by_its_place(block: Block, param: str) -> None:
    with pytest.raises(Unmapped) as caught:
        write_request(foreign(block))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"top_k": 5}, "top_k"),
        ({"tools": [Tool("web", origin="messages", raw=msgspec.Raw(b"{}"))]}, "tools[0]"),
        ({"ext": {"mcp_servers": msgspec.Raw(b"[1]")}}, "mcp_servers"),
    ],
)
def test_a_setting_without_a_word_is_refused_by_its_name(change: dict[str, Any], param: str) -> None:
    with pytest.raises(Unmapped) as caught:
        write_request(foreign(TextBlock("x"), **change))
    assert caught.value.param == param


def test_what_only_says_how_something_was_written_is_passed_over() -> None:
    ext = {"~content": msgspec.Raw(b"true"), "thinking": msgspec.Raw(b"null")}
    assert written(foreign(TextBlock("x", ext=ext), ext=ext))["messages"][1] == {"role": "user", "content": "x"}


def test_a_target_can_be_known_to_understand_more() -> None:
    request = foreign(TextBlock("x", cache=Cache("1h")), top_k=5, max_output=9)
    found = written(request, cap="max_tokens", accepts=frozenset({"top_k", "cache_control"}))
    assert (found["top_k"], found["max_tokens"]) == (5, 9)
    assert found["messages"][1]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    chat = Chat(cap="max_tokens", accepts=frozenset({"top_k", "prompt_cache_breakpoint"}))
    said = json.loads(chat.write_request(request).body)
    assert said["messages"][1]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}


def test_a_hint_without_a_word_is_left_out_and_named() -> None:
    request = foreign(TextBlock("x", citations=(Citation("q"),)), role="assistant", service_tier="reserved")
    request.ext = {"metadata": msgspec.Raw(b'{"a":1}')}
    assert set(CHAT.write_request(request).left_out) == {"metadata", "service_tier", "messages[0].citations"}


def test_what_responses_calls_the_same_is_carried() -> None:
    request = Request("responses", "m", [Turn("user", [TextBlock("x")])])
    request.ext = {"prompt_cache_key": msgspec.Raw(b'"k"'), "store": msgspec.Raw(b"true")}
    found = CHAT.write_request(request)
    assert json.loads(found.body)["prompt_cache_key"] == "k"
    assert found.left_out == ("store",)


def test_log_probabilities_are_asked_for_where_only_their_number_is_said() -> None:
    request = Request("responses", "m", [Turn("user", [TextBlock("x")])], top_logprobs=2)
    assert (written(request)["logprobs"], written(request)["top_logprobs"]) == (True, 2)


def test_a_member_that_looks_like_a_mark_of_ours_is_refused_like_any_other() -> None:
    request = read({**PLAIN, "~functions": True})
    request.origin = "responses"
    with pytest.raises(Unmapped) as caught:
        write_request(request)
    assert caught.value.param == "~functions"


def test_a_grammar_of_responses_stands_one_level_deeper() -> None:
    form = msgspec.Raw(b'{"type":"grammar","syntax":"lark","definition":"x"}')
    request = Request("responses", "m", [Turn("user", [TextBlock("x")])])
    request.tools = [Tool("sql", is_custom=True, ext={"format": form})]
    assert written(request)["tools"][0]["custom"] == {
        "name": "sql",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
    }


def test_a_plain_text_document_is_sent_as_text() -> None:
    found = written(foreign(FileBlock(Source(media_type="text/plain"), "notes", "The text")))
    assert found["messages"][1]["content"] == "The text"


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning("max"), "xhigh"),
        (Reasoning(enabled=False), "none"),
        (Reasoning(budget_tokens=1024), "low"),
        (Reasoning(budget_tokens=50000), "high"),
        (Reasoning(is_adaptive=True), None),
    ],
)
def test_a_budget_becomes_the_effort_that_comes_closest(reasoning: Reasoning, effort: str | None) -> None:
    assert written(foreign(TextBlock("x"), reasoning=reasoning)).get("reasoning_effort") == effort


def test_usage_is_asked_for_where_the_caller_gets_it_unasked() -> None:
    assert written(foreign(TextBlock("x"), stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in written(asked(PLAIN["messages"][0], stream=True))


def test_a_changed_choice_is_not_hidden_by_how_it_was_written() -> None:
    request = read(REQUESTS["tool choice: allowed"])
    request.tool_choice = ToolChoice("none")
    assert written(request)["tool_choice"] == "none"
    request = read(REQUESTS["a schema with nulls"])
    request.output_format = OutputFormat("json")
    assert written(request)["response_format"] == {"type": "json_object"}


@given(
    st.builds(TextBlock, TEXT)
    | st.builds(ImageBlock, st.builds(Source, media_type=TEXT | st.none(), data=TEXT | st.none(), url=TEXT | st.none()))
    | st.builds(ToolCallBlock, TEXT, TEXT, TEXT.map(lambda text: text.encode("utf-8", "replace")))
    | st.builds(ThinkingBlock, TEXT, signature=TEXT | st.none(), origin=st.sampled_from(["messages", "gemini", None]))
    | st.builds(FileBlock, st.builds(Source, data=TEXT | st.none(), url=TEXT | st.none()), text=TEXT | st.none()),
    st.sampled_from(["user", "assistant", "system"]),
)
def test_any_block_of_another_format_is_written_or_refused(block: Block, role: str) -> None:
    try:
        found = write_request(foreign(block, role=role))
    except Unmapped:
        return
    read_request(found.body)
