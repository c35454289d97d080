"""Texts into vectors: in batches of similar lengths, each vector with its own text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headworks.errors import ModelMissing, UpstreamError
from headworks.retrieval.embedding import embed_texts
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId, new_id
from headworks.types.models import Completion, Embeddings, ModelCall, Prompt, Usage

CURATOR = Principal(TenantId(new_id()), PrincipalId(new_id()), "curator", "curator", frozenset({"model:call"}))


class Lengths:
    """The vector of a text is its length."""

    def __init__(self, dimension: int = 384) -> None:
        self.dimension = dimension
        self.batches: list[list[int]] = []
        self.call: ModelCall | None = None

    async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:
        self.call = call
        self.batches.append([len(text) for text in texts])
        vectors = [[float(len(text))] + [0.0] * (self.dimension - 1) for text in texts]
        return Embeddings(vectors, "sha256:lengths", Usage())

    async def complete(self, call: ModelCall, prompt: Prompt) -> Completion:  # noqa: ARG002 -- the Protocol's
        raise ModelMissing("These models only embed.")


async def test_each_text_gets_its_own_vector_whatever_the_order_of_the_batches() -> None:
    models = Lengths()
    texts = ["x" * (1 + number * 37 % 150) for number in range(150)]
    made = await embed_texts(models, CURATOR, "builtin/minilm", texts)
    assert [vector.partition(",")[0] for vector in made.texts] == [f"[{len(text)}" for text in texts]
    assert made.digest == "sha256:lengths"
    assert [len(batch) for batch in models.batches] == [64, 64, 22]
    flat = [length for batch in models.batches for length in batch]
    assert flat == sorted(flat), "texts of about the same length go together"


async def test_ingestion_calls_the_model_as_the_curator_for_its_purpose() -> None:
    models = Lengths()
    await embed_texts(models, CURATOR, "builtin/minilm", ["x"])
    assert models.call is not None
    assert (models.call.principal, models.call.model, models.call.purpose) == (
        CURATOR,
        "builtin/minilm",
        "embed_ingest",
    )


async def test_vectors_may_be_of_any_size_that_can_be_stored() -> None:
    for size in (1, 256, 384, 1024, 3072, 16_000):
        assert (await embed_texts(Lengths(size), CURATOR, "openai/text-embedding-3-large", ["x"])).dimension == size
    with pytest.raises(UpstreamError, match="vectors of 16,001 numbers; 1 to 16,000 can be stored"):
        await embed_texts(Lengths(16_001), CURATOR, "openai/text-embedding-3-large", ["x"])


async def test_vectors_of_another_size_than_the_collections_are_refused_and_not_cut() -> None:
    with pytest.raises(UpstreamError, match=r"vectors of 1,536 numbers; those of this collection have 384\..*anew"):
        await embed_texts(Lengths(1536), CURATOR, "openai/text-embedding-3-small", ["x"], dimension=384)


async def test_one_answer_has_vectors_of_one_size() -> None:
    class Uneven(Lengths):
        async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:  # noqa: ARG002 -- the Protocol's
            return Embeddings([[1.0] * (3 + place) for place in range(len(texts))], "sha256:uneven", Usage())

    with pytest.raises(UpstreamError, match="vectors of 4 numbers; those of this collection have 3"):
        await embed_texts(Uneven(), CURATOR, "simulated/uneven", ["x", "y"])


async def test_without_texts_no_model_is_asked() -> None:
    models = Lengths()
    assert (await embed_texts(models, CURATOR, "builtin/minilm", [])).texts == []
    assert models.batches == []
