"""The `/v1` routes as raw ASGI functions: read the request, walk the pipeline, write the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

import msgspec

from headworks.errors import HeadworksError, InvalidRequest
from headworks.formats import neutral
from headworks.formats.answers import collect
from headworks.formats.contract import Writer
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import Stopped
from headworks.formats.responses.writing import ResponsesWriter
from headworks.gateway.admission import Admission
from headworks.gateway.calls import Call
from headworks.gateway.contract import Arrived, Recorder
from headworks.gateway.counting import COUNT_DIALECT, Counting
from headworks.gateway.dialects import CHAT_DIALECT, DIALECTS, Dialect
from headworks.gateway.exchange import (
    ArrivedExchange,
    AsgiExchange,
    Exchange,
    Handler,
    Outbox,
    Receive,
    Scope,
    Send,
    Watch,
)
from headworks.gateway.pipeline import Pipeline
from headworks.gateway.stored.keeping import Keeper
from headworks.gateway.stored.serving import StoredHandlers
from headworks.gateway.wire import anthropic_models, models_list
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import Header, Headers
from headworks.gateway.wire.parts import Event, Head, Relayed, Told, Whole
from headworks.types.ids import id_text

_JSON: Header = (b"content-type", b"application/json")
_EVENTS: Header = (b"content-type", b"text/event-stream; charset=utf-8")
_NO_CACHE: Header = (b"cache-control", b"no-store")
_MODELS = "/v1/models"
_MESSAGES_DIALECT: Dialect = next(each for each in DIALECTS if each.surface == "messages")
_LONGEST_NAME = 512


@dataclass(frozen=True, slots=True)
class Extras:
    """What is beside the one pipeline."""

    keeper: Keeper
    stored: StoredHandlers
    counting: Counting


class Handlers:
    """What the server mounts in front of everything else."""

    def __init__(
        self, pipeline: Pipeline, admission: Admission, extras: Extras, recorder: Recorder, *, max_body_bytes: int
    ) -> None:
        self._pipeline = pipeline
        self._extras = extras
        self._admission = admission
        self._max_body_bytes = max_body_bytes
        self._watch = Watch()
        self._outbox = Outbox(recorder)

    def routes(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        spoken: dict[tuple[str, str], Handler] = {("POST", each.path): self._handler(each) for each in DIALECTS}
        return spoken | {("POST", COUNT_DIALECT.path): self.count, ("GET", _MODELS): self.models}

    def prefixes(self) -> dict[tuple[str, str], Handler]:
        """By method and the beginning of the path."""
        return {("GET", f"{_MODELS}/"): self.model} | self._extras.stored.prefixes()

    def at_once(self) -> dict[bytes, Callable[[Arrived], None]]:
        """By path: what serves a POST that has arrived whole without a task of its own."""
        return {each.path.encode("ascii"): self._server_at_once(each) for each in DIALECTS}

    def _handler(self, dialect: Dialect) -> Handler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            with AsgiExchange(scope, receive, send, dialect, self._watch) as exchange:
                await self._serve(exchange)

        return handle

    def _server_at_once(self, dialect: Dialect) -> Callable[[Arrived], None]:
        def serve(request: Arrived) -> None:
            exchange = ArrivedExchange(request, dialect, self._outbox)
            exchange.serve(self._serve(exchange))

        return serve

    async def _serve(self, exchange: Exchange) -> None:
        """One request in any dialect."""
        try:
            raw = exchange.arrived(self._max_body_bytes)
            call = _call(exchange, await exchange.body(self._max_body_bytes) if raw is None else raw)
            del raw  # a stream may stay open for long
            if call.surface == "responses":
                call.keeping = self._extras.keeper.of(call.body)
                call.gathers = call.gathers and call.keeping is None  # keeping waits between the record and the answer
            elif call.surface == "messages" and MESSAGES.carries_foreign_thoughts(call.body.raw):
                call.rewrite()
            elif not call.model:
                call.model = await self._only_model(call)
            answer = await self._pipeline.answer(call)
            if call.streams:
                assert not isinstance(answer, Whole)  # noqa: S101 -- who asked for a stream is not answered at once
                await _stream(exchange, call, answer)
                return
            head, body = _whole(call, answer if isinstance(answer, Whole) else await _collected(answer))
            if call.keeping is not None:
                await call.keeping.finish(body)
            if not exchange.answer_at_once(200, head, body):
                await exchange.answer(200, head, body)
        except BaseException as error:  # noqa: BLE001 -- `fail` sorts them, and raises what is not its own
            await exchange.fail(error)

    async def _only_model(self, call: Call) -> str:
        """The one model of the dialect's kind that the caller may call. Raises InvalidRequest, Unauthenticated."""
        view, principal = await self._admission.enter(call.key, call.caller)
        assert call.dialect.kind is not None  # noqa: S101 -- else the model is named
        names = view.of_kind(principal, call.dialect.kind)
        if len(names) == 1:
            return names[0]
        listed = f"Name one of: {', '.join(names)}." if names else "Name a route or `provider/model`."
        raise InvalidRequest(
            f"`model` is required: {len(names) or 'no'} models are known here for {call.surface}.",
            next_step=listed,
            param="model",
            code="missing_field",
        )

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/messages/count_tokens."""
        with AsgiExchange(scope, receive, send, COUNT_DIALECT, self._watch) as exchange:
            try:
                call = _call(exchange, await exchange.body(self._max_body_bytes))
                tokens = await self._extras.counting.count(call)
                await exchange.answer(200, _named([_JSON, *call.reply], call), MESSAGES.write_count(tokens))
            except BaseException as error:  # noqa: BLE001 -- as above
                await exchange.fail(error)

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models."""
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        with AsgiExchange(scope, receive, send, _dialect_of_list(scope), self._watch) as exchange:
            await self._models(exchange, None, query)

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models/{id}; the id may hold slashes."""
        name = unquote(scope["raw_path"].decode("ascii").partition(f"{_MODELS}/")[2])
        with AsgiExchange(scope, receive, send, _dialect_of_list(scope), self._watch) as exchange:
            await self._models(exchange, name, {})

    async def _models(self, exchange: Exchange, name: str | None, query: Mapping[str, str]) -> None:
        try:
            exchange.scan(self._max_body_bytes)
            view, principal = await self._admission.enter(exchange.key)
            names = view.names(principal)
            if exchange.dialect is not _MESSAGES_DIALECT:
                if name is None:
                    body = models_list.listing(view.describe(principal, each) for each in names)
                else:
                    body = models_list.single(view.describe(principal, view.known(principal, name)))
            elif name is not None:
                body = anthropic_models.single(view.known(principal, name))
            else:
                body = anthropic_models.listing(names, query)
            await exchange.answer(200, [_JSON, _NO_CACHE, *exchange.reply], body)
        except BaseException as error:  # noqa: BLE001 -- as above
            await exchange.fail(error)


async def _stream(exchange: Exchange, call: Call, answer: AsyncGenerator[Event, None]) -> None:
    """The answer as it comes; its last bytes after its record is written."""
    last = b""
    async with aclosing(answer):
        async for event in answer:
            if isinstance(event, Relayed):
                if call.keeping is not None:
                    call.keeping.see(event.data)
                if event.is_last:
                    last = event.data
                else:
                    await exchange.relay(event.data)
            elif isinstance(event, Head):
                await exchange.begin(_stream_head(event, call), event.direct)
            else:
                if exchange.writer is None:
                    exchange.writer = _writer(call)
                told = _told(exchange.writer, event.events if isinstance(event, Told) else [event])
                if told.data:
                    await exchange.relay(told.data)
                if told.error is not None:
                    raise told.error
                last += told.end
    if exchange.writer is not None:
        last += exchange.writer.end()
    if call.keeping is not None:
        await call.keeping.finish(_final(exchange.writer))
    await exchange.write(last, is_last=True)


def _whole(call: Call, answer: Whole) -> tuple[list[Header], bytes]:
    """Head and body of an answer whose record is written."""
    if answer.answer is None:
        return _named([*answer.headers, *call.reply], call), answer.body
    assert call.dialect.format is not None  # noqa: S101 -- what only passes through is never read
    body = call.dialect.format.write_answer(answer.answer, call.echoed)
    return _named([_JSON, *answer.headers, *call.reply], call), body


class _Written(msgspec.Struct, gc=False):
    """Events as the caller's bytes. `end` is what the end of the answer says, which is written last."""

    data: bytes
    end: bytes = b""
    error: HeadworksError | None = None
    """Why the next event can't be told."""


