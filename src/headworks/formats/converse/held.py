"""Blocks of a stream that can only be told once they are complete."""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

import msgspec

from headworks.formats.converse.answers import unreadable
from headworks.formats.converse.blocks import Bytes, Media, made, read_media, reasoning
from headworks.formats.neutral import Block, OpaqueBlock, ThinkingBlock

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class Held(Protocol):
    """A block of a stream that is kept until it is whole."""

    def add(self, kind: str, delta: msgspec.Raw) -> None:
        """A delta, by its only member. Raises msgspec.DecodeError, UpstreamError."""
        ...

    def block(self) -> Block:
        """What it has become."""
        ...


class HeldPicture:
    """A picture that comes in pieces of bytes."""

    def __init__(self, start: msgspec.Raw) -> None:
        self._format = read_media(start).format
        self._data: list[str] = []
        self._error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    def add(self, kind: str, delta: msgspec.Raw) -> None:
        """See Held."""
        if kind != "image":
            raise unreadable("stream", f"a `{kind[:60]}` in a picture")
        found = _members(delta)
        self._error = found.get("error", self._error)
        if "source" in found and (data := msgspec.json.decode(found["source"], type=Bytes).bytes) is not None:
            self._data.append(data)

    def block(self) -> Block:
        """See Held. A picture that Bedrock failed to make is told as it said it."""
        media = Media(self._format, Bytes(joined(self._data) if self._data else None), self._error)
        raw = _encode({"image": media})
        return made("image", media) or OpaqueBlock("converse", "image", msgspec.Raw(raw))


class HeldOpaque:
    """A call that Bedrock runs itself, its result, or what we have no word for."""

    def __init__(self, kind: str, start: msgspec.Raw | None) -> None:
        self._kind = kind
        self._start = start
        self._deltas: list[msgspec.Raw] = []

    def add(self, kind: str, delta: msgspec.Raw) -> None:
        """See Held."""
        self._kind = self._kind or kind
        self._deltas.append(delta)

    def block(self) -> Block:
        """See Held. As a whole answer would have it, where we know how; else its start and its deltas."""
        inside: object
        if self._kind == "toolUse" and self._start is not None:
            pieces = "".join(_members_of_call(each) for each in self._deltas)
            inside = {**_members(self._start), "input": msgspec.Raw(_valid(pieces))}
        elif self._kind == "toolResult" and self._start is not None:
            content = [part for each in self._deltas for part in msgspec.json.decode(each, type=list[msgspec.Raw])]
            inside = {**_members(self._start), "content": content}
        else:
            inside = {"start": self._start, "deltas": self._deltas}
        return OpaqueBlock("converse", self._kind, msgspec.Raw(_encode({self._kind: inside})))


class HeldThought:
    """Encrypted reasoning."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def add(self, kind: str, delta: msgspec.Raw) -> None:
        """See Held."""
        found = reasoning(delta).redacted_content if kind == "reasoningContent" else None
        if found is None:
            raise unreadable("stream", "a thought that is encrypted and then is not")
        self._data.append(found)

    def block(self) -> Block:
        """See Held."""
        return ThinkingBlock(redacted=joined(self._data), origin="converse")


def joined(pieces: list[str]) -> str:
    """Bytes in base64 that came in pieces, each a base64 of its own. Raises UpstreamError."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(base64.b64decode(each, validate=True) for each in pieces)).decode()
    except binascii.Error as error:
        raise unreadable("stream", error) from None


def _members_of_call(delta: msgspec.Raw) -> str:
    return _text(_members(delta).get("input", msgspec.Raw(b'""')))


def _valid(arguments: str) -> bytes:
    data = arguments.encode() or b"{}"
    msgspec.json.decode(data)
    return data
