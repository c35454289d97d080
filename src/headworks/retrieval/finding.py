"""Documents by their paths, for who knows those and needs ids: judgements name documents as people do."""

from __future__ import annotations

from collections.abc import Sequence

from headworks.errors import InvalidRequest
from headworks.retrieval.collections import not_readable
from headworks.retrieval.contract import DocumentAt
from headworks.retrieval.store import SEARCH_SQL
from headworks.storage.pool import Database
from headworks.types.identity import Principal
from headworks.types.storable import storable

MOST_PATHS = 1000
"""In one request."""


async def find_documents(db: Database, principal: Principal, collection: str, paths: Sequence[str]) -> list[DocumentAt]:
    """Those of the documents that are there and the caller's to read, by path; several where several sources have one.

    Raises NotFound for a collection that is not there or not the caller's to read, which read the same.
    """
    if len(paths) > MOST_PATHS:
        raise InvalidRequest(f"`paths` are {len(paths)}, at most {MOST_PATHS} at once.", param="paths")
    wanted = {"tenant": principal.tenant, "name": storable(collection), "paths": [storable(each) for each in paths]}
    async with db.tx(principal) as tx:
        if not await tx.fetch_value(SEARCH_SQL.is_readable, tenant=principal.tenant, name=wanted["name"]):
            raise await not_readable(tx, principal, collection)
        rows = await tx.fetch_all(SEARCH_SQL.find_documents, **wanted)
    return [DocumentAt(row.path, row.document_id, row.version, row.title) for row in rows]
