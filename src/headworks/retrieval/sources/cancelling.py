"""Ending a sync that is under way, on request: nothing is removed, and the next one goes on where it was."""

from __future__ import annotations

from uuid import UUID

from headworks.retrieval.sources.position import Position, SourceRow, seal, unseal
from headworks.retrieval.sources.stepping import SQL
from headworks.retrieval.store import INGEST_SQL
from headworks.storage.pool import Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal


async def cancel_sync(tx: Tx, keyring: Keyring, curator: Principal, source: UUID) -> bool:
    """Whether there was one. A run that is in a step of it writes nothing more. The keyring must know the tenant."""
    of_source = {"tenant": curator.tenant, "source": source}
    found = await tx.fetch_one(SQL.lock_source, into=SourceRow, **of_source)
    if found is None or found.sync_id is None:
        return False
    position = unseal(keyring, curator.tenant, found)
    kept = Position(cursor=position.cursor, taken=position.taken, retry=position.retry)
    await tx.run(INGEST_SQL.finish_sync, tenant=curator.tenant, sync=found.sync_id)
    await tx.run(
        SQL.end_source,
        **of_source, sync=found.sync_id, step=found.step, phase="failed",
        state=seal(keyring, curator.tenant, source, kept), read_at=None, max_age_s=0,
        held_back=None,
    )  # fmt: skip
    await tx.run(SQL.note_end, **of_source, code="cancelled", message="Somebody cancelled it.")
    return True
