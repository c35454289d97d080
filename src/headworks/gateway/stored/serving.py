"""`/v1/responses/{id}` and what stands below it: a response asked for again, its input, its deletion, its cancellation.

What a provider keeps is asked of it, as its target's account; what we keep is read here. Either way only who has made a
response finds it, by a key that may still call what it was made by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec

from headworks.errors import Forbidden, InvalidRequest, NotFound, NotSupportedYet, UpstreamTruncated
from headworks.formats.responses.format import RESPONSES
from headworks.formats.sse import Framer
from headworks.gateway.admission import Admission
from headworks.gateway.dialects import DIALECTS, Dialect
from headworks.gateway.exchange import AsgiExchange, Exchange, Handler, Receive, Scope, Send, Watch
from headworks.gateway.passthrough.transfers import Transfer
from headworks.gateway.plans import Aim
from headworks.gateway.refused import refusal
from headworks.gateway.routing import View
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.stored.contract import StoredResponse
from headworks.gateway.stored.listing import page
from headworks.gateway.stored.service import StoredResponses
from headworks.gateway.wire.headers import Header, Headers, passed_on
from headworks.policy.service import admit, may_call
from headworks.providers.contract import PATIENT, Answer, Carrier, Errand
from headworks.providers.http1 import Deadlines
from headworks.types.identity import Principal, ShownKey

PREFIX: Final = "/v1/responses/"
RESPONSES_DIALECT: Final[Dialect] = next(each for each in DIALECTS if each.surface == "responses")
_JSON: Header = (b"content-type", b"application/json")
_NO_CACHE: Header = (b"cache-control", b"no-store")
_MOST_BYTES = 64 * 1024 * 1024
_WAYS = {("GET", ""), ("GET", "input_items"), ("DELETE", ""), ("POST", "cancel")}


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is wanted of which response; `verb` is `input_items`, `cancel` or nothing."""

    method: str
    response: str
    verb: str
    query: Mapping[str, str]
    raw_query: bytes

    @property
    def streams(self) -> bool:
        """Whether the response is to be told again as events."""
        return not self.verb and self.query.get("stream", "false").lower() not in {"false", "0", ""}


