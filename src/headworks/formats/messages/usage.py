"""Tokens: Anthropic's `input_tokens` leaves out what was read from the prompt cache or written to it; ours has it in.

input_tokens (ours) = input_tokens + cache_read_input_tokens + cache_creation_input_tokens
"""

from __future__ import annotations

from typing import Any

import msgspec

from headworks.formats.neutral import Ext
from headworks.formats.strict import strict
from headworks.types.models import Usage

_NO_RAW = msgspec.Raw()


class _Lifetimes(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class _Details(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class UsageObject(msgspec.Struct, gc=False):
    """A `usage` of a message, or of a `message_delta`, whose members replace those of the start."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _Lifetimes | None = None
    output_tokens_details: _Details | None = None
    service_tier: object = None

    def merged(self, later: UsageObject) -> UsageObject:
        """What is known after a later count."""
        said = {name: value for name in _NAMES if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **said)

    def as_usage(self) -> Usage:
        """In our words."""
        written, split = self.cache_creation_input_tokens, self.cache_creation
        five, hour = written, None
        if split is not None and split.ephemeral_5m_input_tokens + split.ephemeral_1h_input_tokens == written:
            five, hour = split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens
        total = None
        if self.input_tokens is not None:
            total = self.input_tokens + (self.cache_read_input_tokens or 0) + (written or 0)
        details = self.output_tokens_details
        return Usage(
            input_tokens=total,
            output_tokens=self.output_tokens,
            cached_input_tokens=self.cache_read_input_tokens,
            cache_write_tokens=five,
            cache_write_1h_tokens=hour,
            reasoning_tokens=details.thinking_tokens if details else None,
            service_tier=self.service_tier if isinstance(self.service_tier, str) else None,
        )


class _ExactLifetimes(_Lifetimes, gc=False, forbid_unknown_fields=True):
    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class _ExactDetails(_Details, gc=False, forbid_unknown_fields=True):
    thinking_tokens: int


class _Exact(UsageObject, gc=False):
    """As Anthropic writes it: all of it is in our words but these two."""

    cache_creation: _ExactLifetimes | None = None
    output_tokens_details: _ExactDetails | None = None
    service_tier: str | None = None
    inference_geo: msgspec.Raw = _NO_RAW


_NAMES = UsageObject.__struct_fields__
_encode = msgspec.json.Encoder().encode
_exact = msgspec.json.Decoder(strict(_Exact)).decode
_typed = msgspec.json.Decoder(UsageObject).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_usage(raw: msgspec.Raw) -> tuple[UsageObject, Ext]:
    """The counts, and what else the object says. Raises msgspec.DecodeError."""
    try:
        exact = _exact(raw)
    except msgspec.ValidationError:
        return _read_unusual(raw)
    split = exact.cache_creation
    if exact.input_tokens is not None and exact.input_tokens < 0:
        return _read_unusual(raw)
    if split is not None:
        written = exact.cache_creation_input_tokens
        if written is None or written != split.ephemeral_5m_input_tokens + split.ephemeral_1h_input_tokens:
            return _read_unusual(raw)
    ext: Ext = {}
    if exact.service_tier is not None:
        ext["service_tier"] = msgspec.Raw(_encode(exact.service_tier))
    if exact.inference_geo is not _NO_RAW:
        ext["inference_geo"] = exact.inference_geo
    return exact, ext


def _read_unusual(raw: msgspec.Raw) -> tuple[UsageObject, Ext]:
    counts = _typed(raw)
    written = usage_members(counts.as_usage())
    said = _members(raw)
    return counts, {name: value for name, value in said.items() if not _is_said(name, value, written)}


def usage_members(usage: Usage) -> dict[str, Any]:
    """A `usage` object's members from our words: only what was counted."""
    cached, five, hour = usage.cached_input_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    said: dict[str, Any] = {}
    if usage.input_tokens is not None:
        said["input_tokens"] = max(0, usage.input_tokens - (cached or 0) - (five or 0) - (hour or 0))
    if cached is not None:
        said["cache_read_input_tokens"] = cached
    if five is not None or hour is not None:
        said["cache_creation_input_tokens"] = (five or 0) + (hour or 0)
    if hour is not None:
        said["cache_creation"] = {"ephemeral_5m_input_tokens": five or 0, "ephemeral_1h_input_tokens": hour}
    if usage.output_tokens is not None:
        said["output_tokens"] = usage.output_tokens
    if usage.reasoning_tokens is not None:
        said["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return said


def _is_said(name: str, value: msgspec.Raw, written: dict[str, Any]) -> bool:
    return name in written and msgspec.json.decode(value) == written[name]
