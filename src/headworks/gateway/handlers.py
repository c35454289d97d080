"""The `/v1` routes as raw ASGI functions: read the request, walk the pipeline, write the answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from urllib.parse import unquote

from headworks.eager import in_task
from headworks.errors import InvalidRequest
from headworks.gateway.admission import Admission
from headworks.gateway.calls import Call
from headworks.gateway.contract import Arrived
from headworks.gateway.exchange import ArrivedExchange, AsgiExchange, Exchange, Handler, Receive, Scope, Send, Watch
from headworks.gateway.pipeline import Pipeline
from headworks.gateway.wire import models_list, openai_chat, openai_embeddings
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import Header
from headworks.gateway.wire.parts import Event, Head, Relayed, Whole
from headworks.providers.contract import Surface

_JSON: Header = (b"content-type", b"application/json")
_EVENTS: Header = (b"content-type", b"text/event-stream; charset=utf-8")
_NO_CACHE: Header = (b"cache-control", b"no-store")
_MODELS = "/v1/models"
_LONGEST_NAME = 512


class Handlers:
    """What the server mounts in front of everything else."""

    def __init__(self, pipeline: Pipeline, admission: Admission, *, base_url: str, max_body_bytes: int) -> None:
        self._pipeline = pipeline
        self._admission = admission
        self._base_url = base_url.rstrip("/")
        self._max_body_bytes = max_body_bytes
        self._watch = Watch()

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

    def at_once(self) -> dict[bytes, Callable[[Arrived], None]]:
        """By path: what serves a POST that has arrived whole without a task of its own."""
        return {b"/v1/chat/completions": self.chat_at_once, b"/v1/embeddings": self.embeddings_at_once}

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/chat/completions."""
        with AsgiExchange(scope, receive, send, self._watch) as exchange:
            await self._chat(exchange)

    def chat_at_once(self, request: Arrived) -> None:
        """The same."""
        exchange = ArrivedExchange(request)
        exchange.serve(self._chat(exchange))

    async def embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/embeddings."""
        with AsgiExchange(scope, receive, send, self._watch) as exchange:
            await self._embeddings(exchange)

    def embeddings_at_once(self, request: Arrived) -> None:
        """The same."""
        exchange = ArrivedExchange(request)
        exchange.serve(self._embeddings(exchange))

    async def _chat(self, exchange: Exchange) -> None:
        try:
            call = _call(exchange, "chat", await exchange.body(self._max_body_bytes))
            openai_chat.check_request(call.body)
            if call.streams:
                call.wants_usage = openai_chat.wants_usage(call.body)
                await in_task()
                await self._stream(exchange, call)
            else:
                await self._whole(exchange, call)
        except BaseException as error:  # noqa: BLE001 -- `fail` sorts them, and raises what is not its own
            await exchange.fail(error)

    async def _embeddings(self, exchange: Exchange) -> None:
        try:
            call = _call(exchange, "embeddings", await exchange.body(self._max_body_bytes))
            openai_embeddings.check_request(call.body)
            await self._whole(exchange, call)
        except BaseException as error:  # noqa: BLE001 -- as above
            await exchange.fail(error)

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models."""
        with AsgiExchange(scope, receive, send, self._watch) as exchange:
            await self._models(exchange, None)

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models/{id}; the id may hold slashes."""
        name = unquote(scope["raw_path"].decode("ascii").partition(f"{_MODELS}/")[2])
        with AsgiExchange(scope, receive, send, self._watch) as exchange:
            await self._models(exchange, name)

    async def _whole(self, exchange: Exchange, call: Call) -> None:
        """The answer at once, after its record is written."""
        answer = await self._pipeline.answer(call)
        if isinstance(answer, Whole):
            await exchange.answer(200, [*answer.headers, *call.reply], answer.body)
            return
        head = Head()
        writer = self._writer(call)
        async with aclosing(answer):
            async for event in answer:
                if isinstance(event, Head):
                    head = event
                else:
                    writer.take(event)
        await exchange.answer(200, [_JSON, *head.headers, *call.reply], writer.whole())

    async def _stream(self, exchange: Exchange, call: Call) -> None:
        """The answer as it comes; its last bytes after its record is written."""
        answer = await self._pipeline.answer(call)
        assert not isinstance(answer, Whole)  # noqa: S101 -- nobody who asked for a stream is answered at once
        writer: openai_chat.ChatWriter | None = None
        last = b""
        async with aclosing(answer):
            async for event in answer:
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
        try:
            exchange.scan(self._max_body_bytes)
            view, principal = await self._admission.enter(exchange.token)
            names = view.names(principal)
            body = models_list.listing(names) if name is None else models_list.single(view.known(principal, name))
            await exchange.answer(200, [_JSON, _NO_CACHE, *exchange.reply], body)
        except BaseException as error:  # noqa: BLE001 -- as above
            await exchange.fail(error)


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


def _call(exchange: Exchange, surface: Surface, raw: bytes) -> Call:
    body = Body.read(raw)
    model = body.text("model")
    if not model:
        raise InvalidRequest("`model` is required.", param="model", code="missing_field")
    if len(model) > _LONGEST_NAME or not model.isprintable():
        raise InvalidRequest(f"`model` is no name: up to {_LONGEST_NAME} printable characters.", param="model")
    members = body.members
    return Call(
        surface=surface,
        token=exchange.token,
        model=model,
        body=body,
        trace=exchange.trace,
        arrived_at=exchange.arrived_at,
        started_ns=exchange.started_ns,
        reply=exchange.reply,
        streams=surface != "embeddings" and "stream" in members and body.flag("stream"),
        end_user=body.text("user") if "user" in members else None,
        caller=exchange.caller,
        forwarded=exchange.forwarded,
    )
