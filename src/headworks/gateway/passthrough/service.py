"""Images, audio, files and batches: bytes in, bytes out, to a target that serves them; admitted and recorded as all is.

    the caller's bytes → the model's name (or the account) → admission → the first target that answers → its bytes

An answer that breaks off in the middle ends as a connection that breaks off: nobody takes it for whole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from headworks.errors import HeadworksError, InvalidRequest, ModelMissing, UpstreamError, UpstreamRejected
from headworks.gateway.admission import Admission
from headworks.gateway.answering import RECHECK_S
from headworks.gateway.calls import Asked
from headworks.gateway.dialects import EMBEDDINGS_DIALECT
from headworks.gateway.exchange import AsgiExchange, Handler, Receive, Scope, Send, Watch
from headworks.gateway.passthrough.choosing import choose
from headworks.gateway.passthrough.errands import (
    BELOW,
    BY_ACCOUNT,
    BY_MODEL,
    Named,
    chosen_of,
    query_of,
    tail_of,
)
from headworks.gateway.plans import Aim, Plan
from headworks.gateway.recording import Ledger, Record
from headworks.gateway.routing import View
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.wire.headers import Header, passed_on
from headworks.policy.service import admit
from headworks.providers.contract import Answer, Carrier, Errand, Surface
from headworks.providers.http1 import Deadlines
from headworks.types.identity import Principal

_log = logging.getLogger(__name__)
_NO_CACHE: Header = (b"cache-control", b"no-store")
_ALSO_PASSED_ON = frozenset((b"content-length", b"content-disposition"))
_MAX_ERROR_BYTES = 1024 * 1024
_LONGEST_NAME = 512
_TOO_MANY = 429
_UNAUTHORIZED = 401
_SLOW = Deadlines(first_byte_s=300.0, idle_s=120.0)
"""A picture takes minutes, and nothing of it comes before."""
_DIALECT = EMBEDDINGS_DIALECT
"""For errors, which have OpenAI's shape; no body is read by it."""


class _Transfer:
    """One request on its way. `is_cut`: its answer has begun and can't be finished, or explained in its own form."""

    __slots__ = ("exchange", "is_cut", "may_go_on", "scope", "surface")

    def __init__(self, exchange: AsgiExchange, scope: Scope, surface: Surface) -> None:
        self.exchange = exchange
        self.scope = scope
        self.surface = surface
        self.is_cut = False
        self.may_go_on: Callable[[], object] = lambda: None

    def errand(self, body: bytes, deadlines: Deadlines, tail: str, content_type: bytes | None) -> Errand:
        """What the provider is asked."""
        method = self.scope["method"].replace("HEAD", "GET").encode("ascii")
        return Errand(self.surface, method, tail, content_type, body, self.exchange.forwarded, deadlines)

    async def relay(self, answer: Answer) -> bytes:
        """The answer as it comes, but for its last bytes. Raises UpstreamError where it breaks off."""
        headers = [pair for pair in answer.headers if pair[0] in _ALSO_PASSED_ON]
        is_sized = any(name == b"content-length" for name, _ in headers)
        is_events = _value(answer.headers, b"content-type").startswith(b"text/event-stream")
        try:
            await self.exchange.start(
                answer.status, [*passed_on(answer.headers), *headers, _NO_CACHE, *self.exchange.reply]
            )
            self.is_cut = not is_events
            held, checked_at = b"", time.monotonic()
            async for piece in answer:
                if time.monotonic() - checked_at > RECHECK_S:
                    self.may_go_on()
                    checked_at = time.monotonic()
                if not is_sized:
                    await self.exchange.write(piece)
                    continue
                if held:
                    await self.exchange.write(held)
                held = piece  # its end is told by its last bytes, not by what follows them
            self.is_cut = False
            return held
        finally:
            answer.abort()


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
    ) -> None:
        self._snapshots = snapshots
        self._admission = admission
        self._ledger = ledger
        self._max_body_bytes = max_body_bytes
        self._deadlines = deadlines or _SLOW
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
        return {(method, f"{path}/"): self._handler(path, BY_ACCOUNT[path]) for method, path in BELOW}

    def _handler(self, path: str, surface: Surface) -> Handler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            with AsgiExchange(scope, receive, send, _DIALECT, self._watch) as exchange:
                transfer = _Transfer(exchange, scope, surface)
                try:
                    if path in BY_MODEL:
                        await self._by_model(transfer)
                    else:
                        await self._by_account(transfer, path)
                except BaseException as error:  # noqa: BLE001 -- `fail` sorts them, and raises what is not its own
                    if transfer.is_cut and isinstance(error, HeadworksError):
                        _log.warning("an answer that passed through was cut off: %s", error)
                    else:
                        await exchange.fail(error)

        return handle

    async def _by_model(self, transfer: _Transfer) -> None:
        exchange = transfer.exchange
        content_type = _value(exchange.headers, b"content-type") or b"application/json"
        named = Named.read(await exchange.body(self._max_body_bytes), content_type)
        model = _checked(named.model)
        tail, _ = query_of(transfer.scope["query_string"])
        view, principal = await self._enter(exchange)
        with self._ledger.open(_asked(transfer, model, streams=named.streams), principal) as record:
            plan = await self._admission.resolve(view, principal, model)
            if plan.feature is not None:
                raise InvalidRequest(
                    f"`{model}` is a feature, and those answer with text only.",
                    next_step="Name a route or `provider/model`.",
                    param="model",
                )
            self._admit(transfer, principal, model)
            record.follow(plan)
            exchange.reply.append(plan.header)
            answer = await self._first(transfer, plan, named, tail, record)
            last = await transfer.relay(answer)
        await exchange.write(last, is_last=True)

    async def _by_account(self, transfer: _Transfer, path: str) -> None:
        exchange, scope, surface = transfer.exchange, transfer.scope, transfer.surface
        body = await exchange.body(self._max_body_bytes)
        query, in_query = query_of(scope["query_string"])
        named = chosen_of(exchange.headers, in_query)
        tail = tail_of(scope["method"].replace("HEAD", "GET"), path, scope["raw_path"], surface)
        view, principal = await self._enter(exchange)
        with self._ledger.open(_asked(transfer, f"{named}/{surface}" if named else surface), principal) as record:
            if named or not principal.may("model:call"):
                self._admit(transfer, principal, f"{named}/{surface}")
            account = choose(view, principal, surface, named)
            self._admit(transfer, principal, f"{account.name}/{surface}")
            exchange.reply.append((b"x-headworks-provider", account.name.encode("ascii")))
            record.errand(account.name)
            content_type = _value(exchange.headers, b"content-type") or None
            errand = transfer.errand(body, self._deadlines, tail + query, content_type)
            answer = await _accepted(account.carrier, errand, account.name)
            record.answered()
            last = await transfer.relay(answer)
        await exchange.write(last, is_last=True)

    async def _enter(self, exchange: AsgiExchange) -> tuple[View, Principal]:
        if exchange.caller is not None:
            return self._snapshots.current(), exchange.caller
        return await self._admission.enter(exchange.token)

    def _admit(self, transfer: _Transfer, principal: Principal, name: str) -> None:
        """Raises Forbidden; the same is asked again while the answer is on its way."""
        exchange = transfer.exchange

        def again() -> None:
            if exchange.caller is None:
                now = self._snapshots.current().authenticate(exchange.token, time.time())
                admit(now, permission="model:call", model_name=name)

        admit(principal, permission="model:call", model_name=name)
        transfer.may_go_on = again

    async def _first(self, transfer: _Transfer, plan: Plan, named: Named, tail: str, record: Record) -> Answer:
        """The first target's answer that is one. Raises the last target's error."""
        able = [aim for aim in plan.aims if _carries(aim, transfer.surface)]
        if not able:
            aim = plan.aims[0]
            aim.provider.check(transfer.surface, aim.target.model)
            raise InvalidRequest(f"`{plan.name}` has no target that serves {transfer.surface}.", param="model")
        for aim in able:
            try:
                return await self._attempt(transfer, aim, named, tail, record)
            except (UpstreamError, ModelMissing) as error:
                if aim is able[-1] or not _may_switch(error):
                    raise
        raise AssertionError("there is at least one target")

    async def _attempt(self, transfer: _Transfer, aim: Aim, named: Named, tail: str, record: Record) -> Answer:
        provider = aim.provider
        assert isinstance(provider, Carrier)  # noqa: S101 -- looked at before
        provider.check(transfer.surface, aim.target.model)
        errand = transfer.errand(named.body_for(aim), self._deadlines, tail, named.content_type)
        record.attempt(aim, None)
        answer = await _accepted(provider, errand, aim.target.name)
        record.answered()
        return answer