class StoredHandlers:
    """Mounted below `/v1/responses/`."""

    def __init__(
        self,
        stored: StoredResponses,
        admission: Admission,
        snapshots: Snapshots,
        *,
        max_body_bytes: int,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._stored = stored
        self._admission = admission
        self._snapshots = snapshots
        self._max_body_bytes = max_body_bytes
        self._deadlines = deadlines or PATIENT
        self._watch = Watch()

    def prefixes(self) -> dict[tuple[str, str], Handler]:
        """By method and the beginning of the path."""
        return {(method, PREFIX): self.handle for method in ("GET", "DELETE", "POST")}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        with AsgiExchange(scope, receive, send, RESPONSES_DIALECT, self._watch) as exchange:
            transfer = Transfer(exchange, scope, "responses")
            try:
                await self._serve(transfer)
            except BaseException as error:  # noqa: BLE001 -- `fail` sorts them, and raises what is not its own
                await exchange.fail(error)

    async def _serve(self, transfer: Transfer) -> None:
        exchange = transfer.exchange
        await exchange.body(self._max_body_bytes)
        view, principal = await self._admission.enter(exchange.key)
        wish = _wish(transfer.scope)
        found = await self._stored.find(principal, wish.response)
        if found.target is None:
            admit(principal, permission=found.making.permission, model_name=found.making.model)
            body = await self._of_ours(principal, found, wish)
            await exchange.answer(200, [_JSON, _NO_CACHE, *exchange.reply], body)
        else:
            aim = _reached(view, principal, found.target)
            answer = await self._asked(aim, exchange, wish)
            if wish.streams and answer.status == 200 and _is_stream(answer.headers):
                transfer.may_go_on = lambda: self._look_again(exchange.key, found.target or "")
                last = await transfer.relay(answer, _Hearing())
                await exchange.write(last, is_last=True)
                return
            headers, body = await self._of_theirs(principal, aim, answer, wish)
            await exchange.answer(200, [*headers, _NO_CACHE, *exchange.reply], body)

    async def _of_ours(self, principal: Principal, found: StoredResponse, wish: _Wish) -> bytes:
        if wish.streams:
            raise InvalidRequest(
                f"`{found.id}` has ended: only responses in the background can be streamed again.",
                next_step="Leave `stream` out.",
                param="stream",
            )
        if wish.verb == "cancel":
            raise InvalidRequest(
                f"`{found.id}` has ended: only responses in the background can be cancelled.", param="response_id"
            )
        if wish.verb == "input_items":
            query = wish.query
            limit = query.get("limit", "20")
            if not (limit.isascii() and limit.isdigit() and len(limit) < 5):
                raise InvalidRequest("`limit` must be from 1 to 100.", param="limit")
            return page(
                found.id, found.items, after=query.get("after"), limit=int(limit), order=query.get("order", "desc")
            )
        if wish.method == "DELETE":
            await self._stored.delete(principal, found.id)
            return msgspec.json.encode({"id": found.id, "object": "response", "deleted": True})
        return found.body

    async def _asked(self, aim: Aim, exchange: Exchange, wish: _Wish) -> Answer:
        """The head of what the provider says."""
        provider = aim.provider
        provider.check("responses", aim.target.model)
        if not isinstance(provider, Carrier) or not provider.carries("responses"):
            raise NotSupportedYet(f"What `{aim.target.name}` keeps can't be asked for again.", param="response_id")
        return await provider.carry(
            Errand(
                "responses",
                wish.method.encode("ascii"),
                _tail(wish),
                b"application/json" if wish.method == "POST" else None,
                forwarded=exchange.forwarded,
                deadlines=self._deadlines,
            )
        )

    async def _of_theirs(self, principal: Principal, aim: Aim, answer: Answer, wish: _Wish) -> tuple[Headers, bytes]:
        """The provider's own answer, whole. Raises its refusal."""
        body = await answer.read(_MOST_BYTES)
        is_gone = answer.status in {200, 404} and wish.method == "DELETE"
        if is_gone:
            await self._stored.delete(principal, wish.response)
        if answer.status != 200:
            shown = {key.decode("latin-1"): value.decode("latin-1") for key, value in answer.headers}
            raise refusal(aim.target.name, RESPONSES_DIALECT, RESPONSES, answer.status, shown, body)
        return passed_on(answer.headers), body

    def _look_again(self, key: ShownKey, target: str) -> None:
        """Raises what a new request would: who loses the right in the middle of a stream gets no more of it."""
        view = self._snapshots.current()
        _reached(view, view.authenticate(key, self._snapshots.now()), target)


class _Hearing:
    """See transfers.Hearing."""

    takes_an_error = False
    """Beyond the one that every stream of events takes."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._watch = RESPONSES.watch()

    def hear(self, piece: bytes) -> None:
        """More of the stream; what can't be read goes by unread, and is no end."""
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._watch.see(self._framer.whole(piece))

    def end(self) -> None:
        """Raises UpstreamTruncated where no event has said that it is the last."""
        if not self._watch.is_terminal and not self._watch.has_failed:
            raise UpstreamTruncated(
                "The provider's stream ended before the response did.", next_step="Ask for the response again."
            )


def _is_stream(headers: Sequence[Header]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


def _wish(scope: Scope) -> _Wish:
    """What the path and the query say. Raises NotFound."""
    rest = scope["raw_path"].decode("ascii").partition(PREFIX)[2]
    name, _, verb = rest.partition("/")
    raw_query: bytes = scope["query_string"]
    query = dict(parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True))
    if (scope["method"], verb) not in _WAYS or not name:
        raise NotFound(
            f"There is no `{scope['method']} {PREFIX}{rest[:80]}`.",
            next_step="There are GET, DELETE, GET input_items and POST cancel of a response.",
        )
    return _Wish(scope["method"], unquote(name), verb, query, raw_query)


def _tail(wish: _Wish) -> str:
    """Path and query for the provider, with nothing in them that could mean another path."""
    path = f"/{quote(wish.response, safe='')}" + (f"/{wish.verb}" if wish.verb else "")
    query = urlencode(parse_qsl(wish.raw_query.decode("latin-1"), keep_blank_values=True))
    return f"{path}?{query}" if query else path


def _reached(view: View, principal: Principal, target: str) -> Aim:
    """The target, by a name that the caller may still call. Raises Forbidden, and NotFound for what is no more."""
    allowed = principal.allowed_models
    for name in sorted(allowed) if allowed is not None else [target]:
        try:
            plan = view.resolve(principal, name)
        except NotFound:
            if allowed is None:
                raise
            continue
        if plan.feature is None and may_call(principal, permission=plan.permission, model_name=name):
            aim = next((each for each in plan.aims if each.target.name == target), None)
            if aim is not None:
                return aim
    raise Forbidden(
        f"This key may not call `{target}`, which keeps the response.",
        next_step="Use a key that may call it, or a route to it.",
        param="response_id",
        code="model_not_allowed",
    )
