"""OpenAI's embeddings, asked of Gemini: the request translated there, the answer back."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from headworks.errors import InvalidRequest, Unmapped, UpstreamError

MOST_AT_ONCE = 100
"""Texts in one request; Google's limit."""

_NAMES = frozenset(("model", "input", "dimensions", "encoding_format", "user"))


class Asked(msgspec.Struct, gc=False):
    """What a caller wants; `is_packed`: vectors as base64 of little-endian float32."""

    texts: list[str]
    dimensions: int | None
    is_packed: bool


class _Settings(msgspec.Struct, gc=False):
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None


class _Part(msgspec.Struct, gc=False):
    text: str


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part]


class _One(msgspec.Struct, omit_defaults=True, rename="camel", gc=False):
    model: str
    content: _Content
    output_dimensionality: int | None = None


class _Vector(msgspec.Struct, gc=False):
    values: msgspec.Raw


class _Counted(msgspec.Struct, rename="camel", gc=False):
    prompt_token_count: int | None = None


class _Answer(msgspec.Struct, rename="camel"):
    embedding: _Vector | None = None
    embeddings: list[_Vector] | None = None
    usage_metadata: _Counted | None = None


_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_settings = msgspec.json.Decoder(_Settings).decode
_input = msgspec.json.Decoder(str | list[str]).decode
_answer = msgspec.json.Decoder(_Answer).decode
_floats = msgspec.json.Decoder(list[float]).decode
_encode = msgspec.json.Encoder().encode


def read_request(body: bytes) -> Asked:
    """Raises InvalidRequest, and Unmapped for what Gemini has no word for: tokens in the place of text."""
    try:
        members = _members(body)
        settings = _settings(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The request for embeddings can't be read: {error}.") from None
    for name, raw in members.items():
        if name not in _NAMES and bytes(raw) != b"null":
            raise Unmapped(
                f"`{name}` can't be honoured by a Gemini model: it has no such parameter.",
                param=name,
                next_step="Leave it out, or name a model of another provider.",
            )
    if settings.dimensions is not None and settings.dimensions < 1:
        raise InvalidRequest("`dimensions` must be a whole number from 1.", param="dimensions")
    return Asked(_texts(members), settings.dimensions, settings.encoding_format == "base64")


def _texts(members: dict[str, msgspec.Raw]) -> list[str]:
    raw = members.get("input")
    if raw is None:
        raise InvalidRequest("`input` is required.", param="input", code="missing_field")
    try:
        given = _input(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unmapped(
            "`input` must be a text or a list of texts: a Gemini model takes no tokens.",
            param="input",
            next_step="Send the text itself.",
        ) from None
    texts = [given] if isinstance(given, str) else given
    if not texts:
        raise InvalidRequest("`input` is empty.", param="input")
    return texts


def write_requests(asked: Asked, model: str) -> list[tuple[str, bytes]]:
    """The method and the body of each request that it takes, in the order of the texts."""
    rows = [_One(model, _Content([_Part(text)]), asked.dimensions) for text in asked.texts]
    if len(rows) == 1:
        return [("embedContent", _encode(rows[0]))]
    batches = [rows[at : at + MOST_AT_ONCE] for at in range(0, len(rows), MOST_AT_ONCE)]
    return [("batchEmbedContents", _encode({"requests": batch})) for batch in batches]


def write_answer(asked: Asked, model: str, bodies: Sequence[bytes]) -> bytes:
    """OpenAI's list, from Gemini's answers; without `usage` where Google has not counted. Raises UpstreamError."""
    try:
        answers = [_answer(body) for body in bodies]
        vectors = [vector for each in answers for vector in _vectors(each)]
        written = [_packed(vector.values) if asked.is_packed else vector.values for vector in vectors]
    except (msgspec.DecodeError, UnicodeDecodeError, struct.error, OverflowError):
        raise UpstreamError("The provider's answer holds no embeddings that can be read.") from None
    if len(vectors) != len(asked.texts):
        raise UpstreamError(f"The provider gave {len(vectors)} embeddings for {len(asked.texts)} texts.")
    rows = [{"object": "embedding", "index": at, "embedding": value} for at, value in enumerate(written)]
    answer: dict[str, Any] = {"object": "list", "data": rows, "model": model}
    counts = [each.usage_metadata.prompt_token_count for each in answers if each.usage_metadata]
    known = [count for count in counts if count is not None]
    if len(known) == len(answers):
        answer["usage"] = {"prompt_tokens": sum(known), "total_tokens": sum(known)}
    return _encode(answer)


def _vectors(answer: _Answer) -> list[_Vector]:
    return answer.embeddings or ([answer.embedding] if answer.embedding else [])


def _packed(values: msgspec.Raw) -> str:
    numbers = _floats(values)
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
