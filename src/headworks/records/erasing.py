"""Erasure in records: text that quotes a document or was a person's, and the labels of end users. Rows stay."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal

_sql = load("headworks.records", "erasing.sql")


async def forget_documents(tx: Tx, curator: Principal, documents: Sequence[UUID]) -> dict[str, int]:
    """Take the payload from every span that may quote one of these; how many, by `table.column`."""
    forgotten = await tx.run(_sql.forget_spans_of_documents, tenant=curator.tenant, documents=list(documents))
    return {"span.payload": forgotten}


async def traces_of_documents(
    tx: Tx, curator: Principal, traces: Sequence[UUID], documents: Sequence[UUID]
) -> list[UUID]:
    """Which of these traces may quote one of these documents."""
    rows = await tx.fetch_all(
        _sql.traces_of_documents, tenant=curator.tenant, traces=list(traces), documents=list(documents)
    )
    return [row.trace_id for row in rows]


async def traces_of_person(tx: Tx, curator: Principal, traces: Sequence[UUID], person: UUID) -> list[UUID]:
    """Which of these traces are of calls of this principal."""
    rows = await tx.fetch_all(_sql.traces_of_person, tenant=curator.tenant, traces=list(traces), person=person)
    return [row.trace_id for row in rows]


async def forget_person(tx: Tx, curator: Principal, person: UUID, labels: Sequence[str]) -> dict[str, int]:
    """Take the payload from every span of this principal, and these labels of end users from usage; how many."""
    spans = await tx.run(_sql.forget_spans_of_person, tenant=curator.tenant, person=person)
    usage = await tx.run(_sql.forget_end_user, tenant=curator.tenant, labels=list(labels)) if labels else 0
    return {"span.payload": spans, "usage.end_user": usage}
