"""Which surfaces the wall stands on: one row for each way in, what is asked there, and who answers.

A row that is not served yet has its bytes and its parser ready; `is_served=True` puts the whole wall on it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Surface:
    """`inbound` is the caller's format, `account` the kind of the provider's, `model` one that has a price.

    `is_native`: the two formats are one, so bytes pass untouched.
    """

    name: str
    inbound: str
    path: str
    account: str
    model: str
    streams: bool = False
    asks_usage: bool = False
    is_native: bool = True
    is_served: bool = True

    @property
    def family(self) -> str:
        """Surfaces of one family share their routes."""
        return "embeddings" if self.inbound == "embeddings" else self.account

    @property
    def upstream(self) -> str:
        """The provider's format."""
        if self.is_native:
            return self.inbound
        return {"anthropic": "messages", "gemini": "gemini", "bedrock": "converse"}.get(self.account, "chat")

    def ask(self, case: str, route: str) -> bytes:
        """The request's body; the case is named in its text."""
        text = f"{case}: say something"
        more: dict[str, Any] = {"x_unknown": 12345678901234567890} if self.is_native else {}
        if self.inbound == "embeddings":
            value: dict[str, Any] = {"input": [text, *"bcdefgh"], "encoding_format": "float"}
        elif self.inbound == "responses":
            value = {"input": text, "store": False}
        else:
            value = {"messages": [{"role": "user", "content": text}]}
        if self.inbound == "messages":
            value["max_tokens"] = 64
        if self.streams:
            value["stream"] = True
        if self.asks_usage:
            value["stream_options"] = {"include_usage": True}
        return json.dumps({"model": route, **value, **more}).encode()


def _rows(inbound: str, path: str, account: str, model: str, *, is_native: bool, is_served: bool) -> list[Surface]:
    name = inbound if is_native else f"{inbound}-over-{account}"
    return [
        Surface(name, inbound, path, account, model, is_native=is_native, is_served=is_served),
        Surface(f"{name}-stream", inbound, path, account, model, True, is_native=is_native, is_served=is_served),
    ]


_CLAUDE_AT_AMAZON = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
_CHAT, _EMBED = "/v1/chat/completions", "/v1/embeddings"
_MESSAGES, _RESPONSES = "/v1/messages", "/v1/responses"

SURFACES: tuple[Surface, ...] = (
    *_rows("chat", _CHAT, "openai", "gpt-4o-mini", is_native=True, is_served=True),
    Surface("chat-stream-usage", "chat", _CHAT, "openai", "gpt-4o-mini", streams=True, asks_usage=True),
    Surface("embeddings", "embeddings", _EMBED, "openai", "text-embedding-3-small"),
    *_rows("messages", _MESSAGES, "anthropic", "claude-sonnet-4-5", is_native=True, is_served=True),
    *_rows("responses", _RESPONSES, "openai", "gpt-4o-mini", is_native=True, is_served=True),
    *_rows("chat", _CHAT, "anthropic", "claude-sonnet-4-5", is_native=False, is_served=True),
    *_rows("chat", _CHAT, "gemini", "gemini-2.5-flash", is_native=False, is_served=True),
    *_rows("chat", _CHAT, "bedrock", _CLAUDE_AT_AMAZON, is_native=False, is_served=True),
    *_rows("messages", _MESSAGES, "openai", "gpt-4o-mini", is_native=False, is_served=True),
    *_rows("responses", _RESPONSES, "anthropic", "claude-sonnet-4-5", is_native=False, is_served=True),
)
SERVED = tuple(each for each in SURFACES if each.is_served)
