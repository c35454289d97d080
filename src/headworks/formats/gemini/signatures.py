"""Gemini's signatures of thoughts and calls, carried by callers whose format has no place for them.

A call that has a signature goes to the caller under the id `sig<n>_<id><signature>`: `n` is the length of the call's
own id, and the signature is written in base64url without padding. So the id keeps to the letters that all formats
allow, and a caller who sends it back with the call and its result, as all of them do, gives the signature back.
A call that Gemini gave no id is `call_<response id>_<number of the call in the answer>`.

A thought's signature is marked as ours, `gemini:<signature>`, because another model's must not be sent here.
"""

from __future__ import annotations

import re

_SIGNED_ID = re.compile(r"sig([0-9]{1,4})_(.+)", re.DOTALL)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")
_MARK = "gemini:"

ANY_SIGNATURE = "skip_thought_signature_validator"
"""What Google documents for calls that another model made: newer models refuse a call without a signature."""


def made_id(response_id: str, number: int) -> str:
    """The id of a call that came without one."""
    return f"call_{response_id}_{number}" if _PLAIN.fullmatch(response_id) else f"call_{number}"


def signed_id(call_id: str, signature: str | None) -> str:
    """The id under which a caller sees the call."""
    if not signature or len(call_id) > 9999:
        return call_id
    return f"sig{len(call_id)}_{call_id}{signature.translate(_TO_URL).rstrip('=')}"


def split_id(seen: str) -> tuple[str, str | None]:
    """The call's own id and its signature, from the id that a caller sent back."""
    found = _SIGNED_ID.fullmatch(seen)
    if found is None:
        return seen, None
    length, rest = int(found[1]), found[2]
    signature = rest[length:]
    if not _BASE64URL.fullmatch(signature) or len(signature) % 4 == 1:
        return seen, None
    return rest[:length], signature.translate(_FROM_URL) + "=" * (-len(signature) % 4)


def marked(signature: str) -> str:
    """A thought's signature as callers keep it."""
    return _MARK + signature


def unmarked(signature: str | None, *, is_ours: bool) -> str | None:
    """Gemini's own signature, None for another model's; `is_ours`: it is Gemini's, whatever it looks like."""
    if signature is None:
        return None
    if signature.startswith(_MARK):
        return signature[len(_MARK) :]
    return signature if is_ours else None
