"""Erasing what was chosen from traces: examples, answers of experiments, and what people wrote of either."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from headworks.evaluation.contract import Forgotten
from headworks.evaluation.service import Evaluation
from headworks.records import erasing
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal

_SQL = load("headworks.review", "erasing.sql")


class Chosen:
    """Joins the erasure of documents and people: see retrieval.lifecycle.erasure.Eraser."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._examples = evaluation.erasing

    async def forget_documents(self, tx: Tx, curator: Principal, documents: Sequence[UUID]) -> dict[str, int]:
        """Examples, answers and judgements on traces that may quote one of these; how many, by table."""
        forgotten = await self._examples.of_documents(tx, curator, documents)
        traces = await erasing.traces_of_documents(tx, curator, await _traces(tx, curator), documents)
        return await _forget(tx, curator, forgotten, traces)

    async def forget_person(self, tx: Tx, curator: Principal, person: UUID) -> dict[str, int]:
        """Examples made of this principal's calls, and judgements on them; how many, by table."""
        forgotten = await self._examples.of_person(tx, curator, person)
        traces = await erasing.traces_of_person(tx, curator, await _traces(tx, curator), person)
        return await _forget(tx, curator, forgotten, traces)


async def _traces(tx: Tx, curator: Principal) -> list[UUID]:
    return [row.trace for row in await tx.fetch_all(_SQL.traces, tenant=curator.tenant)]


async def _forget(tx: Tx, curator: Principal, forgotten: Forgotten, traces: Sequence[UUID]) -> dict[str, int]:
    judgements = await tx.run(
        _SQL.forget,
        tenant=curator.tenant,
        traces=list(traces),
        examples=list(forgotten.examples),
        subjects=[*forgotten.answers, *(f"trace:{each}" for each in traces)],
    )
    return {**forgotten.rows, "judgement.content": judgements}