def _told(writer: Writer, events: list[neutral.Event]) -> _Written:
    """What came together, written together."""
    said: list[bytes] = []
    end = b""
    try:
        for event in events:
            if type(event) is Stopped:
                end = writer.write(event)
            else:
                said.append(writer.write(event))
    except HeadworksError as error:
        return _Written(b"".join(said), error=error)
    return _Written(b"".join(said), end)


async def _collected(events: AsyncGenerator[Event, None]) -> Whole:
    """The events of a feature's answer as a whole."""
    headers: Headers = ()
    said: list[neutral.Event] = []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Head):
                headers = event.headers
            elif isinstance(event, Told):
                said += event.events
            elif not isinstance(event, Relayed):
                said.append(event)
    answer = collect(said)
    assert answer is not None  # noqa: S101 -- a feature's events end with their end, or raise
    return Whole(headers, b"", answer)


def _writer(call: Call) -> Writer:
    assert call.dialect.format is not None  # noqa: S101 -- what only passes through is never written
    return call.dialect.format.writer(call.echoed)


def _final(writer: Writer | None) -> bytes | None:
    """The whole response that a stream has told, where it is one."""
    return writer.final if isinstance(writer, ResponsesWriter) else None


def _dialect_of_list(scope: Scope) -> Dialect:
    """Whose clients ask for models: Anthropic's always say by which version of their API."""
    return _MESSAGES_DIALECT if any(name == b"anthropic-version" for name, _ in scope["headers"]) else CHAT_DIALECT


