"""Deny entries: whom a collection or a document is closed to, whatever list admits him. PostgreSQL puts them first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from headworks.retrieval.access.readers import denied_at, read_denials
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId

SQL = load("headworks.retrieval.access", "denials.sql")


async def put_on_collection(tx: Tx, curator: Principal, collection: UUID, denied: Iterable[PrincipalId]) -> bool:
    """Close a collection to these, and to nobody else; whether anything changed."""
    of_collection = {"tenant": curator.tenant, "collection": collection}
    wanted = set(denied)
    rows = await tx.fetch_all(SQL.list_of_collection, **of_collection)
    if {row.principal_id for row in rows} == wanted:
        return False
    await tx.run(SQL.set_of_collection, **of_collection, denied=sorted(wanted))
    return True


async def renew(
    tx: Tx,
    curator: Principal,
    collection: UUID,
    settings: Mapping[str, Any],
    documents: Sequence[UUID] | None = None,
    *,
    given: Sequence[PrincipalId] | None = None,
) -> None:
    """Close these documents (None: all that are there) to whom the collection's patterns and their uploads deny.

    `given`: the list given on upload just now; None leaves what was, so that nothing opens by omission.
    """
    if given is not None:
        await tx.run(SQL.set_given, tenant=curator.tenant, documents=list(documents or ()), denied=list(given))
    patterns = read_denials(settings)
    wanted = None if documents is None else list(documents)
    by_list: dict[frozenset[PrincipalId], list[UUID]] = defaultdict(list)
    for row in await tx.fetch_all(SQL.list_paths, tenant=curator.tenant, collection=collection, documents=wanted):
        denied = denied_at(row.path, patterns, row.given_denials)
        if denied or row.has_denials:
            by_list[denied].append(row.document_id)
    for denied, several in by_list.items():
        await tx.run(SQL.set_of_documents, tenant=curator.tenant, documents=several, denied=sorted(denied))
