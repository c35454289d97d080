"""What a request of `/v1/responses` has to do with stored ones: what it follows, and where its own response will lie.

Before its last byte, each response that its caller wants stored is written to the database: by a provider of Responses,
which target has it; of ours, what it says. It is not left to the journal, which is copied a moment later: a client that
has seen the last byte follows at once, perhaps through another worker. A plain request is never refused for it: while
PostgreSQL is away the answer is given, a warning is logged, and what follows it is told that there is no such response.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import msgspec

from headworks.eager import in_task
from headworks.errors import InvalidRequest, NotFound, NotSupportedYet
from headworks.formats.responses.format import RESPONSES
from headworks.formats.sse import split
from headworks.gateway.calls import Call
from headworks.gateway.plans import Aim, Plan
from headworks.gateway.stored.contract import Making, StoredResponse
from headworks.gateway.stored.service import StoredResponses
from headworks.gateway.wire.bodies import Body
from headworks.policy.service import admit
from headworks.types.identity import Principal
from headworks.types.retrieval import Passage

WRITE_TIMEOUT_S: Final = 2.0
"""How long the end of an answer waits for the database."""
_PREVIOUS = "previous_response_id"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeper:
    """One worker's. `is_connected`: whether PostgreSQL was there a moment ago."""

    stored: StoredResponses
    is_connected: Callable[[], bool]
    _writing: set[asyncio.Task[None]] = field(default_factory=set)

    def of(self, body: Body) -> Keeping:
        """For one request. Raises InvalidRequest."""
        stores = body.flag("store") if body.has("store") else True
        return Keeping(self, body, stores=stores)

    def write_beside(self, write: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Begin to write; it goes on when the caller leaves."""
        task = asyncio.get_running_loop().create_task(self.write(write))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    async def write(self, write: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Write, or log why not."""
        try:
            if not self.is_connected():
                raise TimeoutError("PostgreSQL is away")  # noqa: TRY301 -- one place logs
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await write()
        except Exception as error:  # noqa: BLE001 -- the answer is there, whatever became of the note about it
            _log.warning("a response could not be stored, so that nothing can follow it: %s", error or type(error))


class Keeping:
    """See the module, and calls.Keeping."""

    def __init__(self, keeper: Keeper, body: Body, *, stores: bool) -> None:
        self._keeper = keeper
        self._body = body
        self._asked = body.raw
        """The request, with what it only names."""
        self._stores = stores
        self._who: Principal | None = None
        self._follows: str | None = None
        self._making = Making()
        self._owner: str | None = None
        self._remembering: asyncio.Task[None] | None = None
        self._response_id = ""
        self._items: list[str] = []

    async def follow(self, principal: Principal, plan: Plan, call: Call) -> Plan:
        """See calls.Keeping."""
        self._who = principal
        self._making = Making(call.model, plan.permission)
        if self._body.has("conversation"):
            raise NotSupportedYet(
                "`conversation`: conversations of a provider are not known here.",
                next_step=f"Follow a response by its `{_PREVIOUS}`.",
                param="conversation",
            )
        if RESPONSES.carries_foreign_thoughts(self._body.raw):
            call.rewrite()
        named = RESPONSES.references(self._body.raw)
        if named:
            await in_task()
            plan = await self._named(principal, plan, call, named)
        previous = self._body.text(_PREVIOUS)
        if previous is None:
            return plan
        await in_task()
        found = await self._found(principal, previous)
        documents = {*self._making.documents, *found.making.documents}
        self._making = msgspec.structs.replace(self._making, documents=tuple(documents))
        if found.target is not None:
            return _only(plan, found.id, found.target, _PREVIOUS)
        admit(principal, permission=found.making.permission, model_name=found.making.model)
        items = await self._keeper.stored.conversation(principal, previous)
        self._follows = previous
        call.rewrite(RESPONSES.following(call.neutral, items))
        return plan

    async def _named(self, principal: Principal, plan: Plan, call: Call, named: list[str]) -> Plan:
        """Bring in the items that the input only names. Raises NotFound, Forbidden, InvalidRequest."""
        found = await self._keeper.stored.items(principal, named)
        documents = {document for each in found for document in each.making.documents}
        self._making = msgspec.structs.replace(self._making, documents=tuple({*self._making.documents, *documents}))
        for each in found:
            if each.target is not None:
                plan = _only(plan, each.id, each.target, "input")
            else:
                admit(principal, permission=each.making.permission, model_name=each.making.model)
        if ours := {each.id: each.said for each in found if each.target is None}:
            if len(ours) < len(set(named)):
                raise InvalidRequest(
                    "`input` names items that lie with a provider, and others that lie here.",
                    next_step="Send those whole that another model has made.",
                    param="input",
                )
            self._asked = RESPONSES.resolved(self._body.raw, ours)
            call.rewrite(RESPONSES.read_request(self._asked))
        return plan

    @property
    def documents(self) -> Sequence[UUID]:
        """See calls.Keeping."""
        return self._making.documents

    def reads(self, passages: Sequence[Passage]) -> None:
        """See calls.Keeping."""
        documents = {*self._making.documents, *(each.document for each in passages)}
        self._making = msgspec.structs.replace(self._making, documents=tuple(documents))

    def answered_by(self, plan: Plan, aim: Aim) -> None:
        """See calls.Keeping."""
        if plan.feature is None and "responses" in aim.provider.speaks:
            self._owner = aim.target.name

    def see(self, events: bytes) -> None:
        """See calls.Keeping."""
        if not self._stores or self._owner is None:
            return
        if b"output_item.done" in events:
            self._items += [item for event in split(events) for item in RESPONSES.item_ids(event)]
        if self._remembering is not None:
            return
        ids = (RESPONSES.response_id(event) for event in split(events))
        response_id = next((each for each in ids if each), None)
        if response_id is not None:
            self._response_id = response_id
            self._remembering = self._keeper.write_beside(lambda: self._remember(response_id))

    async def finish(self, body: bytes | None) -> None:
        """See calls.Keeping."""
        if self._remembering is not None:
            await asyncio.shield(self._remembering)
            if self._items:
                await in_task()
                await self._keeper.write(lambda: self._remember_items(self._response_id, self._items))
            return
        response_id = RESPONSES.response_id(body) if body and self._stores else None
        if response_id is None:
            return
        await in_task()
        self._items = RESPONSES.item_ids(body or b"")
        if self._owner is not None:
            await self._keeper.write(lambda: self._remember(response_id))
        else:
            await self._keeper.write(lambda: self._keep(response_id, body or b""))

    async def _found(self, principal: Principal, previous: str) -> StoredResponse:
        try:
            return await self._keeper.stored.find(principal, previous)
        except NotFound as error:
            raise NotFound(
                error.message, next_step=error.next_step, param=_PREVIOUS, code="previous_response_not_found"
            ) from None

    async def _remember(self, response_id: str) -> None:
        assert self._who is not None and self._owner is not None  # noqa: S101, PT018 -- known since it was answered
        documents = self._making.documents
        await self._keeper.stored.remember_owner(self._who, response_id, self._owner, documents)
        await self._remember_items(response_id, self._items)

    async def _remember_items(self, response_id: str, items: Sequence[str]) -> None:
        assert self._who is not None  # noqa: S101 -- as above
        await self._keeper.stored.remember_items(self._who, response_id, items)

    async def _keep(self, response_id: str, body: bytes) -> None:
        assert self._who is not None  # noqa: S101 -- as above
        items = RESPONSES.input_items(self._asked)
        await self._keeper.stored.keep(self._who, response_id, items, body, previous=self._follows, making=self._making)
        await self._remember_items(response_id, self._items)


def _only(plan: Plan, what: str, target: str, param: str) -> Plan:
    """The plan with the one target that keeps a response or an item. Raises InvalidRequest where it has none such."""
    aims = () if plan.feature is not None else tuple(aim for aim in plan.aims if aim.target.name == target)
    if not aims:
        raise InvalidRequest(
            f"`{what}` lies with `{target}`, which `{plan.name}` does not ask.",
            next_step=f"Call the model `{target}`, or a route with it; or send the conversation in `input`.",
            param=param,
            code="previous_response_elsewhere",
        )
    return msgspec.structs.replace(plan, aims=aims[:1])
