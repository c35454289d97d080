"""Requests and answers in Responses as clients and providers write them, and OpenAI's own types to judge ours."""

from __future__ import annotations

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

_event = TypeAdapter(ResponseStreamEvent)
_whole = TypeAdapter(ResponseCreateParamsNonStreaming)
_streaming = TypeAdapter(ResponseCreateParamsStreaming)

URL_CITATION = {"type": "url_citation", "start_index": 0, "end_index": 5, "url": "https://example.org", "title": "T"}

WHOLE: dict[str, Any] = {
    "model": "gpt-5.6",
    "instructions": "Be brief.",
    "input": [
        {"role": "system", "content": "You help."},
        {
            "type": "message",
            "role": "developer",
            "content": [
                {"type": "input_text", "text": "Rules.", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_text", "text": "More.", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            ],
        },
        {
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
                {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto", "file_id": None},
                {"type": "input_image", "file_id": "file-1", "detail": "original"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                {"type": "input_file", "file_url": "https://example.org/a.pdf", "detail": "high"},
                {"type": "input_file", "file_id": "file-2"},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "input_future", "of": [1, 12345678901234567890, 1.50]},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Looks."}, {"type": "summary_text", "text": "Thinks."}],
            "content": [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "bc"}],
            "encrypted_content": "gAAAAABo",
            "status": "completed",
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": None},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": "A picture of a cat.",
                    "annotations": [
                        URL_CITATION,
                        {"type": "file_citation", "file_id": "file-2", "filename": "a.pdf", "index": 3},
                        {
                            "type": "container_file_citation",
                            "container_id": "c",
                            "file_id": "f",
                            "filename": "n",
                            "start_index": 1,
                            "end_index": 2,
                        },
                        {"type": "file_path", "file_id": "f", "index": 1},
                    ],
                    "logprobs": [],
                },
                {"type": "refusal", "refusal": "No more."},
                {"type": "output_text", "text": "Bare."},
            ],
        },
        {"role": "assistant", "content": "As text."},
        {"role": "assistant", "content": []},
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city": "Bern", "big": 12345678901234567890}',
            "status": "completed",
            "namespace": "w",
        },
        {"type": "function_call", "call_id": "call_2", "name": "weather", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "call_3", "name": "shell", "input": "ls -l"},
        {"type": "function_call_output", "call_id": "call_1", "output": '{"c": 20}', "status": "completed"},
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [
                {"type": "input_text", "text": "20"},
                {"type": "input_image", "image_url": "https://example.org/b.png", "detail": "auto"},
            ],
        },
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": "a.pdf"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
        {"type": "item_reference", "id": "msg_0"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "weather",
            "description": "Tells the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            "strict": True,
        },
        {"type": "function", "name": "later", "parameters": None, "strict": None, "defer_loading": True},
        {
            "type": "custom",
            "name": "shell",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.*/"},
        },
        {"type": "web_search", "user_location": {"type": "approximate", "country": "CH"}},
        {"type": "mcp", "server_label": "docs", "server_url": "https://example.org/mcp", "require_approval": "never"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]},
    "parallel_tool_calls": False,
    "max_output_tokens": 500,
    "max_tool_calls": 3,
    "temperature": 0.2,
    "top_p": 0.95,
    "top_logprobs": 2,
    "text": {
        "format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True},
        "verbosity": "low",
    },
    "reasoning": {"effort": "high", "summary": "auto", "context": "all_turns"},
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "metadata": {"run": "7"},
    "store": False,
    "background": False,
    "truncation": "auto",
    "service_tier": "flex",
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "user": "u",
    "some_future_field": {"a": [1, None]},
}

ANSWER: dict[str, Any] = {
    "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
    "object": "response",
    "created_at": 1741476542,
    "completed_at": 1741476543,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "model": "gpt-5.6-2026-08-01",
    "output": [
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "**Thinking**\n\nhard"}],
            "encrypted_content": "gAAAAABo",
        },
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "unicorns", "queries": ["unicorns"]},
        },
        {
            "type": "message",
            "id": "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b",
            "status": "completed",
            "role": "assistant",
            "phase": "final_answer",
            "content": [
                {
                    "type": "output_text",
                    "text": "In a peaceful grove…",
                    "annotations": [URL_CITATION],
                    "logprobs": [],
                }
            ],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city":"Bern"}',
            "status": "completed",
        },
    ],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": "medium", "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 4},
        "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 123,
    },
    "user": None,
    "metadata": {},
    "a_future_member": {"x": 12345678901234567890},
}

