"""Images, audio, files and batches: bytes in, bytes out, to a target that serves them; admitted and recorded as all is.

    the caller's bytes → the model's name (or the account) → admission → the first target that answers → its bytes

An answer that breaks off in the middle ends as a connection that breaks off, or with an error where its form has one:
nobody takes it for whole.
"""

from __future__ import annotations

import logging

from headworks.errors import HeadworksError, InvalidRequest, NotSupportedYet
from headworks.gateway.admission import Admission
from headworks.gateway.calls import Asked
from headworks.gateway.dialects import EMBEDDINGS_DIALECT
from headworks.gateway.exchange import AsgiExchange, Handler, Receive, Scope, Send, Watch
from headworks.gateway.failover.retrying import RetryBudget
from headworks.gateway.passthrough.choosing import choose
from headworks.gateway.passthrough.errands import (
    BELOW,
    BY_ACCOUNT,
    BY_MODEL,
    Named,
    chosen_of,
    google_query,
    query_of,
    tail_of,
)
from headworks.gateway.passthrough.transfers import (
    MAX_ANSWER_BYTES,
    NO_CACHE,
    SLOW,
    Transfer,
    Weight,
    accepted,
    value_of,
)
from headworks.gateway.passthrough.vendors import GOOGLE, VENDORS, Listener, Vendor, usage_in
from headworks.gateway.passthrough.walking import Walk
from headworks.gateway.plans import Aim, Plan
from headworks.gateway.recording import Ledger, Record
from headworks.gateway.routing import View
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import passed_on
from headworks.policy.service import admit
from headworks.providers.contract import Answer, Carrier, Surface
from headworks.providers.http1 import Deadlines
from headworks.types.identity import Principal, ShownKey

_log = logging.getLogger(__name__)
_LONGEST_NAME = 512
_DIALECT = EMBEDDINGS_DIALECT
"""For errors, which have OpenAI's shape; no body is read by it."""


