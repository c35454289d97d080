"""Thoughts of other formats' models, as a client of Responses holds them and gives them back.

Such a client returns reasoning items as they came, but some leave out all but `encrypted_content`. So what another
format wants back travels whole inside it. What Gemini wants back with a call of a tool travels inside the call's id.
"""

from __future__ import annotations

import base64
import re

import msgspec

from headworks.formats.neutral import FormatName, ThinkingBlock, ToolCallBlock

PACKED = "hw1."
"""How an `encrypted_content` begins that we made: no provider can decrypt it."""
_JOINT = "__hw_"
_FOREIGN = re.compile(rb'"call_id"\s*:\s*"[^"\\]*__hw_|"encrypted_content"\s*:\s*"hw1\.')


class _Packed(msgspec.Struct, array_like=True, gc=False):
    origin: FormatName | None
    text: str
    signature: str | None
    redacted: str | None
    id: str | None
    summary: tuple[str, ...]


_unpack = msgspec.json.Decoder(_Packed).decode


def carries_foreign_thoughts(body: bytes) -> bool:
    """Whether a request gives back thoughts of another provider's model, which this format's providers refuse."""
    return (b"hw1." in body or b"__hw_" in body) and _FOREIGN.search(body) is not None


def packed(block: ThinkingBlock) -> str | None:
    """The `encrypted_content` of a thought: its own, or of a foreign one all that there is."""
    if block.origin in {None, "responses"}:
        return block.signature
    parts = _Packed(block.origin, block.text, block.signature, block.redacted, block.id, block.summary)
    return PACKED + base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


def unpacked(encrypted: str) -> ThinkingBlock | None:
    """The foreign thought in it, None where it is no package of ours."""
    if not encrypted.startswith(PACKED):
        return None
    try:
        parts = _unpack(base64.b64decode(encrypted[len(PACKED) :], altchars=b"-_", validate=True))
    except (ValueError, msgspec.DecodeError):
        return None
    return ThinkingBlock(parts.text, parts.signature, parts.redacted, parts.id, parts.summary, parts.origin)


def call_id(block: ToolCallBlock) -> str:
    """The id under which a client hears of a call, with the signature of another format's model in it."""
    if block.signature is None:
        return block.id
    return block.id + _JOINT + base64.urlsafe_b64encode(block.signature.encode()).decode().rstrip("=")


def split_id(given: str) -> tuple[str, str | None]:
    """The id that the model gave, and the signature that came with it."""
    own, joint, tail = given.rpartition(_JOINT)
    if not joint:
        return given, None
    try:
        return own, base64.b64decode(tail + "=" * (-len(tail) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:  # not ours: also what is no UTF-8
        return given, None
