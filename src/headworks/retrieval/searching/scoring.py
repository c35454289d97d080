"""One question against one collection: both legs, of what the caller may read and what passes a filter, fused."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from headworks.errors import HeadworksError, ModelMissing
from headworks.retrieval.collections import not_readable
from headworks.retrieval.indexing.nearest import Nearest, Within
from headworks.retrieval.passages import lexical
from headworks.retrieval.passages.fusion import Fused, fuse
from headworks.retrieval.searching.filters import Compiled
from headworks.retrieval.store import SEARCH_SQL, vector_text
from headworks.storage.pool import Database, Tx
from headworks.types.identity import Principal
from headworks.types.ids import TraceId
from headworks.types.models import Embeddings, ModelCall, Models
from headworks.types.storable import storable

_log = logging.getLogger(__name__)

_FIRST_GATE = 250
"""So many of the best by keywords are asked for first; then four times as many, until enough are readable."""
_FEW_MATCHING = 5_000
"""Chunks: so many that pass a filter are all compared; beyond, the nearest are asked for until enough of them pass."""
_FEW_DOCUMENTS = 10_000
"""That have a fact of the wanted kind: fewer are looked up one by one; beyond, all are looked through."""
_MORE = 4

WantVectors = Callable[[Principal, UUID], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What questions are scored against: the row of `plan`."""

    collection: Any
    blocks: Mapping[str, Sequence[bytes]]

    def keywords(self, words: Mapping[lexical.Word, float]) -> lexical.Bm25:
        """The leg of keywords, for words whose terms were asked for."""
        return lexical.Bm25(
            words, self.blocks, lexical.CorpusStats(self.collection.chunks, self.collection.total_length)
        )


@dataclass(frozen=True, slots=True)
class Vector:
    """The question as a vector, or why there is none."""

    text: str | None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is scored: its words with their weights, its vector, and what documents must be."""

    words: Mapping[lexical.Word, float]
    vector: Vector
    filter: Compiled | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The candidates of one question, best first. `lexical_ranks` and `dense_ranks` are of those that a leg found.

    Ranks count from 1, and only what the caller may read.
    """

    fused: list[Fused]
    lexical_ranks: Mapping[int, int]
    dense_ranks: Mapping[int, int]


class Scoring:
    """Both legs of a search; holds no state."""

    def __init__(self, db: Database, models: Models, want_vectors: WantVectors) -> None:
        """`want_vectors` is told of collections whose chunks wait for vectors although the model answers."""
        self._db = db
        self._models = models
        self._want_vectors = want_vectors
        self._nearest = Nearest()

    async def plan(self, principal: Principal, collection: str, terms: Sequence[str]) -> Plan:
        """The collection as it is now, with the postings of these terms. Raises NotFound as `search` does."""
        async with self._db.tx(principal) as tx:
            row = await tx.fetch_one(
                SEARCH_SQL.plan, tenant=principal.tenant, name=storable(collection), terms=list(terms)
            )
            if row is None:
                raise await not_readable(tx, principal, collection)
        blocks: dict[str, list[bytes]] = defaultdict(list)
        for term, block in zip(row.terms, row.blocks, strict=True):
            blocks[term].append(block)
        return Plan(row, blocks)

    async def embed(
        self, principal: Principal, plan: Plan, queries: Sequence[str], trace: TraceId | None
    ) -> list[Vector]:
        """The questions' vectors, by the weights that made the collection's."""
        if plan.collection.model_digest is None and not plan.collection.lacks_vectors:
            return [Vector(None)] * len(queries)  # nothing is in it
        call = ModelCall(principal.seen_by or principal, plan.collection.model, "embed_query", trace=trace)
        try:
            made = await self._models.embed(call, queries)
        except ModelMissing:
            return [Vector(None, f"the model {plan.collection.model} is not installed")] * len(queries)
        except HeadworksError as error:
            _log.warning("A question could not be embedded: %s", type(error).__name__)
            return [Vector(None, f"the model {plan.collection.model} did not answer")] * len(queries)
        if plan.collection.lacks_vectors:
            await self._want_vectors(principal, plan.collection.collection_id)
        if notice := _unfit(plan.collection, made):
            return [Vector(None, notice)] * len(queries)
        return [Vector(vector_text(each)) for each in made.vectors]

    async def candidates(
        self, tx: Tx, principal: Principal, plan: Plan, asked: Asked, limit: int, *, dense_weight: float
    ) -> Scored:
        """What the caller may read of the best of both legs, each scored in both.

        The best by keywords are asked for in growing numbers, until enough of them are readable or there are no more.
        """
        row = plan.collection
        within = Within(
            principal,
            row.collection_id,
            row.generation_id,
            epoch=row.epoch,
            dimension=row.dimension,
            vectors=row.vectors,
        )
        passing = None if asked.filter is None else _Passing(within, asked.filter)
        if passing is not None:
            await passing.begin(tx)
        similarity: dict[int, float] = {}
        if asked.vector.text is not None:
            similarity = await self._near(tx, within, asked.vector.text, limit, passing)
        nearest = sorted(similarity, key=lambda chunk: -similarity[chunk])[:limit]
        keywords = plan.keywords(asked.words)
        ranked, _ = keywords.rank()
        by_keyword: list[int] = []
        for batch in _growing(ranked.tolist()):
            some = batch if passing is None else await passing.of(tx, batch)
            readable = await self._nearest.gate(tx, within, some, asked.vector.text)
            similarity |= {chunk: found for chunk, found in readable.items() if found is not None}
            by_keyword += [chunk for chunk in some if chunk in readable]
            if len(by_keyword) >= limit:
                break
        by_keyword = by_keyword[:limit]
        union = sorted({*by_keyword, *nearest})
        if not union:
            return Scored([], {}, {})
        fused = fuse(
            union,
            [float(score) for score in keywords.scores_of(union)] if by_keyword else None,
            [similarity.get(chunk) for chunk in union] if similarity else None,
            dense_weight=dense_weight,
        )
        return Scored(fused, _ranks(by_keyword), _ranks(nearest))

    async def _near(
        self, tx: Tx, within: Within, vector: str, limit: int, passing: _Passing | None
    ) -> dict[int, float]:
        if passing is None:
            return await self._nearest.find(tx, within, vector, limit)
        if passing.all_of_them is not None:
            readable = await self._nearest.gate(tx, within, passing.all_of_them, vector)
            near = {chunk: found for chunk, found in readable.items() if found is not None}
            return dict(sorted(near.items(), key=lambda each: -each[1])[:limit])
        wanted = _MORE * limit
        while True:
            found = await self._nearest.find(tx, within, vector, wanted)
            pass_it = await passing.of(tx, list(found))
            if len(pass_it) >= limit or len(found) < wanted:
                return {chunk: found[chunk] for chunk in pass_it[:limit]}
            wanted *= _MORE


