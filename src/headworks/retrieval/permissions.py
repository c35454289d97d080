"""Why somebody may or may not read a document: asked by administrators, answered by PostgreSQL, audited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from uuid import UUID

from headworks.errors import NotFound
from headworks.identity.service import allow
from headworks.retrieval.contract import Admission, Directory, Explanation
from headworks.retrieval.readers import own_list, read_patterns
from headworks.retrieval.store import SQL, storable
from headworks.storage.pool import Database
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, PrincipalId, new_id


class Explainer:
    """Asks as the one in question, and as the curator for the lists that he would have to be on."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self._db = db
        self._directory = directory

    async def explain(self, asker: Principal, collection: str | None, document: str, name: str) -> Explanation:
        """Why the user or service account `name`, by a whole key, may or may not read a document (its id or path).

        Needs `reader:explain`. Raises NotFound for an unknown principal or document.
        """
        allow(asker, "reader:explain")
        reader = await self._directory.as_reader(asker, name)
        curator = await self._directory.curator(asker.tenant)
        of_tenant = {"tenant": asker.tenant}
        wanted = _as_uuid(document)
        async with self._db.tx(curator) as tx:
            row = await tx.fetch_one(
                SQL.find_document,
                **of_tenant,
                document=wanted,
                path=storable(document),
                collection=collection and storable(collection),
            )
            if row is None:
                raise NotFound(
                    f"There is no document `{document[:200]}`" + (f" in `{collection}`." if collection else "."),
                    next_step="Name it by its path as it was handed in, or by its id.",
                    param="document",
                )
            on_collection = await tx.fetch_all(SQL.list_collection_readers, **of_tenant, collection=row.collection_id)
            on_document = await tx.fetch_all(SQL.list_document_readers, **of_tenant, document=row.document_id)
        lists = [[PrincipalId(each.principal_id) for each in rows] for rows in (on_collection, on_document)]
        names = await self._directory.names_of(asker, {*lists[0], *lists[1]})
        async with self._db.tx(reader) as tx:
            may_read = await tx.fetch_one(SQL.read_document, **of_tenant, document=row.document_id) is not None
        first = _admission("collection", f"`readers` of the collection `{row.collection}`", lists[0], names, reader)
        second = _own_admission(row, lists[1], names, reader)
        reason = _reason(name, row, first, second, may_read=may_read)
        found = Explanation(
            DocumentId(row.document_id), row.collection, row.path, row.title, name, may_read, reason, (first, second)
        )
        await self._note(asker, found)
        return found

    async def _note(self, asker: Principal, found: Explanation) -> None:
        async with self._db.tx(asker) as tx:
            await tx.run(
                SQL.add_audit_event,
                tenant=asker.tenant,
                event=new_id(),
                principal=asker.id,
                key=asker.key,
                action="reader.explain",
                subject=f"document:{found.document}",
                detail={"principal": found.principal, "may_read": found.may_read},
            )


def _as_uuid(document: str) -> UUID | None:
    try:
        return UUID(document)
    except ValueError:
        return None


def _admission(
    kind: Literal["collection", "document"],
    origin: str,
    listed: Iterable[PrincipalId],
    names: dict[PrincipalId, str],
    reader: Principal,
) -> Admission:
    ids = set(listed)
    by = ids & {reader.id, *reader.groups}
    return Admission(
        kind, origin, tuple(sorted(names[each] for each in ids if each in names)),
        tuple(sorted(names[each] for each in by if each in names)), bool(by),
    )  # fmt: skip


def _own_admission(
    row: Any,  # noqa: ANN401 -- a row of `find_document`
    listed: Iterable[PrincipalId],
    names: dict[PrincipalId, str],
    reader: Principal,
) -> Admission:
    if not row.restricted:
        return Admission("document", "it has no list of its own", (), (), admits=True)
    own = own_list(row.path, read_patterns(row.settings), row.given_readers)
    is_pattern = own is not None and own.pattern is not None
    origin = f"the pattern `{own.pattern}` of the collection" if own and is_pattern else "given when it was handed in"
    return _admission("document", origin, listed, names, reader)


def _reason(name: str, row: Any, first: Admission, second: Admission, *, may_read: bool) -> str:  # noqa: ANN401 -- a row
    if may_read:
        through = " and ".join(f"`{each}`" for each in (first.by[:1] + second.by[:1]))
        return f"`{name}` may read it, by {through}: both lists admit."
    if row.is_gone:
        return "Nobody may read it: it vanished from its source."
    for each in (first, second):
        if not each.listed and not each.admits:
            return f"Nobody may read it: the list ({each.origin}) is empty."
        if not each.admits:
            listed = ", ".join(f"`{reader}`" for reader in each.listed)
            return f"`{name}` may not read it: only {listed} may ({each.origin}), and `{name}` is in none of them."
    return f"`{name}` may not read it: the account or the group that would admit it is disabled."
