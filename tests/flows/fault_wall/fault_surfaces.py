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

    `is_native`: the two formats are one, so bytes pass untouched. `client`: the second client is asked. `shared_by`:
    so many rows share the chains of fallbacks between them, which for one kind of fault has which goes by turns.
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
    client: str = ""
    shared_by: int = 1
    turn: int = 0

    @property
    def family(self) -> str:
        """Surfaces of one family share their routes."""
        return "embeddings" if self.inbound == "embeddings" else self.through

    @property
    def through(self) -> str:
        """What the names of the accounts begin with."""
        return f"{self.account}-{self.client}" if self.client else self.account

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
        elif self.inbound == "completions":
            value = {"prompt": text}
        else:
            value = {"messages": [{"role": "user", "content": text}]}
        if self.inbound == "messages":
            value["max_tokens"] = 64
        if self.streams:
            value["stream"] = True
        if self.asks_usage:
            value["stream_options"] = {"include_usage": True}
        return json.dumps({"model": route, **value, **more}).encode()


def _rows(
    inbound: str,
    path: str,
    account: str,
    model: str,
    *,
    is_native: bool,
    share: tuple[int, int] = (1, 0),
    client: str = "",
) -> list[Surface]:
    name = f"{inbound}-by-{client}" if client else inbound if is_native else f"{inbound}-over-{account}"
    more: dict[str, Any] = {"is_native": is_native, "client": client, "shared_by": share[0], "turn": share[1]}
    return [
        Surface(name, inbound, path, account, model, **more),
        Surface(f"{name}-stream", inbound, path, account, model, streams=True, **more),
    ]


_CLAUDE_AT_AMAZON = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
_CHAT, _EMBED = "/v1/chat/completions", "/v1/embeddings"
_MESSAGES, _RESPONSES, _COMPLETIONS = "/v1/messages", "/v1/responses", "/v1/completions"

SURFACES: tuple[Surface, ...] = (
    *_rows("chat", _CHAT, "openai", "gpt-4o-mini", is_native=True),
    Surface("chat-stream-usage", "chat", _CHAT, "openai", "gpt-4o-mini", streams=True, asks_usage=True),
    Surface("embeddings", "embeddings", _EMBED, "openai", "text-embedding-3-small"),
    *_rows("messages", _MESSAGES, "anthropic", "claude-sonnet-4-5", is_native=True),
    *_rows("responses", _RESPONSES, "openai", "gpt-4o-mini", is_native=True),
    *_rows("chat", _CHAT, "anthropic", "claude-sonnet-4-5", is_native=False),
    *_rows("chat", _CHAT, "gemini", "gemini-2.5-flash", is_native=False, share=(2, 0)),
    *_rows("responses", _RESPONSES, "gemini", "gemini-2.5-flash", is_native=False, share=(2, 1)),
    *_rows("chat", _CHAT, "bedrock", _CLAUDE_AT_AMAZON, is_native=False, share=(2, 0)),
    *_rows("messages", _MESSAGES, "bedrock", _CLAUDE_AT_AMAZON, is_native=False, share=(2, 1)),
    *_rows("messages", _MESSAGES, "openai", "gpt-4o-mini", is_native=False),
    *_rows("responses", _RESPONSES, "anthropic", "claude-sonnet-4-5", is_native=False),
    *_rows("completions", _COMPLETIONS, "openai", "gpt-4o-mini", is_native=True, share=(4, 0)),
    *_rows("completions", _COMPLETIONS, "deepseek", "deepseek-chat", is_native=False, share=(4, 1)),
    *_rows("responses", _RESPONSES, "deepseek", "deepseek-chat", is_native=False, share=(4, 2)),
    *_rows("chat", _CHAT, "openai", "gpt-4o-mini", is_native=True, share=(4, 3), client="aiohttp"),
)
SERVED = tuple(each for each in SURFACES if each.is_served)
