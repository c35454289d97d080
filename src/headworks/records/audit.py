"""Audit events: who did what, written in the transaction of what they tell of."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.types.json import Jsonb

from headworks.storage.pool import Actor, Tx
from headworks.storage.queries import load
from headworks.types.ids import new_id

_SQL = load("headworks.records", "audit.sql")
_NOTHING: Mapping[str, object] = {}


async def note_audit(tx: Tx, who: Actor, action: str, subject: str, detail: Mapping[str, object] = _NOTHING) -> None:
    """One event. `action` is a dotted name such as `release.promote`; `detail` never holds a secret or a payload."""
    await tx.run(
        _SQL["note_audit"],
        tenant=who.tenant,
        event=new_id(),
        by=who.id,
        key=who.key,
        action=action,
        subject=subject,
        detail=Jsonb(dict(detail)),
    )
