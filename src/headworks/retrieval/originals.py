"""Pages of stored originals, drawn for who may read all that stands on them. Nothing of a drawing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from headworks.errors import NotFound, Unavailable
from headworks.retrieval.access.sections import read_rules, rules_at
from headworks.retrieval.parsers.contract import PagePicture
from headworks.retrieval.parsers.isolation.sandbox import ParseLimits, ParserPool
from headworks.retrieval.store import SQL
from headworks.storage.blobs import Blobs
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal

_PDF = "application/pdf"
_AT_ONCE = 2
_MOST_WAITING = 16
_IDLE_S = 60.0
_LIMITS = ParseLimits(memory_mb=512, cpu_s=10, wall_s=30.0, output_chars=6_000_000, input_bytes=1 << 30)
"""Of one page. A picture takes at most 5 bytes for each of `output_chars`; how large a file is was asked at hand-in."""


def no_document() -> NotFound:
    """The same for a document that is not there and one that the caller may not read."""
    return NotFound(
        "There is no such document, or you may not read it.",
        next_step="An administrator can ask why: POST /api/readers/explain with the document and your name.",
        param="document",
    )


def is_drawable(row: Any) -> bool:  # noqa: ANN401 -- a row of `read_document` or `find_original`
    """Whether pages of a document's original may be shown to its readers.

    Not where a rule of the collection keeps sections of such files apart, whether this file has one or not: the
    original has them all, and that it has some is not for everybody to know.
    """
    rules: Sequence[Mapping[str, Any]] = row.rules or ()
    is_cut = bool(rules_at(row.file, read_rules({"sections": rules})))
    return row.media_type == _PDF and row.blob_id is not None and not row.part and not is_cut


class Originals:
    """Draws pages in limited child processes, which are there only while pages are asked for."""

    def __init__(self, db: Database, keyring: Keyring, *, idle_s: float = _IDLE_S) -> None:
        self._db = db
        self._keyring = keyring
        self._blobs = Blobs(keyring)
        self._pool = ParserPool(_LIMITS, at_once=_AT_ONCE, only_draws=True)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._asked = 0
        self._idle_s = idle_s
        self._closing: asyncio.TimerHandle | None = None
        self._closes: set[asyncio.Task[None]] = set()

    async def page(self, principal: Principal, document: UUID, number: int) -> PagePicture:
        """A page (from 1) as it is printed.

        Raises NotFound for a document that is not there or not for the caller, one without pages that can be shown, and
        a page that it does not have; DocumentUnreadable where it can't be drawn; Unavailable while too many are asked.
        """
        if self._asked >= _AT_ONCE + _MOST_WAITING:
            raise Unavailable("Too many pages are being drawn.", next_step="Try again in a moment.")
        self._asked += 1
        try:
            async with self._slots:
                picture = await self._pool.draw(await self._read(principal, document), number)
        finally:
            self._asked -= 1
            self._close_later()
        if not picture.png:
            there = "1 page" if picture.pages == 1 else f"{picture.pages:,} pages"
            raise NotFound(f"The document has {there}.", next_step="Pages count from 1.", param="page")
        return picture

    async def close(self) -> None:
        """End the process that draws, if there is one."""
        if self._closing is not None:
            self._closing.cancel()
        await self._pool.close()

    async def _read(self, principal: Principal, document: UUID) -> bytes:
        """The original, under the caller's rights as they are now."""
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            row = await tx.fetch_one(SQL.find_original, tenant=principal.tenant, document=document)
            if row is None:
                raise no_document()
            if not is_drawable(row):
                raise NotFound(
                    "No page of this document can be shown as it is printed.",
                    next_step="Its text can: GET /api/documents/{document}.",
                    param="document",
                    code="no_pictures",
                )
            return await self._blobs.get(tx, principal.tenant, row.blob_id)

    def _close_later(self) -> None:
        """The process is let go of when nobody has asked for a while."""
        if self._closing is not None:
            self._closing.cancel()
        self._closing = asyncio.get_running_loop().call_later(self._idle_s, self._close_idle)

    def _close_idle(self) -> None:
        if not self._asked:
            task = asyncio.ensure_future(self._pool.close())
            self._closes.add(task)
            task.add_done_callback(self._closes.discard)
