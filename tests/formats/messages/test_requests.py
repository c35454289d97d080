"""Requests in Anthropic's Messages, read and written: nothing is lost, and what is wrong is named."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import (
    Cache,
    FileBlock,
    ImageBlock,
    OpaqueBlock,
    Reasoning,
    Request,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
)

PIXEL = "iVBORw0KGgo="
WHOLE: dict[str, Any] = {
    "model": "claude-opus-5",
    "max_tokens": 4096,
    "system": [
        {"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "Briefly."},
    ],
    "messages": [
        {"role": "user", "content": "Hello."},
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}, "transformations": {"resize": None}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                    "title": "Plan",
                    "context": "of 2026",
                    "citations": {"enabled": True},
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grass."}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
                {
                    "type": "search_result",
                    "source": "https://example.org",
                    "title": "T",
                    "content": [{"type": "text", "text": "found"}],
                    "citations": {"enabled": True},
                },
                {"type": "container_upload", "file_id": "file_2"},
                {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCgIYAg=="},
                {"type": "redacted_thinking", "data": "EmwKAhgB"},
                {
                    "type": "text",
                    "text": "Grass is green.",
                    "citations": [
                        {
                            "type": "char_location",
                            "cited_text": "Grass.",
                            "document_index": 1,
                            "document_title": None,
                            "start_char_index": 0,
                            "end_char_index": 6,
                        },
                        {
                            "type": "web_search_result_location",
                            "cited_text": "green",
                            "encrypted_index": "Eo8B",
                            "title": "Grass",
                            "url": "https://example.org/grass",
                        },
                    ],
                },
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "grass"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "weather",
                    "input": {"at": 1.50, "n": 12345678901234567890123},
                    "caller": {"type": "direct"},
                },
                {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "sunny"}],
                    "is_error": False,
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "noon", "is_error": True},
                {"type": "tool_result", "tool_use_id": "toolu_3"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_4",
                    "content": [{"type": "tool_reference", "tool_name": "x"}],
                },
            ],
        },
        {"role": "system", "content": "Now shorter."},
        {"role": "assistant", "content": [{"type": "text", "text": "So"}]},
    ],
    "tools": [
        {
            "name": "weather",
            "description": "The weather.",
            "input_schema": {"type": "object", "properties": {"at": {"type": "number"}}, "required": ["at"]},
            "strict": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "custom", "name": "now", "input_schema": {"type": "object"}, "defer_loading": True},
        {"type": "web_search_20260318", "name": "web_search", "max_uses": 3},
        {"type": "mcp_toolset", "mcp_server_name": "wiki"},
    ],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "metadata": {"user_id": "u-1"},
    "stop_sequences": ["END"],
    "temperature": 1.0,
    "top_k": 5,
    "top_p": 0.95,
    "service_tier": "standard_only",
    "stream": True,
    "mcp_servers": [{"type": "url", "name": "wiki", "url": "https://example.org/mcp"}],
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "container": {"skills": [{"type": "anthropic", "skill_id": "xlsx"}]},
}

LEAST: dict[str, Any] = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}

VARIANTS: list[dict[str, Any]] = [
    LEAST,
    WHOLE,
    {**LEAST, "messages": []},
    {**LEAST, "system": "Be brief."},
    {**LEAST, "system": ""},
    {**LEAST, "system": []},
    {**LEAST, "system": None},
    {**LEAST, "system": [{"type": "text", "text": "Be brief."}]},
    {**LEAST, "messages": [{"role": "system", "content": "first"}, {"role": "user", "content": ""}]},
    {**LEAST, "messages": [{"role": "user", "content": []}]},
    {**LEAST, "messages": [{"role": "system", "content": "x", "clear_at": "next_turn"}]},
    {**LEAST, "stop_sequences": [], "tools": [], "stream": False},
    {**LEAST, "stop_sequences": None, "tools": None, "stream": None, "tool_choice": None, "thinking": None},
    {**LEAST, "tool_choice": {"type": "auto"}},
    {**LEAST, "tool_choice": {"type": "tool", "name": "now"}},
    {**LEAST, "tool_choice": {"type": "none"}},
    {**LEAST, "tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
    {**LEAST, "tool_choice": {"type": "auto", "later": 1}},
    {**LEAST, "thinking": {"type": "adaptive"}},
    {**LEAST, "thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
    {**LEAST, "thinking": {"type": "disabled"}},
    {**LEAST, "thinking": {"type": "between_tools"}},
    {**LEAST, "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}},
    {**LEAST, "output_config": {}},
    {**LEAST, "output_config": {"effort": None, "format": None}},
    {**LEAST, "output_config": {"effort": "low", "task_budget": {"total": 5}}},
    {**LEAST, "output_format": {"type": "json_schema", "schema": {"type": "object"}}},
    {**LEAST, "metadata": {}},
    {**LEAST, "metadata": {"user_id": None}},
    {**LEAST, "metadata": {"user_id": "u", "team": "t"}},
    {**LEAST, "service_tier": "auto"},
    {**LEAST, "service_tier": "later"},
    {**LEAST, "tools": [{"name": "a", "input_schema": {"type": "object"}, "type": None, "strict": None}]},
    {**LEAST, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
]

_TEXTS = st.text(max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=12,
)
_EXTRA = st.dictionaries(st.sampled_from(("x_new", "later", "beta_thing")), _JSON, max_size=2)
_CACHE = st.sampled_from(
    (
        {},
        {"cache_control": {"type": "ephemeral"}},
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"cache_control": None},
        {"cache_control": {"type": "ephemeral", "scope": "global"}},
    )
)


def _block(kind: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    fixed = st.fixed_dictionaries({"type": st.just(kind), **members})
    return st.builds(lambda said, cache, extra: {**extra, **cache, **said}, fixed, _CACHE, _EXTRA)


_OBJECT = st.dictionaries(_TEXTS, _JSON, max_size=3)
_SIGNATURES = st.text(min_size=1, max_size=8)
_SOURCES = st.one_of(
    st.builds(lambda data: {"type": "base64", "media_type": "image/png", "data": data}, _TEXTS),
    st.builds(lambda url: {"type": "url", "url": url}, _TEXTS),
    st.builds(lambda file: {"type": "file", "file_id": file}, _TEXTS),
    st.builds(lambda extra: {"type": "url", "url": "u", **extra}, _EXTRA),
    st.builds(lambda data: {"type": "text", "media_type": "text/plain", "data": data}, _TEXTS),
)
_CITATIONS = st.lists(_block("char_location", cited_text=_TEXTS, document_index=st.integers(0, 9)), max_size=2)
_LEAVES = st.one_of(
    _block("text", text=_TEXTS),
    _block("text", text=_TEXTS, citations=st.none() | _CITATIONS),
    _block("image", source=_SOURCES),
    _block("document", source=_SOURCES, title=st.none() | _TEXTS, citations=st.builds(dict, enabled=st.booleans())),
    _block("brand_new", content=_JSON),
)
_BLOCKS = st.one_of(
    _LEAVES,
    _block("tool_use", id=_TEXTS, name=_TEXTS, input=_OBJECT),
    _block("tool_result", tool_use_id=_TEXTS, content=_TEXTS | st.none() | st.lists(_LEAVES, max_size=2)),
    _block("thinking", thinking=_TEXTS, signature=_SIGNATURES),
    _block("redacted_thinking", data=_SIGNATURES),
)
_MESSAGES = st.builds(
    lambda role, content, extra: {**extra, "role": role, "content": content},
    st.sampled_from(("user", "assistant", "system")),
    _TEXTS | st.lists(_BLOCKS, max_size=3),
    _EXTRA,
)
_TOOLS = st.one_of(
    st.builds(lambda schema, extra: {**extra, "name": "a", "input_schema": schema}, _OBJECT, _EXTRA),
    _block("web_search_20260318", name=st.just("web_search")),
    _block("custom", name=_TEXTS, input_schema=_OBJECT, strict=st.none() | st.booleans()),
)
_BODIES = st.builds(
    lambda base, optional, extra: {**extra, **optional, **base},
    st.fixed_dictionaries({"model": _TEXTS, "max_tokens": st.integers(1), "messages": st.lists(_MESSAGES, max_size=3)}),
    st.fixed_dictionaries(
        {},
        optional={
            "system": st.none() | _TEXTS | st.lists(_block("text", text=_TEXTS), max_size=2),
            "tools": st.none() | st.lists(_TOOLS, max_size=2),
            "temperature": st.none() | st.floats(0, 2),
            "stop_sequences": st.none() | st.lists(_TEXTS, max_size=2),
            "stream": st.none() | st.booleans(),
            "thinking": st.sampled_from([each.get("thinking") for each in VARIANTS]),
            "tool_choice": st.sampled_from([each.get("tool_choice") for each in VARIANTS]),
            "output_config": st.sampled_from([each.get("output_config") for each in VARIANTS]),
            "metadata": st.sampled_from([each.get("metadata") for each in VARIANTS]),
        },
    ),
    _EXTRA,
)


def read(body: dict[str, Any]) -> Request:
    return MESSAGES.read_request(json.dumps(body).encode())


@pytest.mark.parametrize("body", VARIANTS)
def test_a_request_is_written_as_it_was_read(body: dict[str, Any]) -> None:
    written = MESSAGES.write_request(read(body))
    assert json.loads(written.body) == body
    assert written.left_out == ()


@given(_BODIES)
def test_nothing_is_lost_of_any_request(body: dict[str, Any]) -> None:
    assert json.loads(MESSAGES.write_request(read(body)).body) == body


def test_numbers_of_a_call_keep_their_digits() -> None:
    given_text = b'{"a":1.50,"n":12345678901234567890123}'
    call = b'{"type":"tool_use","id":"i","name":"n","input":%b}' % given_text
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[%b]}]}' % call
    request = MESSAGES.read_request(body)
    assert request.turns[0].blocks == [ToolCallBlock("i", "n", given_text)]
    assert given_text in MESSAGES.write_request(request).body


def test_the_words_of_a_request_are_ours() -> None:
    request = read(WHOLE)
    assert request.max_output == 4096
    assert request.stop == ("END",)
    assert request.tool_choice == ToolChoice("required")
    assert request.parallel_tool_calls is False
    assert request.reasoning == Reasoning(effort="high", budget_tokens=2048, enabled=True)
    assert request.end_user == "u-1"
    assert request.service_tier == "default"
    assert request.stream
    assert request.output_format is not None
    assert request.output_format.kind == "json_schema"
    assert sorted(request.ext) == ["container", "context_management", "mcp_servers"]
    assert [turn.role for turn in request.turns] == [
        "system", "user", "user", "assistant", "user", "system", "assistant",
    ]  # fmt: skip
    assert request.turns[0].blocks[0] == TextBlock("You help.", cache=Cache("1h"))


def test_the_blocks_of_a_request_are_ours() -> None:
    turns = read(WHOLE).turns
    picture, *_, upload, _text = turns[2].blocks
    assert isinstance(picture, ImageBlock)
    assert (picture.source.media_type, picture.source.data) == ("image/png", PIXEL)
    document, plain = turns[2].blocks[3:5]
    assert isinstance(document, FileBlock)
    assert (document.name, document.context, document.wants_citations, document.cache) == (
        "Plan", "of 2026", True, Cache(None),
    )  # fmt: skip
    assert isinstance(plain, FileBlock)
    assert plain.text == "Grass."
    assert isinstance(upload, OpaqueBlock)
    assert upload.kind == "container_upload"
    thought, hidden, cited, search, *_ = turns[3].blocks
    assert thought == ThinkingBlock("Hm.", "EqQBCgIYAg==", origin="messages")
    assert hidden == ThinkingBlock(redacted="EmwKAhgB", origin="messages")
    assert isinstance(cited, TextBlock)
    first, second = cited.citations
    assert (first.kind, first.quote, first.document_index, first.document_start, first.document_end) == (
        "char_location", "Grass.", 1, 0, 6,
    )  # fmt: skip
    assert (second.url, second.title) == ("https://example.org/grass", "Grass")
    assert isinstance(search, OpaqueBlock)
    result = turns[4].blocks[0]
    assert isinstance(result, ToolResultBlock)
    assert (result.id, result.content, result.is_error) == ("toolu_1", (TextBlock("sunny"),), False)


def test_the_tools_of_a_request_are_ours() -> None:
    custom, deferred, search, toolset = read(WHOLE).tools
    assert (custom.name, custom.description, custom.strict, custom.cache) == (
        "weather", "The weather.", True, Cache("1h"),
    )  # fmt: skip
    assert custom.parameters is not None
    assert json.loads(bytes(custom.parameters))["required"] == ["at"]
    assert deferred.ext["defer_loading"] == msgspec.Raw(b"true")
    assert (search.name, search.origin) == ("web_search", "messages")
    assert toolset.origin == "messages"


def test_a_request_to_count_needs_no_output() -> None:
    body = {"model": "m", "messages": LEAST["messages"], "thinking": {"type": "adaptive"}}
    request = MESSAGES.read_count_request(json.dumps(body).encode())
    assert request.max_output is None
    assert json.loads(MESSAGES.write_count_request(request).body) == body
    with pytest.raises(InvalidRequest) as refused:
        read(body)
    assert refused.value.param == "max_tokens"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": "x"}]}]},
            "messages[0].content[0].source",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b"}]}]},
            "messages[0].content[0].input",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [1]}]}]},
            "messages[0].content[0].content[0]",
        ),
        ({"system": 5}, "system"),
        ({"system": [{"type": "text", "text": 5}]}, "system[0].text"),
        ({"tools": 5}, "tools"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"type": 5}]}, "tools[0].type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "auto", "name": "x"}}, "tool_choice.name"),
        ({"temperature": "warm"}, "temperature"),
        ({"stop_sequences": [5]}, "stop_sequences[0]"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_what_is_wrong_is_named_as_its_author_wrote_it(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read({**LEAST, **change})
    assert refused.value.param == param
    assert param in str(refused.value)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b"5", b"\xff", b'{"model":"\xff"}', b'{"model":"\\ud800"}']
)
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        MESSAGES.read_request(body)


def test_a_body_that_is_nested_too_deeply_is_refused() -> None:
    deep = b'{"model":"m","max_tokens":1,"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        MESSAGES.read_request(deep)


_NAMES = st.sampled_from((*WHOLE, *LEAST["messages"][0], "type", "text", "source", "input"))
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(("text", "image", "tool", "user", "", "x")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(_NAMES, _ANY), st.sampled_from(("", "model", "messages", "both")))
def test_any_json_is_a_request_or_refused(value: dict[str, Any], with_: str) -> None:
    if with_ in {"model", "both"}:
        value |= {"model": "m", "max_tokens": 1}
    if with_ in {"messages", "both"}:
        value |= {"messages": LEAST["messages"]}
    body = json.dumps(value).encode()
    try:
        request = MESSAGES.read_request(body)
    except InvalidRequest:
        return
    assert json.loads(MESSAGES.write_request(request).body) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        MESSAGES.read_request(body)
