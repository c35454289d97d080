"""What a provider must be able to do: bytes in, bytes out, in a format that it `speaks`. One file per implementation.

The request path splices, relays or translates bytes and never asks which provider it talks to, so what runs inside this
process speaks the same formats as what is reached by HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from headworks.formats.neutral import FormatName
from headworks.providers.http1 import Deadlines
from headworks.providers.responses import Headers
from headworks.types.models import Prompt

Surface = Literal[
    "audio_transcriptions",
    "audio_translations",
    "batches",
    "chat",
    "completions",
    "converse",
    "count_tokens",
    "embeddings",
    "files",
    "gemini",
    "image_edits",
    "image_generations",
    "image_variations",
    "messages",
    "moderations",
    "rerank",
    "responses",
    "speech",
]
"""What is asked for, and in which format."""

UNCOUNTED: frozenset[Surface] = frozenset(
    (
        "audio_transcriptions",
        "audio_translations",
        "batches",
        "files",
        "image_edits",
        "image_generations",
        "image_variations",
        "moderations",
        "rerank",
        "speech",
    )
)
"""What costs no tokens that the size of the request would tell: only what the provider counts is recorded."""

PATIENT = Deadlines()


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One request to a provider.

    `body` is JSON in the format of the surface, `forwarded` are headers of the caller's that go on with it. `prompt` is
    there where a feature rendered one: built-in models read its passages.
    """

    surface: Surface
    model: str
    body: bytes
    forwarded: tuple[tuple[bytes, bytes], ...] = ()
    prompt: Prompt | None = None
    deadlines: Deadlines = PATIENT


class Answer(Protocol):
    """A streamed answer: its head is there, its body follows piece by piece."""

    status: int
    headers: Headers

    @property
    def complete(self) -> bool:
        """Whether the last byte has arrived."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Pieces as they come; UpstreamError where they end before their end."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body; UpstreamError when it is longer than `limit` bytes."""
        ...

    def abort(self) -> None:
        """End it at once: what the provider still does for it is stopped. Who waits for a piece gets an error."""
        ...


class Errand(msgspec.Struct, frozen=True, gc=False):
    """One request that passes through as it came: its method, what stands behind the surface's own path, its body.

    `tail` begins with `/` or `?`, or is empty. `content_type` is the caller's, None for no body.
    """

    surface: Surface
    method: bytes
    tail: str = ""
    content_type: bytes | None = None
    body: bytes = b""
    forwarded: tuple[tuple[bytes, bytes], ...] = ()
    deadlines: Deadlines = PATIENT


@runtime_checkable
class Carrier(Protocol):
    """A provider that passes requests through which are no JSON, or no POST: files, audio, images, batches."""

    @property
    def credential(self) -> bytes:
        """The same for accounts that see each other's files and batches: a digest of the key, or of the address."""
        ...

    def carries(self, surface: Surface) -> bool:
        """Whether it serves that."""
        ...

    async def carry(self, errand: Errand) -> Answer:
        """The answer as it comes. Raises UpstreamError; an error status is an answer."""
        ...


class Provider(Protocol):
    """Whoever serves the models of one account.

    `speaks` are the formats that it understands, the one to be translated to first. `is_local`: text that is sent there
    stays on this host. `takes_stream_options`: usage in streams may be asked for. `cap_field`: the field to use where
    Headworks itself caps the output.
    """

    name: str
    speaks: tuple[FormatName, ...]
    is_local: bool
    takes_stream_options: bool
    cap_field: str

    def check(self, surface: Surface, model: str) -> None:
        """Raise ModelMissing, InvalidRequest or NotFound for what can't be served, before anything is sent."""
        ...

    async def fetch(self, ask: Ask) -> tuple[int, Headers, bytes]:
        """Status, headers and body of an answer that is wanted whole. Raises UpstreamError; a status is an answer."""
        ...

    async def stream(self, ask: Ask) -> Answer:
        """An answer that comes in pieces. Raises UpstreamError; an error status is an answer."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A provider that can embed without a detour through JSON."""

    async def vectors(self, model: str, texts: Sequence[str]) -> tuple[Sequence[Sequence[float]], str, int]:
        """One unit vector a text, the digest of the weights, and the number of tokens read."""
        ...
