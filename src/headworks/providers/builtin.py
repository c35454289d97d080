"""The provider `builtin`: the models of this very process, reached without a network."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from headworks.errors import InvalidRequest, NotFound
from headworks.formats.neutral import FormatName
from headworks.providers.contract import Answer, Ask, Surface
from headworks.providers.openai_format import JSON_HEADERS
from headworks.providers.responses import Headers

MAX_TEXTS = 2048


class ChatModel(Protocol):
    """A built-in model that answers."""

    async def fetch(self, ask: Ask) -> tuple[int, Headers, bytes]:
        """See contract.Provider."""
        ...

    async def stream(self, ask: Ask) -> Answer:
        """See contract.Provider."""
        ...


class EmbeddingModel(Protocol):
    """A built-in model that embeds; `embed` blocks, so it is called in a thread."""

    @property
    def digest(self) -> str:
        """Of the weights."""
        ...

    def embed(self, texts: Sequence[str]) -> Iterable[Any]:
        """One unit vector a text. Raises ModelMissing when the weights are not installed."""
        ...


class _EmbeddingRequest(msgspec.Struct):
    input: str | list[str]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class Builtin:
    """See contract.Provider."""

    name = "builtin"
    speaks: tuple[FormatName, ...] = ("chat",)
    is_local = True
    takes_stream_options = True
    cap_field = "max_tokens"

    def __init__(self, chat: Mapping[str, ChatModel], embeddings: Mapping[str, EmbeddingModel]) -> None:
        self._chat = chat
        self._embeddings = embeddings

    @property
    def models(self) -> list[str]:
        """Their names."""
        return sorted([*self._chat, *self._embeddings])

    def check(self, surface: Surface, model: str) -> None:
        """See contract.py."""
        if (surface == "chat" and model in self._chat) or (surface == "embeddings" and model in self._embeddings):
            return
        if model in self._chat or model in self._embeddings:
            raise InvalidRequest(f"`builtin/{model}` does not serve {surface}.", param="model")
        raise NotFound(
            f"There is no model `builtin/{model}`.",
            next_step=f"Those are: {', '.join(f'builtin/{each}' for each in self.models)}.",
            param="model",
            code="model_not_found",
        )

    async def fetch(self, ask: Ask) -> tuple[int, Headers, bytes]:
        """See contract.py."""
        if ask.surface == "chat":
            return await self._chat[ask.model].fetch(ask)
        return 200, JSON_HEADERS, await self._embed(ask)

    async def stream(self, ask: Ask) -> Answer:
        """See contract.py."""
        return await self._chat[ask.model].stream(ask)

    async def vectors(self, model: str, texts: Sequence[str]) -> tuple[Sequence[Sequence[float]], str, int]:
        """See contract.Embedder."""
        self.check("embeddings", model)
        embedder = self._embeddings[model]
        found: list[Sequence[float]] = list(await asyncio.to_thread(embedder.embed, texts))
        return found, embedder.digest, sum(len(text.split()) for text in texts)

    async def _embed(self, ask: Ask) -> bytes:
        try:
            request = msgspec.json.decode(ask.body, type=_EmbeddingRequest)
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                f"builtin/{ask.model} can't read the request: {error}.",
                next_step="Send texts, not numbers of tokens (LangChain: check_embedding_ctx_length=False).",
                param="input",
            ) from None
        texts = [request.input] if isinstance(request.input, str) else request.input
        if not texts or len(texts) > MAX_TEXTS or not all(texts):
            raise InvalidRequest(f"`input` must be 1 to {MAX_TEXTS} texts, none of them empty.", param="input")
        found, _, tokens = await self.vectors(ask.model, texts)
        if request.dimensions not in {None, len(found[0])}:
            raise InvalidRequest(f"builtin/{ask.model} makes vectors of {len(found[0])} numbers.", param="dimensions")
        return msgspec.json.encode(_answer(ask.model, found, request.encoding_format, tokens))


def _answer(model: str, vectors: Sequence[Sequence[float]], encoding: str, tokens: int) -> dict[str, Any]:
    rows = [
        {"object": "embedding", "index": index, "embedding": _written(vector, encoding)}
        for index, vector in enumerate(vectors)
    ]
    return {
        "object": "list",
        "data": rows,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _written(vector: Sequence[float], encoding: str) -> list[float] | str:
    numbers = [float(each) for each in vector]
    if encoding == "float":
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode("ascii")
