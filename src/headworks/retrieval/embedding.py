"""Texts of chunks into vectors, in batches, through the one way to models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headworks.errors import NotSupportedYet
from headworks.retrieval.store import DIMENSION, vector_text
from headworks.types.identity import Principal
from headworks.types.models import ModelCall, Models

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Vectors:
    """One vector a text, as PostgreSQL reads it, and the digest of the weights that made them."""

    texts: list[str]
    digest: str


async def embed_texts(models: Models, curator: Principal, model: str, texts: Sequence[str]) -> Vectors:
    """The vectors of chunks, charged to ingestion. Raises what `Models.embed` raises, ModelMissing first of all.

    Texts of about the same length go together, so that little is padded.
    """
    call = ModelCall(curator, model, "embed_ingest")
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    made: list[str] = [""] * len(texts)
    digest = ""
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        found = await models.embed(call, [texts[place] for place in places])
        digest = found.model_digest
        for place, vector in zip(places, found.vectors, strict=True):
            if len(vector) != DIMENSION:
                raise NotSupportedYet(f"`{model}` makes vectors of {len(vector)} numbers; only {DIMENSION} are stored.")
            made[place] = vector_text(vector)
    return Vectors(made, digest)