def _unfit(row: Any, made: Embeddings) -> str:  # noqa: ANN401 -- a row of `plan`
    """Why these vectors can't be compared with the collection's, if they can't."""
    if row.model_digest is None:
        return "the collection's vectors are being made"
    if made.model_digest != row.model_digest:
        return "the collection's vectors are of other weights and are being made anew"
    wrong = {len(each) for each in made.vectors} - {row.dimension}
    return f"the model {row.model} answered with {wrong.pop()} numbers, not with {row.dimension}" if wrong else ""


class _Passing:
    """What passes a filter: all of it where that is little, else asked for by chunks. Only what the caller may read."""

    def __init__(self, within: Within, wanted: Compiled) -> None:
        self._parameters = {
            "tenant": within.principal.tenant,
            "collection": within.collection,
            "generation": within.generation,
            **wanted.parameters,
        }
        self._narrowed = wanted.narrowed
        self.all_of_them: list[int] | None = None
        self._set: frozenset[int] = frozenset()

    async def begin(self, tx: Tx) -> None:
        """Find out whether it is little: by way of facts that few documents have, or by looking at all of them."""
        asked = {**self._parameters, "limit": _FEW_MATCHING + 1}
        found: list[int] | None = None
        if self._narrowed.parts:
            by_facts = {**self._narrowed.parameters, "most": _FEW_DOCUMENTS}
            found = await tx.fetch_value(SEARCH_SQL.list_narrowed, **asked, **by_facts)
        if found is None:
            found = await tx.fetch_value(SEARCH_SQL.list_matching, **asked) or []
        if len(found) <= _FEW_MATCHING:
            self.all_of_them, self._set = sorted(found), frozenset(found)

    async def of(self, tx: Tx, chunks: Sequence[int]) -> list[int]:
        """Those of these chunks, in their order."""
        passing = self._set
        if self.all_of_them is None:
            passing = frozenset(await tx.fetch_value(SEARCH_SQL.pick_matching, **self._parameters, chunks=chunks) or ())
        return [chunk for chunk in chunks if chunk in passing]


def _ranks(chunks: Sequence[int]) -> dict[int, int]:
    return {chunk: rank for rank, chunk in enumerate(chunks, 1)}


def _growing(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    start, size = 0, _FIRST_GATE
    while start < len(ids):
        yield ids[start : start + size]
        start, size = start + size, size * _MORE
