"""Originals and other large values: sealed, in pieces of at most 1 MiB, in the table `blob`."""

from __future__ import annotations

from uuid import UUID

from headworks.errors import NotFound
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
        rows = await tx.fetch_all(_SQL.list_blob_pieces, tenant=tenant, blob_id=blob_id)
        if not rows:
            raise NotFound(f"There is no blob {blob_id}.")
        return b"".join(
            self._keyring.open(tenant, "blob.content", _place(blob_id, number, len(rows)), row.content)
            for number, row in enumerate(rows)
        )

    async def delete(self, tx: Tx, tenant: UUID, blob_id: UUID) -> bool:
        """Remove a blob; False where there was none."""
        return await tx.run(_SQL.delete_blob, tenant=tenant, blob_id=blob_id) > 0


def _place(blob_id: UUID, number: int, count: int) -> str:
    return f"{blob_id}/{number}/{count}"
