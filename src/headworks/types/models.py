"""Models for everyone: the Protocol through which every domain calls a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from headworks.types.identity import Principal
from headworks.types.ids import Digest, TraceId
from headworks.types.retrieval import Passage

Role = Literal["system", "developer", "user", "assistant", "tool"]
Purpose = Literal[
    "answer",
    "embed_query",
    "embed_ingest",
    "rewrite",
    "contextualise",
    "rerank",
    "guard",
    "judge",
    "synthesise",
    "agent_step",
]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `content` is plain text."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent to a model: messages, and the passages that were numbered in them (for built-in models)."""

    messages: tuple[Message, ...]
    passages: tuple[Passage, ...] = ()
    question: str = ""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call, all inclusive, whatever the provider's own convention. None: the provider did not say.

    `input_tokens` has in it what was read from the prompt cache (`cached_input_tokens`), what was written to it for
    five minutes (`cache_write_tokens`) and for an hour (`cache_write_1h_tokens`), and audio; `output_tokens` has
    reasoning and audio in it. `service_tier` is the one that the provider says it served the call in. `calls`: for how
    many calls it is charged, where that is not one (units of a search that reranks many documents).
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    is_estimated: bool = False
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    service_tier: str | None = None
    calls: int | None = None

    def plus(self, other: Usage) -> Usage:
        """What this call and another one counted together; the tier is the other's."""
        counts = [name for name in self.__struct_fields__ if name not in {"is_estimated", "service_tier"}]
        added = {name: _sum(getattr(self, name), getattr(other, name)) for name in counts}
        return Usage(
            **added,
            is_estimated=self.is_estimated or other.is_estimated,
            service_tier=other.service_tier or self.service_tier,
        )


def _sum(one: int | None, other: int | None) -> int | None:
    """Of what is known."""
    return None if one is None and other is None else (one or 0) + (other or 0)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """Who calls which model (a route or `provider/model`), what for, and on whose trace and release."""

    principal: Principal
    model: str
    purpose: Purpose
    trace: TraceId | None = None
    release: Digest | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished answer. `cost_micro_usd` None: no price is known."""

    text: str
    finish_reason: str
    usage: Usage
    cost_micro_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Unit vectors in the order of the texts, and the digest of the weights that made them."""

    vectors: Sequence[Sequence[float]]
    model_digest: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Relevances:
    """How well each text fits a question, in the order of the texts; only their order means something."""

    scores: Sequence[float]
    usage: Usage


class Models(Protocol):
    """Implemented by gateway/models.py, injected by app.py: calls are admitted, attempted and recorded as any other."""

    async def complete(self, call: ModelCall, prompt: Prompt) -> Completion:
        """The whole answer. Errors: NotFound, Forbidden, UpstreamError and its kinds, ModelMissing."""
        ...

    async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:
        """One unit vector a text. Errors as `complete`."""
        ...

    async def rerank(self, call: ModelCall, query: str, texts: Sequence[str]) -> Relevances:
        """A finite score for each text. Errors as `complete`."""
        ...
