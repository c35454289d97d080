"""Ed25519 signatures over statements, in DSSE envelopes: pure, and nothing here knows a database.

An envelope is `{"payloadType", "payload" (base64), "signatures": [{"keyid", "sig" (base64)}]}`; what is signed is
DSSE's pre-authentication encoding, so a payload can't be taken for one of another type. A key's id is the sha256 of its
public key, so a key can't be passed off as another.
Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from headworks.types.json_values import JsonObject

PAYLOAD_TYPE = "application/vnd.in-toto+json"
KEY_BYTES = 32


class SignatureWrong(ValueError):
    """An envelope that does not say what its key has signed; the message says why."""


class Signature(msgspec.Struct, gc=False):
    """One signature of an envelope."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What was signed, in base64, and by which key."""

    payload_type: str
    payload: str
    signatures: list[Signature]


def new_private_key() -> bytes:
    """32 bytes that sign."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_of(private: bytes) -> bytes:
    """The 32 bytes with which anybody verifies."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def key_id_of(public: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits of a public key."""
    return f"sha256:{hashlib.sha256(public).hexdigest()}"


def sign(payload: bytes, private: bytes) -> bytes:
    """The envelope of a payload, as canonical JSON."""
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(_encoded(payload))
    envelope: JsonObject = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id_of(public_of(private)), "sig": base64.b64encode(signature).decode()}],
    }
    return rfc8785.dumps(envelope)


def read_envelope(content: bytes) -> tuple[str, bytes, bytes]:
    """(key id, payload, signature) of an envelope with one signature, nothing verified. Raises SignatureWrong."""
    try:
        envelope = msgspec.json.decode(content, type=Envelope)
        if envelope.payload_type != PAYLOAD_TYPE:
            raise SignatureWrong("its payload is of another type")
        if len(envelope.signatures) != 1:
            raise SignatureWrong("it has not exactly one signature")
        payload = base64.b64decode(envelope.payload, validate=True)
        signature = base64.b64decode(envelope.signatures[0].sig, validate=True)
    except (msgspec.MsgspecError, binascii.Error, RecursionError, UnicodeDecodeError):
        raise SignatureWrong("it is no envelope of a signed statement") from None
    return envelope.signatures[0].keyid, payload, signature


def verify(content: bytes, public: bytes) -> bytes:
    """The payload of an envelope that this key has signed. Raises SignatureWrong."""
    key_id, payload, signature = read_envelope(content)
    if key_id != key_id_of(public):
        raise SignatureWrong("it was signed with another key")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _encoded(payload))
    except InvalidSignature:
        raise SignatureWrong("its signature is wrong: it was changed after it was signed") from None
    return payload


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
