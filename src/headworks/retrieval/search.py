"""A question to passages: keywords and vectors, each within what the caller may read, fused over all candidates.

Three short transactions' worth of statements: what to score (as the caller), then, after the question was embedded,
which of it the caller may read, and last the text of the best. Each runs under row-level security, so a right that is
taken away holds from the next of them.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from headworks.errors import HeadworksError, InvalidRequest, ModelMissing
from headworks.retrieval.collections import not_readable
from headworks.retrieval.contract import Ranking, SearchResult
from headworks.retrieval.nearest import Nearest, Within
from headworks.retrieval.passages import lexical
from headworks.retrieval.passages.fusion import Fused, fuse
from headworks.retrieval.store import SEARCH_SQL, Payloads, storable, vector_text
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, TraceId
from headworks.types.models import ModelCall, Models
from headworks.types.retrieval import Passage

_log = logging.getLogger(__name__)

MOST_PASSAGES = 100
_LONGEST_QUERY = 8_000
"""Characters; more adds nothing to keywords, and the embedder reads about a thousand."""
_CANDIDATES = 100
"""Of each leg."""
_FIRST_GATE = 250
"""So many of the best by keywords are asked for first; then four times as many, until enough are readable."""


WantVectors = Callable[[Principal, UUID], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a question is scored against."""

    collection: Any
    """The row of `plan`."""
    keywords: lexical.Bm25


@dataclass(frozen=True, slots=True)
class _Vector:
    """The question as a vector, or why there is none."""

    text: str | None
    notice: str = ""