OPEN_RESPONSES_REQUIRES = frozenset(
    """
    id object created_at completed_at status incomplete_details model previous_response_id instructions output error
    tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs
    temperature reasoning user usage max_output_tokens max_tool_calls store background service_tier metadata
    safety_identifier prompt_cache_key
    """.split()  # noqa: SIM905 -- a list of so many words reads better as text
)
"""Members of a response in the Open Responses specification of 2026-04-24."""


def checked_response(body: bytes | str) -> dict[str, Any]:
    """The response, after OpenAI's type has taken it as it is."""
    said: dict[str, Any] = json.loads(body)
    Response.model_validate(said, strict=True)
    assert said.keys() >= OPEN_RESPONSES_REQUIRES
    return said


def checked_request(body: bytes | str) -> dict[str, Any]:
    """The request, after OpenAI's type has taken it."""
    said: dict[str, Any] = json.loads(body)
    (_streaming if said.get("stream") else _whole).validate_python(said)
    return said


def checked_events(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream: of OpenAI's types, named as they are typed, numbered without a gap."""
    events = []
    for block in stream.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        said = json.loads(data.removeprefix("data: "))
        assert name == f"event: {said['type']}"
        assert said["sequence_number"] == len(events)
        taken: Any = _event.validate_python(said)
        assert taken.type == said["type"]
        events.append(said)
    return events


def stream_of(events: list[dict[str, Any]]) -> bytes:
    """The bytes in which OpenAI sends such events."""
    numbered = [{**event, "sequence_number": at} for at, event in enumerate(events)]
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in numbered)


def events_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The whole life cycle in which OpenAI tells this answer."""
    head = {**answer, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": head},
        {"type": "response.in_progress", "response": head},
    ]
    for at, item in enumerate(answer["output"]):
        events += _events_of_item(at, item)
    return [*events, {"type": f"response.{answer['status']}", "response": answer}]


def _events_of_item(at: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": at}
    begun, told = dict(item), list[dict[str, Any]]()
    match item["type"]:
        case "message":
            begun = {**item, "status": "in_progress", "content": []}
            for number, part in enumerate(item["content"]):
                told += _events_of_part({**where, "content_index": number}, part)
        case "function_call":
            begun = {**item, "status": "in_progress", "arguments": ""}
            kind = "response.function_call_arguments"
            half = len(item["arguments"]) // 2
            for text in (item["arguments"][:half], item["arguments"][half:]):
                told.append({"type": f"{kind}.delta", **where, "delta": text, "obfuscation": "x"})
            told.append({"type": f"{kind}.done", **where, "arguments": item["arguments"]})
        case "reasoning":
            begun = {"id": item["id"], "type": "reasoning", "summary": []}
            for number, part in enumerate(item["summary"]):
                told += _events_of_summary({**where, "summary_index": number}, part)
        case "web_search_call":
            begun = {**item, "status": "in_progress"}
            told = [
                {"type": f"response.web_search_call.{word}", **where}
                for word in ("in_progress", "searching", "completed")
            ]
    added = {"type": "response.output_item.added", "output_index": at, "item": begun}
    return [added, *told, {"type": "response.output_item.done", "output_index": at, "item": item}]


def _events_of_part(where: dict[str, Any], part: dict[str, Any]) -> list[dict[str, Any]]:
    empty = {**part, "text": "", "annotations": []}
    text = part["text"]
    deltas = [text[:3], text[3:]]
    return [
        {"type": "response.content_part.added", **where, "part": empty},
        *({"type": "response.output_text.delta", **where, "delta": each, "logprobs": []} for each in deltas),
        *(
            {"type": "response.output_text.annotation.added", **where, "annotation_index": at, "annotation": each}
            for at, each in enumerate(part["annotations"])
        ),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
    ]


def _events_of_summary(where: dict[str, Any], part: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}},
        {"type": "response.reasoning_summary_text.delta", **where, "delta": part["text"][:4]},
        {"type": "response.reasoning_summary_text.delta", **where, "delta": part["text"][4:]},
        {"type": "response.reasoning_summary_text.done", **where, "text": part["text"]},
        {"type": "response.reasoning_summary_part.done", **where, "part": part},
    ]