def _carries(aim: Aim, surface: Surface) -> bool:
    return isinstance(aim.provider, Carrier) and aim.provider.carries(surface)


def _may_switch(error: UpstreamError | ModelMissing) -> bool:
    """Whether another target may do better: not where the provider refused what the caller wrote."""
    return not isinstance(error, UpstreamRejected) or error.status >= 500 or error.status == _TOO_MANY


async def _accepted(carrier: Carrier, errand: Errand, name: str) -> Answer:
    """The provider's answer, if it is none of an error. Raises UpstreamError, with the provider's JSON where it is."""
    answer = await carrier.carry(errand)
    if 200 <= answer.status < 300:
        return answer
    try:
        body = await answer.read(_MAX_ERROR_BYTES)
    finally:
        answer.abort()
    shown = {key.decode("latin-1"): value.decode("latin-1") for key, value in answer.headers}
    if answer.status >= 400 and answer.status != _UNAUTHORIZED and _is_object(body):
        raise UpstreamRejected(answer.status, body, shown)
    raise _refused(name, answer.status, shown)


def _refused(name: str, status: int, headers: Mapping[str, str]) -> UpstreamError:
    """In our words: a refusal of our credential, and what is no error that a client could read."""
    if status == _UNAUTHORIZED:
        return UpstreamError(
            f"The provider of `{name}` refused the server's credential (401).",
            next_step="Whoever runs this server must correct the provider's key; yours is fine.",
            code="upstream_unauthorized",
        )
    return UpstreamError(
        f"The provider of `{name}` answered with status {status}, and no error in JSON.",
        next_step="Check the provider's address and status.",
        headers=headers,
    )


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _value(headers: list[Header], wanted: bytes) -> bytes:
    return next((value.strip() for name, value in headers if name == wanted), b"")


def _checked(model: str | None) -> str:
    if not model:
        raise InvalidRequest("`model` is required.", param="model", code="missing_field")
    if len(model) > _LONGEST_NAME or not model.isprintable():
        raise InvalidRequest(f"`model` is no name: up to {_LONGEST_NAME} printable characters.", param="model")
    return model


def _asked(transfer: _Transfer, model: str, *, streams: bool = False) -> Asked:
    exchange = transfer.exchange
    return Asked(
        surface=transfer.surface,
        model=model,
        trace=exchange.trace,
        arrived_at=exchange.arrived_at,
        started_ns=exchange.started_ns,
        streams=streams,
    )
