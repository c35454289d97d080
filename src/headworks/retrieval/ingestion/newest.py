"""Of what waits at one path only the newest is worked on; what was said of the others holds for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from headworks.retrieval.store import INGEST_SQL, delete_blobs
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal

_REMOVING_SQL = load("headworks.retrieval.lifecycle", "erasure.sql")
_SAID: Final = ("readers", "denials", "metadata")


async def supersede(tx: Tx, curator: Principal, collection: UUID, number: int) -> int:
    """Of the `number` oldest, take those from the queue that have a newer one behind them; how many.

    No list that came with them is lost: nothing opens by omission.
    """
    of_collection = {"tenant": curator.tenant, "collection": collection}
    gone = await tx.fetch_all(INGEST_SQL.supersede_older, **of_collection, number=number)
    said: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(gone, key=lambda row: row.created_at):
        last = said.setdefault((row.source, row.path), dict.fromkeys(_SAID))
        last |= {name: value for name in _SAID if (value := getattr(row, name)) is not None}
    for (source, path), last in said.items():
        if any(value is not None for value in last.values()):
            await tx.run(INGEST_SQL.inherit, **of_collection, source=source, path=path, **last)
    await delete_blobs(tx, curator.tenant, [row.blob_id for row in gone])
    return len(gone)


async def supersede_older_than(tx: Tx, curator: Principal, collection: UUID, written: Sequence[UUID]) -> None:
    """What was queued meanwhile at the places of these, but is older, is not to replace them."""
    if written:
        of_items = {"tenant": curator.tenant, "collection": collection, "items": list(written)}
        gone = await tx.fetch_all(INGEST_SQL.supersede_older_than, **of_items)
        await delete_blobs(tx, curator.tenant, [row.blob_id for row in gone])


async def begin_replacing(tx: Tx, curator: Principal) -> None:
    """Before the collection is locked: no legal hold is placed between `keep_held` and the end."""
    await tx.run(_REMOVING_SQL.begin_removing, tenant=curator.tenant)


async def keep_held(tx: Tx, curator: Principal, documents: Sequence[UUID]) -> None:
    """These are about to be replaced: under a legal hold, their originals are kept as their texts are."""
    if documents:
        await tx.run(_REMOVING_SQL.keep_originals, tenant=curator.tenant, documents=list(documents))
