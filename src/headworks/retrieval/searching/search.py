"""A question to passages: rewritten, scored by both legs within what the caller may read, aged, reranked, spread.

Three short transactions' worth of statements: what to score (as the caller), then, after the question was embedded,
which of it the caller may read, and last the text of the best. Each runs under row-level security, so a right that is
taken away holds from the next of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from headworks.errors import InvalidRequest, ModelMissing
from headworks.policy.service import admit
from headworks.retrieval.contract import Directory, Ranking, SearchResult, Wanted
from headworks.retrieval.metadata import shown
from headworks.retrieval.passages import lexical
from headworks.retrieval.searching import reranking, rewriting
from headworks.retrieval.searching.decay import aged
from headworks.retrieval.searching.diversity import capped, spread
from headworks.retrieval.searching.expanding import Expansion, expand, read_expansion
from headworks.retrieval.searching.explaining import Reasoning, Standing
from headworks.retrieval.searching.filters import compiled
from headworks.retrieval.searching.scoring import Asked, Plan, Scored, Scoring, Vector, WantVectors
from headworks.retrieval.store import SEARCH_SQL, Payloads, StoredChunk
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, TraceId
from headworks.types.models import ModelCall, Models
from headworks.types.retrieval import Passage
from headworks.types.search import SearchTuning, TuningError, changed, models_of, stored_tuning

MOST_PASSAGES = 100
LONGEST_QUERY = 8_000
"""Characters; more adds nothing to keywords, and the embedder reads about a thousand."""
_CANDIDATES = 100
"""Of each leg."""
_MOST_SPREAD = 100
"""Candidates that are compared with each other."""
_CHUNKS_A_PASSAGE = 3
"""Chunks that are taken for each passage where neighbours become one."""
_MOST_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, by whom, and how."""

    principal: Principal
    collection: str
    query: str
    k: int
    ranking: Ranking
    wanted: Wanted
    trace: TraceId | None

    @property
    def payer(self) -> Principal:
        """Whose calls of models these are: an administrator's who looks as somebody else."""
        return self.principal.seen_by or self.principal


@dataclass(slots=True)
class _Round:
    """One pass over the collection: what it was scored against, and what it found."""

    plan: Plan
    tuning: SearchTuning
    vector: Vector
    standings: list[Standing]
    found: list[tuple[Standing, Any, StoredChunk]]
    notices: list[str]
    queries: tuple[str, ...]


