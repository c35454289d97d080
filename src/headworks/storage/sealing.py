"""Sealing: every payload column and blob is encrypted under its tenant's data key, and bound to the place it lies in.

A sealed value is: format (1 byte) | number of the data key (4) | nonce (12) | AES-256-GCM ciphertext with its tag (16).
What is authenticated beside it is `tenant|table.column|row id`: a value moved to another row, column or tenant does not
open. Data keys lie in the table `data_key`, wrapped by a key that is derived from the master key.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headworks.errors import SealBroken
from headworks.storage.keys import derive
from headworks.storage.queries import load

if TYPE_CHECKING:
    from headworks.storage.pool import Database

_SQL = load("headworks.storage")
_FORMAT = 1
_HEAD = struct.Struct(">BI")
_NONCE_BYTES = 12
_TAG_BYTES = 16
_BODY = _HEAD.size + _NONCE_BYTES
_FINGERPRINT_BYTES = 8

OVERHEAD_BYTES = _BODY + _TAG_BYTES
"""How much longer a sealed value is than what it holds."""


@dataclass(frozen=True, slots=True)
class _Tenant:
    """The data keys of one tenant that this process knows."""

    ciphers: dict[int, AESGCM]
    current: int


@dataclass(frozen=True, slots=True)
class _Scope:
    """Reads a tenant's data keys as nobody in particular."""

    tenant: UUID
    id: UUID
    key: UUID | None = None


class Keyring:
    """Seals and opens: pure CPU, from any thread. `ensure` a tenant first."""

    def __init__(self, master: bytes) -> None:
        """`master` is what `load_master_key` gives."""
        self._wrapping = AESGCM(derive(master, "data keys"))
        self._fingerprint = derive(master, "fingerprint of the master key", _FINGERPRINT_BYTES)
        self._tenants: dict[UUID, _Tenant] = {}

    async def ensure(self, db: Database, tenant: UUID) -> None:
        """Have this tenant's data keys at hand, making the first one. Free of charge once they are.

        Raises SealBroken where they were wrapped by another master key.
        """
        if tenant not in self._tenants:
            await self.refresh(db, tenant)

    async def refresh(self, db: Database, tenant: UUID) -> None:
        """Read this tenant's data keys anew."""
        async with db.tx(_Scope(tenant, tenant)) as tx:
            if not await tx.fetch_value(_SQL.has_data_key, tenant=tenant):
                # Two processes may do this at once: the first row stays, and both read it.
                wrapped = self._wrap(tenant, 1, AESGCM.generate_key(bit_length=256))
                await tx.run(_SQL.add_first_data_key, tenant=tenant, wrapped=wrapped)
            rows = await tx.fetch_all(_SQL.list_data_keys, tenant=tenant)
        ciphers = {row.key_id: AESGCM(self._unwrap(tenant, row.key_id, row.wrapped)) for row in rows}
        current = max((row.key_id for row in rows if row.retired_at is None), default=None)
        if current is None:
            raise SealBroken(f"Every data key of tenant {tenant} is retired.", code="data_key_missing")
        self._tenants[tenant] = _Tenant(ciphers, current)

    def knows(self, tenant: UUID) -> bool:
        """Whether `ensure` was done for this tenant."""
        return tenant in self._tenants

    def forget(self, tenant: UUID) -> None:
        """Drop a tenant's data keys from memory."""
        self._tenants.pop(tenant, None)

    def seal(self, tenant: UUID, column: str, row_id: UUID | str | int, data: bytes) -> bytes:
        """`data`, readable only with this tenant's key and only as `column` (`table.column`) of row `row_id`."""
        known = self._known(tenant)
        head = _HEAD.pack(_FORMAT, known.current)
        nonce = os.urandom(_NONCE_BYTES)
        return head + nonce + known.ciphers[known.current].encrypt(nonce, data, _place(tenant, column, row_id))

    def open(self, tenant: UUID, column: str, row_id: UUID | str | int, sealed: bytes) -> bytes:
        """What was sealed for this very place. Raises SealBroken for anything else, changed by a bit or moved."""
        known = self._known(tenant)
        if len(sealed) < OVERHEAD_BYTES or sealed[0] != _FORMAT:
            raise SealBroken(f"A value of `{column}` is not a sealed value of a known format.")
        _, number = _HEAD.unpack_from(sealed)
        if (cipher := known.ciphers.get(number)) is None:
            raise SealBroken(
                f"A value of `{column}` was sealed with data key {number}, which is not there.", code="data_key_missing"
            )
        try:
            return cipher.decrypt(sealed[_HEAD.size : _BODY], sealed[_BODY:], _place(tenant, column, row_id))
        except InvalidTag:
            raise SealBroken(f"A value of `{column}` was changed, or was sealed for another place.") from None

    def _known(self, tenant: UUID) -> _Tenant:
        if (known := self._tenants.get(tenant)) is None:
            raise SealBroken(f"The data keys of tenant {tenant} are not loaded.", code="data_key_missing")
        return known

    def _wrap(self, tenant: UUID, number: int, key: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        wrapped = self._wrapping.encrypt(nonce, key, _place(tenant, "data_key.wrapped", number))
        return bytes([_FORMAT]) + self._fingerprint + nonce + wrapped

    def _unwrap(self, tenant: UUID, number: int, wrapped: bytes) -> bytes:
        fingerprint, rest = wrapped[1 : 1 + _FINGERPRINT_BYTES], wrapped[1 + _FINGERPRINT_BYTES :]
        if wrapped[:1] != bytes([_FORMAT]) or fingerprint != self._fingerprint:
            raise SealBroken(
                f"The data keys of tenant {tenant} were made under another master key.",
                next_step="Bring back the `keys/master.key` or HEADWORKS_MASTER_KEY that this database was made with.",
                code="other_master_key",
            )
        try:
            place = _place(tenant, "data_key.wrapped", number)
            return self._wrapping.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], place)
        except InvalidTag:
            raise SealBroken(f"Data key {number} of tenant {tenant} was changed.") from None


def _place(tenant: UUID, column: str, row_id: UUID | str | int) -> bytes:
    return f"{tenant}|{column}|{row_id}".encode()
