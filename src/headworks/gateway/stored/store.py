"""The rows of stored responses. Each function runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from headworks.formats.responses.format import RESPONSES
from headworks.gateway.stored.contract import NOBODY, Making, StoredItem, StoredResponse
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal

SQL = load(__package__)
_COLUMN = "stored_response.content"


class Content(msgspec.Struct):
    """What is sealed of a response that we keep: its own request's input items, the response, and its making."""

    input: list[msgspec.Raw]
    response: msgspec.Raw
    making: Making = NOBODY


_content = msgspec.json.Decoder(Content).decode


def seal(keyring: Keyring, who: Principal, response_id: str, content: Content) -> bytes:
    """The column of a row, readable only as this very response of this principal."""
    return keyring.seal(who.tenant, _COLUMN, _row_id(who, response_id), msgspec.json.encode(content))


def unseal(keyring: Keyring, who: Principal, response_id: str, sealed: bytes) -> Content:
    """The other way. Raises SealBroken."""
    return _content(keyring.open(who.tenant, _COLUMN, _row_id(who, response_id), sealed))


def _row_id(who: Principal, response_id: str) -> str:
    return f"{who.id}/{response_id}"


async def find(tx: Tx, keyring: Keyring, who: Principal, response_id: str) -> StoredResponse | None:
    """A response of this principal's; None also where it may quote what the caller may not read now."""
    row: Any = await tx.fetch_one(SQL.find, tenant=who.tenant, principal=who.id, response=response_id)
    if row is None:
        return None
    if not await may_read(tx, who, row.documents):
        return None
    items: tuple[msgspec.Raw, ...] = ()
    body = b""
    making = Making(documents=tuple(row.documents))
    if row.content is not None:
        content = unseal(keyring, who, row.response_id, row.content)
        items, body, making = tuple(content.input), bytes(content.response), content.making
    return StoredResponse(
        row.response_id, row.target, row.previous_id, row.created_at, row.expires_at, items, body, making
    )


async def find_items(tx: Tx, keyring: Keyring, who: Principal, ids: Sequence[str]) -> dict[str, StoredItem]:
    """Those of these items that this principal may name now."""
    rows = await tx.fetch_all(SQL.find_items, tenant=who.tenant, principal=who.id, items=list(ids))
    found: dict[str, StoredItem] = {}
    kept: dict[str, tuple[dict[str, msgspec.Raw], Making]] = {}
    for row in rows:
        if row.target is None and row.response_id not in kept:
            readable = await may_read(tx, who, row.documents)
            content = (
                unseal(keyring, who, row.response_id, row.content) if readable else Content([], msgspec.Raw(b"{}"))
            )
            kept[row.response_id] = (RESPONSES.items_of(bytes(content.response)), content.making)
        said, making = kept.get(row.response_id, ({}, Making(documents=tuple(row.documents))))
        if row.target is not None:
            if await may_read(tx, who, row.documents):
                found[row.item_id] = StoredItem(row.item_id, row.response_id, row.target, msgspec.Raw(), making)
        elif row.item_id in said:
            found[row.item_id] = StoredItem(row.item_id, row.response_id, None, said[row.item_id], making)
    return found


async def may_read(tx: Tx, who: Principal, documents: Iterable[UUID]) -> bool:
    """Whether the caller may, in this very moment, read all of these documents."""
    wanted = list(set(documents))
    if not wanted:
        return True
    readable: int = await tx.fetch_value(SQL.count_readable, tenant=who.tenant, documents=wanted)
    return readable == len(wanted)