class Searcher:
    """Finds passages for one question at a time; remembers nothing but settings of collections."""

    def __init__(
        self, db: Database, keyring: Keyring, models: Models, want_vectors: WantVectors, directory: Directory
    ) -> None:
        """`want_vectors` is told of collections whose chunks wait for vectors although the model answers."""
        self._db = db
        self._keyring = keyring
        self._models = models
        self._scoring = Scoring(db, models, want_vectors)
        self._reasoning = Reasoning(db, directory)
        self._tunings: dict[UUID, tuple[int, SearchTuning]] = {}
        self._languages: dict[tuple[UUID, str], tuple[str, ...]] = {}

    async def search(
        self,
        principal: Principal,
        collection: str,
        query: str,
        k: int,
        *,
        ranking: Ranking = "hybrid",
        trace: TraceId | None = None,
        wanted: Wanted | None = None,
    ) -> SearchResult:
        """The best `k` passages that the caller may read, best first.

        Raises NotFound for a collection that is not there or not the caller's to read, which read the same. Without the
        embedding model keywords alone decide, and the result says so; `ranking` vectors then raises ModelMissing.
        """
        wanted = wanted or Wanted()
        _check(query, k)
        question = _Question(principal, collection, query[:LONGEST_QUERY], k, ranking, wanted, trace)
        for model in models_of(wanted.changes):
            admit(question.payer, permission="model:call", model_name=model)
        await self._keyring.ensure(self._db, principal.tenant)
        done = await self._round(question)
        if done.standings and not done.found:
            # The generation was replaced in between: its chunks are gone, the new one's are there.
            done = await self._round(question)
        if len(query) > LONGEST_QUERY:
            done.notices.append(f"Only the first {LONGEST_QUERY:,} characters of the query were looked for.")
        return await self._result(question, done)

    async def _round(self, question: _Question) -> _Round:
        principal, ranking = question.principal, question.ranking
        plan, wanted = await self._plan(question)
        tuning = _changed(await self._tuning(principal, plan), question.wanted.settings)
        tuning = _changed(tuning, question.wanted.changes)
        rewritten = await self._rewritten(question, tuning)
        queries = rewritten.queries
        words = [self._words(question, tuning, each, plan.collection.languages) for each in queries]
        if missing := {term for each in words for word in each for term in word} - wanted:
            plan = await self._scoring.plan(principal, question.collection, sorted(missing | wanted))
        vectors = [Vector(None)] * len(queries)
        if ranking != "keywords":
            vectors = await self._scoring.embed(principal, plan, queries, question.trace)
        if ranking == "vectors" and vectors[0].notice:
            raise ModelMissing(f"No ranking by vectors: {vectors[0].notice}.", next_step="Ask for the hybrid one.")
        only = None if question.wanted.filter is None else compiled(question.wanted.filter)
        asked = [Asked(each, vector, only) for each, vector in zip(words, vectors, strict=True)]
        done = _Round(plan, tuning, vectors[0], [], [], [rewritten.notice], queries)
        limit = max(_CANDIDATES, 2 * question.k)
        async with self._db.tx(principal) as tx:
            weight = 1 - tuning.keyword_weight
            scored = [
                await self._scoring.candidates(tx, principal, plan, each, limit, dense_weight=weight) for each in asked
            ]
            done.standings = await self._aged(tx, question, done, _merged(scored, queries))
            pool = _pool(tuning, _most(question, plan))
            done.found = await self._read(tx, principal, plan, done.standings[:pool])
        done.found = await self._chosen(question, done)
        if ranking != "keywords":
            done.notices.append(_notice(plan, vectors[0]))
        if not any(words) and not any(each.dense is not None for one in scored for each in one.fused):
            done.notices.append("The query holds no word to look for: very common ones and signs are not.")
        return done

    async def _plan(self, question: _Question) -> tuple[Plan, set[str]]:
        """The collection with the postings of the question's terms, in the languages that it had the last time."""
        of_collection = (question.principal.tenant, question.collection)
        languages = self._languages.get(of_collection, ())
        words = lexical.query_terms(question.query, languages) if question.ranking != "vectors" else {}
        wanted = {term for word in words for term in word}
        plan = await self._scoring.plan(question.principal, question.collection, list(wanted))
        if len(self._languages) >= _MOST_REMEMBERED:
            self._languages.clear()
        self._languages[of_collection] = tuple(plan.collection.languages)
        return plan, wanted

    async def _tuning(self, principal: Principal, plan: Plan) -> SearchTuning:
        """The settings of the collection's file; they change with its epoch only."""
        row = plan.collection
        epoch, tuning = self._tunings.get(row.collection_id, (-1, SearchTuning()))
        if epoch == row.epoch:
            return tuning
        async with self._db.tx(principal) as tx:
            stored = await tx.fetch_value(SEARCH_SQL.read_tuning, tenant=principal.tenant, collection=row.collection_id)
        tuning = stored_tuning(stored)
        if len(self._tunings) >= _MOST_REMEMBERED:
            self._tunings.clear()
        self._tunings[row.collection_id] = (row.epoch, tuning)
        return tuning

    async def _rewritten(self, question: _Question, tuning: SearchTuning) -> rewriting.Rewritten:
        if tuning.rewrite is None:
            return rewriting.Rewritten((question.query,))
        call = ModelCall(question.payer, tuning.rewrite.model, "rewrite", question.trace, parameters=rewriting.cap())
        history = question.wanted.history
        return await rewriting.rewritten(self._models, call, tuning.rewrite, question.query, history)

    @staticmethod
    def _words(
        question: _Question, tuning: SearchTuning, query: str, languages: Sequence[str]
    ) -> Mapping[lexical.Word, float]:
        if question.ranking == "vectors":
            return {}
        return rewriting.words_of(query, tuning.synonyms, languages)

    async def _aged(self, tx: Tx, question: _Question, done: _Round, standings: Sequence[Standing]) -> list[Standing]:
        """The candidates with what their age leaves of their scores, best first."""
        decay = done.tuning.decay
        if decay is None or not standings:
            return list(standings)
        rows = await tx.fetch_all(
            SEARCH_SQL.list_dates,
            tenant=question.principal.tenant,
            generation=done.plan.collection.generation_id,
            chunks=[each.chunk for each in standings],
            field=decay.field,
        )
        dates = {row.chunk_id: aged(decay, row.at, row.now) for row in rows}
        known = [replace(each, aged=dates[each.chunk]) for each in standings if each.chunk in dates]
        scored = [replace(each, score=each.score * (each.aged.factor if each.aged else 1)) for each in known]
        return sorted(scored, key=lambda each: -each.score)

    async def _read(
        self, tx: Tx, principal: Principal, plan: Plan, best: Sequence[Standing]
    ) -> list[tuple[Standing, Any, StoredChunk]]:
        rows = await tx.fetch_all(
            SEARCH_SQL.read_chunks,
            tenant=principal.tenant,
            generation=plan.collection.generation_id,
            chunks=[each.chunk for each in best],
        )
        payloads = Payloads(self._keyring, principal.tenant)
        by_id = {row.chunk_id: row for row in rows}
        return [
            (each, row, payloads.open_chunk(each.chunk, row.content))
            for each in best
            if (row := by_id.get(each.chunk)) is not None
        ]

    async def _chosen(self, question: _Question, done: _Round) -> list[tuple[Standing, Any, StoredChunk]]:
        """The best `k`, reranked and spread as the settings say; some more where neighbours may become one passage."""
        tuning, found, most = done.tuning, done.found, _most(question, done.plan)
        if tuning.rerank is not None and len(found) > 1:
            found = await self._reranked(question, done)
        if tuning.per_document is not None:
            found = capped(found, [row.document_id for _, row, _ in found], tuning.per_document)
        if tuning.mmr is not None and len(found) > 1:
            words = [Counter(lexical.terms(stored.text)) for _, _, stored in found]
            places = spread(_even([each.score for each, _, _ in found]), words, tuning.mmr, most)
            found = [found[place] for place in places]
        return found[:most]

    async def _reranked(self, question: _Question, done: _Round) -> list[tuple[Standing, Any, StoredChunk]]:
        settings = done.tuning.rerank
        assert settings is not None  # noqa: S101 -- asked before
        head, tail = done.found[: settings.depth], done.found[settings.depth :]
        call = ModelCall(question.payer, settings.model, "rerank", question.trace)
        query = done.queries[0] if len(done.queries) == 1 else question.query
        answer = await reranking.reranked(self._models, call, query, [stored.indexed for _, _, stored in head])
        if answer.scores is None:
            done.notices.append(answer.notice)
            return done.found
        scored = [
            (replace(each, score=score, reranked=score), row, stored)
            for (each, row, stored), score in zip(head, answer.scores, strict=True)
        ]
        return [*sorted(scored, key=lambda each: -each[0].score), *tail[: 0 if len(head) >= question.k else None]]

    async def _result(self, question: _Question, done: _Round) -> SearchResult:
        passages = [
            _passage(number, standing.score, row, stored)
            for number, (standing, row, stored) in enumerate(done.found, 1)
        ]
        places = [(each.document, each.chunk) for each in passages]
        if (how := read_expansion(done.plan.collection.shown)) is not None:
            passages = (await self._expanded(question, done, passages, how))[: question.k]
        is_by_vectors = any(each.fused.dense is not None for each in done.standings)
        reasons = {}
        if question.wanted.explains:
            rows = [(standing, row) for standing, row, _ in done.found]
            wanted = (question.wanted.filter, done.tuning.decay)
            said = await self._reasoning.reasons(question.principal, done.plan, rows, wanted)
            reasons = dict(zip(places, said, strict=True))
        return SearchResult(
            passages,
            question.ranking if is_by_vectors else "keywords",
            " ".join(dict.fromkeys(each for each in done.notices if each)),
            {DocumentId(row.document_id): shown(row.metadata) for _, row, _ in done.found},
            reasons,
            () if done.queries == (question.query,) else done.queries,
        )

    async def _expanded(
        self, question: _Question, done: _Round, passages: Sequence[Passage], how: Expansion
    ) -> list[Passage]:
        principal = question.principal
        payloads = Payloads(self._keyring, principal.tenant)
        async with self._db.tx(principal) as tx:
            return await expand(tx, principal, payloads, done.plan.collection.generation_id, passages, how)


