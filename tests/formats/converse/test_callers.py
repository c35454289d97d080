"""Callers of every format talk with a model on Bedrock: two turns, with thoughts, pictures, calls and their results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore_oracle import BotocoreOracle

from headworks.errors import HeadworksError, Unmapped
from headworks.formats.answers import collect
from headworks.formats.chat.format import CHAT
from headworks.formats.contract import Heard
from headworks.formats.converse.format import CONVERSE
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import Answer, Block, ThinkingBlock, ToolCallBlock
from headworks.formats.responses.format import RESPONSES
from headworks.testing import bedrock_replies as replies

Json = dict[str, Any]
MODEL = "us.anthropic.claude-sonnet-4-6-v1:0"
PICTURE = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False}
SAID = [
    replies.thought("Hm, well."),
    replies.hidden(),
    replies.text("Let me look."),
    replies.call("look", {"at": "Bern"}, id="tooluse_1"),
    replies.call("look", {"at": "Rom"}, id="tooluse_2"),
]

CHAT_ASKED: Json = {
    "model": MODEL,
    "max_completion_tokens": 3000,
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Weather?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
            ],
        },
    ],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA, "strict": True}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA, "strict": True}},
    "reasoning_effort": "high",
}
MESSAGES_ASKED: Json = {
    "model": MODEL,
    "max_tokens": 3000,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Weather?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
            ],
        }
    ],
    "tools": [{"name": "look", "input_schema": SCHEMA, "strict": True}],
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
    "thinking": {"type": "adaptive"},
    "top_k": 5,
    "metadata": {"user_id": "u"},
}
RESPONSES_ASKED: Json = {
    "model": MODEL,
    "max_output_tokens": 3000,
    "instructions": "Be brief.",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Weather?"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}", "detail": "auto"},
            ],
        }
    ],
    "tools": [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": True}],
    "text": {"format": {"type": "json_schema", "name": "w", "schema": SCHEMA, "strict": True}},
    "reasoning": {"effort": "high"},
}


def chat_goes_on(answer: Json) -> Json:
    message = answer["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in message["tool_calls"]]
    return {**CHAT_ASKED, "messages": [*CHAT_ASKED["messages"], message, *results]}


def messages_go_on(answer: Json) -> Json:
    calls = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": each, "content": "sunny"} for each in calls]
    said = [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]
    return {**MESSAGES_ASKED, "messages": [*MESSAGES_ASKED["messages"], *said]}


def responses_go_on(answer: Json) -> Json:
    calls = [item["call_id"] for item in answer["output"] if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": each, "output": "sunny"} for each in calls]
    return {**RESPONSES_ASKED, "input": [*RESPONSES_ASKED["input"], *answer["output"], *results]}


CALLERS = pytest.mark.parametrize(
    ("spoken", "asked", "goes_on"),
    [
        pytest.param(CHAT, CHAT_ASKED, chat_goes_on, id="chat"),
        pytest.param(MESSAGES, MESSAGES_ASKED, messages_go_on, id="messages"),
        pytest.param(RESPONSES, RESPONSES_ASKED, responses_go_on, id="responses"),
    ],
)


def carried(botocore: BotocoreOracle, spoken: Heard, asked: Json) -> Json:
    written = CONVERSE.write_request(spoken.read_request(json.dumps(asked).encode()))
    assert botocore.complaints(written.body) == []
    body: Json = json.loads(written.body)
    return body


def whole(*said: Json, **more: Any) -> Answer:
    return CONVERSE.read_answer(replies.answer(*said, **more).pieces[0])


@CALLERS
def test_a_question_arrives_whole(botocore: BotocoreOracle, spoken: Heard, asked: Json, goes_on: Any) -> None:
    body = carried(botocore, spoken, asked)
    assert body["system"][0] == {"text": "Be brief."}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"text": "Weather?"}, {"image": {"format": "png", "source": {"bytes": PICTURE}}}],
        }
    ]
    spec = {"name": "look", "inputSchema": {"json": SCHEMA}, "strict": True}
    assert body["toolConfig"] == {"tools": [{"toolSpec": spec}]}
    assert body["inferenceConfig"] == {"maxTokens": 3000}
    assert body["outputConfig"]["effort"] == "high"
    assert json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]) == SCHEMA
    assert body["additionalModelRequestFields"]["thinking"]["type"] == "adaptive"


def test_what_only_messages_can_ask_for_is_carried(botocore: BotocoreOracle) -> None:
    body = carried(botocore, MESSAGES, MESSAGES_ASKED)
    assert body["system"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["additionalModelRequestFields"]["top_k"] == 5
    left_out = CONVERSE.write_request(MESSAGES.read_request(json.dumps(MESSAGES_ASKED).encode())).left_out
    assert left_out == ("metadata.user_id",)


@CALLERS
def test_the_model_hears_again_what_it_said(botocore: BotocoreOracle, spoken: Heard, asked: Json, goes_on: Any) -> None:
    messages = carried(botocore, spoken, goes_on(json.loads(spoken.write_answer(whole(*SAID)))))["messages"]
    assert messages[1] == {"role": "assistant", "content": SAID}
    assert [block["toolResult"] for block in messages[2]["content"]] == [
        {"toolUseId": f"tooluse_{number}", "content": [{"text": "sunny"}]} for number in (1, 2)
    ]


@CALLERS
def test_a_stream_tells_the_caller_what_a_whole_answer_tells(spoken: Any, asked: Json, goes_on: Any) -> None:
    request = spoken.read_request(json.dumps({**asked, "stream": True}).encode())
    writer, reader, heard = spoken.writer(request), CONVERSE.reader(), spoken.reader()
    events = [*reader.feed(b"".join(replies.spoken(*SAID))), *reader.end()]
    streamed = collect([*heard.feed(b"".join(map(writer.write, events)) + writer.end()), *heard.end()])
    told = spoken.read_answer(spoken.write_answer(whole(*SAID)))
    assert streamed is not None
    assert _said(streamed) == _said(told)
    assert streamed.stopped.reason == told.stopped.reason == "tool_calls"


def _said(answer: Answer) -> list[tuple[Any, ...]]:
    """What is said, without ids that each answer has of its own."""
    return [
        (type(block), block.id, block.name, bytes(block.arguments).replace(b" ", b""))
        if isinstance(block, ToolCallBlock)
        else (type(block), getattr(block, "text", None), _has_proof(block))
        for block in answer.blocks
    ]


def _has_proof(block: Block) -> bool:
    """A thought can be given back: a Messages client hears of an encrypted one in either of two ways."""
    return isinstance(block, ThinkingBlock) and bool(block.signature or block.redacted)


@CALLERS
@pytest.mark.parametrize(
    "word",
    [
        "max_tokens",
        "guardrail_intervened",
        "content_filtered",
        "malformed_model_output",
        "malformed_tool_use",
        "model_context_window_exceeded",
        "something_new",
    ],
)
def test_no_caller_hears_of_a_good_end_where_there_was_none(
    spoken: Heard, asked: Json, goes_on: Any, word: str
) -> None:
    try:
        written = spoken.write_answer(whole(replies.text("x"), stop_reason=word)).replace(b" ", b"")
    except HeadworksError:  # which is no good end either
        return
    for good in (b'"finish_reason":"stop"', b'"stop_reason":"end_turn"', b'"status":"completed","model"'):
        assert good not in written


@pytest.mark.parametrize(
    ("spoken", "asked", "param"),
    [
        (CHAT, {**CHAT_ASKED, "logit_bias": {"1": 2}}, "logit_bias"),
        (CHAT, {**CHAT_ASKED, "seed": 1}, "seed"),
        (CHAT, {**CHAT_ASKED, "n": 2}, "n"),
        (RESPONSES, {**RESPONSES_ASKED, "previous_response_id": "resp_1"}, "previous_response_id"),
        (RESPONSES, {**RESPONSES_ASKED, "tools": [{"type": "web_search"}]}, "tools[0]"),
        (MESSAGES, {**MESSAGES_ASKED, "container": "c"}, "container"),
        (MESSAGES, {**MESSAGES_ASKED, "tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0]"),
    ],
)
def test_what_bedrock_does_not_have_is_refused(spoken: Heard, asked: Json, param: str) -> None:
    with pytest.raises(Unmapped) as refused:
        CONVERSE.write_request(spoken.read_request(json.dumps(asked).encode()))
    assert refused.value.param == param
