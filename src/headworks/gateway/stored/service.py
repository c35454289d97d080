"""Stored responses: whoever asks for one again, or goes on from it, gets it from where it lies.

A response that a provider keeps is remembered by its id with the target that made it. One that no provider has, because
it was translated from another format or is a feature's, is kept here, sealed. Each is its principal's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from headworks.errors import Conflict, InvalidRequest, NotFound, UpstreamError
from headworks.gateway.stored import store
from headworks.gateway.stored.contract import NOBODY, PREFIX, Making, StoredItem, StoredResponse
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import new_id

KEPT_S: Final = 30 * 24 * 3600.0
"""How long a response can be asked for, in seconds; as long as OpenAI's."""
LONGEST_CHAIN: Final = 1_000
_LONGEST_ID = 512
_MOST_AT_ONCE = 10_000


class _Output(msgspec.Struct):
    output: list[msgspec.Raw]


_output = msgspec.json.Decoder(_Output).decode


def new_response_id() -> str:
    """An id for a response that we keep."""
    return PREFIX + new_id().hex


@dataclass(frozen=True, slots=True)
class StoredResponses:
    """All of them, as one principal at a time sees them. Errors of every method: DatabaseUnavailable."""

    db: Database
    keyring: Keyring
    kept_s: float = KEPT_S

    async def remember_owner(
        self, who: Principal, response_id: str, target: str, documents: Sequence[UUID] = ()
    ) -> None:
        """Remember that this target keeps this response, and what it may quote.

        Raises UpstreamError for an id that can't be one.
        """
        if not _is_id(response_id):
            raise UpstreamError("The provider gave its response an id that can't be remembered.")
        async with self.db.tx(who) as tx:
            await tx.run(
                store.SQL.remember,
                tenant=who.tenant,
                principal=who.id,
                response=response_id,
                target=target,
                documents=list(documents),
                keep_s=self.kept_s,
            )

    async def keep(
        self,
        who: Principal,
        response_id: str,
        items: Sequence[msgspec.Raw],
        body: bytes,
        *,
        previous: str | None = None,
        making: Making = NOBODY,
    ) -> None:
        """Keep a response with the input items of its own request; `previous` is the one of ours that it follows.

        Raises Conflict: the id is taken, or what it follows is gone.
        """
        await self.keyring.ensure(self.db, who.tenant)
        content = store.seal(self.keyring, who, response_id, store.Content(list(items), msgspec.Raw(body), making))
        async with self.db.tx(who) as tx:
            kept = await tx.run(
                store.SQL.keep,
                tenant=who.tenant,
                principal=who.id,
                response=response_id,
                previous=previous,
                content=content,
                documents=list(making.documents),
                keep_s=self.kept_s,
            )
        if not kept:
            raise Conflict(
                "The response could not be stored: its id is taken, or the response that it follows is gone."
            )

    async def remember_items(self, who: Principal, response_id: str, items: Sequence[str]) -> None:
        """Remember which items a stored response has, so that its owner may name them."""
        if named := [item for item in dict.fromkeys(items) if _is_id(item)]:
            async with self.db.tx(who) as tx:
                await tx.run(
                    store.SQL.remember_items,
                    tenant=who.tenant,
                    principal=who.id,
                    response=response_id,
                    items=named,
                )

    async def items(self, who: Principal, ids: Sequence[str]) -> list[StoredItem]:
        """These items of this principal's responses, in their order. Raises NotFound: also for somebody else's."""
        await self.keyring.ensure(self.db, who.tenant)
        wanted = [each for each in ids if _is_id(each)]
        async with self.db.tx(who) as tx:
            found = await store.find_items(tx, self.keyring, who, wanted)
        for each in ids:
            if each not in found:
                raise NotFound(
                    f"There is no item `{each[:80]}` that you could name.",
                    next_step="Items of stored responses can be named for 30 days by who asked; else send them whole.",
                    param="input",
                    code="item_not_found",
                )
        return [found[each] for each in ids]

    async def find(self, who: Principal, response_id: str) -> StoredResponse:
        """A response of this principal's. Raises NotFound: also for what is somebody else's."""
        if not _is_id(response_id):
            raise _unknown(response_id)
        await self.keyring.ensure(self.db, who.tenant)
        async with self.db.tx(who) as tx:
            found = await store.find(tx, self.keyring, who, response_id)
        if found is None:
            raise _unknown(response_id)
        return found

    async def conversation(self, who: Principal, response_id: str) -> list[msgspec.Raw]:
        """All items up to the end of this response, oldest first: what was given and what was answered, turn by turn.

        Raises NotFound: it, or one that it follows, is not there; InvalidRequest: it is a target's, or too long.
        """
        if not _is_id(response_id):
            raise _unknown(response_id)
        await self.keyring.ensure(self.db, who.tenant)
        async with self.db.tx(who) as tx:
            rows = await tx.fetch_all(
                store.SQL.chain, tenant=who.tenant, principal=who.id, response=response_id, longest=LONGEST_CHAIN
            )
            _check_chain(response_id, rows)
            if not await store.may_read(tx, who, (document for row in rows for document in row.documents)):
                raise _unknown(response_id)
        said = [store.unseal(self.keyring, who, row.response_id, row.content) for row in reversed(rows)]
        return [item for each in said for item in (*each.input, *_output(each.response).output)]

    async def delete(self, who: Principal, response_id: str) -> None:
        """Forget a response, and what it says. Raises NotFound. A target's own copy is the target's to delete."""
        deleted = 0
        if _is_id(response_id):
            async with self.db.tx(who) as tx:
                deleted = await tx.run(store.SQL.delete, tenant=who.tenant, principal=who.id, response=response_id)
        if not deleted:
            raise _unknown(response_id)

    async def remove_expired(self, curator: Principal) -> int:
        """Remove what has expired in the curator's tenant; how many responses those were."""
        removed = 0
        while True:
            async with self.db.tx(curator) as tx:
                some = await tx.run(store.SQL.remove_expired, tenant=curator.tenant, most=_MOST_AT_ONCE)
            removed += some
            if some < _MOST_AT_ONCE:
                return removed

    async def forget_documents(self, tx: Tx, curator: Principal, documents: Sequence[UUID]) -> dict[str, int]:
        """Remove what may quote one of these documents, as erasure asks; how many responses, by table."""
        gone = await tx.run(store.SQL.erase_quoting, tenant=curator.tenant, documents=list(documents))
        return {"stored_response": gone}

    async def forget_person(self, tx: Tx, curator: Principal, person: UUID) -> dict[str, int]:
        """Remove what this principal has stored; how many responses, by table."""
        return {"stored_response": await tx.run(store.SQL.erase_of_person, tenant=curator.tenant, person=person)}


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()


def _unknown(response_id: str) -> NotFound:
    return NotFound(
        f"There is no response `{response_id[:80]}` that you could see.",
        next_step="Responses are kept for 30 days, if `store` is not false, for who asked.",
        param="response_id",
    )


def _check_chain(response_id: str, rows: Sequence[Any]) -> None:
    """Whether these rows, newest first, are a whole conversation of ours."""
    if not rows:
        raise _unknown(response_id)
    if len(rows) > LONGEST_CHAIN:
        raise InvalidRequest(
            f"The conversation before `{response_id}` has more than {LONGEST_CHAIN} responses.",
            next_step="Start a new one, with what matters of it in `input`.",
            param="previous_response_id",
        )
    if rows[-1].previous_id is not None:
        raise NotFound(
            f"`{response_id}` follows `{rows[-1].previous_id}`, which was deleted or has expired.",
            next_step="Start a new conversation, with what matters of it in `input`.",
            param="previous_response_id",
        )
    if rows[0].content is None:
        raise InvalidRequest(
            f"`{response_id}` lies with `{rows[0].target}`: only that target can go on from it.",
            param="previous_response_id",
        )
