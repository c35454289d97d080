"""Legal holds: while one stands on a document, a collection or a person, nothing of it is purged or erased."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from headworks.errors import Conflict, InvalidRequest, NotFound
from headworks.records.audit import note_audit
from headworks.retrieval import collections
from headworks.retrieval.contract import Directory
from headworks.retrieval.lifecycle.erasure import SQL
from headworks.retrieval.lifecycle.failures import SQL as LIFECYCLE_SQL
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, new_id
from headworks.types.storable import storable

OWN_SQL = load("headworks.retrieval.lifecycle", "holds.sql")
HoldKind = Literal["document", "collection", "person"]
_LONGEST_REASON = 1_000


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold, on what and since when. `subject` is the id of the document, collection or principal.

    `title` is what it is called, `path` where a document lies: `collection/path`. Both are empty where who asks may not
    read it.
    """

    hold: UUID
    kind: str
    subject: UUID
    reason: str
    placed_by: UUID
    placed_at: datetime
    title: str = ""
    path: str = ""


class Holds:
    """Placing and releasing are audited."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self._db = db
        self._directory = directory

    async def place(
        self, asker: Principal, kind: HoldKind, name: str, reason: str, collection: str | None = None
    ) -> Hold:
        """On a document (by id, or by path in a collection), a collection or a principal, by name.

        Raises NotFound; Conflict where one stands already; InvalidRequest without a reason.
        """
        if not reason.strip() or len(reason) > _LONGEST_REASON:
            raise InvalidRequest(f"`reason` is 1 to {_LONGEST_REASON} characters.", param="reason")
        reason = storable(reason.strip())
        curator = await self._directory.curator(asker.tenant)
        hold = new_id()
        async with self._db.tx(curator) as tx:
            await tx.run(SQL.begin_holding, tenant=asker.tenant)
            subject = await self._subject(tx, asker, kind, name, collection)
            placed = await tx.run(
                SQL.place_hold,
                tenant=asker.tenant, hold=hold, kind=kind, subject=subject, reason=reason, by=asker.id,
            )  # fmt: skip
            if not placed:
                raise Conflict(f"A legal hold stands on that {kind} already.", next_step="headworks hold list")
            await note_audit(tx, asker, "hold.place", f"{kind}:{subject}", {"hold": str(hold), "reason": reason})
        return next(each for each in await self.listed(asker) if each.hold == hold)

    async def release(self, asker: Principal, hold: UUID) -> Hold:
        """Take a hold away, and give what it was. Raises NotFound."""
        async with self._db.tx(asker) as tx:
            row = await tx.fetch_one(SQL.release_hold, tenant=asker.tenant, hold=hold)
            if row is None:
                raise NotFound("There is no such legal hold.", next_step="headworks hold list", param="hold")
            detail = {"hold": str(hold), "reason": row.reason}
            await note_audit(tx, asker, "hold.release", f"{row.kind}:{row.subject_id}", detail)
        return Hold(hold, row.kind, row.subject_id, row.reason, row.placed_by, row.placed_at)

    async def listed(self, asker: Principal) -> list[Hold]:
        """All holds of the tenant, the oldest first."""
        async with self._db.tx(asker) as tx:
            rows = await tx.fetch_all(SQL.list_holds, tenant=asker.tenant)
            subjects = [row.subject_id for row in rows]
            known = await tx.fetch_all(OWN_SQL.name_subjects, tenant=asker.tenant, subjects=subjects)
        people = [PrincipalId(row.subject_id) for row in rows if row.kind == "person"]
        names = {row.subject_id: (row.title, row.path) for row in known}
        names |= {person: (name, "") for person, name in (await self._directory.names_of(asker, people)).items()}
        return [
            Hold(
                row.hold_id,
                row.kind,
                row.subject_id,
                row.reason,
                row.placed_by,
                row.placed_at,
                *names.get(row.subject_id, ()),
            )
            for row in rows
        ]

    async def _subject(self, tx: Tx, asker: Principal, kind: HoldKind, name: str, collection: str | None) -> UUID:
        if kind == "collection":
            return (await collections.find(tx, asker, name)).collection_id
        if kind == "person":
            return (await self._directory.principals_named(asker, [name]))[name]
        try:
            wanted = UUID(name)
        except ValueError:
            wanted = None
        of_document = {"document": wanted, "collection": collection, "path": storable(name)}
        row = await tx.fetch_one(LIFECYCLE_SQL.find_readable, tenant=asker.tenant, **of_document)
        if row is None:
            raise NotFound(
                f"There is no document `{name[:200]}`.", next_step="Name its id, or its path and its collection."
            )
        document: UUID = row.document_id
        return document