def _named(head: list[Header], call: Call) -> list[Header]:
    """The head of an answer, with the id by which Anthropic's clients name a request: the provider's, or ours."""
    if call.dialect.format is MESSAGES:
        for header in head:
            if header[0] == b"request-id":
                return head
        head.append((b"request-id", id_text(call.trace)))
    return head


def _stream_head(head: Head, call: Call) -> list[Header]:
    if any(name == b"content-type" for name, _ in head.headers):
        return _named([*head.headers, _NO_CACHE, *call.reply], call)
    return _named([_EVENTS, _NO_CACHE, *head.headers, *call.reply], call)


def _call(exchange: Exchange, raw: bytes) -> Call:
    dialect = exchange.dialect
    body = Body.read(raw)
    model = body.text("model")
    if not model:
        if dialect.kind is None:
            raise InvalidRequest("`model` is required.", param="model", code="missing_field")
        model = ""  # which is meant depends on who calls
    if len(model) > _LONGEST_NAME or not model.isprintable():
        raise InvalidRequest(f"`model` is no name: up to {_LONGEST_NAME} printable characters.", param="model")
    dialect.check(body)
    members = body.members
    streams = dialect.can_stream and "stream" in members and body.flag("stream")
    return Call(
        dialect.surface,
        model,
        exchange.trace,
        exchange.arrived_at,
        exchange.started_ns,
        dialect,
        None if dialect.format is None else dialect.format.name,
        exchange.key,
        body,
        exchange.reply,
        streams and dialect.asks_usage and _wants_usage(body),
        exchange.caller,
        exchange.forwarded,
        streams=streams,
        end_user=_end_user(body, dialect) if "user" in members or dialect.names_user in members else None,
        gathers=exchange.gathers and not streams,
    )


def _end_user(body: Body, dialect: Dialect) -> str | None:
    """Whom the caller asks for; what the format says today goes before `user`, which OpenAI is giving up."""
    named = dialect.names_user
    if named == "metadata":
        metadata = body.section(named)
        found = None if metadata is None else metadata.text("user_id")
    else:
        found = body.text(named)
    return body.text("user") if found is None else found


def _wants_usage(body: Body) -> bool:
    """Whether the caller asked for usage in the stream."""
    options = body.section("stream_options") if "stream_options" in body.members else None
    return options is not None and options.flag("include_usage")
