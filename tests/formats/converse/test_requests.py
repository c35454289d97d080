"""Neutral requests as Converse bodies: everything that can be said is valid for botocore, the rest is named."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from botocore_oracle import BotocoreOracle
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import InvalidRequest, Unmapped
from headworks.formats.converse.format import CONVERSE
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
    Role,
    Source,
    TextBlock,
    ThinkingBlock,
    Tool,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    Turn,
)

CLAUDE = "us.anthropic.claude-sonnet-4-6-v1:0"
NOVA = "amazon.nova-2-lite-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"
BUDGET = {"type": "enabled", "budget_tokens": 2000}
ADAPTIVE = {"type": "adaptive"}
PIXEL = base64.b64encode(b"\x89PNG pixel").decode()
SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"n":{"const":12345678901234567890}},"required":["n"]}')
PICTURE = ImageBlock(Source(media_type="image/png", data=PIXEL))


def hello(*more: Turn, **said: Any) -> Request:
    return Request(
        said.pop("origin", "chat"), said.pop("model", CLAUDE), [Turn("user", [TextBlock("Hi.")]), *more], **said
    )


def asked(*blocks: Block, role: Role = "user", **said: Any) -> Request:
    return Request(said.pop("origin", "chat"), said.pop("model", CLAUDE), [Turn(role, list(blocks))], **said)


def body(request: Request) -> Any:
    return json.loads(CONVERSE.write_request(request).body)


def content(request: Request) -> Any:
    return body(request)["messages"][0]["content"]


def refusal(request: Request) -> str | None:
    with pytest.raises(Unmapped, match="Bedrock's Converse can't say") as refused:
        CONVERSE.write_request(request)
    return refused.value.param


# What is said.


def test_a_plain_question() -> None:
    assert body(hello(temperature=0.5, top_p=0.9, max_output=100, stop=("END",), model=NOVA)) == {
        "messages": [{"role": "user", "content": [{"text": "Hi."}]}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
    }
    assert body(hello(stream=True, wants_usage=True)) == body(hello())


def test_which_stop_sequence_was_met_is_asked_of_claude() -> None:
    assert body(hello(stop=("END",)))["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    own = msgspec.Raw(b'["/mine"]')
    given_own = hello(stop=("END",), ext={"additionalModelResponseFieldPaths": own})
    assert body(given_own)["additionalModelResponseFieldPaths"] == ["/mine"]


def test_system_texts_stand_in_front_or_in_their_place() -> None:
    turns = [
        Turn("system", [TextBlock("Be brief.", cache=Cache("1h"))]),
        Turn("developer", [TextBlock("Be kind.")]),
        Turn("user", [TextBlock("Hi.")]),
        Turn("system", [TextBlock("Now be loud.")]),
    ]
    said = body(Request("chat", CLAUDE, turns))
    assert said["system"] == [
        {"text": "Be brief."},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "Be kind."},
    ]
    assert [message["role"] for message in said["messages"]] == ["user", "system"]


def test_turns_of_one_role_after_another_become_one() -> None:
    calls: list[Block] = [ToolCallBlock("a", "f", b'{"x":1}'), ToolCallBlock("b", "f", b"")]
    results = [Turn("user", [ToolResultBlock(each, (TextBlock("ok"),))]) for each in ("a", "b")]
    said = body(hello(Turn("assistant", calls), *results, Turn("user", [TextBlock("Go on.")])))["messages"]
    assert [message["role"] for message in said] == ["user", "assistant", "user"]
    assert said[1]["content"][1] == {"toolUse": {"toolUseId": "b", "name": "f", "input": {}}}
    assert [next(iter(block)) for block in said[2]["content"]] == ["toolResult", "toolResult", "text"]


def test_arguments_and_schemas_keep_every_digit() -> None:
    request = asked(ToolCallBlock("a", "f", b'{"n": 12345678901234567890, "x": 1.10}'), role="assistant")
    request.tools = [Tool("f", parameters=SCHEMA, strict=True, description="Does.")]
    written = CONVERSE.write_request(request).body
    assert b'{"n": 12345678901234567890, "x": 1.10}' in written
    assert b'"inputSchema":{"json":' + bytes(SCHEMA) in written
    assert body(request)["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True


def test_ids_that_bedrock_refuses_are_replaced_the_same_in_call_and_result() -> None:
    odd = "call/ä " + "x" * 80
    request = asked(ToolCallBlock(odd, "f", b"{}"), role="assistant")
    request.turns.append(Turn("user", [ToolResultBlock(odd, ())]))
    call, result = (message["content"][0] for message in body(request)["messages"])
    assert call["toolUse"]["toolUseId"] == result["toolResult"]["toolUseId"] != odd
    assert content(asked(ToolCallBlock("call_1", "f", b"{}"), role="assistant"))[0]["toolUse"]["toolUseId"] == "call_1"


def test_results_of_tools_have_texts_pictures_and_documents() -> None:
    pdf = FileBlock(Source(media_type="application/pdf", data=PIXEL), name="a.pdf")
    block = ToolResultBlock("a", (TextBlock("one"), PICTURE, pdf), is_error=True)
    (written,) = content(asked(block))
    assert written["toolResult"]["status"] == "error"
    assert [next(iter(part)) for part in written["toolResult"]["content"]] == ["text", "image", "document"]
    assert content(asked(ToolResultBlock("a", (), is_error=False)))[0]["toolResult"] == {
        "toolUseId": "a",
        "content": [{"text": ""}],
        "status": "success",
    }


def test_media_are_sent_as_bytes_or_lie_in_s3() -> None:
    assert content(asked(PICTURE)) == [{"image": {"format": "png", "source": {"bytes": PIXEL}}}]
    by_url = ImageBlock(Source(url=f"data:image/jpeg;base64,{PIXEL}"))
    assert content(asked(by_url)) == [{"image": {"format": "jpeg", "source": {"bytes": PIXEL}}}]
    in_s3 = ImageBlock(Source(url="s3://bucket/cat.jpg"))
    assert content(asked(in_s3)) == [
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/cat.jpg"}}}}
    ]
    sound = AudioBlock(Source(data=PIXEL), encoding="wav")
    assert content(asked(sound)) == [{"audio": {"format": "wav", "source": {"bytes": PIXEL}}}]


def test_documents_have_names_that_bedrock_takes_and_none_twice() -> None:
    text = FileBlock(Source(), text="Once.", name="b/ook.md", context="A tale.", wants_citations=True)
    pdf = Source(media_type="application/pdf", data=PIXEL)
    written = content(asked(text, FileBlock(pdf, name="b_ook.md"), FileBlock(pdf), FileBlock(pdf, name="x" * 300)))
    assert written[0]["document"] == {
        "format": "md",
        "name": "b ook md",
        "source": {"text": "Once."},
        "context": "A tale.",
        "citations": {"enabled": True},
    }
    names = [each["document"]["name"] for each in written]
    assert names[:3] == ["b ook md", "b ook md 2", "document"]
    assert len(names[3]) <= 200


def test_thoughts_go_back_as_they_came() -> None:
    thoughts: list[Block] = [
        ThinkingBlock("Hm.", "sig", origin="converse"),
        ThinkingBlock("Hm.", "", origin="converse"),
        ThinkingBlock(redacted="RXRR", origin="converse"),
        ThinkingBlock("Hm.", "sig2", origin="messages"),
        ThinkingBlock(redacted="EtQ3", origin="messages"),
        ThinkingBlock("Hm.", origin="chat"),
        TextBlock("Done."),
    ]
    written = CONVERSE.write_request(asked(*thoughts, role="assistant"))
    assert json.loads(written.body)["messages"][0]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig"}}},
        {"reasoningContent": {"reasoningText": {"text": "Hm."}}},
        {"reasoningContent": {"redactedContent": "RXRR"}},
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig2"}}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"EtQ3").decode()}},
        {"text": "Done."},
    ]
    assert written.left_out == ("messages[0].content[5]",)


def test_cache_markers_become_cache_points() -> None:
    request = asked(TextBlock("Long.", cache=Cache()), PICTURE, TextBlock("", cache=Cache("5m")))
    request.tools = [Tool("f", cache=Cache("1h")), Tool("g")]
    assert [next(iter(block)) for block in content(request)] == ["text", "cachePoint", "image", "cachePoint"]
    assert body(request)["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}


def test_tools_are_chosen_from() -> None:
    tools = [Tool("f", parameters=SCHEMA), Tool("g", parameters=msgspec.Raw(b"null"))]

    def config(choice: ToolChoice | None, **more: Any) -> Any:
        return body(hello(tools=tools, tool_choice=choice, **more))["toolConfig"]

    assert "toolChoice" not in config(None)
    assert "toolChoice" not in config(ToolChoice("auto"))
    assert config(ToolChoice("required"))["toolChoice"] == {"any": {}}
    assert config(ToolChoice("named", "g"))["toolChoice"] == {"tool": {"name": "g"}}
    only_g = config(ToolChoice("allowed", names=("g",), is_required=True))
    assert [tool["toolSpec"]["name"] for tool in only_g["tools"]] == ["g"]
    assert only_g["toolChoice"] == {"any": {}}
    assert only_g["tools"][0]["toolSpec"]["inputSchema"] == {"json": {"type": "object", "properties": {}}}
    assert body(hello(tools=tools, tool_choice=ToolChoice("none"))).get("toolConfig") is None


def test_claude_is_told_to_call_one_tool_at_a_time() -> None:
    request = hello(tools=[Tool("f")], tool_choice=ToolChoice("named", "f"), parallel_tool_calls=False)
    said = body(request)
    assert "toolChoice" not in said["toolConfig"]
    assert said["additionalModelRequestFields"] == {
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}
    }
    assert refusal(hello(tools=[Tool("f")], parallel_tool_calls=False, model=NOVA)) == "parallel_tool_calls"
    assert "additionalModelRequestFields" not in body(hello(parallel_tool_calls=False, model=NOVA))


def test_a_schema_of_the_answer_is_text_inside_the_body() -> None:
    wanted = OutputFormat("json_schema", "city", SCHEMA, strict=True, description="A city.")
    said = body(hello(output_format=wanted))["outputConfig"]["textFormat"]
    assert said == {
        "type": "json_schema",
        "structure": {"jsonSchema": {"schema": bytes(SCHEMA).decode(), "name": "city", "description": "A city."}},
    }
    assert "outputConfig" not in body(hello(output_format=OutputFormat("text")))


@pytest.mark.parametrize(
    ("model", "asked_for", "own", "effort"),
    [
        (CLAUDE, Reasoning(budget_tokens=2000, enabled=True), {"thinking": BUDGET}, None),
        (CLAUDE, Reasoning(effort="high"), {"thinking": ADAPTIVE}, "high"),
        (CLAUDE, Reasoning(enabled=False), {"thinking": {"type": "disabled"}}, None),
        (
            "anthropic.claude-opus-4-5-v1:0",
            Reasoning(effort="low"),
            {"thinking": {**BUDGET, "budget_tokens": 2048}},
            None,
        ),
        (PROFILE, Reasoning(is_adaptive=True), {"thinking": ADAPTIVE}, None),
        (NOVA, Reasoning(effort="low"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None),
        ("us." + NOVA, Reasoning(enabled=False), {"reasoningConfig": {"type": "disabled"}}, None),
        ("openai.gpt-oss-120b-1:0", Reasoning(effort="high"), {"reasoning_effort": "high"}, None),
        ("qwen.qwen3-32b-v1:0", Reasoning(effort="high"), {"reasoning_config": "high"}, None),
    ],
)
def test_each_family_is_told_to_think_in_its_own_words(
    botocore: BotocoreOracle, model: str, asked_for: Reasoning, own: Any, effort: str | None
) -> None:
    request = hello(model=model, reasoning=asked_for)
    said = body(request)
    assert said["additionalModelRequestFields"] == own
    assert said.get("outputConfig", {}).get("effort") == effort
    assert botocore.complaints(CONVERSE.write_request(request).body, model="amazon.x") == []


@pytest.mark.parametrize(
    ("model", "own"),
    [
        (CLAUDE, {"top_k": 20}),
        (NOVA, {"inferenceConfig": {"topK": 20}}),
        ("cohere.command-r-v1:0", {"k": 20}),
    ],
)
def test_each_family_is_told_of_top_k_in_its_own_words(model: str, own: Any) -> None:
    assert body(hello(model=model, top_k=20))["additionalModelRequestFields"] == own


def test_what_only_bedrock_has_may_be_said_in_every_format() -> None:
    ext = {
        "guardrailConfig": msgspec.Raw(b'{"guardrailIdentifier":"abc","guardrailVersion":"1"}'),
        "requestMetadata": msgspec.Raw(b'{"team":"claims"}'),
        "performanceConfig": msgspec.Raw(b'{"latency":"optimized"}'),
        "additionalModelRequestFields": msgspec.Raw(b'{"anthropic_beta":["x"]}'),
    }
    said = body(hello(ext=ext, top_k=3, service_tier="flex"))
    assert said["guardrailConfig"] == {"guardrailIdentifier": "abc", "guardrailVersion": "1"}
    assert said["requestMetadata"] == {"team": "claims"}
    assert said["additionalModelRequestFields"] == {"anthropic_beta": ["x"], "top_k": 3}
    assert said["serviceTier"] == {"type": "flex"}
    assert "serviceTier" not in body(hello(service_tier="auto"))


@pytest.mark.parametrize(("raw", "param"), [(b'{"top_k":1}', ".top_k"), (b"[]", ""), (b"3", "")])
def test_own_fields_of_a_model_are_an_object_and_say_nothing_twice(raw: bytes, param: str) -> None:
    request = hello(ext={"additionalModelRequestFields": msgspec.Raw(raw)}, top_k=3)
    with pytest.raises(InvalidRequest) as refused:
        CONVERSE.write_request(request)
    assert refused.value.param == f"additionalModelRequestFields{param}"


# What can't be said.


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (hello(temperature=1.5), "temperature"),
        (hello(presence_penalty=0.5), "presence_penalty"),
        (hello(frequency_penalty=-1), "frequency_penalty"),
        (hello(logprobs=True), "logprobs"),
        (hello(seed=0), "seed"),
        (hello(choices=2), "n"),
        (hello(verbosity="low", origin="responses"), "text.verbosity"),
        (hello(service_tier="scale"), "service_tier"),
        (hello(output_format=OutputFormat("json")), "response_format"),
        (hello(output_format=OutputFormat("json"), origin="responses"), "text.format"),
        (hello(top_k=1, model="openai.gpt-oss-20b-1:0"), "top_k"),
        (hello(reasoning=Reasoning(effort="max"), model=NOVA), "reasoning_effort"),
        (hello(reasoning=Reasoning(effort="low"), model="meta.llama4-v1:0"), "reasoning_effort"),
        (hello(reasoning=Reasoning(enabled=False), model="openai.gpt-oss-20b-1:0"), "reasoning_effort"),
        (hello(reasoning=Reasoning(budget_tokens=2000), model=NOVA, origin="responses"), "reasoning"),
        (hello(ext={"moderation": msgspec.Raw(b"true")}), "moderation"),
        (hello(Turn("user", [TextBlock("x")], ext={"audio": msgspec.Raw(b"{}")})), "messages[1].audio"),
        (asked(TextBlock("x", ext={"odd": msgspec.Raw(b"1")})), "messages[0].content[0].odd"),
        (asked(ImageBlock(Source(url="https://example.com/a.png"))), "messages[0].content[0]"),
        (asked(ImageBlock(Source(file_id="file-1", media_type="image/png"))), "messages[0].content[0].file_id"),
        (asked(ImageBlock(Source(data="AA==", media_type="image/tiff"))), "messages[0].content[0]"),
        (asked(AudioBlock(Source(data="AA=="), encoding="midi")), "messages[0].content[0]"),
        (asked(FileBlock(Source(data="AA==", media_type="application/zip"))), "messages[0].content[0]"),
        (asked(OpaqueBlock("messages", "server_tool_use", msgspec.Raw(b"{}"))), "messages[0].content[0]"),
        (asked(ToolCallBlock("a", "f", b"x", is_custom=True), role="assistant"), "messages[0].content[0]"),
        (asked(ToolResultBlock("a", (), is_custom=True)), "messages[0].content[0]"),
        (asked(ToolResultBlock("a", (ToolCallBlock("b", "f", b""),))), "messages[0].content[0].content[0]"),
        (asked(PICTURE, role="system"), "messages[0].content"),
        (asked(TextBlock("x"), role="system"), "messages"),
        (Request("responses", CLAUDE), "input"),
        (hello(tools=[Tool("a b")]), "tools[0].name"),
        (hello(tools=[Tool("f", is_custom=True)]), "tools[0]"),
        (hello(tools=[Tool("f", ext={"defer_loading": msgspec.Raw(b"true")})]), "tools[0].defer_loading"),
        (hello(tools=[Tool("s", origin="responses", raw=msgspec.Raw(b"{}"))]), "tools[0]"),
        (hello(tool_choice=ToolChoice("required")), "tool_choice"),
        (hello(tools=[Tool("f")], tool_choice=ToolChoice("allowed", names=("g",))), "tool_choice"),
        (
            hello(Turn("assistant", [ToolCallBlock("a", "f", b"")]), tools=[Tool("f")], tool_choice=ToolChoice("none")),
            "tool_choice",
        ),
    ],
)
def test_what_can_not_be_said_is_refused_by_the_name_that_the_caller_gave_it(request_: Request, param: str) -> None:
    assert refusal(request_) == param


def test_places_of_messages_are_counted_without_its_system() -> None:
    odd = [TextBlock("x", ext={"odd": msgspec.Raw(b"1")})]
    system, user = Turn("system", [TextBlock("Be.")]), Turn("user", [TextBlock("Hi.")])
    assert (
        refusal(Request("messages", CLAUDE, [system, user, Turn("assistant", list(odd))]))
        == "messages[1].content[0].odd"
    )
    assert refusal(Request("messages", CLAUDE, [Turn("system", list(odd)), user])) == "system[0].odd"
    assert refusal(Request("chat", CLAUDE, [system, Turn("user", list(odd))])) == "messages[1].content[0].odd"


@pytest.mark.parametrize("arguments", [b"{", b"[1]", b"\xff", b'"x"', b"{" * 5000])
def test_arguments_of_a_past_call_must_be_an_object(arguments: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no JSON object") as refused:
        CONVERSE.write_request(asked(ToolCallBlock("a", "f", arguments), role="assistant"))
    assert refused.value.param == "messages[0].content[0].arguments"


def test_an_output_schema_must_be_there() -> None:
    with pytest.raises(InvalidRequest, match="no schema"):
        CONVERSE.write_request(hello(output_format=OutputFormat("json_schema")))


def test_what_changes_no_answer_is_left_out_and_named() -> None:
    request = asked(
        TextBlock("x", citations=(Citation("q"),), ext={"id": msgspec.Raw(b'"i"'), "~list": msgspec.Raw(b"true")}),
        ImageBlock(Source(media_type="image/png", data=PIXEL), detail="high"),
        TextBlock(" \n"),
        ThinkingBlock("Hm."),
        end_user="u",
        ext={"annotations": msgspec.Raw(b"[]"), "nothing": msgspec.Raw(b"null")},
        tools=[Tool("f")],
        tool_choice=ToolChoice("none"),
        reasoning=Reasoning(enabled=False),
        model="meta.llama4-v1:0",
    )
    request.turns[0].name = "Ada"
    request.turns.append(Turn("user", []))
    assert set(CONVERSE.write_request(request).left_out) == {
        "messages[0].content[0].annotations",
        "messages[0].content[0].id",
        "messages[0].content[1].detail",
        "messages[0].content[2]",
        "messages[0].content[3]",
        "messages[0].name",
        "messages[1]",
        "tools",
        "user",
        "reasoning_effort",
    }


# Any request.

texts = st.text(max_size=20)
filled = texts.filter(str.strip)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
objects = st.dictionaries(texts, st.integers(-(2**60), 2**60) | texts | st.none(), max_size=3).map(
    lambda each: json.dumps(each).encode()
)
caches = st.none() | st.builds(Cache, st.sampled_from([None, "5m", "1h"]))
data = st.binary(min_size=1, max_size=20).map(lambda each: base64.b64encode(each).decode())
pictures = st.builds(
    ImageBlock,
    st.builds(Source, st.sampled_from(["image/png", "image/jpg", "image/webp"]), data),
    st.just(None),
    caches,
)
documents = st.builds(
    FileBlock,
    st.builds(Source, st.sampled_from(["application/pdf", "text/csv"]), data),
    name=st.none() | texts,
    text=st.none() | texts,
    context=st.none() | texts,
    wants_citations=st.none() | st.booleans(),
    cache=caches,
)
sounds = st.builds(AudioBlock, st.builds(Source, data=data), st.sampled_from(["wav", "mp3"]), caches)
spoken = st.builds(TextBlock, texts, cache=caches)
calls = st.builds(ToolCallBlock, texts, names, objects, cache=caches)
results = st.builds(
    ToolResultBlock,
    texts,
    st.lists(st.one_of(st.builds(TextBlock, texts), pictures, documents), max_size=3).map(tuple),
    is_error=st.none() | st.booleans(),
    cache=caches,
)
thoughts = st.builds(
    ThinkingBlock,
    texts,
    st.none() | texts,
    st.none() | data,
    origin=st.sampled_from([None, "converse", "messages", "chat"]),
)
turns = st.one_of(
    st.builds(Turn, st.just("user"), st.lists(st.one_of(spoken, pictures, documents, sounds, results), max_size=3)),
    st.builds(Turn, st.just("assistant"), st.lists(st.one_of(spoken, calls, thoughts), max_size=3)),
    st.builds(
        Turn, st.sampled_from(["system", "developer"]), st.lists(st.builds(TextBlock, filled, cache=caches), max_size=2)
    ),
)
tools = st.builds(
    Tool, names, st.none() | texts, st.none() | objects.map(msgspec.Raw), st.none() | st.booleans(), cache=caches
)
requests = st.builds(
    Request,
    st.sampled_from(["chat", "responses", "messages", "completions"]),
    st.sampled_from([CLAUDE, NOVA, "qwen.qwen3-v1:0"]),
    st.lists(turns, max_size=3).map(lambda each: [*each, Turn("user", [TextBlock("Hi.")])]),
    st.lists(tools, max_size=3),
    max_output=st.none() | st.integers(1, 10**6),
    temperature=st.none() | st.floats(0, 1),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(0, 500),
    stop=st.lists(filled, max_size=2).map(tuple),
    output_format=st.none()
    | st.builds(OutputFormat, st.just("json_schema"), st.none() | filled, objects.map(msgspec.Raw)),
    end_user=st.none() | texts,
    service_tier=st.sampled_from([None, "auto", "default", "priority"]),
    stream=st.booleans(),
)


@settings(max_examples=60)
@given(request_=requests)
def test_every_body_is_valid_and_is_what_botocore_would_send(botocore: BotocoreOracle, request_: Request) -> None:
    written = CONVERSE.write_request(request_)
    assert botocore.complaints(written.body, stream=request_.stream) == []
    sent = json.loads(written.body)
    texts_sent = "".join(block.get("text", "") for message in sent["messages"] for block in message["content"])
    said = [
        each for turn in request_.turns for each in turn.blocks if isinstance(each, TextBlock) and each.text.strip()
    ]
    in_front = "".join(block.get("text", "") for block in sent.get("system", []))
    assert in_front + texts_sent == "".join(block.text for block in said)


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"messages":[{"role":"tool","content":[]}]}',
        b'{"messages":[{"role":"user","content":[{"text":1}]}]}',
        b'{"messages":[{"role":"user","content":[{"txt":"x"}]}]}',
        b'{"messages":[{"role":"user","content":[{"text":"x","image":{}}]}]}',
        b'{"messages":[],"inferenceConfig":{"temperature":2}}',
        b'{"messages":[],"toolConfig":{"tools":[]}}',
    ],
)
def test_botocore_finds_what_is_wrong(botocore: BotocoreOracle, wrong: bytes) -> None:
    assert botocore.complaints(wrong) != []


odd_sources = st.builds(Source, st.none() | texts, st.none() | texts, st.none() | texts, st.none() | texts)
odd_exts = st.dictionaries(
    texts | st.sampled_from(["additionalModelRequestFields", "guardrailConfig", "metadata", "id"]),
    st.sampled_from([b"null", b"{}", b"[]", b'"x"', b"12345678901234567890", b'{"a":[1]}']).map(msgspec.Raw),
    max_size=2,
)
odd_blocks: st.SearchStrategy[Block] = st.one_of(
    st.builds(TextBlock, texts, ext=odd_exts),
    st.builds(ImageBlock, odd_sources, st.none() | texts, ext=odd_exts),
    st.builds(AudioBlock, odd_sources, st.none() | texts),
    st.builds(FileBlock, odd_sources, st.none() | texts, st.none() | texts),
    st.builds(ToolCallBlock, texts, texts, st.binary(max_size=10), st.booleans(), st.none() | texts),
    st.builds(ToolResultBlock, texts, st.tuples(st.builds(TextBlock, texts)), is_custom=st.booleans()),
    thoughts,
    st.just(OpaqueBlock("messages", "x", msgspec.Raw(b"{}"))),
)
odd_requests = st.builds(
    Request,
    st.sampled_from(["chat", "responses", "messages", "completions"]),
    texts,
    st.lists(
        st.builds(
            Turn, st.sampled_from(["system", "user", "assistant"]), st.lists(odd_blocks, max_size=3), ext=odd_exts
        )
    ),
    st.lists(
        st.builds(Tool, texts, parameters=st.none() | objects.map(msgspec.Raw), is_custom=st.booleans(), ext=odd_exts)
    ),
    st.none()
    | st.builds(
        ToolChoice,
        st.sampled_from(["auto", "none", "required", "named", "allowed"]),
        st.none() | texts,
        st.lists(texts, max_size=2).map(tuple),
        st.booleans(),
    ),
    parallel_tool_calls=st.none() | st.booleans(),
    temperature=st.none() | st.floats(allow_nan=False),
    reasoning=st.none()
    | st.builds(Reasoning, st.none() | texts, st.none() | st.integers(), st.none() | st.booleans(), st.booleans()),
    output_format=st.none() | st.builds(OutputFormat, st.sampled_from(["text", "json", "json_schema"])),
    ext=odd_exts,
)


@given(odd_requests)
def test_any_request_is_written_or_refused_by_name(request_: Request) -> None:
    refused = None
    try:
        written = CONVERSE.write_request(request_)
    except InvalidRequest as error:
        refused = error
    if refused is None:
        assert json.loads(written.body)["messages"]
    else:
        assert refused.param
        assert refused.param in str(refused)
