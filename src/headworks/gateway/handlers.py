"""The `/v1` routes as raw ASGI functions: read the request, walk the pipeline, write the answer."""

from __future__ import annotations

import re
from contextlib import aclosing
from urllib.parse import unquote

from headworks.errors import InvalidRequest
from headworks.gateway.admission import Admission
from headworks.gateway.calls import Call
from headworks.gateway.exchange import Exchange, Handler, Receive, Scope, Send, guarded
from headworks.gateway.pipeline import Pipeline
from headworks.gateway.wire import models_list, openai_chat, openai_embeddings
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import FROM_CALLER, Header
from headworks.gateway.wire.parts import Event, Head, Relayed
from headworks.providers.contract import Surface
from headworks.types.ids import new_id

_JSON: Header = (b"content-type", b"application/json")
_EVENTS: Header = (b"content-type", b"text/event-stream; charset=utf-8")
_NO_CACHE: Header = (b"cache-control", b"no-store")
_SURROGATE = re.compile("[\ud800-\udfff]")
SIGNED_IN = "headworks.principal"
"""Where the server puts a caller who was authenticated before, by a session."""
_MODELS = "/v1/models"
_LONGEST_NAME = 512


class Handlers:
    """What the server mounts in front of everything else."""

    def __init__(self, pipeline: Pipeline, admission: Admission, *, base_url: str, max_body_bytes: int) -> None:
        self._pipeline = pipeline
        self._admission = admission
        self._base_url = base_url.rstrip("/")
        self._max_body_bytes = max_body_bytes

    def routes(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {
            ("POST", "/v1/chat/completions"): self.chat,
            ("POST", "/v1/embeddings"): self.embeddings,
            ("GET", _MODELS): self.models,
        }

    def prefixes(self) -> dict[tuple[str, str], Handler]:
        """By method and the beginning of the path."""
        return {("GET", f"{_MODELS}/"): self.model}

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/chat/completions."""
        exchange = Exchange(scope, receive, send)
        await guarded(exchange, self._chat(exchange))

    async def embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/embeddings."""
        exchange = Exchange(scope, receive, send)
        await guarded(exchange, self._embeddings(exchange))

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models."""
        exchange = Exchange(scope, receive, send)
        await guarded(exchange, self._models(exchange, None))

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models/{id}; the id may hold slashes."""
        exchange = Exchange(scope, receive, send)
        name = unquote(scope["raw_path"].decode("ascii").partition(f"{_MODELS}/")[2])
        await guarded(exchange, self._models(exchange, name))

    async def _chat(self, exchange: Exchange) -> None:
        call = await self._call(exchange, "chat")
        if call.streams:
            await self._stream(exchange, call)
        else:
            await self._whole(exchange, call)

    async def _embeddings(self, exchange: Exchange) -> None:
        await self._whole(exchange, await self._call(exchange, "embeddings"))

    async def _call(self, exchange: Exchange, surface: Surface) -> Call:
        trace = new_id()
        exchange.reply.append((b"x-headworks-trace", str(trace).encode("ascii")))
        token, forwarded = _scanned(exchange.headers)
        body = Body.read(await exchange.body(self._max_body_bytes))
        call = Call(surface, token, _model(body), body, forwarded=forwarded, trace=trace, reply=exchange.reply)
        if surface == "chat":
            openai_chat.check_request(body)
            call.streams = body.flag("stream")
            call.wants_usage = call.streams and openai_chat.wants_usage(body)
        else:
            openai_embeddings.check_request(body)
        call.end_user = body.text("user")
        call.caller = exchange.scope.get(SIGNED_IN)
        return call

    async def _whole(self, exchange: Exchange, call: Call) -> None:
        """The answer at once, after its record is written."""
        passed: tuple[Header, ...] = ()
        writer: openai_chat.ChatWriter | None = None
        body = b""
        async with aclosing(self._pipeline.answer(call)) as events:
            async for event in events:
                if isinstance(event, Relayed):
                    body = event.data
                elif isinstance(event, Head):
                    passed = event.headers
                else:
                    writer = writer or self._writer(call)
                    writer.take(event)
        if writer is not None:
            await exchange.answer(200, [_JSON, *passed, *call.reply], writer.whole())
        else:
            await exchange.answer(200, [*passed, *call.reply], body)

    async def _stream(self, exchange: Exchange, call: Call) -> None:
        """The answer as it comes; its last bytes after its record is written."""
        writer: openai_chat.ChatWriter | None = None
        last = b""
        async with aclosing(self._pipeline.answer(call)) as events:
            async for event in events:
                if isinstance(event, Relayed):
                    if event.is_last:
                        last = event.data
                    else:
                        await exchange.write(event.data)
                elif isinstance(event, Head):
                    await exchange.start(200, _stream_head(event, call))
                else:
                    if writer is None:
                        writer = self._writer(call)
                        await exchange.write(writer.opening())
                    last = await _write(exchange, writer, event)
        await exchange.write(last, is_last=True)

    def _writer(self, call: Call) -> openai_chat.ChatWriter:
        return openai_chat.ChatWriter(call.trace, call.model, self._base_url, with_usage=call.wants_usage)

    async def _models(self, exchange: Exchange, name: str | None) -> None:
        trace = new_id()
        exchange.reply.append((b"x-headworks-trace", str(trace).encode("ascii")))
        token, _ = _scanned(exchange.headers)
        view, principal = await self._admission.enter(token)
        names = view.names(principal)
        if name is None:
            body = models_list.listing(names)
        elif name in names:
            body = models_list.single(name)
        else:
            raise view.unknown(principal, name)
        await exchange.answer(200, [_JSON, _NO_CACHE, *exchange.reply], body)


async def _write(exchange: Exchange, writer: openai_chat.ChatWriter, event: Event) -> bytes:
    """Write a feature's chunks; gives back what must wait for the record: the end."""
    chunks = b"".join(writer.chunks(event))
    if writer.has_ended:
        return chunks + openai_chat.DONE
    if chunks:
        await exchange.write(chunks)
    return b""


def _stream_head(head: Head, call: Call) -> list[Header]:
    if any(name == b"content-type" for name, _ in head.headers):
        return [*head.headers, _NO_CACHE, *call.reply]
    return [_EVENTS, _NO_CACHE, *head.headers, *call.reply]


def _scanned(headers: list[Header]) -> tuple[str, tuple[Header, ...]]:
    """The API key (empty: none came) and the headers that go on to the provider."""
    token = ""
    forwarded: list[Header] = []
    for name, value in headers:
        if name == b"authorization":
            kind, _, rest = value.partition(b" ")
            token = rest.strip().decode("latin-1") if kind.lower() == b"bearer" else ""
        elif name in FROM_CALLER:
            forwarded.append((name, value))
    return token, tuple(forwarded)


def _model(body: Body) -> str:
    model = body.text("model")
    if not model:
        raise InvalidRequest("`model` is required.", param="model", code="missing_field")
    if len(model) > _LONGEST_NAME or not model.isprintable() or _SURROGATE.search(model):
        raise InvalidRequest(f"`model` is no name: up to {_LONGEST_NAME} printable characters.", param="model")
    return model