class Passthrough:
    """See the module. Its handlers are mounted beside the pipeline's."""

    def __init__(
        self,
        snapshots: Snapshots,
        admission: Admission,
        ledger: Ledger,
        *,
        max_body_bytes: int,
        deadlines: Deadlines | None = None,
        budget: RetryBudget | None = None,
    ) -> None:
        """`budget` is that of the worker's retries, which its other calls share."""
        self._snapshots = snapshots
        self._admission = admission
        self._ledger = ledger
        self._max_body_bytes = max_body_bytes
        self._deadlines = deadlines or SLOW
        self._walk = Walk(self._deadlines, budget or RetryBudget())
        self._watch = Watch()

    def routes(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        by_model = {("POST", path): self._handler(path, surface) for path, surface in BY_MODEL.items()}
        by_account = {
            (method, path): self._handler(path, surface)
            for path, surface in BY_ACCOUNT.items()
            for method in ("GET", "POST")
        }
        return by_model | by_account

    def prefixes(self) -> dict[tuple[str, str], Handler]:
        """By method and the beginning of the path."""
        below = {(method, f"{path}/"): self._handler(path, BY_ACCOUNT[path]) for method, path in BELOW}
        return below | {("POST", path): self._vendor_handler(each) for each in VENDORS for path in each.prefixes}

    def _handler(self, path: str, surface: Surface) -> Handler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            with AsgiExchange(scope, receive, send, _DIALECT, self._watch) as exchange:
                transfer = Transfer(exchange, scope, surface)
                try:
                    if path in BY_MODEL:
                        await self._by_model(transfer)
                    else:
                        await self._by_account(transfer, path)
                except BaseException as error:  # noqa: BLE001 -- `fail` sorts them, and raises what is not its own
                    await _fail(transfer, error)

        return handle

    def _vendor_handler(self, vendor: Vendor) -> Handler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            with AsgiExchange(scope, receive, send, vendor.dialect, self._watch) as exchange:
                transfer = Transfer(exchange, scope, vendor.dialect.surface)
                try:
                    await self._by_vendor(transfer, vendor)
                except BaseException as error:  # noqa: BLE001 -- as above
                    if isinstance(error, HeadworksError) and (kind := vendor.kind_of(error)) is not None:
                        exchange.reply.append(kind)
                    await _fail(transfer, error)

        return handle

    async def _by_vendor(self, transfer: Transfer, vendor: Vendor) -> None:
        exchange = transfer.exchange
        body = Body.read(await exchange.body(self._max_body_bytes)).raw
        query, key = google_query(transfer.scope["query_string"])
        if not exchange.key.text:
            exchange.key = ShownKey(value_of(exchange.headers, b"x-goog-api-key").decode("latin-1") or key)
        model, method = vendor.called(transfer.scope["raw_path"])
        streams = method == vendor.streaming
        if streams and vendor is GOOGLE and not query:
            raise NotSupportedYet("A stream comes as events only.", next_step="Add `?alt=sse` to the address.")
        surface = vendor.surface_of(method)
        view, principal = await self._admission.enter(exchange.key, exchange.caller)
        with self._ledger.open(_asked(transfer, model, streams=streams, surface=surface), principal) as record:
            plan = await self._plan(transfer, view, principal, model, record)

            async def attempt(aim: Aim, carrier: Carrier, limits: Deadlines) -> Answer:
                tail = vendor.tail(aim.target.model, method) + query
                if surface == "count_tokens":  # costs nothing, and is no use of the model
                    record.errand(aim.target.provider)
                    record.row.cost_micro_usd = 0
                else:
                    record.attempt(aim, Weight(len(body)))
                errand = transfer.errand(body, limits, tail, b"application/json")
                return await accepted(carrier, errand, aim.target.name)

            answer = await self._walk.first(plan, transfer, record, attempt)
            record.answered()
            if streams:
                listener = Listener(vendor.spoken)
                try:
                    last = await transfer.relay(answer, listener)
                finally:
                    record.heard = listener.heard
                    record.settle(listener.usage, is_last=listener.has_ended)
            else:
                last = await answer.read(MAX_ANSWER_BYTES)
                record.settle(usage_in(vendor.spoken, last) if surface == vendor.dialect.surface else None)
        if streams:
            await exchange.write(last, is_last=True)
        else:
            await exchange.answer(answer.status, [*passed_on(answer.headers), NO_CACHE, *exchange.reply], last)

    async def _by_model(self, transfer: Transfer) -> None:
        exchange = transfer.exchange
        content_type = value_of(exchange.headers, b"content-type") or b"application/json"
        named = Named.read(await exchange.body(self._max_body_bytes), content_type)
        model = _checked(named.model)
        tail, _ = query_of(transfer.scope["query_string"])
        view, principal = await self._admission.enter(exchange.key, exchange.caller)
        with self._ledger.open(_asked(transfer, model, streams=named.streams), principal) as record:
            plan = await self._plan(transfer, view, principal, model, record)

            async def attempt(aim: Aim, carrier: Carrier, limits: Deadlines) -> Answer:
                errand = transfer.errand(named.body_for(aim), limits, tail, named.content_type)
                record.attempt(aim, None)
                return await accepted(carrier, errand, aim.target.name)

            answer = await self._walk.first(plan, transfer, record, attempt)
            record.answered()
            last = await transfer.relay(answer)
        await exchange.write(last, is_last=True)

    async def _by_account(self, transfer: Transfer, path: str) -> None:
        exchange, scope, surface = transfer.exchange, transfer.scope, transfer.surface
        body = await exchange.body(self._max_body_bytes)
        query, in_query = query_of(scope["query_string"])
        named = chosen_of(exchange.headers, in_query)
        tail = tail_of(scope["method"].replace("HEAD", "GET"), path, scope["raw_path"], surface)
        view, principal = await self._admission.enter(exchange.key, exchange.caller)
        with self._ledger.open(_asked(transfer, f"{named}/{surface}" if named else surface), principal) as record:
            if named or not principal.may("model:call"):
                self._admit(transfer, principal, f"{named}/{surface}")
            account = choose(view, principal, surface, named)
            self._admit(transfer, principal, f"{account.name}/{surface}")
            exchange.reply.append((b"x-headworks-provider", account.name.encode("ascii")))
            record.errand(account.name)
            content_type = value_of(exchange.headers, b"content-type") or None
            errand = transfer.errand(body, self._deadlines, tail + query, content_type)
            answer = await accepted(account.carrier, errand, account.name)  # once: a file or a batch twice is two
            record.answered()
            last = await transfer.relay(answer)
        await exchange.write(last, is_last=True)

    def _admit(self, transfer: Transfer, principal: Principal, name: str) -> None:
        """Raises Forbidden; the same is asked again while the answer is on its way."""
        exchange = transfer.exchange

        def again() -> None:
            if exchange.caller is None:
                now = self._snapshots.current().authenticate(exchange.key, self._snapshots.now())
                admit(now, permission="model:call", model_name=name)

        admit(principal, permission="model:call", model_name=name)
        transfer.may_go_on = again

    async def _plan(self, transfer: Transfer, view: View, principal: Principal, model: str, record: Record) -> Plan:
        """What the name stands for, for who may call it. Raises NotFound, Forbidden, InvalidRequest for a feature."""
        plan = await self._admission.resolve(view, principal, model)
        if plan.feature is not None:
            raise InvalidRequest(
                f"`{model}` is a feature: it is called through chat completions, messages or responses.",
                next_step="Name a route or `provider/model`.",
                param="model",
            )
        self._admit(transfer, principal, model)
        record.follow(plan)
        transfer.exchange.reply.append(plan.header)
        return plan


async def _fail(transfer: Transfer, error: BaseException) -> None:
    if transfer.is_cut and isinstance(error, HeadworksError):
        _log.warning("an answer that passed through was cut off: %s", error)
    else:
        await transfer.exchange.fail(error)


def _checked(model: str | None) -> str:
    if not model:
        raise InvalidRequest("`model` is required.", param="model", code="missing_field")
    if len(model) > _LONGEST_NAME or not model.isprintable():
        raise InvalidRequest(f"`model` is no name: up to {_LONGEST_NAME} printable characters.", param="model")
    return model


def _asked(transfer: Transfer, model: str, *, streams: bool = False, surface: Surface | None = None) -> Asked:
    exchange = transfer.exchange
    return Asked(
        surface=surface or transfer.surface,
        model=model,
        trace=exchange.trace,
        arrived_at=exchange.arrived_at,
        started_ns=exchange.started_ns,
        streams=streams,
    )
