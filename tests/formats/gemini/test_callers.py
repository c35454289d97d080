"""Callers of every format talk with a Gemini model: two turns, with thoughts, pictures, calls and their results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemini_types import strictly

from headworks.errors import HeadworksError
from headworks.formats.answers import collect
from headworks.formats.chat.format import CHAT
from headworks.formats.contract import Heard
from headworks.formats.gemini.format import GEMINI
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import Answer, ToolCallBlock
from headworks.formats.responses.format import RESPONSES
from headworks.testing import gemini_replies as replies

Json = dict[str, Any]
PICTURE = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}
PARTS = [
    replies.thought("Hm.", signature="QUJD"),
    replies.text("Let me look."),
    replies.call("look", {"at": "Bern"}, signature="REVG/+8="),
    replies.call("look", {"at": "Rom"}),
]

CHAT_ASKED: Json = {
    "model": "gemini-3-pro",
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
    "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
}
MESSAGES_ASKED: Json = {
    "model": "gemini-3-pro",
    "max_tokens": 100,
    "system": "Be brief.",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Weather?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
            ],
        }
    ],
    "tools": [{"name": "look", "input_schema": SCHEMA}],
}
RESPONSES_ASKED: Json = {
    "model": "gemini-3-pro",
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
    "tools": [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}],
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


def carried(spoken: Heard, asked: Json) -> Json:
    return strictly(GEMINI.write_request(spoken.read_request(json.dumps(asked).encode())).body)


@CALLERS
def test_a_question_arrives_whole(spoken: Heard, asked: Json, goes_on: Any) -> None:
    body = carried(spoken, asked)
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Weather?"}, {"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}
    ]
    assert body["tools"] == [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}]
    assert "toolConfig" not in body


@CALLERS
def test_the_model_hears_again_what_it_said(spoken: Heard, asked: Json, goes_on: Any) -> None:
    answer = GEMINI.read_answer(json.dumps(replies.answer(*PARTS)).encode())
    contents = carried(spoken, goes_on(json.loads(spoken.write_answer(answer))))["contents"]
    wanted: list[Json] = json.loads(json.dumps(PARTS))
    wanted[2]["functionCall"]["id"], wanted[3]["functionCall"]["id"] = "call_simulated-1_0", "call_simulated-1_1"
    assert contents[1] == {"role": "model", "parts": wanted}
    assert [part["functionResponse"] for part in contents[2]["parts"]] == [
        {"name": "look", "response": {"output": "sunny"}, "id": f"call_simulated-1_{number}"} for number in (0, 1)
    ]


@CALLERS
def test_a_stream_tells_the_caller_what_a_whole_answer_tells(spoken: Any, asked: Json, goes_on: Any) -> None:
    request = spoken.read_request(json.dumps({**asked, "stream": True}).encode())
    writer, reader, heard = spoken.writer(request), GEMINI.reader(), spoken.reader()
    chunks = replies.chunks(*PARTS, counts=replies.usage())
    events = [*reader.feed(b"".join(map(replies.event, chunks))), *reader.end()]
    streamed = collect([*heard.feed(b"".join(map(writer.write, events)) + writer.end()), *heard.end()])
    whole = spoken.read_answer(spoken.write_answer(GEMINI.read_answer(json.dumps(replies.answer(*PARTS)).encode())))
    assert streamed is not None
    assert _said(streamed) == _said(whole)
    assert streamed.stopped.reason == whole.stopped.reason == "tool_calls"


def _said(answer: Answer) -> list[tuple[Any, ...]]:
    """What is said, without ids that each answer has of its own."""
    return [
        (type(block), block.id, block.name, bytes(block.arguments).replace(b" ", b""))
        if isinstance(block, ToolCallBlock)
        else (type(block), getattr(block, "text", None), bool(getattr(block, "signature", None)))
        for block in answer.blocks
    ]


@CALLERS
@pytest.mark.parametrize("word", ["SAFETY", "MALFORMED_FUNCTION_CALL", "OTHER", "MAX_TOKENS"])
def test_no_caller_hears_of_a_good_end_where_there_was_none(
    spoken: Heard, asked: Json, goes_on: Any, word: str
) -> None:
    answer = GEMINI.read_answer(json.dumps(replies.answer(replies.text("x"), finish_reason=word)).encode())
    try:
        written = spoken.write_answer(answer).replace(b" ", b"")
    except HeadworksError:  # which is no good end either
        return
    for good in (b'"finish_reason":"stop"', b'"stop_reason":"end_turn"', b'"status":"completed","model"'):
        assert good not in written
