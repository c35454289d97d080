"""Originals and other large values: sealed, in pieces of at most 1 MiB, in the table `blob`."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from headworks.errors import NotFound, SealBroken
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring

_SQL = load("headworks.storage")
_PIECE_BYTES = 1 << 20


class Blobs:
    """Stores within the caller's transaction: a blob and the row that names it are there together or not at all.

    The keyring must know the tenant. Each piece is sealed with its number and the number of all: pieces that are lost,
    added or exchanged do not open (SealBroken).
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def put(self, tx: Tx, tenant: UUID, blob_id: UUID, data: bytes) -> None:
        """Store a new blob; empty ones, too."""
        pieces = [data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES)] or [b""]
        for number, piece in enumerate(pieces):
            sealed = self._keyring.seal(tenant, "blob.content", _place(blob_id, number, len(pieces)), piece)
            await tx.run(_SQL.add_blob_piece, tenant=tenant, blob_id=blob_id, piece=number, content=sealed)

    async def get(self, tx: Tx, tenant: UUID, blob_id: UUID) -> bytes:
        """The whole blob. Raises NotFound where there is none in this tenant."""
        found = (await self.get_all(tx, tenant, [blob_id]))[blob_id]
        if not isinstance(found, bytes):
            raise found
        return found

    async def get_all(
        self, tx: Tx, tenant: UUID, blob_ids: Sequence[UUID]
    ) -> dict[UUID, bytes | NotFound | SealBroken]:
        """Several whole blobs; instead of one that is not there, or does not open, what `get` raises."""
        pieces: dict[UUID, list[bytes]] = {blob_id: [] for blob_id in blob_ids}
        for row in await tx.fetch_all(_SQL.list_pieces_of_blobs, tenant=tenant, blobs=list(pieces)):
            pieces[row.blob_id].append(row.content)
        return {blob_id: self._joined(tenant, blob_id, sealed) for blob_id, sealed in pieces.items()}

    def _joined(self, tenant: UUID, blob_id: UUID, sealed: Sequence[bytes]) -> bytes | NotFound | SealBroken:
        if not sealed:
            return NotFound(f"There is no blob {blob_id}.")
        try:
            return b"".join(
                self._keyring.open(tenant, "blob.content", _place(blob_id, number, len(sealed)), piece)
                for number, piece in enumerate(sealed)
            )
        except SealBroken as error:
            return error

    async def delete(self, tx: Tx, tenant: UUID, blob_id: UUID) -> bool:
        """Remove a blob; False where there was none."""
        return await tx.run(_SQL.delete_blob, tenant=tenant, blob_id=blob_id) > 0


def _place(blob_id: UUID, number: int, count: int) -> str:
    return f"{blob_id}/{number}/{count}"