def _most(question: _Question, plan: Plan) -> int:
    """How many chunks may become the passages that were asked for."""
    return question.k if not plan.collection.shown else min(_CHUNKS_A_PASSAGE * question.k, MOST_PASSAGES)


def _check(query: str, k: int) -> None:
    if not query.strip():
        raise InvalidRequest("The query is empty.", next_step="Ask something.", param="query")
    if not 1 <= k <= MOST_PASSAGES:
        raise InvalidRequest(f"`k` is {k}, not 1 to {MOST_PASSAGES}.", param="k")


def _changed(tuning: SearchTuning, changes: Mapping[str, Any]) -> SearchTuning:
    try:
        return changed(tuning, changes)
    except TuningError as error:
        known = f"There is {', '.join(error.known)}." if error.known else ""
        raise InvalidRequest(error.message, next_step=known, param=".".join(error.path)) from None


def _merged(scored: Sequence[Scored], queries: Sequence[str]) -> list[Standing]:
    """The candidates of all questions, each as the question has it that fits it best."""
    best: dict[int, Standing] = {}
    for one, query in zip(scored, queries, strict=True):
        for each in one.fused:
            if each.chunk not in best or each.score > best[each.chunk].score:
                best[each.chunk] = Standing(each, one, query, each.score)
    standings = list(best.values())
    return standings if len(scored) == 1 else sorted(standings, key=lambda each: -each.score)


def _pool(tuning: SearchTuning, k: int) -> int:
    """How many candidates are read to choose `k` of."""
    depth = 0 if tuning.rerank is None else tuning.rerank.depth
    is_chosen_of_more = tuning.mmr is not None or tuning.per_document is not None
    return max(depth, min(max(5 * k, 30), _MOST_SPREAD) if is_chosen_of_more else k)


def _even(scores: Sequence[float]) -> list[float]:
    """Scores moved to 0…1."""
    low, high = min(scores), max(scores)
    return [(each - low) / (high - low) if high > low else 1.0 for each in scores]


def _notice(plan: Plan, vector: Vector) -> str:
    if vector.notice:
        return f"By keywords only: {vector.notice}."
    if plan.collection.lacks_vectors:
        return "Some documents are found by keywords only: their vectors are still being made."
    return ""


def _passage(number: int, score: float, row: Any, stored: StoredChunk) -> Passage:  # noqa: ANN401 -- a row
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
