"""Chat Completions as clients and providers write it: for the tests of the codec."""

from __future__ import annotations

import json
from typing import Any

PIXEL = "data:image/png;base64,iVBORw0KGgo="
PLAIN: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}

CITED: dict[str, Any] = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example/d#char=3,9", "title": "Plan", "start_index": 4, "end_index": 7},
    "headworks": {"document": "d1", "version": 3, "start": 3, "end": 9, "quote": "covers", "sha256": "ab"},
}
CALLS: list[Any] = [
    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}},
    {
        "id": "call_2",
        "type": "function",
        "function": {"name": "time", "arguments": ""},
        "extra_content": {"google": {"thought_signature": "c2ln"}},
    },
    {"id": "call_3", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}},
]

REQUESTS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "every setting": {
        **PLAIN,
        "audio": {"voice": "alloy", "format": "wav"},
        "frequency_penalty": 0.25,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "max_completion_tokens": 1000,
        "metadata": {"team": "claims"},
        "modalities": ["text", "audio"],
        "moderation": {"model": "omni-moderation-latest"},
        "n": 2,
        "parallel_tool_calls": False,
        "prediction": {"type": "content", "content": "abc"},
        "presence_penalty": -0.5,
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        "prompt_cache_retention": "24h",
        "reasoning_effort": "xhigh",
        "safety_identifier": "hash",
        "seed": 12345678901234567890,
        "service_tier": "flex",
        "stop": ["\n\n", "END"],
        "store": False,
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "temperature": 0.7,
        "top_logprobs": 3,
        "top_p": 0.9,
        "user": "u-1",
        "verbosity": "low",
        "web_search_options": {"search_context_size": "low"},
    },
    "compatible servers' settings": {
        **PLAIN,
        "top_k": 40,
        "min_p": 0.05,
        "guided_json": {"type": "object"},
        "repetition_penalty": 1.1,
        "priority": 3,
        "max_tokens": 100,
        "stop": "END",
    },
    "both caps": {**PLAIN, "max_tokens": 7, "max_completion_tokens": 5},
    "nulls": {
        **PLAIN,
        "temperature": None,
        "tools": None,
        "tool_choice": None,
        "response_format": None,
        "stop": None,
        "stream": None,
        "stream_options": None,
        "max_tokens": None,
        "user": None,
        "metadata": None,
    },
    "empty lists": {**PLAIN, "tools": [], "stop": [], "modalities": ["text"], "store": False, "logit_bias": {}},
    "whole, not streamed": {**PLAIN, "stream": False, "stream_options": {}},
    "usage not wanted": {**PLAIN, "stream": True, "stream_options": {"include_usage": False}},
    "safety identifier alone": {**PLAIN, "safety_identifier": "hash"},
    "openrouter's reasoning": {**PLAIN, "reasoning": {"effort": "high", "exclude": True}},
    "a budget to think": {**PLAIN, "thinking": {"type": "enabled", "budget_tokens": 2048}},
    "no thinking": {**PLAIN, "thinking": {"type": "disabled"}},
    "reasoning of a new kind": {**PLAIN, "reasoning": {"depth": 3}},
    "effort twice": {**PLAIN, "reasoning_effort": "low", "thinking": {"type": "enabled"}},
    "tools": {
        **PLAIN,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Now",
                    "parameters": {"type": "object", "properties": {"n": {"const": 12345678901234567890}}},
                    "strict": True,
                },
                "cache_control": {"type": "ephemeral"},
            },
            {"type": "function", "function": {"name": "bare"}},
            {"type": "function", "function": {"name": "new", "strict": None, "defer": True}, "also": 1},
            {
                "type": "custom",
                "custom": {
                    "name": "sql",
                    "description": "A query",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
                },
            },
            {"type": "web_search", "filters": {"x": [1]}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    },
    "tool choice: a word": {**PLAIN, "tool_choice": "required"},
    "tool choice: custom": {
        **PLAIN,
        "tools": [{"type": "custom", "custom": {"name": "sql"}}],
        "tool_choice": {"type": "custom", "custom": {"name": "sql"}},
    },
    "tool choice: allowed": {
        **PLAIN,
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]},
        },
    },
    "tool choice: of a new kind": {**PLAIN, "tool_choice": {"type": "hosted", "hosted": {"name": "x"}}},
    "functions": {
        "model": "gpt-4",
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": '{"a":1}'}},
            {"role": "function", "name": "weather", "content": "sunny"},
        ],
        "functions": [{"name": "weather", "description": "d", "parameters": {"type": "object"}}],
        "function_call": {"name": "weather"},
    },
    "functions, freely": {**PLAIN, "functions": [{"name": "f"}], "function_call": "auto"},
    "marks that only we may write": {
        "model": "m",
        "messages": [{"role": "user", "content": "x", "~content": True, "~cache_control": 1}],
        "~functions": True,
        "~tool_choice": {"odd": 1},
        "tool_choice": "auto",
        "~max_tokens": "x",
        "~=model": "other",
        "\\~stop": 1,
    },
    "json": {**PLAIN, "response_format": {"type": "json_object"}},
    "text": {**PLAIN, "response_format": {"type": "text"}},
    "a schema": {
        **PLAIN,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "out",
                "description": "d",
                "schema": {"type": "object", "properties": {"a": {"default": None, "minimum": 1.50}}},
                "strict": True,
            },
        },
    },
    "a schema with nulls": {
        **PLAIN,
        "response_format": {"type": "json_schema", "json_schema": {"name": "o", "strict": None, "schema": {}}},
    },
    "a form of a new kind": {**PLAIN, "response_format": {"type": "grammar", "grammar": "x"}},
    "parts": {
        "model": "gpt-5",
        "messages": [
            {"role": "system", "content": "Be brief", "cache_control": {"type": "ephemeral"}},
            {"role": "developer", "content": [{"type": "text", "text": "alone"}], "name": "ops"},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                    {"type": "text", "text": "odd", "cache_control": {"type": "ephemeral", "ttl": "12h"}},
                    {"type": "text", "text": "end", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
                    {
                        "type": "text",
                        "text": "both",
                        "prompt_cache_breakpoint": {"mode": "explicit"},
                        "cache_control": {"type": "ephemeral", "ttl": "5m"},
                    },
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://a.example/i.png", "format": "image/png"}},
                    {"type": "image_url", "image_url": {"url": "data:image/svg+xml;charset=utf-8,<svg/>"}},
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": None}, "uuid": "u"},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"},
                    },
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {"type": "file", "file": {"file_data": "JVBERg=="}},
                    {"type": "file", "file": {"file_data": "https://a.example/a.pdf", "filename": "a.pdf"}},
                    {"type": "video_url", "video_url": {"url": "https://a.example/v.mp4"}},
                ],
            },
            {"role": "user", "content": ""},
            {"role": "user", "content": []},
        ],
    },
    "a long talk": {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Go"},
            {"role": "assistant", "content": None, "refusal": None, "tool_calls": CALLS, "annotations": []},
            {"role": "tool", "tool_call_id": "call_1", "content": "42"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "noon"}], "name": "time"},
            {"role": "tool", "tool_call_id": "call_3", "content": "", "is_error": True},
            {"role": "assistant", "content": "See [1]", "annotations": [CITED, {"type": "file", "file": {"x": 1}}]},
            {"role": "assistant", "content": "", "tool_calls": [{**CALLS[0], "index": 0}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "x", "cache_control": {"type": "ephemeral"}},
            {"role": "assistant", "refusal": "No"},
            {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]},
            {"role": "assistant", "audio": {"id": "audio_1"}},
            {"role": "assistant", "content": "x", "tool_calls": [], "prefix": True},
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
        ],
    },
    "thoughts": {
        "model": "m",
        "messages": [
            {"role": "assistant", "content": "a", "reasoning_content": "hm"},
            {"role": "assistant", "content": "a", "reasoning": "hm"},
            {"role": "assistant", "content": "a", "reasoning": "hm", "reasoning_content": "hm"},
            {"role": "assistant", "content": "a", "reasoning": "other", "reasoning_content": "hm"},
            {"role": "assistant", "content": "a", "reasoning": "hm", "reasoning_details": [{"type": "x"}]},
            {
                "role": "assistant",
                "content": "a",
                "reasoning_content": "hm",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "zz"},
                ],
            },
            {
                "role": "assistant",
                "content": "a",
                "thinking_blocks": [
                    {
                        "type": "thinking",
                        "thinking": "",
                        "data": "enc",
                        "origin": "responses",
                        "id": "rs_1",
                        "summary": ["one", "two"],
                    }
                ],
            },
            {"role": "assistant", "content": "a", "thinking_blocks": []},
            {"role": "user", "content": "go on"},
        ],
    },
}