class Searcher:
    """Finds passages for one question at a time; holds no state."""

    def __init__(self, db: Database, keyring: Keyring, models: Models, want_vectors: WantVectors) -> None:
        """`want_vectors` is told of collections whose chunks wait for vectors although the model answers."""
        self._db = db
        self._keyring = keyring
        self._models = models
        self._want_vectors = want_vectors
        self._nearest = Nearest()

    async def search(
        self,
        principal: Principal,
        collection: str,
        query: str,
        k: int,
        *,
        ranking: Ranking = "hybrid",
        trace: TraceId | None = None,
    ) -> SearchResult:
        """The best `k` passages that the caller may read, best first.

        Raises NotFound for a collection that is not there or not the caller's to read, which read the same. Without the
        embedding model keywords alone decide, and the result says so; `ranking` vectors then raises ModelMissing.
        """
        query = _checked(query, k)
        await self._keyring.ensure(self._db, principal.tenant)
        for attempt in range(2):
            plan = await self._plan(principal, collection, "" if ranking == "vectors" else query)
            vector = _Vector(None) if ranking == "keywords" else await self._embed(principal, plan, query, trace)
            if ranking == "vectors" and vector.notice:
                raise ModelMissing(f"No ranking by vectors: {vector.notice}.", next_step="Ask for the hybrid one.")
            async with self._db.tx(principal) as tx:
                fused = await self._candidates(tx, principal, plan, vector, max(_CANDIDATES, 2 * k))
                passages = await self._read(tx, principal, plan, fused[:k])
            if passages or not fused or attempt:
                break
            # The generation was replaced in between: its chunks are gone, the new one's are there.
        notice = "" if ranking == "keywords" else _notice(plan, vector)
        is_ranked_by_vectors = any(each.dense is not None for each in fused)
        return SearchResult(passages, ranking if is_ranked_by_vectors else "keywords", notice)

    async def _plan(self, principal: Principal, collection: str, query: str) -> _Plan:
        wanted = lexical.query_terms(query)
        async with self._db.tx(principal) as tx:
            row = await tx.fetch_one(
                SEARCH_SQL.plan, tenant=principal.tenant, name=storable(collection), terms=list(wanted)
            )
            if row is None:
                raise await not_readable(tx, principal, collection)
        blocks: dict[str, list[bytes]] = defaultdict(list)
        for term, block in zip(row.terms, row.blocks, strict=True):
            blocks[term].append(block)
        return _Plan(row, lexical.Bm25(wanted, blocks, lexical.CorpusStats(row.chunks, row.total_length)))

    async def _embed(self, principal: Principal, plan: _Plan, query: str, trace: TraceId | None) -> _Vector:
        """The question's vector, by the weights that made the collection's."""
        if plan.collection.model_digest is None and not plan.collection.lacks_vectors:
            return _Vector(None)  # nothing is in it
        call = ModelCall(principal.seen_by or principal, plan.collection.model, "embed_query", trace=trace)
        try:
            made = await self._models.embed(call, [query])
        except ModelMissing:
            return _Vector(None, f"the model {plan.collection.model} is not installed")
        except HeadworksError as error:
            _log.warning("A question could not be embedded: %s", type(error).__name__)
            return _Vector(None, f"the model {plan.collection.model} did not answer")
        if plan.collection.lacks_vectors:
            await self._want_vectors(principal, plan.collection.collection_id)
        if plan.collection.model_digest is None:
            return _Vector(None, "the collection's vectors are being made")
        if made.model_digest != plan.collection.model_digest:
            return _Vector(None, "the collection's vectors are of other weights and are being made anew")
        return _Vector(vector_text(made.vectors[0]))

    async def _candidates(self, tx: Tx, principal: Principal, plan: _Plan, vector: _Vector, limit: int) -> list[Fused]:
        """What the caller may read of the best of both legs, each scored in both.

        The best by keywords are asked for in growing numbers, until enough of them are readable or there are no more.
        """
        within = Within(principal, plan.collection.collection_id, plan.collection.generation_id)
        similarity: dict[int, float] = {}
        if vector.text is not None:
            similarity = await self._nearest.find(tx, within, vector.text, limit)
        nearest = list(similarity)
        ranked, _ = plan.keywords.rank()
        by_keyword: list[int] = []
        for asked in _growing(ranked.tolist()):
            readable = await self._nearest.gate(tx, within, asked, vector.text)
            similarity |= {chunk: found for chunk, found in readable.items() if found is not None}
            by_keyword += [chunk for chunk in asked if chunk in readable]
            if len(by_keyword) >= limit:
                break
        union = sorted({*by_keyword[:limit], *nearest})
        if not union:
            return []
        worst = min(similarity.values(), default=0.0)  # for a chunk whose vector is still being made
        return fuse(
            union,
            [float(score) for score in plan.keywords.scores_of(union)] if by_keyword else None,
            [similarity.get(chunk, worst) for chunk in union] if similarity else None,
        )

    async def _read(self, tx: Tx, principal: Principal, plan: _Plan, best: Sequence[Fused]) -> list[Passage]:
        rows = await tx.fetch_all(
            SEARCH_SQL.read_chunks,
            tenant=principal.tenant,
            generation=plan.collection.generation_id,
            chunks=[each.chunk for each in best],
        )
        payloads = Payloads(self._keyring, principal.tenant)
        by_id = {row.chunk_id: row for row in rows}
        found = [(by_id[each.chunk], each.score) for each in best if each.chunk in by_id]
        return [_passage(payloads, number, row, score) for number, (row, score) in enumerate(found, 1)]


def _checked(query: str, k: int) -> str:
    if not query.strip():
        raise InvalidRequest("The query is empty.", next_step="Ask something.", param="query")
    if not 1 <= k <= MOST_PASSAGES:
        raise InvalidRequest(f"`k` is {k}, not 1 to {MOST_PASSAGES}.", param="k")
    return query[:_LONGEST_QUERY]


def _notice(plan: _Plan, vector: _Vector) -> str:
    if vector.notice:
        return f"By keywords only: {vector.notice}."
    if plan.collection.lacks_vectors:
        return "Some documents are found by keywords only: their vectors are still being made."
    return ""


def _growing(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    start, size = 0, _FIRST_GATE
    while start < len(ids):
        yield ids[start : start + size]
        start, size = start + size, size * 4


def _passage(payloads: Payloads, number: int, row: Any, score: float) -> Passage:  # noqa: ANN401 -- a row
    stored = payloads.open_chunk(row.chunk_id, row.content)
    return Passage(
        number=number,
        document=DocumentId(row.document_id),
        version=row.version,
        path=row.path,
        title=row.title,
        section=stored.section,
        chunk=row.ordinal,
        start=row.start_offset,
        end=row.end_offset,
        text=stored.text,
        score=round(score, 6),
    )
