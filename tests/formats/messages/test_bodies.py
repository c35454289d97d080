"""Requests of other formats, written for Anthropic: everything survives, or is refused or left out by its name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic_types import require_request

from headworks.errors import InvalidRequest, Unmapped
from headworks.formats.messages.format import MESSAGES
from headworks.formats.messages.thinking import BUDGETS, takes_budget
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

SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}')
HELLO = Turn("user", [TextBlock("Hello?")])
TOOL = Tool("weather", "The weather.", SCHEMA)
OLD, NEW = "claude-sonnet-4-5", "claude-opus-5"


def chat(*turns: Turn, **words: Any) -> Request:
    return Request("chat", words.pop("model", NEW), list(turns) or [HELLO], **words)


def said(request: Request, **how: Any) -> dict[str, Any]:
    """The request as written, and valid in the eyes of the SDK."""
    return require_request(MESSAGES.write_request(request, **how).body)


def left_out(request: Request) -> tuple[str, ...]:
    return MESSAGES.write_request(request).left_out


def refused(request: Request) -> str | None:
    with pytest.raises(Unmapped) as error:
        MESSAGES.write_request(request)
    assert error.value.next_step
    return error.value.param


def test_a_chat_becomes_messages() -> None:
    request = chat(
        Turn("system", [TextBlock("Be kind.")]),
        Turn("developer", [TextBlock("Be brief.")]),
        HELLO,
        Turn("assistant", [TextBlock("Hi.")]),
        Turn("user", [TextBlock("Weather?")]),
        max_output=77,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        stop=("END",),
        end_user="u-1",
        stream=True,
        wants_usage=True,
    )
    assert said(request) == {
        "model": NEW,
        "max_tokens": 77,
        "stream": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "system": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": "Hello?"},
            {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": "Weather?"},
        ],
    }
    assert left_out(request) == ()


def test_max_tokens_is_always_said() -> None:
    assert said(chat())["max_tokens"] == 4096
    assert said(chat(), default_max_output=100)["max_tokens"] == 100
    assert said(chat(max_output=7), default_max_output=100)["max_tokens"] == 7


def test_a_count_has_no_output() -> None:
    request = chat(max_output=7, temperature=0.1, stream=True, tools=[TOOL])
    body = require_request(MESSAGES.write_count_request(request).body, counts=True)
    assert sorted(body) == ["messages", "model", "tools"]


def test_turns_of_one_role_after_another_become_one() -> None:
    calls: list[Block] = [ToolCallBlock("call_1", "weather", b'{"a":1}'), ToolCallBlock("call_2", "weather", b"")]
    request = chat(
        HELLO,
        Turn("assistant", [TextBlock("")]),
        Turn("assistant", [TextBlock("I look."), *calls]),
        Turn("user", [ToolResultBlock("call_1", (TextBlock("sunny"),))]),
        Turn("user", [ToolResultBlock("call_2", (TextBlock("a"), TextBlock("b")), is_error=True)]),
        Turn("user", [TextBlock("And?")]),
        tools=[TOOL],
    )
    assert said(request)["messages"] == [
        {"role": "user", "content": "Hello?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"a": 1}},
                {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_2",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                    "is_error": True,
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    assert left_out(request) == ("messages[1]",)


def test_ids_of_calls_get_the_letters_that_anthropic_takes() -> None:
    request = chat(
        HELLO,
        Turn("assistant", [ToolCallBlock("call:1/a", "weather", b"{}")]),
        Turn("user", [ToolResultBlock("call:1/a", ())]),
    )
    _, call, result = said(request)["messages"]
    assert call["content"][0]["id"] == result["content"][0]["tool_use_id"] == "call_1_a"


def test_media_survive() -> None:
    plain = "SGVsbG8="
    request = chat(
        Turn(
            "user",
            [
                ImageBlock(Source("image/png", "AAAA"), detail="high", cache=Cache("1h")),
                ImageBlock(Source(url="https://example.org/a.jpg")),
                ImageBlock(Source(url="data:image/gif;base64,BBBB")),
                FileBlock(Source("application/pdf", "JVBE"), name="plan.pdf", wants_citations=True, context="c"),
                FileBlock(Source("text/markdown", plain), name="a.md"),
                FileBlock(Source(), text="Grass."),
                FileBlock(Source(url="https://example.org/a.pdf")),
            ],
        )
    )
    assert said(request)["messages"][0]["content"] == [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.jpg"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "BBBB"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "plan.pdf",
            "context": "c",
            "citations": {"enabled": True},
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "Hello"},
            "title": "a.md",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grass."}},
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
    ]
    assert left_out(request) == ("messages[0].content[0].detail",)


def test_tools_and_their_choice_survive() -> None:
    strict = Tool("now", None, msgspec.Raw(b"null"), strict=True, cache=Cache())
    request = chat(
        tools=[TOOL, strict, Tool("empty", None, msgspec.Raw(b"{}")), Tool("none")],
        tool_choice=ToolChoice("named", "now"),
        parallel_tool_calls=False,
    )
    body = said(request)
    nothing = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"name": "weather", "description": "The weather.", "input_schema": json.loads(bytes(SCHEMA))},
        {"name": "now", "input_schema": nothing, "strict": True, "cache_control": {"type": "ephemeral"}},
        {"name": "empty", "input_schema": nothing},
        {"name": "none", "input_schema": nothing},
    ]
    assert body["tool_choice"] == {"type": "tool", "name": "now", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("required"), True, {"type": "any", "disable_parallel_tool_use": False}),
        (ToolChoice("none"), False, {"type": "none"}),
    ],
)
def test_a_choice_of_tools_is_said_in_one_member(
    choice: ToolChoice | None,
    *,
    parallel: bool | None,
    expected: dict[str, Any] | None,
) -> None:
    request = chat(tools=[TOOL], tool_choice=choice, parallel_tool_calls=parallel)
    assert said(request).get("tool_choice") == expected


def test_a_choice_without_tools_says_nothing() -> None:
    assert "tool_choice" not in said(chat(tool_choice=ToolChoice("auto"), parallel_tool_calls=False))


def test_a_schema_of_the_answer_is_native() -> None:
    wanted = OutputFormat("json_schema", "sum", SCHEMA, strict=True, description="A sum.")
    request = chat(output_format=wanted)
    assert said(request)["output_config"] == {"format": {"type": "json_schema", "schema": json.loads(bytes(SCHEMA))}}
    assert left_out(request) == ("response_format.name", "response_format.description")
    assert "output_config" not in said(chat(output_format=OutputFormat("text")))
    with pytest.raises(InvalidRequest) as error:
        MESSAGES.write_request(chat(output_format=OutputFormat("json_schema")))
    assert error.value.param == "response_format"


@pytest.mark.parametrize(
    ("words", "param"),
    [
        ({"temperature": 1.2}, "temperature"),
        ({"presence_penalty": 0.1}, "presence_penalty"),
        ({"frequency_penalty": -1.0}, "frequency_penalty"),
        ({"seed": 0}, "seed"),
        ({"choices": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"output_format": OutputFormat("json")}, "response_format"),
        ({"verbosity": "low"}, "verbosity"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"reasoning": Reasoning(effort="extreme")}, "reasoning_effort"),
        ({"reasoning": Reasoning(effort="high"), "temperature": 0.2}, "temperature"),
        ({"tool_choice": ToolChoice("required")}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": ToolChoice("allowed", names=("weather",))}, "tool_choice"),
        ({"tools": [Tool("free", is_custom=True)]}, "tools[0]"),
        ({"tools": [TOOL, Tool("web", origin="responses", raw=msgspec.Raw(b"{}"))]}, "tools[1]"),
        ({"tools": [Tool("a", ext={"new": msgspec.Raw(b"1")})]}, "tools[0].new"),
        ({"ext": {"web_search_options": msgspec.Raw(b"{}")}}, "web_search_options"),
        ({"ext": {"modalities": msgspec.Raw(b'["text","audio"]')}}, "modalities"),
    ],
)
def test_what_anthropic_can_not_say_is_refused_by_name(words: dict[str, Any], param: str) -> None:
    assert refused(chat(**words)) == param


@pytest.mark.parametrize(
    ("blocks", "param"),
    [
        ([AudioBlock(Source("audio/wav", "AAAA"), "wav")], ""),
        ([ImageBlock(Source("image/tiff", "AAAA"))], ""),
        ([ImageBlock(Source(file_id="file_1"))], ".file_id"),
        ([FileBlock(Source("application/zip", "AAAA"))], ""),
        ([FileBlock(Source("text/plain", "%%%"))], ""),
        ([FileBlock(Source(file_id="file_1"))], ".file_id"),
        ([OpaqueBlock("responses", "computer_call", msgspec.Raw(b"{}"))], ""),
        ([ToolCallBlock("a", "b", b"not json")], ".arguments"),
        ([ToolCallBlock("a", "b", b'["list"]')], ".arguments"),
        ([ToolCallBlock("a", "b", b"free", is_custom=True)], ""),
        ([TextBlock("x", ext={"new": msgspec.Raw(b"1")})], ".new"),
        ([ToolResultBlock("a", (AudioBlock(Source("audio/wav", "A")),))], ".content[0]"),
    ],
)
def test_a_block_that_anthropic_can_not_hold_is_refused_by_its_place(blocks: list[Block], param: str) -> None:
    assert refused(chat(HELLO, Turn("user", blocks))) == f"messages[1].content[0]{param}"


def test_instructions_in_the_middle_are_refused() -> None:
    assert refused(chat(HELLO, Turn("developer", [TextBlock("Now shorter.")]), HELLO)) == "messages[1]"


def test_the_name_of_a_system_prompt_is_a_hint() -> None:
    assert left_out(chat(Turn("system", [TextBlock("s")], "n"), HELLO)) == ("messages[0].name",)


def test_a_system_prompt_is_text() -> None:
    assert refused(chat(Turn("system", [ImageBlock(Source(url="u"))]), HELLO)) == "messages[0].content"


def test_a_request_without_a_message_is_refused() -> None:
    assert refused(chat(Turn("system", [TextBlock("x")]))) == "messages"
    assert refused(chat(Turn("user", [TextBlock("")]))) == "messages"


def test_hints_are_left_out_and_named() -> None:
    hints = {"store": msgspec.Raw(b"true"), "metadata": msgspec.Raw(b'{"team":"a"}')}
    usual = {"background": msgspec.Raw(b"false"), "truncation": msgspec.Raw(b"null"), "~list": msgspec.Raw(b"true")}
    request = Request(
        "responses",
        NEW,
        [Turn("user", [TextBlock("Hi.")], name="ann", ext={"~list": msgspec.Raw(b"true")})],
        ext={**hints, **usual},
        presence_penalty=0.0,
        choices=1,
        verbosity="medium",
        service_tier="default",
    )
    assert said(request)["service_tier"] == "standard_only"
    assert set(left_out(request)) == {"input[0].name", "store", "metadata"}


def test_responses_fields_go_by_their_own_names() -> None:
    def asked(**words: Any) -> Request:
        return Request("responses", NEW, [HELLO], **words)

    assert refused(asked(output_format=OutputFormat("json"))) == "text.format"
    assert refused(asked(verbosity="high")) == "text.verbosity"
    assert refused(asked(ext={"previous_response_id": msgspec.Raw(b'"resp_1"')})) == "previous_response_id"
    assert refused(Request("responses", NEW, [])) == "input"


def test_instructions_of_responses_stand_before_its_input() -> None:
    before = Turn("system", [ImageBlock(Source(url="u"))], ext={"~instructions": msgspec.Raw(b"true")})
    assert refused(Request("responses", NEW, [before, HELLO])) == "instructions.content"
    before.blocks = [TextBlock("Be kind.")]
    sound = Turn("user", [AudioBlock(Source("audio/wav", "A"))])
    assert refused(Request("responses", NEW, [before, HELLO, sound])) == "input[1].content[0]"


def test_thoughts_of_anthropic_return_as_they_were_and_others_stay_out() -> None:
    mine = ThinkingBlock("Hm.", "EqQB", origin="messages")
    hidden = ThinkingBlock(redacted="EmwK", origin="messages")
    foreign = ThinkingBlock("Aha.", "gemini-signature", origin="gemini")
    request = chat(HELLO, Turn("assistant", [mine, hidden, foreign, TextBlock("So.")]), HELLO)
    assert said(request)["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "EmwK"},
        {"type": "text", "text": "So."},
    ]
    assert left_out(request) == ("messages[1].content[2]",)


def test_proofs_of_past_claims_are_left_out() -> None:
    cited = TextBlock("Green.", citations=(Citation(url="https://example.org", start=0, end=5),))
    request = chat(HELLO, Turn("assistant", [cited]), HELLO)
    assert said(request)["messages"][1]["content"] == "Green."
    assert left_out(request) == ("messages[1].content[0].annotations",)


@pytest.mark.parametrize(
    ("model", "old"),
    [
        ("claude-3-7-sonnet-latest", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1", True),
        ("claude-haiku-4-5-20251001", True),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4-10", False),
        ("claude-opus-5", False),
        ("claude-haiku-5-5", False),
    ],
)
def test_which_models_know_only_a_budget(model: str, *, old: bool) -> None:
    assert takes_budget(model) is old


@pytest.mark.parametrize("effort", BUDGETS)
def test_an_effort_becomes_adaptive_thinking_or_a_budget(effort: str) -> None:
    asked = Reasoning(effort=effort)
    new = said(chat(reasoning=asked, max_output=200_000))
    assert new["thinking"] == {"type": "adaptive"}
    assert new["output_config"] == {"effort": "low" if effort == "minimal" else effort}
    old = said(chat(reasoning=asked, max_output=200_000, model=OLD))
    assert old["thinking"] == {"type": "enabled", "budget_tokens": BUDGETS[effort]}
    assert "output_config" not in old


@pytest.mark.parametrize("model", [OLD, NEW])
def test_no_effort_is_no_thinking(model: str) -> None:
    assert said(chat(reasoning=Reasoning(effort="none"), model=model))["thinking"] == {"type": "disabled"}


def test_a_summary_shows_the_thoughts() -> None:
    asked = Reasoning(effort="low", summary="auto")
    assert said(chat(reasoning=asked))["thinking"] == {"type": "adaptive", "display": "summarized"}
    hidden = said(chat(reasoning=Reasoning(effort="low", shows_text=False), model=OLD))
    assert hidden["thinking"] == {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}
    request = Request("responses", NEW, [HELLO], reasoning=Reasoning(summary="auto"))
    assert "thinking" not in said(request)
    assert left_out(request) == ("reasoning.summary",)


def test_a_budget_leaves_room_for_the_answer() -> None:
    asked = Reasoning(effort="high")
    assert said(chat(reasoning=asked, max_output=4096, model=OLD))["thinking"]["budget_tokens"] == 2048
    small = chat(reasoning=asked, max_output=500, model=OLD)
    assert "thinking" not in said(small)
    assert left_out(small) == ("reasoning_effort",)


def test_amid_tools_a_budget_needs_the_thought_before_the_call() -> None:
    def asked(*before: Block) -> Request:
        call = Turn("assistant", [*before, ToolCallBlock("a", "weather", b"{}")])
        result = Turn("user", [ToolResultBlock("a", (TextBlock("sunny"),))])
        return chat(HELLO, call, result, model=OLD, reasoning=Reasoning(effort="low"), tools=[TOOL])

    assert left_out(asked()) == ("reasoning_effort",)
    assert said(asked(ThinkingBlock("Hm.", "EqQB", origin="messages")))["thinking"]["type"] == "enabled"


def test_a_forced_tool_leaves_no_time_to_think() -> None:
    request = chat(tools=[TOOL], tool_choice=ToolChoice("required"), reasoning=Reasoning(effort="low"))
    body = said(request)
    assert "thinking" not in body
    assert body["output_config"] == {"effort": "low"}
    assert left_out(request) == ("reasoning_effort",)


def test_native_words_of_thinking_are_said_as_they_are() -> None:
    budget = said(chat(reasoning=Reasoning(budget_tokens=3000, enabled=True)))
    assert budget["thinking"] == {"type": "enabled", "budget_tokens": 3000}
    adaptive = said(chat(reasoning=Reasoning(is_adaptive=True, effort="max", shows_text=True)))
    assert adaptive["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert adaptive["output_config"] == {"effort": "max"}
