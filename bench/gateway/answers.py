"""What is asked and answered: a prompt of some size, and the same completion in both formats, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

MODEL = "mock-model"
CHUNKS = 64
"""Events of a stream, `[DONE]` not counted."""

_SENTENCE = "Say in one sentence what the works at the head of a canal are for, and who looks after them. "
_SAID = "The works at the head of a canal. "
_PIECE = "The works at the head of a canal keep its level. "
_CHAT_ID = "chatcmpl-0123456789abcdef"
_USAGE = {"prompt_tokens": 212, "completion_tokens": 120, "total_tokens": 332}
_MESSAGE = {"id": "msg_0123456789abcdef", "type": "message", "role": "assistant", "model": MODEL}


def chat(model: str, kb: int = 1, *, streams: bool = False) -> bytes:
    """A chat request with a prompt of about so many KB."""
    asked: dict[str, Any] = {"model": model, "messages": _messages(kb), "temperature": 0}
    if streams:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(asked).encode()


def messages(model: str, kb: int = 1, *, streams: bool = False) -> bytes:
    """The same as a request of Anthropic's Messages."""
    asked: dict[str, Any] = {"model": model, "max_tokens": 1024, "messages": _messages(kb), "temperature": 0}
    return json.dumps(asked | ({"stream": True} if streams else {})).encode()


def _messages(kb: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": _SENTENCE * round((kb * 1024 - 150) / len(_SENTENCE))}]


CHAT = json.dumps(
    {
        "id": _CHAT_ID,
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _SAID * 15, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
        "system_fingerprint": "fp_0",
    }
)
MESSAGES = json.dumps(
    _MESSAGE
    | {
        "content": [{"type": "text", "text": _SAID * 15}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 212, "output_tokens": 120, "cache_read_input_tokens": 0},
    }
)


def chat_events() -> bytes:
    """The stream: about 320 bytes each, `CHUNKS` of them and the end."""
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": _PIECE}, None)] * (CHUNKS - 3)
    deltas.append(({}, "stop"))
    choices = [[{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}] for delta, end in deltas]
    chunks = [_chunk(choice, None) for choice in choices] + [_chunk([], _USAGE)]
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + b"data: [DONE]\n\n"


def _chunk(choices: list[dict[str, Any]], usage: dict[str, int] | None) -> dict[str, Any]:
    return {
        "id": _CHAT_ID,
        "object": "chat.completion.chunk",
        "created": 1_780_000_000,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_0",
        "choices": choices,
        "usage": usage,
        "obfuscation": "0123456789",
    }


def messages_events() -> bytes:
    """The same stream as Anthropic has it, with as many events."""
    opening = _MESSAGE | {"content": [], "stop_reason": None, "usage": {"input_tokens": 212, "output_tokens": 1}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": _PIECE}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[delta] * (CHUNKS - 5),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 120},
        },
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)
