"""Thoughts of other models, as a Messages client can hold them and give them back.

A client returns thinking blocks as they came, and knows only two texts of each: the thought and its signature. What
another format needs besides (encrypted content, an id, the parts of a summary) travels inside the signature.
"""

from __future__ import annotations

import base64
import re

import msgspec

from headworks.formats.neutral import FormatName, ThinkingBlock

_PREFIX = "headworks."
_OUTSIDE = re.compile(r"[^a-zA-Z0-9_-]")
_FOREIGN = re.compile(rb'"signature"\s*:\s*"headworks\.')


class _Packed(msgspec.Struct, array_like=True, gc=False):
    origin: FormatName | None
    signature: str | None
    redacted: str | None
    id: str | None
    summary: tuple[str, ...]


_pack = msgspec.json.Encoder().encode
_unpack = msgspec.json.Decoder(_Packed).decode


def carries_foreign_thoughts(body: bytes) -> bool:
    """Whether a request gives back thoughts of another provider's model, which Anthropic refuses."""
    return b'"headworks.' in body and _FOREIGN.search(body) is not None


def packed(block: ThinkingBlock, signature: str | None) -> str:
    """A foreign thought's signature for a Messages client; empty where there is nothing to give back."""
    if block.origin in {None, "messages"} and block.redacted is None:
        return signature or ""
    if not (signature or block.redacted or block.id or block.summary):
        return ""
    parts = _Packed(block.origin, signature, block.redacted, block.id, block.summary)
    return _PREFIX + base64.urlsafe_b64encode(_pack(parts)).decode()


def unpacked(text: str, signature: str) -> ThinkingBlock:
    """The thought that was given a client, with the origin that can use it; Anthropic's own otherwise."""
    if not signature.startswith(_PREFIX):
        return ThinkingBlock(text, signature, origin="messages" if signature else None)
    try:
        parts = _unpack(base64.urlsafe_b64decode(signature[len(_PREFIX) :]))
    except (ValueError, msgspec.DecodeError):  # not ours after all
        return ThinkingBlock(text, signature, origin="messages")
    shown = "" if text == "\n\n".join(parts.summary) else text
    return ThinkingBlock(shown, parts.signature, parts.redacted, parts.id, parts.summary, parts.origin)


def plain_id(given: str) -> str:
    """An id of another format in the characters that Anthropic takes; the same for a call and its result."""
    return _OUTSIDE.sub("_", given)
