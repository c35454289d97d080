"""Requests of every format as bodies that Google's own types read: what is carried, left out, or refused by name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pydantic
import pytest
from gemini_types import strictly
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headworks.errors import InvalidRequest, Unmapped
from headworks.formats.gemini.format import GEMINI
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    Cache,
    Citation,
    FileBlock,
    FormatName,
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

PNG = Source(media_type="image/png", data="iVBORw0KGgo=")
SCHEMA = msgspec.Raw(b'{"type": "object", "properties": {"n": {"const": 12345678901234567890}}}')
ASKED = Turn("user", [TextBlock("Hello?")])


def asked(*turns: Turn, origin: FormatName = "chat", model: str = "gemini-2.5-flash", **members: Any) -> Request:
    return Request(origin, model, list(turns) or [ASKED], **members)


def body_of(request: Request) -> dict[str, Any]:
    return strictly(GEMINI.write_request(request).body)


def parts_of(*blocks: Block, **members: Any) -> list[dict[str, Any]]:
    (content,) = body_of(asked(Turn("user", list(blocks)), **members))["contents"]
    parts: list[dict[str, Any]] = content["parts"]
    return parts


def refused(request: Request) -> Unmapped:
    with pytest.raises(Unmapped) as error:
        GEMINI.write_request(request)
    return error.value


# The conversation.


def test_a_question_is_all_that_is_said() -> None:
    assert GEMINI.write_request(asked()).body == b'{"contents":[{"parts":[{"text":"Hello?"}],"role":"user"}]}'


def test_system_texts_are_one_instruction() -> None:
    turns = [Turn("system", [TextBlock("Be brief."), TextBlock("Be kind.")]), Turn("developer", [TextBlock("Hm.")])]
    body = body_of(asked(*turns, ASKED))
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}, {"text": "Hm."}]}
    assert [content["role"] for content in body["contents"]] == ["user"]


def test_instructions_inside_of_the_conversation_are_refused_in_their_place() -> None:
    late = Turn("developer", [TextBlock("Now in French.")])
    assert refused(asked(ASKED, late, ASKED)).param == "messages[1]"
    assert refused(asked(ASKED, late, origin="responses")).param == "input"
    system = Turn("system", [TextBlock("x")])
    assert refused(asked(system, ASKED, late, origin="messages")).param == "messages[1]"
    assert refused(asked(Turn("system", [ImageBlock(PNG)]), ASKED, origin="messages")).param == "system"


def test_only_instructions_are_nothing_to_answer() -> None:
    assert refused(asked(Turn("system", [TextBlock("x")]))).param == "messages"
    assert refused(asked(Turn("system", [TextBlock("x")]), origin="responses")).param == "input"
    with pytest.raises(Unmapped):
        GEMINI.write_request(Request("chat", "m"))


def test_calls_and_results_of_one_answer_stand_together() -> None:
    turns = [
        ASKED,
        Turn("assistant", [TextBlock("Let me look.")]),
        Turn("assistant", [ToolCallBlock("a", "look", b'{"at":1}')]),
        Turn("assistant", [ToolCallBlock("b", "look", b"")]),
        Turn("user", [ToolResultBlock("a", (TextBlock("one"),))]),
        Turn("user", [ToolResultBlock("b", (), is_error=True), TextBlock("And?")]),
        Turn("user", [TextBlock("Well?")]),
    ]
    contents = body_of(asked(*turns))["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "user"]
    assert contents[1]["parts"] == [
        {"text": "Let me look."},
        {"functionCall": {"name": "look", "args": {"at": 1}, "id": "a"}},
        {"functionCall": {"name": "look", "args": {}, "id": "b"}},
    ]
    assert contents[2]["parts"] == [
        {"functionResponse": {"name": "look", "response": {"output": "one"}, "id": "a"}},
        {"functionResponse": {"name": "look", "response": {"error": ""}, "id": "b"}},
        {"text": "And?"},
    ]


def test_a_turn_that_says_nothing_is_left_out() -> None:
    assert len(body_of(asked(ASKED, Turn("assistant", []), ASKED))["contents"]) == 2


def test_arguments_keep_their_numbers() -> None:
    turns = [ASKED, Turn("assistant", [ToolCallBlock("a", "f", b'{"n": 12345678901234567890, "f": 1.10}')])]
    assert b'{"n": 12345678901234567890, "f": 1.10}' in GEMINI.write_request(asked(*turns)).body


@pytest.mark.parametrize("arguments", [b"[1]", b"not json", b'"text"', b'{"a":', b"\xff", b"[" * 5000])
def test_arguments_that_are_no_object_are_refused(arguments: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no JSON object") as error:
        GEMINI.write_request(asked(ASKED, Turn("assistant", [ToolCallBlock("a", "f", arguments)])))
    assert error.value.param == "messages[1].content"


def test_a_result_without_its_call_is_refused_unless_it_names_the_tool() -> None:
    result = ToolResultBlock("a", (TextBlock("x"),))
    with pytest.raises(InvalidRequest, match="no earlier message"):
        GEMINI.write_request(asked(Turn("user", [result])))
    named = msgspec.structs.replace(result, name="f")
    (part,) = parts_of(named)
    assert part["functionResponse"]["name"] == "f"


def test_a_tools_result_may_have_pictures_and_several_texts() -> None:
    text_file = FileBlock(Source(media_type="text/plain"), text="three")
    content = (
        TextBlock("one"),
        ImageBlock(PNG),
        TextBlock("two"),
        text_file,
        ImageBlock(Source(url="https://a/b.gif")),
    )
    (part,) = parts_of(ToolResultBlock("a", content, name="f"))
    assert part["functionResponse"]["response"] == {"output": ["one", "two", "three"]}
    assert part["functionResponse"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"fileData": {"fileUri": "https://a/b.gif", "mimeType": "image/gif"}},
    ]
    strange = ToolResultBlock("a", (ThinkingBlock("x"),), name="f")
    assert refused(asked(Turn("user", [strange]))).param == "messages[0].content"


# Media.


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (ImageBlock(PNG), {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        (ImageBlock(Source(url="https://a/b")), {"fileData": {"fileUri": "https://a/b"}}),
        (
            ImageBlock(Source(url="https://a/b.JPG?x=1")),
            {"fileData": {"fileUri": "https://a/b.JPG?x=1", "mimeType": "image/jpeg"}},
        ),
        (ImageBlock(Source(url="https://[bad")), {"fileData": {"fileUri": "https://[bad"}}),
        (
            ImageBlock(Source(url="data:image/gif;base64,R0lG")),
            {"inlineData": {"mimeType": "image/gif", "data": "R0lG"}},
        ),
        (FileBlock(Source(url="data:text/plain,a%20b")), {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}}),
        (
            AudioBlock(Source(data="UklGRg=="), encoding="wav"),
            {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        ),
        (
            AudioBlock(Source(data="UklGRg=="), encoding="mp3"),
            {"inlineData": {"mimeType": "audio/mpeg", "data": "UklGRg=="}},
        ),
        (
            FileBlock(Source(data="JVBERg=="), name="a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        ),
        (FileBlock(Source(media_type="text/plain"), text="plain"), {"text": "plain"}),
        (
            FileBlock(Source(file_id="files/abc")),
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
    ],
)
def test_media_go_as_data_or_by_their_address(block: Block, part: dict[str, Any]) -> None:
    assert parts_of(block) == [part]


@pytest.mark.parametrize(
    ("block", "param"),
    [
        (FileBlock(Source(file_id="file-abc")), "messages[0].content"),
        (FileBlock(Source(data="AAAA")), "messages[0].content"),
        (FileBlock(Source(url="https://a/b"), context="The contract."), "messages[0].content.context"),
        (FileBlock(Source(url="https://a/b"), wants_citations=True), "messages[0].content.citations"),
        (OpaqueBlock("messages", "container_upload", msgspec.Raw(b"{}")), "messages[0].content"),
        (ToolCallBlock("a", "f", b"x", is_custom=True), "messages[0].content"),
        (ToolResultBlock("a", (), is_custom=True), "messages[0].content"),
        (TextBlock("x", ext={"other": msgspec.Raw(b"1")}), "messages[0].content.other"),
    ],
)
def test_what_google_has_no_word_for_is_refused_where_it_stands(block: Block, param: str) -> None:
    assert refused(asked(Turn("user", [block]))).param == param


# Thoughts and signatures.


def test_a_thought_of_geminis_goes_back_with_its_signature() -> None:
    blocks: list[Block] = [
        ThinkingBlock("Hm.", signature="gemini:QUJD", origin="messages"),
        ThinkingBlock("", signature="gemini:REVG", origin="gemini"),
        ThinkingBlock(summary=("One.", "Two."), signature="R0hJ", origin="gemini"),
        ToolCallBlock("sig6_call_0S0xN", "f", b"{}"),
    ]
    result = Turn("user", [ToolResultBlock("sig6_call_0S0xN", (TextBlock("x"),))])
    contents = body_of(asked(ASKED, Turn("assistant", blocks), result))["contents"]
    assert contents[1]["parts"] == [
        {"text": "Hm.", "thought": True, "thoughtSignature": "QUJD"},
        {"text": "", "thoughtSignature": "REVG"},
        {"text": "One.\n\nTwo.", "thought": True, "thoughtSignature": "R0hJ"},
        {"functionCall": {"name": "f", "args": {}, "id": "call_0"}, "thoughtSignature": "S0xN"},
    ]
    assert contents[2]["parts"][0]["functionResponse"] == {"name": "f", "response": {"output": "x"}, "id": "call_0"}


@pytest.mark.parametrize(
    "thought",
    [
        ThinkingBlock("Hm.", signature="theirs", origin="messages"),
        ThinkingBlock("Hm."),
        ThinkingBlock(redacted="x", origin="messages"),
        ThinkingBlock(id="rs_1", redacted="x", origin="responses"),
    ],
)
def test_thoughts_of_other_models_are_left_out_and_named(thought: ThinkingBlock) -> None:
    written = GEMINI.write_request(asked(ASKED, Turn("assistant", [thought, TextBlock("Hi.")]), ASKED))
    assert strictly(written.body)["contents"][1]["parts"] == [{"text": "Hi."}]
    assert written.left_out == ("messages[1].content.thinking",)


@pytest.mark.parametrize(
    ("model", "is_signed"), [("gemini-3-pro", True), ("gemini-2.5-pro", False), ("gemini-4", True), ("gemma-3", False)]
)
def test_calls_of_other_models_are_signed_for_models_that_ask_for_it(model: str, *, is_signed: bool) -> None:
    calls: list[Block] = [ToolCallBlock("a", "f", b"{}"), ToolCallBlock("b", "f", b"{}")]
    parts = body_of(asked(ASKED, Turn("assistant", calls), model=model))["contents"][1]["parts"]
    signatures = [part.get("thoughtSignature") for part in parts]
    assert signatures == (["skip_thought_signature_validator", None] if is_signed else [None, None])


def test_a_call_with_a_signature_of_its_own_keeps_it() -> None:
    calls: list[Block] = [ToolCallBlock("a", "f", b"{}", signature="QUJD"), ToolCallBlock("b", "f", b"{}")]
    parts = body_of(asked(ASKED, Turn("assistant", calls), model="gemini-3"))["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["QUJD", None]


# Tools.


def test_functions_are_declared_with_their_schema_as_it_stood() -> None:
    written = GEMINI.write_request(asked(tools=[Tool("f", "Looks.", SCHEMA), Tool("g")]))
    assert strictly(written.body)["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "Looks.", "parametersJsonSchema": json.loads(bytes(SCHEMA))},
                {"name": "g"},
            ]
        }
    ]
    assert bytes(SCHEMA) in written.body


def test_googles_own_tools_stand_beside_them() -> None:
    own = Tool("", origin="gemini", raw=msgspec.Raw(b'{"googleSearch": {}}'))
    assert body_of(asked(tools=[own, Tool("f")]))["tools"] == [
        {"functionDeclarations": [{"name": "f"}]},
        {"googleSearch": {}},
    ]


@pytest.mark.parametrize(
    "tool", [Tool("f", is_custom=True), Tool("web_search", origin="responses", raw=msgspec.Raw(b"{}"))]
)
def test_tools_that_are_no_functions_are_refused(tool: Tool) -> None:
    assert refused(asked(tools=[Tool("g"), tool])).param == "tools[1]"


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, None),
        (ToolChoice("auto"), None),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("named", "f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice("allowed", names=("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice("allowed", names=("f",), is_required=True), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_the_choice_of_tools_is_a_mode(choice: ToolChoice | None, config: dict[str, Any] | None) -> None:
    found = body_of(asked(tools=[Tool("f")], tool_choice=choice)).get("toolConfig")
    assert found == (None if config is None else {"functionCallingConfig": config})


def test_strict_tools_are_validated() -> None:
    found = body_of(asked(tools=[Tool("f", strict=True)], parallel_tool_calls=True))
    assert found["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert "toolConfig" not in body_of(asked(tool_choice=ToolChoice("none")))


# Settings.


def test_all_settings_have_googles_names() -> None:
    request = asked(
        max_output=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("a", "b"),
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        choices=1,
        service_tier="flex",
        stream=True,
        wants_usage=True,
    )
    body = body_of(request)
    assert body["generationConfig"] == {
        "candidateCount": 1,
        "maxOutputTokens": 100,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "stopSequences": ["a", "b"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": -0.1,
    }
    assert body["serviceTier"] == "flex"


@pytest.mark.parametrize(("tier", "written"), [("auto", None), ("default", "standard"), ("priority", "priority")])
def test_tiers_have_googles_names(tier: str, written: str | None) -> None:
    assert body_of(asked(service_tier=tier)).get("serviceTier") == written


def test_a_schema_of_the_answer_is_kept_as_it_stood() -> None:
    wanted = OutputFormat("json_schema", name="Verdict", schema=SCHEMA, strict=True, description="A verdict.")
    written = GEMINI.write_request(asked(output_format=wanted))
    config = strictly(written.body)["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert bytes(SCHEMA) in written.body
    assert written.left_out == ("response_format.json_schema.name", "response_format.json_schema.description")
    assert body_of(asked(output_format=OutputFormat("json")))["generationConfig"] == {
        "responseMimeType": "application/json"
    }
    assert "generationConfig" not in body_of(asked(output_format=OutputFormat("text")))


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-2.5-flash", Reasoning(effort="low"), {"thinkingBudget": 1024}),
        ("gemini-2.5-flash", Reasoning(effort="high"), {"thinkingBudget": 24576}),
        ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}),
        ("gemini-3-pro", Reasoning(effort="minimal"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro", Reasoning(effort="xhigh"), {"thinkingLevel": "XHIGH"}),
        (
            "gemini-3-pro",
            Reasoning(effort="medium", summary="auto"),
            {"thinkingLevel": "MEDIUM", "includeThoughts": True},
        ),
        ("gemini-3-pro", Reasoning(enabled=False), {"thinkingBudget": 0}),
        ("gemini-3-pro", Reasoning(is_adaptive=True), {"thinkingBudget": -1}),
        ("gemini-3-pro", Reasoning(enabled=True, budget_tokens=2000), {"thinkingBudget": 2000}),
        ("gemini-3-pro", Reasoning(shows_text=True), {"includeThoughts": True}),
        ("gemini-3-pro", Reasoning(shows_text=False), None),
        ("gemini-3-pro", Reasoning(), None),
    ],
)
def test_thinking_is_a_level_or_a_budget(model: str, reasoning: Reasoning, config: dict[str, Any] | None) -> None:
    found = body_of(asked(model=model, reasoning=reasoning)).get("generationConfig")
    assert found == (None if config is None else {"thinkingConfig": config})


def test_callers_of_messages_see_thoughts_unless_they_say_otherwise() -> None:
    def config(**members: Any) -> Any:
        said = Reasoning(enabled=True, budget_tokens=1024, **members)
        return body_of(asked(origin="messages", reasoning=said))["generationConfig"]["thinkingConfig"]

    assert config() == {"includeThoughts": True, "thinkingBudget": 1024}
    assert config(shows_text=False) == {"thinkingBudget": 1024}


def test_a_budget_goes_before_an_effort_which_is_named() -> None:
    said = Reasoning(enabled=True, budget_tokens=1024, effort="low", summary="detailed")
    assert GEMINI.write_request(asked(origin="messages", reasoning=said)).left_out == (
        "reasoning.summary",
        "output_config.effort",
    )


@pytest.mark.parametrize(
    ("members", "params"),
    [
        ({"choices": 2}, {"chat": "n"}),
        (
            {"parallel_tool_calls": False},
            {"chat": "parallel_tool_calls", "messages": "tool_choice.disable_parallel_tool_use"},
        ),
        ({"stop": tuple("abcdef")}, {"chat": "stop", "messages": "stop_sequences"}),
        ({"seed": 2**31}, {"chat": "seed"}),
        ({"verbosity": "low"}, {"chat": "verbosity", "responses": "text.verbosity"}),
        ({"logprobs": True, "top_logprobs": 2}, {"chat": "logprobs"}),
        ({"top_logprobs": 2}, {"responses": "top_logprobs"}),
        ({"service_tier": "scale"}, {"chat": "service_tier"}),
        ({"reasoning": Reasoning(effort="max")}, {"chat": "reasoning_effort", "responses": "reasoning.effort"}),
        ({"ext": {"logit_bias": msgspec.Raw(b'{"1":2}')}}, {"chat": "logit_bias"}),
        ({"ext": {"web_search_options": msgspec.Raw(b'{"a":1}')}}, {"chat": "web_search_options"}),
        ({"ext": {"previous_response_id": msgspec.Raw(b'"resp_1"')}}, {"responses": "previous_response_id"}),
        ({"ext": {"mcp_servers": msgspec.Raw(b"[{}]")}}, {"messages": "mcp_servers"}),
        ({"ext": {"suffix": msgspec.Raw(b'"x"')}}, {"completions": "suffix"}),
    ],
)
def test_what_google_can_not_do_is_refused_by_the_callers_name(
    members: dict[str, Any], params: dict[FormatName, str]
) -> None:
    for origin, param in params.items():
        error = refused(asked(origin=origin, **members))
        assert error.param == param
        assert f"`{param}`" in error.message


@pytest.mark.parametrize(
    ("origin", "members", "named"),
    [
        ("chat", {"end_user": "me"}, ("user",)),
        ("messages", {"end_user": "me"}, ("metadata.user_id",)),
        ("chat", {"verbosity": "medium"}, ("verbosity",)),
        ("chat", {"service_tier": "auto"}, ("service_tier",)),
        (
            "chat",
            {"ext": {"metadata": msgspec.Raw(b'{"a":"b"}'), "store": msgspec.Raw(b"true")}},
            ("metadata", "store"),
        ),
        ("chat", {"ext": {"logit_bias": msgspec.Raw(b"{}"), "audio": msgspec.Raw(b"null")}}, ()),
        ("responses", {"ext": {"background": msgspec.Raw(b"false"), "~x": msgspec.Raw(b"1")}}, ()),
        (
            "messages",
            {"turns": [Turn("user", [TextBlock("x", cache=Cache())])]},
            ("messages[0].content.cache_control",),
        ),
        ("messages", {"tools": [Tool("f", cache=Cache("1h"))]}, ("tools[0].cache_control",)),
        (
            "chat",
            {"turns": [Turn("user", [ImageBlock(PNG, detail="high")], name="bob")]},
            ("messages[0].name", "messages[0].content.detail"),
        ),
        ("chat", {"turns": [Turn("user", [FileBlock(PNG, name="a")])]}, ("messages[0].content.name",)),
        (
            "chat",
            {"turns": [Turn("user", [TextBlock("x", citations=(Citation(),))])]},
            ("messages[0].content.citations",),
        ),
        (
            "responses",
            {"turns": [Turn("user", [TextBlock("x", ext={"id": msgspec.Raw(b'"i"')})])]},
            ("input.content.id",),
        ),
    ],
)
def test_hints_are_left_out_and_named(origin: FormatName, members: dict[str, Any], named: tuple[str, ...]) -> None:
    request = Request(origin, "m", **{"turns": [ASKED], **members})
    written = GEMINI.write_request(request)
    strictly(written.body)
    assert written.left_out == named


def test_a_request_of_this_format_keeps_what_only_it_has() -> None:
    ext = {"safetySettings": msgspec.Raw(b'[{"category": "X"}]'), "cachedContent": msgspec.Raw(b'"c/1"')}
    block = OpaqueBlock("gemini", "executableCode", msgspec.Raw(b'{"executableCode": {"code": "1"}}'))
    written = GEMINI.write_request(asked(ASKED, Turn("assistant", [block]), origin="gemini", ext=ext))
    body = json.loads(written.body)
    assert (body["safetySettings"], body["cachedContent"]) == ([{"category": "X"}], "c/1")
    assert body["contents"][1]["parts"] == [{"executableCode": {"code": "1"}}]


# Whatever is asked.

TEXTS = st.text(max_size=8)
SOURCES = st.builds(
    Source,
    media_type=st.none() | st.sampled_from(["image/png", "application/pdf"]),
    data=st.none() | st.just("AAAA"),
    url=st.none() | TEXTS | st.just("data:,x"),
    file_id=st.none() | st.sampled_from(["files/a", "file-b"]),
)
RAW = st.sampled_from([b"null", b"1", b'"x"', b"[]", b'{"type":"object"}']).map(msgspec.Raw)
EXT = st.just({}) | st.dictionaries(st.sampled_from(["id", "metadata", "~list", "other", "store"]), RAW, max_size=2)
CACHES = st.none() | st.builds(Cache, st.sampled_from([None, "5m", "1h"]))
IDS = st.sampled_from(["", "a", "b", "sig1_aQUJD", "sig9_x"])
LEAVES: st.SearchStrategy[Block] = st.one_of(
    st.builds(TextBlock, TEXTS, cache=CACHES, ext=EXT),
    st.builds(ImageBlock, SOURCES, st.sampled_from([None, "low"]), cache=CACHES),
    st.builds(AudioBlock, SOURCES, st.none() | st.just("wav")),
    st.builds(FileBlock, SOURCES, st.none() | TEXTS, text=st.none() | TEXTS, wants_citations=st.none() | st.booleans()),
    st.builds(
        ThinkingBlock,
        TEXTS,
        st.none() | st.sampled_from(["gemini:QUJD", "theirs"]),
        origin=st.sampled_from([None, "gemini", "messages"]),
    ),
    st.builds(ToolCallBlock, IDS, TEXTS, st.sampled_from([b"", b"{}", b'{"a":1}', b"[]", b"{"]), st.booleans()),
    st.just(OpaqueBlock("messages", "server_tool_use", msgspec.Raw(b"{}"))),
)
BLOCKS = LEAVES | st.builds(
    ToolResultBlock, IDS, st.lists(LEAVES, max_size=2).map(tuple), st.none() | TEXTS, st.none() | st.booleans()
)
TURNS = st.builds(
    Turn,
    st.sampled_from(["system", "developer", "user", "assistant"]),
    st.lists(BLOCKS, max_size=3),
    st.none() | TEXTS,
    EXT,
)
CHOICES = st.builds(
    ToolChoice,
    st.sampled_from(["auto", "none", "required", "named", "allowed"]),
    st.none() | TEXTS,
    st.lists(TEXTS, max_size=2).map(tuple),
    st.booleans(),
)
REQUESTS = st.builds(
    Request,
    st.sampled_from(["chat", "responses", "messages", "completions"]),
    st.sampled_from(["gemini-2.5-pro", "gemini-3-pro"]),
    st.lists(TURNS, max_size=4),
    tools=st.lists(
        st.builds(Tool, TEXTS, st.none() | TEXTS, st.none() | RAW, strict=st.none() | st.booleans()), max_size=2
    ),
    tool_choice=st.none() | CHOICES,
    parallel_tool_calls=st.none() | st.booleans(),
    max_output=st.none() | st.integers(1, 100),
    temperature=st.none() | st.floats(0, 2),
    stop=st.lists(TEXTS, max_size=6).map(tuple),
    choices=st.none() | st.integers(1, 2),
    output_format=st.none() | st.builds(OutputFormat, st.sampled_from(["text", "json", "json_schema"]), schema=RAW),
    reasoning=st.none()
    | st.builds(
        Reasoning,
        st.sampled_from([None, "none", "low", "max"]),
        st.none() | st.integers(0, 9),
        is_adaptive=st.booleans(),
    ),
    service_tier=st.sampled_from([None, "auto", "flex", "x"]),
    ext=EXT,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS)
def test_any_request_is_one_that_google_reads_or_is_refused_by_name(request: Request) -> None:
    refusal: InvalidRequest | None = None
    try:
        written = GEMINI.write_request(request)
    except InvalidRequest as error:
        refusal = error
    if refusal is not None:
        assert refusal.param
        return
    body = strictly(written.body)
    assert all(content["parts"] for content in body["contents"])
    with pytest.raises(pydantic.ValidationError):
        strictly(msgspec.json.encode({**body, "messages": []}))
