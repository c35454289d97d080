"""Versions of a document: who brought which when; the text of an old one until it is purged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headworks.errors import NotFound
from headworks.retrieval.contract import Directory
from headworks.retrieval.freshness import SQL
from headworks.retrieval.store import Payloads
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId


@dataclass(frozen=True, slots=True)
class Version:
    """One version. `sha256` is of the file; `replaced_at` null: it is the one that is read; `has_text`: not purged."""

    version: int
    sha256: str
    characters: int
    handed_in_by: str
    created_at: datetime
    replaced_at: datetime | None
    has_text: bool


class History:
    """Versions that the caller may read, by the lists of now and of then; old texts only for who writes to collections.

    The curator reads, and then the caller is asked whether he may: a right that is lost meanwhile opens nothing.
    """

    def __init__(self, db: Database, keyring: Keyring, directory: Directory) -> None:
        self._db = db
        self._keyring = keyring
        self._directory = directory

    async def versions(self, asker: Principal, document: UUID) -> list[Version]:
        """The newest first. NotFound reads the same for a document that is not there and one that is not for you."""
        async with self._db.tx(await self._directory.curator(asker.tenant)) as tx:
            rows = await tx.fetch_all(SQL.list_versions, tenant=asker.tenant, document=document)
        names = await self._directory.names_of(asker, [PrincipalId(row.handed_in_by) for row in rows])
        readable = await self._readable(asker, document)
        return [
            Version(
                row.version, row.content_hash, row.characters, names.get(row.handed_in_by, ""), row.created_at,
                row.replaced_at, row.has_text,
            )
            for row in rows
            if row.version in readable
        ]  # fmt: skip

    async def text(self, asker: Principal, document: UUID, version: int) -> str:
        """The text of a version. Raises NotFound, which reads the same for one that was purged or is not for you."""
        await self._keyring.ensure(self._db, asker.tenant)
        async with self._db.tx(await self._directory.curator(asker.tenant)) as tx:
            sealed = await tx.fetch_value(SQL.read_version, tenant=asker.tenant, document=document, version=version)
        readable = await self._readable(asker, document)
        if sealed is None or version not in readable:
            raise NotFound(
                f"The text of version {version} is not there: there was none, it was purged, or it was not for you.",
                next_step="headworks documents versions lists those that have their text.",
                param="version",
            )
        return Payloads(self._keyring, asker.tenant).open_text(document, version, sealed).text

    async def _readable(self, asker: Principal, document: UUID) -> set[int]:
        """The versions that he may read at this moment. Raises NotFound where he may not read the document."""
        async with self._db.tx(asker) as tx:
            rows = await tx.fetch_all(SQL.list_readable_versions, tenant=asker.tenant, document=document)
        if not rows:
            raise NotFound(
                "There is no such document, or you may not read it.",
                next_step="Give the id that a search shows, or on the command line COLLECTION/PATH.",
                param="document",
            )
        return {row.version for row in rows}
