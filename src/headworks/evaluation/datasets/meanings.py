"""Examples that ask nearly the same in other words, by an embedder: to be looked at, never a leak by itself.

A cosine tells the subject. On 24 paraphrases and 24 questions that differ in the one word that matters (tests) the
built-in embedder can't tell the two kinds apart; what it does tell is what is about the same: at `LIKE` it finds 15 of
the 24 paraphrases, 13 of the 24 others, and none of 276 pairs of different questions on the same plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from headworks.evaluation.datasets.duplicates import asked
from headworks.types.evaluation import Example
from headworks.types.identity import Principal
from headworks.types.models import ModelCall, Models

LIKE = 0.65
"""From this cosine on, two questions are worth a look."""
MOST_EXAMPLES = 5_000
MOST_TOLD = 50
_BATCH = 128
_ROWS = 512


@dataclass(frozen=True, slots=True)
class Alike:
    """Two examples outside of a common cluster whose questions are near; `cosine` of their embeddings."""

    first: str
    second: str
    cosine: float
    first_split: str
    second_split: str

    @property
    def is_across(self) -> bool:
        """Whether they lie in two splits."""
        return self.first_split != self.second_split


async def alike(
    models: Models,
    principal: Principal,
    examples: Sequence[Example],
    model: str,
    known: Collection[tuple[str, str]] = (),
    least: float = LIKE,
) -> list[Alike]:
    """The nearest pairs, those across splits first, at most 50; without those that are `known` to be alike by words.

    Of more than 5,000 examples the first 5,000 are compared. Errors as Models.embed.
    """
    compared = [each for each in examples[:MOST_EXAMPLES] if asked(each).strip()]
    call = ModelCall(principal, model, "embed_ingest")
    vectors: list[Sequence[float]] = []
    for at in range(0, len(compared), _BATCH):
        texts = [asked(each) for each in compared[at : at + _BATCH]]
        vectors.extend((await models.embed(call, texts)).vectors)
    found = await asyncio.to_thread(_pairs, compared, vectors, least)
    told = {frozenset(pair) for pair in known}
    return [each for each in found if frozenset((each.first, each.second)) not in told][:MOST_TOLD]


def _pairs(examples: Sequence[Example], vectors: Sequence[Sequence[float]], least: float) -> list[Alike]:
    if len(examples) < 2:
        return []
    table = np.asarray(vectors, dtype=np.float32)
    found = []
    for start in range(0, len(table), _ROWS):
        near = table[start : start + _ROWS] @ table.T
        for row, column in np.argwhere(near >= least):
            first, second = start + int(row), int(column)
            one, two = examples[first], examples[second]
            if first < second and (one.cluster is None or one.cluster != two.cluster):
                found.append(Alike(one.id, two.id, float(near[row, column]), one.split, two.split))
    return sorted(found, key=lambda each: (not each.is_across, -each.cosine, each.first, each.second))
