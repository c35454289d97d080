"""Texts of chunks into vectors, in batches, through the one way to models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headworks.errors import UpstreamError
from headworks.retrieval.store import MOST_NUMBERS, vector_text
from headworks.types.identity import Principal
from headworks.types.models import ModelCall, Models

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Vectors:
    """One vector a text, as PostgreSQL reads it, the digest of the weights that made them, and their size."""

    texts: list[str]
    digest: str
    dimension: int


async def embed_texts(
    models: Models, curator: Principal, model: str, texts: Sequence[str], *, dimension: int | None = None
) -> Vectors:
    """The vectors of chunks, charged to ingestion. Raises what `Models.embed` raises, ModelMissing first of all.

    All are of one size: `dimension`, where the generation has one already; else UpstreamError, and none is given.
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
            dimension = checked_size(model, len(vector), dimension)
            made[place] = vector_text(vector)
    return Vectors(made, digest, dimension or 0)


def checked_size(model: str, size: int, wanted: int | None) -> int:
    """The size of a vector. Raises UpstreamError where it is not the wanted one, or more than can be stored."""
    if not 1 <= size <= MOST_NUMBERS:
        raise UpstreamError(
            f"`{model}` answered with vectors of {size:,} numbers; 1 to {MOST_NUMBERS:,} can be stored."
        )
    if wanted is not None and size != wanted:
        raise UpstreamError(
            f"`{model}` answered with vectors of {size:,} numbers; those of this collection have {wanted:,}.",
            next_step="If another model stands behind that name now, change `embedding` in the collection's file: "
            "its index is then made anew while this one serves.",
        )
    return size
