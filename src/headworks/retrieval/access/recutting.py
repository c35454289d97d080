"""Other rules for sections: what they concern vanishes at once, and is cut anew from the originals that were kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from headworks.retrieval.access.sections import read_rules, rules_at
from headworks.retrieval.queueing import Queue
from headworks.retrieval.store import INGEST_SQL
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import new_id

SQL = load("headworks.retrieval.access", "sections.sql")
REMOVING_SQL = load("headworks.retrieval.lifecycle", "erasure.sql")


async def recut(
    tx: Tx, curator: Principal, collection: UUID, before: Mapping[str, Any], after: Mapping[str, Any], queue: Queue
) -> int:
    """Where the rules of a document are others, nothing of it can be read any more; how many documents.

    In its place is a document of another id without text, which durable work fills from the original. What quotes the
    old one (answers, traces) is closed with it. The caller holds the collection's lock, and sets readers and denials.
    """
    old, new = read_rules(before), read_rules(after)
    if old == new:
        return 0
    of_collection = {"tenant": curator.tenant, "collection": collection}
    found = [
        row
        for row in await tx.fetch_all(SQL.list_files, **of_collection)
        if rules_at(row.path, old) != rules_at(row.path, new)
    ]
    if not found:
        return 0
    live = [row.document_id for row in found if not row.is_gone]
    of_live = {"tenant": curator.tenant, "documents": live}
    await tx.run(REMOVING_SQL.keep_originals, **of_live)
    await tx.run(SQL.retire, tenant=curator.tenant, documents=[row.document_id for row in found])
    anew = [new_id() for _ in live]
    await tx.run(SQL.begin_anew, **of_live, anew=anew)
    await tx.run(SQL.hold_anew, **of_live, anew=anew)
    await tx.run(SQL.queue_originals, **of_live, items=[new_id() for _ in live])
    await tx.run(SQL.give_original_away, **of_live)
    wave = await tx.fetch_value(INGEST_SQL.join_wave, **of_collection)
    await queue.ingest(tx, curator.tenant, collection, wave)
    await queue.tidy(tx, curator.tenant, collection)
    return len(found)
