"""The syncs of sources: what changed is handed in, what is gone vanishes, and readers are set anew, in every sync.

A sync is done in short steps, each of which may be cut off anywhere or done twice: how far it is lies in the database,
and a step that another one has overtaken writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from headworks.errors import HeadworksError, NotFound
from headworks.retrieval.configured import configured_sources
from headworks.retrieval.contract import Directory
from headworks.retrieval.sources.contract import Change, Changes, Fetched, Gone, Groups, Present, Source, SourceError
from headworks.retrieval.sources.mapping import Ours
from headworks.retrieval.sources.position import SourceRow, unseal
from headworks.retrieval.sources.stepping import DONE_S, SQL, OneSync, Overtaken, Target, Tools
from headworks.retrieval.sources.vanishing import MOST_DELETIONS
from headworks.retrieval.store import CollectionRow, find_collection
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId

_log = logging.getLogger(__name__)

Opener = Callable[[Mapping[str, Any]], Source]
"""Makes a source from its settings in the collection's file."""


class SourceWork:
    """Goes on with syncs, one step at a time, as the tenant's curator."""

    def __init__(self, tools: Tools, directory: Directory, openers: Mapping[str, Opener]) -> None:
        """`openers` by the kind of source."""
        self._tools = tools
        self._directory = directory
        self._openers = openers

    async def advance(self, tenant: TenantId, source: UUID, chain: UUID) -> float:
        """Go on for a while; after how many seconds to do so again, or DONE_S."""
        curator = await self._directory.curator(tenant)
        await self._tools.keyring.ensure(self._tools.db, tenant)
        async with self._tools.db.tx(curator) as tx:
            found = await tx.fetch_one(SQL.find_source, into=SourceRow, tenant=tenant, source=source)
            row = None if found is None else await find_collection(tx, tenant, collection=found.collection_id)
        if found is None or row is None or found.sync_id is None or found.chain != chain:
            return DONE_S
        opened = self._open(row, found)
        position = unseal(self._tools.keyring, tenant, found)
        try:
            target = Target(curator, row, found, await self._ours(curator, row, found), most_deletions(row, found.name))
            return await _advance(OneSync(self._tools, target, opened, position))
        finally:
            await opened.close()

    def _open(self, row: CollectionRow, found: SourceRow) -> Source:
        configured = configured_sources(row.settings).get(found.name)
        return NoSource() if configured is None else self._openers[configured["kind"]](configured["settings"])

    async def _ours(self, curator: Principal, row: CollectionRow, found: SourceRow) -> Ours:
        """Ids of the source to principals of ours; a name that is no longer there is nobody."""
        configured = configured_sources(row.settings).get(found.name) or {}
        ours: dict[str, PrincipalId] = {}
        for theirs, name in configured.get("readers", {}).items():
            try:
                ours[theirs] = (await self._directory.principals_named(curator, [name]))[name]
            except NotFound:
                continue
        return Ours(ours, await self._directory.people_among(curator, ours.values()))


async def _advance(one: OneSync) -> float:
    try:
        try:
            return await one.go_on()
        except SourceError as error:
            return await one.stumble(error)
        except (HeadworksError, Overtaken):
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, the sync ends with a reason
            _log.exception("A source failed in a way that its contract does not know")
            message = f"An internal error ({type(error).__name__}); the server's log has more."
            return await one.stumble(SourceError(message, code="internal_error"))
    except Overtaken:
        return DONE_S


def most_deletions(row: CollectionRow, name: str) -> float:
    """The share of a source's documents that may vanish at once: all, when the collection's file no longer has it."""
    configured = configured_sources(row.settings).get(name)
    return 1.0 if configured is None else float(configured.get("most_deletions", MOST_DELETIONS))


class NoSource:
    """What is left of a source that the collection's file no longer has: nothing is there."""

    carries_permissions = False

    async def groups(self) -> Groups:
        """See Source."""
        return Groups()

    async def changes(self, cursor: str) -> Changes:
        """See Source."""
        return Changes((), cursor, is_last=True)

    async def fetch(self, change: Change) -> Fetched:
        """See Source."""
        raise Gone(change.path)

    async def present(self, cursor: str, place: str) -> Present:
        """See Source."""
        del cursor, place
        return Present(())

    async def close(self) -> None:
        """See Source."""
