"""Server-sent events of Chat Completions: framing, and the few things that must be seen in them.

Bytes are relayed, not parsed: a pattern with unescaped quotation marks can't occur inside a JSON string, so a search in
the bytes is enough to know whether an event is worth a closer look.
"""

from __future__ import annotations

import re

import msgspec

from headworks.types.models import Usage

_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')
_DONE = re.compile(rb"^data: ?\[DONE\]", re.MULTILINE)
_NULL_USAGE = re.compile(rb',\s*"usage"\s*:\s*null')
_NO_ERROR = frozenset((b"", b"null", b"false", b'""'))
_EMPTY = frozenset((b"null", b'""', b"[]", b"{}"))


class Details(msgspec.Struct, gc=False):
    """`prompt_tokens_details`."""

    cached_tokens: int | None = None


class UsageObject(msgspec.Struct, gc=False):
    """`usage`, as the providers write it; `prompt_cache_hit_tokens` is DeepSeek's name."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    prompt_cache_hit_tokens: int | None = None

    def as_usage(self) -> Usage:
        """In our words."""
        details = self.prompt_tokens_details
        cached = details.cached_tokens if details is not None else None
        return Usage(
            self.prompt_tokens, self.completion_tokens, cached if cached is not None else self.prompt_cache_hit_tokens
        )


_usage = msgspec.json.Decoder(UsageObject).decode


def usage_in(raw: msgspec.Raw) -> Usage | None:
    """What a `usage` member counts; None where there is none, or none that can be read: it is then estimated."""
    if not bytes(raw).startswith(b"{"):
        return None
    try:
        return _usage(raw).as_usage()
    except msgspec.DecodeError:
        return None


class Choice(msgspec.Struct, gc=False):
    """One choice of a chunk; its delta as it is."""

    delta: dict[str, msgspec.Raw] | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """One event's JSON, as far as we read it."""

    choices: list[Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_chunk = msgspec.json.Decoder(Chunk).decode


def read_chunk(data: bytes) -> Chunk:
    """An event's JSON. Raises msgspec.DecodeError."""
    return _chunk(data)


def says_something(chunk: Chunk) -> bool:
    """Whether this is output: text, a call, an end or a count; a role alone or a filter's frame is not."""
    for choice in chunk.choices or ():
        if choice.finish_reason is not None:
            return True
        delta = choice.delta or {}
        if any(bytes(value) not in _EMPTY for name, value in delta.items() if name != "role"):
            return True
    return not chunk.choices and usage_in(chunk.usage) is not None


def is_finish(events: bytes) -> bool:
    """Whether a finish reason is given."""
    return _FINISHED.search(events) is not None


def is_done(events: bytes) -> bool:
    """Whether the terminal event is there."""
    return b"[DONE]" in events and _DONE.search(events) is not None


def is_error(chunk: Chunk) -> bool:
    """Whether the event is an error and not a part of an answer."""
    return bytes(chunk.error) not in _NO_ERROR


def without_null_usage(event: bytes) -> bytes:
    """The event as it would be had nobody asked for usage."""
    return _NULL_USAGE.sub(b"", event, count=1)
