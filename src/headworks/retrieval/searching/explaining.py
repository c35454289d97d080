"""Why each passage of a search stands where it does, out of what the caller may read, and of nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headworks.retrieval.contract import DecayScore, Directory, LegScore, Reasons
from headworks.retrieval.passages.fusion import Fused
from headworks.retrieval.searching.decay import Aged
from headworks.retrieval.searching.scoring import Plan, Scored
from headworks.retrieval.store import SEARCH_SQL
from headworks.storage.pool import Database
from headworks.types.filters import Filter, conditions_of
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId
from headworks.types.search import Decay

_RAW = "reader:explain"
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate on its way: how it was scored, by which question, and what became of it."""

    fused: Fused
    scored: Scored
    query: str
    score: float
    aged: Aged | None = None
    reranked: float | None = None

    @property
    def chunk(self) -> int:
        """Its id."""
        return self.fused.chunk


class Reasoning:
    """Finds the reasons of passages that were found."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self._db = db
        self._directory = directory

    async def reasons(
        self,
        principal: Principal,
        plan: Plan,
        found: Sequence[tuple[Standing, Any]],
        wanted: tuple[Filter | None, Decay | None],
    ) -> list[Reasons]:
        """For each candidate with its row, in order."""
        by_list = await self._admitting(principal, plan, [row.document_id for _, row in found])
        filters = () if wanted[0] is None else tuple(str(each) for each in conditions_of(wanted[0]))
        return [
            Reasons(
                query=standing.query,
                keywords=_keywords(standing, raw=principal.may(_RAW)),
                vectors=_vectors(standing),
                fused=round(standing.fused.score, _DIGITS),
                decay=_decayed(wanted[1], standing.aged),
                reranked=standing.reranked,
                filters=filters,
                readable_by=by_list[None],
                admitted_by=by_list[row.document_id] if row.restricted else None,
            )
            for standing, row in found
        ]

    async def _admitting(
        self, principal: Principal, plan: Plan, documents: Sequence[UUID]
    ) -> Mapping[UUID | None, tuple[str, ...]]:
        """Names on the lists through which the caller reads, by document; None: on the collection's."""
        async with self._db.tx(principal) as tx:
            rows = await tx.fetch_all(
                SEARCH_SQL.list_admitting,
                tenant=principal.tenant,
                collection=plan.collection.collection_id,
                documents=list(set(documents)),
            )
        names = await self._directory.names_of(principal, {PrincipalId(row.principal_id) for row in rows})
        by_list: dict[UUID | None, tuple[str, ...]] = defaultdict(tuple)
        for row in rows:
            name = names.get(PrincipalId(row.principal_id))
            if name is not None:
                by_list[row.document_id] = tuple(sorted((*by_list[row.document_id], name)))
        return by_list


def _keywords(standing: Standing, *, raw: bool) -> LegScore | None:
    score = standing.fused.lexical
    if score is None:
        return None
    rank = standing.scored.lexical_ranks.get(standing.chunk)
    if raw:
        return LegScore(rank, round(score, _DIGITS))
    best = max((each.lexical or 0.0 for each in standing.scored.fused), default=0.0)
    return LegScore(rank, round(score / best, _DIGITS) if best > 0 else 0.0, is_share=True)


def _vectors(standing: Standing) -> LegScore | None:
    score = standing.fused.dense
    if score is None:
        return None
    return LegScore(standing.scored.dense_ranks.get(standing.chunk), round(score, _DIGITS))


def _decayed(decay: Decay | None, aged: Aged | None) -> DecayScore | None:
    if decay is None or aged is None:
        return None
    date = None if aged.at_us is None else datetime.fromtimestamp(aged.at_us / 1_000_000, UTC).isoformat()
    return DecayScore(decay.field, date, round(aged.factor, _DIGITS))
