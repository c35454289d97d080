"""Chunks of a stream, as the providers write them: typed where they say what we know, the rest set apart."""

from __future__ import annotations

from typing import Literal

import msgspec

from headworks.formats.chat.members import NO_RAW, Misread, kept
from headworks.formats.neutral import Ext


class FunctionDelta(msgspec.Struct, gc=False):
    """A piece of a call."""

    name: str | None = None
    arguments: str | None = None


class CustomDelta(msgspec.Struct, gc=False):
    """A piece of a custom tool's call."""

    name: str | None = None
    input: str | None = None


class CallDelta(msgspec.Struct):
    """One entry of `tool_calls`; `id` and the name come with the first piece."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None
    extra_content: msgspec.Raw = NO_RAW


class AudioDelta(msgspec.Struct):
    """A piece of sound, base64 by itself."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class Delta(msgspec.Struct, forbid_unknown_fields=True):
    """What a chunk adds."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[msgspec.Raw] | None = None
    function_call: FunctionDelta | None = None
    annotations: list[msgspec.Raw] | None = None
    audio: AudioDelta | None = None
    images: list[msgspec.Raw] | None = None


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """One choice of a chunk."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = NO_RAW
    stop_reason: msgspec.Raw = NO_RAW


class Chunk(msgspec.Struct, forbid_unknown_fields=True):
    """One event's JSON. `obfuscation` is padding, and means nothing."""

    id: str | None = None
    object: msgspec.Raw = NO_RAW
    created: int | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = NO_RAW
    error: msgspec.Raw = NO_RAW
    system_fingerprint: msgspec.Raw = NO_RAW
    service_tier: msgspec.Raw = NO_RAW
    obfuscation: msgspec.Raw = NO_RAW


class _PlainDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    content: str
    role: Literal["assistant"] | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    reasoning_content: None = None
    reasoning: None = None


class _PlainChoice(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    delta: _PlainDelta
    index: Literal[0] = 0
    finish_reason: None = None
    logprobs: None = None


class _PlainChunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A chunk that adds text and nothing else, as most do."""

    choices: tuple[_PlainChoice]
    id: str | None = None
    object: msgspec.Raw = NO_RAW
    created: int | None = None
    model: str | None = None
    usage: None = None
    system_fingerprint: msgspec.Raw = NO_RAW
    service_tier: msgspec.Raw = NO_RAW
    obfuscation: msgspec.Raw = NO_RAW


class Extras(msgspec.Struct):
    """Members that no Struct names: of the chunk, of its choice, of the delta."""

    chunk: Ext = {}
    choice: Ext = {}
    delta: Ext = {}


NO_EXTRAS = Extras()
_plain = msgspec.json.Decoder(_PlainChunk).decode
_chunk = msgspec.json.Decoder(Chunk).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_rows = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None).decode
_delta = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_CHUNK = frozenset(Chunk.__struct_fields__)
_CHOICE = frozenset(Choice.__struct_fields__)
_DELTA = frozenset(Delta.__struct_fields__)


def read_text(data: bytes) -> tuple[str, msgspec.Raw] | None:
    """The text that one event's JSON adds, and the service tier beside it; None where it says anything else."""
    try:
        chunk = _plain(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return chunk.choices[0].delta.content, chunk.service_tier


def read_chunk(data: bytes) -> tuple[Chunk, Extras]:
    """One event's JSON and what no Struct names. Raises Misread, and msgspec.DecodeError for what is no JSON."""
    try:
        return _chunk(data), NO_EXTRAS
    except msgspec.ValidationError:
        pass  # perhaps only a member that we don't know
    try:
        known, extras = _set_apart(data)
        return _chunk(known), extras
    except msgspec.ValidationError as error:
        raise Misread.of(error) from None


def _set_apart(data: bytes) -> tuple[bytes, Extras]:
    extras = Extras()
    chunk = _members(data)
    for name in chunk.keys() - _CHUNK:
        extras.chunk[kept(name)] = chunk.pop(name)
    if "choices" in chunk:
        choices = _rows(chunk["choices"]) or []
        for choice in choices:
            for name in choice.keys() - _CHOICE:
                extras.choice[kept(name)] = choice.pop(name)
            delta = _delta(choice["delta"]) if "delta" in choice else None
            if delta is not None:
                for name in delta.keys() - _DELTA:
                    extras.delta[kept(name)] = delta.pop(name)
                choice["delta"] = msgspec.Raw(msgspec.json.encode(delta))
        chunk["choices"] = msgspec.Raw(msgspec.json.encode(choices))
    return msgspec.json.encode(chunk), extras
