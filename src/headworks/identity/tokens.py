"""Secrets that people and programs carry: API keys, claim links, web sessions; `<prefix>_<id>_<secret><check>`.

The id (a UUID) says where to look, the secret is 32 random bytes, the check is the CRC-32 of all before it: a token
with a typing error is told apart from an unknown one without any secret being looked at, and secret scanners can be
sure. All parts are base 62 of fixed length. Stored is HMAC-SHA-256 of kind and secret under the server's pepper.
"""

from __future__ import annotations

import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE = {digit: value for value, digit in enumerate(_DIGITS)}
_ID_LENGTH, _SECRET_LENGTH, _CHECK_LENGTH = 22, 43, 6
_SECRET_BYTES = 32

TokenKind = Literal["hw", "hwclaim", "hwsession"]
"""The prefixes: an API key (`id` is the key's), a claim link or a web session (`id` is the tenant's)."""

_SHAPE = re.compile(
    rf"(hw|hwclaim|hwsession)_([0-9A-Za-z]{{{_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECK_LENGTH}}})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token in its parts. The secret is never shown by `repr`."""

    kind: TokenKind
    id: UUID
    secret: bytes = field(repr=False)

    def text(self) -> str:
        """The token as its bearer holds it."""
        body = f"{self.kind}_{_encode(self.id.int, _ID_LENGTH)}_{_encode(int.from_bytes(self.secret), _SECRET_LENGTH)}"
        return body + _check(body)

    def hashed(self, pepper: bytes) -> bytes:
        """What is stored in the token's place: 32 bytes, of no use without the pepper and as another kind of token."""
        return hmac.digest(pepper, self.kind.encode() + b":" + self.secret, "sha256")


def mint(kind: TokenKind, id_: UUID) -> Token:
    """A token with a fresh secret."""
    return Token(kind, id_, secrets.token_bytes(_SECRET_BYTES))


def parse(kind: TokenKind, text: str) -> Token | None:
    """The parts of a token of that kind, or None when it is malformed: its shape, its check or its range is wrong."""
    found = _SHAPE.fullmatch(text)
    if found is None or found[1] != kind:
        return None
    id_, secret = _decode(found[2]), _decode(found[3])
    if _check(text[:-_CHECK_LENGTH]) != found[4] or id_ >= 1 << 128 or secret >= 1 << 8 * _SECRET_BYTES:
        return None
    return Token(kind, UUID(int=id_), secret.to_bytes(_SECRET_BYTES))


def public_part(id_: UUID) -> str:
    """What of an API key may be shown and logged, e.g. `hw_0KpV…`: its prefix and id."""
    return f"hw_{_encode(id_.int, _ID_LENGTH)}"


def parse_public_part(text: str) -> UUID | None:
    """The key's id from its public part, or None."""
    prefix, _, id_ = text.partition("_")
    if prefix != "hw" or len(id_) != _ID_LENGTH or not set(id_) <= set(_DIGITS):
        return None
    value = _decode(id_)
    return UUID(int=value) if value < 1 << 128 else None


def _check(body: str) -> str:
    return _encode(zlib.crc32(body.encode("ascii")), _CHECK_LENGTH)


def _encode(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _decode(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 62 + _VALUE[digit]
    return value
