"""The sources of a collection's file: asking for their syncs, and what another file takes away with its apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from headworks.retrieval import freshness
from headworks.retrieval.freshness import CONFIGURED
from headworks.retrieval.queueing import Queue
from headworks.retrieval.store import INGEST_SQL, delete_blobs
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import TenantId, new_id

SQL = load("headworks.retrieval.sources", "syncing.sql")


def configured_sources(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The sources of a collection's stored settings, by the name that their documents carry."""
    return {f"{CONFIGURED}{each['name']}": each for each in settings.get("sources", ())}


async def begin(
    tx: Tx, principal: Principal, collection: UUID, name: str, queue: Queue, *, confirms_deletions: bool = False
) -> None:
    """Ask for a sync of the source of that name; one that is under way goes on at once."""
    of_collection = {"tenant": principal.tenant, "collection": collection}
    sync, chain = new_id(), new_id()
    put = await tx.fetch_one(
        SQL.put_source,
        **of_collection, source=new_id(), name=name, sync=sync, chain=chain, confirms=confirms_deletions,
    )  # fmt: skip
    if put.sync_id == sync:
        await tx.run(INGEST_SQL.add_sync, **of_collection, source=name, sync=sync, by=principal.id)
    await queue.sync(tx, principal.tenant, put.source_id, chain)


async def close_changed(
    tx: Tx, curator: Principal, collection: UUID, before: Mapping[str, Any], after: Mapping[str, Any], queue: Queue
) -> None:
    """What came from sources that the file no longer has vanishes, and what has other readers by it hides.

    That is until a sync, which is asked for, has told the readers anew. Runs that are in a step of a sync write nothing
    more. The caller holds the collection's lock.
    """
    of_collection = {"tenant": curator.tenant, "collection": collection}
    now = configured_sources(after)
    vanished = 0
    for name, source in sorted(configured_sources(before).items()):
        if name not in now:
            await tx.run(SQL.end_removed, **of_collection, name=name)
            vanished += await sweep(tx, curator.tenant, {**of_collection, "source": name, "seen": []})
        elif source["readers"] != now[name]["readers"] and await tx.run(SQL.hide_told, **of_collection, name=name):
            await begin(tx, curator, collection, name, queue)
    if vanished:
        await queue.tidy(tx, curator.tenant, collection)


async def sweep(tx: Tx, tenant: TenantId, of_source: Mapping[str, Any]) -> int:
    """What of a source was not `seen` vanishes, and what was is confirmed; how many documents are gone.

    `of_source` are tenant, collection, source and seen, the paths. The caller holds the collection's lock.
    """
    gone = await tx.fetch_all(INGEST_SQL.supersede_unseen, **of_source)
    gone += await tx.fetch_all(INGEST_SQL.forget_failed_unseen, **of_source)
    await delete_blobs(tx, tenant, [each.blob_id for each in gone])
    vanished = await tx.run(INGEST_SQL.tombstone_unseen, **of_source)
    await tx.run(freshness.SQL.confirm_source, **{name: value for name, value in of_source.items() if name != "seen"})
    return vanished