def answer(message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A whole answer as OpenAI writes it."""
    said = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": [], **(message or {})}
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": more.pop("finish_reason", "stop")}
    choice |= more.pop("choice", {})
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "gpt-5-2026",
        "choices": [choice],
        "usage": {
            "prompt_tokens": 19,
            "completion_tokens": 10,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 3,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 1,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        **more,
    }


ANSWERS: dict[str, dict[str, Any]] = {
    "plain": answer(),
    "empty": answer({"content": ""}),
    "null": answer({"content": None, "tool_calls": CALLS[:2]}, finish_reason="tool_calls"),
    "custom call": answer({"content": None, "tool_calls": CALLS}, finish_reason="tool_calls"),
    "function call": answer(
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}}, finish_reason="function_call"
    ),
    "refusal": answer({"content": None, "refusal": "I can't"}),
    "cited": answer({"content": "See [1]", "annotations": [CITED]}),
    "thought": answer({"reasoning_content": "hm"}),
    "signed thought": answer(
        {"reasoning_content": "hm", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}
    ),
    "sound": answer({"content": None, "audio": {"id": "a", "data": "UklGRg==", "expires_at": 9, "transcript": "Hi"}}),
    "pictures": answer({"images": [{"type": "image_url", "image_url": {"url": PIXEL}}]}),
    "token by token": answer(
        choice={"logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]}}
    ),
    "vllm": {
        **answer(
            {"reasoning": None, "tool_calls": [], "function_call": None, "audio": None},
            choice={"stop_reason": "END", "token_ids": None},
            prompt_logprobs=None,
            kv_transfer_params=None,
            service_tier=None,
            usage={"prompt_tokens": 9, "total_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": None},
        )
    },
    "azure": answer(
        choice={"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}},
        prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}],
    ),
    "deepseek": answer(
        usage={
            "prompt_tokens": 16,
            "completion_tokens": 10,
            "total_tokens": 26,
            "prompt_tokens_details": {"cached_tokens": 4},
            "prompt_cache_hit_tokens": 4,
            "prompt_cache_miss_tokens": 12,
        }
    ),
    "openrouter": answer(
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        provider="X",
        choice={"native_finish_reason": "end_turn"},
        usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.00012, "is_byok": False},
    ),
    "uncounted": {name: value for name, value in answer().items() if name != "usage"},
    "usage null": answer(usage=None),
    "length": answer(finish_reason="length"),
    "filtered": answer(finish_reason="content_filter"),
    "tgi": answer(finish_reason="eos_token"),
}


def chunk(
    delta: dict[str, Any], reason: str | None = None, *, choice: dict[str, Any] | None = None, **more: Any
) -> bytes:
    """One event."""
    said = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, **(choice or {})}
    return event({**HEAD, "choices": [said], **more})


def event(value: Any, *, ascii_only: bool = False) -> bytes:
    """Any JSON as an event."""
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1790000000, "model": "gpt-5"}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "completion_tokens_details": {"reasoning_tokens": 2},
}
COUNT = event({**HEAD, "choices": [], "usage": USAGE})
DONE = b"data: [DONE]\n\n"
FIRST = chunk({"role": "assistant", "content": "", "refusal": None}, usage=None)
AZURE_FRAME = event(
    {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
)


def call(index: int | None, arguments: str, name: str | None = None, made: str | None = None) -> dict[str, Any]:
    """A delta with a piece of a call."""
    function: dict[str, Any] = {"arguments": arguments}
    entry: dict[str, Any] = {"function": function}
    if index is not None:
        entry["index"] = index
    if name is not None:
        function["name"] = name
        entry["type"] = "function"
    if made is not None:
        entry["id"] = made
    return {"tool_calls": [entry]}


STREAMS: dict[str, list[bytes]] = {
    "openai": [
        FIRST,
        chunk({"content": "Grüße"}, usage=None, obfuscation="xyz"),
        chunk({"content": " 🌊!"}, usage=None, obfuscation="p"),
        chunk({}, "stop", usage=None),
        COUNT,
        DONE,
    ],
    "azure": [
        AZURE_FRAME,
        chunk({"role": "assistant", "content": ""}, choice={"content_filter_results": {}}),
        chunk({"content": "Hi"}, choice={"content_filter_results": {"hate": {"filtered": False}}}),
        chunk({}, "stop", choice={"content_filter_results": {}}),
        DONE,
    ],
    "vllm": [
        chunk(
            {"role": "assistant", "content": ""}, usage={"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}
        ),
        chunk({"reasoning_content": "hm, "}, usage={"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}),
        chunk({"reasoning_content": "so"}),
        chunk({"content": "Hi"}),
        chunk({"content": ""}, "stop", choice={"stop_reason": "END"}),
        COUNT,
        DONE,
    ],
    "calls": [
        FIRST,
        chunk({"content": "Let me look."}),
        chunk(call(0, "", "weather", "call_1")),
        chunk(call(0, '{"city":')),
        chunk(call(0, '"Bern"}')),
        chunk(call(1, "", "time", "call_2")),
        chunk(call(1, "{}")),
        chunk({}, "tool_calls"),
        DONE,
    ],
    "mixed calls": [
        FIRST,
        chunk(call(0, '{"a":', "weather", "call_1")),
        chunk(call(1, '{"b":', "time", "call_2")),
        chunk(call(0, "1}")),
        chunk(call(1, "2}")),
        chunk({}, "tool_calls"),
        DONE,
    ],
    "calls of one index": [
        FIRST,
        chunk(call(0, '{"a":1}', "weather", "call_1")),
        chunk(call(0, '{"b":2}', "time", "call_2")),
        chunk({}, "tool_calls"),
        DONE,
    ],
    "refusal": [FIRST, chunk({"refusal": "I "}), chunk({"refusal": "can't"}), chunk({}, "stop"), DONE],
    "function call": [
        chunk({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
        DONE,
    ],
    "cited": [
        FIRST,
        chunk({"content": "See [1]"}),
        chunk({"content": "", "annotations": [CITED]}),
        chunk({}, "stop"),
        DONE,
    ],
    "signed": [
        FIRST,
        chunk({"reasoning_content": "hm", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "sig"}]}),
        chunk({"thinking_blocks": [{"type": "redacted_thinking", "data": "zz"}]}),
        chunk({"content": "So"}),
        chunk({}, "stop"),
        DONE,
    ],
    "sound": [
        FIRST,
        chunk({"audio": {"id": "a1", "transcript": "Hi "}}),
        chunk({"audio": {"data": "AAA="}}),
        chunk({"audio": {"data": "AQE=", "transcript": "you"}}),
        chunk({}, "stop"),
        chunk({"audio": {"expires_at": 99}}),
        DONE,
    ],
    "pictures": [
        FIRST,
        chunk({"images": [{"type": "image_url", "image_url": {"url": PIXEL}}]}),
        chunk({}, "stop"),
        DONE,
    ],
    "token by token": [
        FIRST,
        chunk({"content": "a"}, choice={"logprobs": {"content": [{"token": "a"}], "refusal": None}}),
        chunk({"content": "b"}, choice={"logprobs": {"content": [{"token": "b"}], "refusal": None}}),
        chunk({}, "stop"),
        DONE,
    ],
    "crlf and comments": [
        b": keep-alive\r\n\r\n",
        FIRST.replace(b"\n\n", b"\r\n\r\n"),
        b"event: message\r\n" + chunk({"content": "Hi"}).replace(b"\n\n", b"\r\n\r\n"),
        b": ping\n\n",
        chunk({}, "stop").replace(b"data: ", b"data:"),
        DONE,
    ],
    "no done": [FIRST, chunk({"content": "Hi"}), chunk({}, "stop"), COUNT],
    "new things": [
        chunk({"role": "assistant", "content": ""}, provider="X"),
        chunk({"content": "Hi", "reasoning_details": [{"type": "x"}]}, provider="X"),
        chunk({}, "stop", choice={"native_finish_reason": "end_turn"}, provider="X"),
        DONE,
    ],
}
