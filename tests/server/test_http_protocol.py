"""Our protocol beside uvicorn's own: the same applications, the same requests, the same bytes."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headworks.server.http_cycles import SHORT_WAY
from headworks.server.http_protocol import OneWriteProtocol
from headworks.server.joining import JoiningTransport

App = Callable[[Any, Any, Any], Awaitable[Any]]
GET = b"GET /path HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
LIMIT_S = 20


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def start(headers: Iterable[tuple[bytes, bytes]] = (), status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % size)


def saying(*messages: Any) -> App:
    """Sends these messages; an exception among them is raised, an empty tuple is a turn of the event loop."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            if isinstance(message, Exception):
                raise message
            if message == ():
                await asyncio.sleep(0.01)
            else:
                await send(message)

    return app


async def echo(scope: Any, receive: Any, send: Any) -> None:
    received = b""
    while True:
        message = await receive()
        received += message.get("body", b"")
        if not message.get("more_body"):
            break
    shown = repr(
        (scope["method"], scope["path"], scope["raw_path"], scope["query_string"], scope["http_version"])
    ).encode()
    await send(start([(b"X-Seen", scope["type"].encode()), length(len(shown) + len(received))]))
    await send(body(shown, more=True))
    await send(body(received))


async def by_the_short_way(scope: Any, receive: Any, send: Any) -> None:
    short = scope.get("extensions", {}).get(SHORT_WAY)
    if short is None:
        await echo(scope, receive, send)
        return
    shown = repr((scope["method"], scope["path"], scope["raw_path"], scope["query_string"], scope["http_version"]))
    answer = shown.encode() + short.body
    short.answer(200, [(b"X-Seen", scope["type"].encode())], answer)


class Side:
    """A server with one of the two protocols, and what its clients have seen."""

    def __init__(self, protocol: type[HttpToolsProtocol], app: App, **settings: Any) -> None:
        settings = {"timeout_keep_alive": 0.05, "lifespan": "off", "ws": "none", "access_log": False, **settings}
        self.config = uvicorn.Config(app, http=protocol, **{"log_config": None, **settings})
        self.state = ServerState()
        self.state.default_headers = [(b"server", b"uvicorn")]

    async def __aenter__(self) -> Self:
        self.config.load()
        loop = asyncio.get_running_loop()
        protocol = self.config.http_protocol_class

        def connect() -> asyncio.Protocol:
            return protocol(config=self.config, server_state=self.state, app_state={}, _loop=loop)  # type: ignore[call-arg]

        self.server = await loop.create_server(connect, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for connection in list(self.state.connections):
            connection.shutdown()
        if self.state.tasks:
            await asyncio.wait(self.state.tasks, timeout=LIMIT_S)
        await self.server.wait_closed()

    async def exchange(self, *pieces: bytes) -> bytes:
        """Send the pieces apart, and take all that comes until the server closes."""
        async with self.client() as (reader, writer):
            try:
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(0.005)
                return await asyncio.wait_for(reader.read(-1), LIMIT_S)
            except ConnectionError as error:
                return repr(type(error)).encode()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection, closed at the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=65536)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def both(app: App, *pieces: bytes, **settings: Any) -> tuple[bytes, bytes]:
    seen = []
    for protocol in (HttpToolsProtocol, OneWriteProtocol):
        async with Side(protocol, app, **settings) as side:
            seen.append(await side.exchange(*pieces))
    return seen[0], seen[1]


ANSWERS: dict[str, App] = {
    "sized": saying(start([(b"Content-Type", b"text/plain"), length(2)]), body(b"ok")),
    "sized in parts": saying(start([length(4)]), body(b"o", more=True), (), body(b"k", more=True), body(b"ok")),
    "sized and empty": saying(start([length(0)]), body()),
    "chunked": saying(start(), body(b"one", more=True), body(b"", more=True), (), body(b"two", more=True), body()),
    "chunked by the application": saying(start([(b"Transfer-Encoding", b"Chunked")]), body(b"one")),
    "chunked and sized": saying(start([(b"transfer-encoding", b"chunked"), length(3)]), body(b"one")),
    "sized and chunked": saying(start([length(3), (b"transfer-encoding", b"chunked")]), body(b"one")),
    "sized twice": saying(start([length(3), length(3)]), body(b"one")),
    "large": saying(start([length(300_000)]), body(bytes(150_000), more=True), body(bytes(150_000))),
    "large chunks": saying(start(), body(bytes(70_000), more=True), body(b"x", more=True), body(bytes(70_000))),
    "many small parts": saying(start(), *[body(b"part", more=True)] * 500, body()),
    "no content": saying(start(status=204), body()),
    "not modified": saying(start(status=304), body()),
    "unknown status": saying(start([length(0)], status=599), body()),
    "no headers key": saying({"type": "http.response.start", "status": 200}, {"type": "http.response.body"}),
    "asks to close": saying(start([length(2), (b"Connection", b"keep-alive, Close")]), body(b"ok")),
    "keeps alive": saying(start([length(2), (b"connection", b"keep-alive")]), body(b"ok")),
    "head late": saying((), start([length(2)]), (), body(b"ok")),
    "bad name": saying(start([(b"a b", b"c"), length(0)]), body()),
    "bad value": saying(start([(b"a", b"b\r\nc: d"), length(0)]), body()),
    "bad value and bad name": saying(start([(b"a", b"b\n"), (b"a:", b"c")]), body()),
    "tab in a value": saying(start([(b"a", b"b\tc\xff"), length(0)]), body()),
    "bad length": saying(start([(b"content-length", b"many")]), body()),
    "too long": saying(start([length(2)]), body(b"oka")),
    "too long in the second part": saying(start([length(2)]), body(b"ok", more=True), (), body(b"a")),
    "too short": saying(start([length(3)]), body(b"ok")),
    "too short in parts": saying(start([length(3)]), body(b"ok", more=True), body()),
    "raises first": saying(ValueError("first")),
    "raises after the head": saying(start([length(2)]), ValueError("second")),
    "raises after a later head": saying(start([length(2)]), (), ValueError("second")),
    "raises in the body": saying(start([length(4)]), body(b"ok", more=True), ValueError("third")),
    "raises in chunks": saying(start(), body(b"ok", more=True), ValueError("third")),
    "raises when done": saying(start([length(2)]), body(b"ok"), ValueError("fourth")),
    "says nothing": saying(),
    "stops after the head": saying(start([length(2)])),
    "stops in the body": saying(start([length(4)]), body(b"ok", more=True)),
    "body first": saying(body(b"ok")),
    "two heads": saying(start([length(2)]), start([length(2)]), body(b"ok")),
    "body after the end": saying(start([length(2)]), body(b"ok"), body(b"ok")),
    "unknown message": saying(start([length(2)]), {"type": "http.response.trailers"}),
}
REQUESTS: dict[str, tuple[bytes, ...]] = {
    "GET": (GET,),
    "HEAD": (b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n",),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\nhost: x\r\n\r\n",),
    "closing": (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",),
    "three at once": (GET + POST + GET,),
}


@pytest.mark.parametrize("request_name", REQUESTS)
async def test_the_bytes_of_an_answer_are_uvicorns(request_name: str) -> None:
    pieces = REQUESTS[request_name]
    pairs = await asyncio.gather(*(both(app, *pieces) for app in ANSWERS.values()))
    theirs = {name: pair[0] for name, pair in zip(ANSWERS, pairs, strict=True)}
    ours = {name: pair[1] for name, pair in zip(ANSWERS, pairs, strict=True)}
    assert ours == theirs
    assert ours["sized"].startswith(b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/plain\r\n")
    assert ours["raises first"].startswith(b"HTTP/1.1 500 Internal Server Error\r\n")


@pytest.mark.parametrize(
    "pieces",
    [
        (POST,),
        tuple(POST[i : i + 7] for i in range(0, len(POST), 7)),
        (POST * 3,),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", b"hello"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", b"2\r\nlo\r\n0\r\n\r\n"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000),),
        (b"GET http://elsewhere/x?y HTTP/1.1\r\nHost: x\r\n\r\n",),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",),
        (b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",),
        (b"BAD\r\n\r\n",),
        (GET, b"\x00\x01"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",),
    ],
)
async def test_requests_mean_what_they_mean_to_uvicorn(pieces: tuple[bytes, ...]) -> None:
    theirs, ours = await both(echo, *pieces)
    assert ours == theirs


async def test_a_root_path_and_the_concurrency_limit_hold(caplog: pytest.LogCaptureFixture) -> None:
    theirs, ours = await both(echo, POST, root_path="/root")
    assert ours == theirs
    assert b"/root/a b" in ours
    theirs, ours = await both(echo, POST, limit_concurrency=1)
    assert ours == theirs
    assert ours.startswith(b"HTTP/1.1 503")
    assert caplog.text.count("Exceeded concurrency limit.") == 2


async def test_the_access_log_is_uvicorns() -> None:
    logger, lines = logging.getLogger("uvicorn.access"), []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(record.getMessage().partition(" - ")[2])  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        theirs, ours = await both(echo, POST, access_log=True)
    finally:
        logger.removeHandler(handler)
    assert ours == theirs
    assert lines == ['"POST /a%20b?c=d HTTP/1.1" 200'] * 2


async def test_a_head_goes_out_while_the_body_is_still_being_made() -> None:
    seen = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await seen.wait()
        await send(body(b"later", more=True))
        seen.clear()
        await seen.wait()
        await send(body())

    async with Side(OneWriteProtocol, app) as side, side.client() as (reader, writer):
        writer.write(GET)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT_S)
        assert head.startswith(b"HTTP/1.1 200 OK")
        seen.set()
        assert await asyncio.wait_for(reader.readuntil(b"later\r\n"), LIMIT_S) == b"5\r\nlater\r\n"
        seen.set()
        assert await asyncio.wait_for(reader.read(), LIMIT_S) == b"0\r\n\r\n"


@pytest.mark.parametrize("protocol", [HttpToolsProtocol, OneWriteProtocol])
async def test_a_client_that_leaves_is_noticed(protocol: type[HttpToolsProtocol]) -> None:
    noticed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(start())
        await send(body(b"first", more=True))
        noticed.set_result((await receive())["type"])
        await send(body(b"into the void", more=True))
        await send(body())

    async with Side(protocol, app) as side, side.client() as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"first\r\n")
        writer.close()
        assert await asyncio.wait_for(noticed, LIMIT_S) == "http.disconnect"


async def test_a_connection_that_is_gone_leaves_nothing_for_the_collector() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(start([length(2)]))
        await send(body(b"ok"))

    async with Side(OneWriteProtocol, app) as side:
        gc.collect()
        gc.disable()
        before = _connections()
        try:
            for _ in range(3):
                async with side.client() as (reader, writer):
                    writer.write(GET)
                    await reader.readuntil(b"ok")
            await asyncio.sleep(0.05)  # the transports are let go by callbacks of their own
            after = _connections()
        finally:
            gc.enable()
    assert after <= before


def _connections() -> int:
    return sum(isinstance(each, OneWriteProtocol) for each in gc.get_objects())


@pytest.mark.parametrize("sized", [True, False])
async def test_a_client_that_reads_slowly_holds_the_application_back(sized: bool) -> None:  # noqa: FBT001 - a parameter
    total, sent, over = 64 * 1024 * 1024, 0, asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send(start([length(total)] if sized else []))
        while sent < total:
            await send(body(bytes(32_768), more=True))
            sent += 32_768
        await send(body())
        over.set()

    async with Side(OneWriteProtocol, app, timeout_keep_alive=LIMIT_S) as side, side.client() as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != sent:  # until nothing moves for a while
            before = sent
            await asyncio.sleep(0.1)
        assert sent < total // 2
        assert not over.is_set()
        received = 0
        while received < total:
            received += len(await asyncio.wait_for(reader.read(1 << 20), LIMIT_S))
        await asyncio.wait_for(over.wait(), LIMIT_S)


async def test_an_idle_connection_is_closed_and_one_at_work_is_not() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.7 if scope["path"] == "/slow" else 0)
        await send(start([length(2)]))
        await send(body(b"ok"))

    async with Side(OneWriteProtocol, app, timeout_keep_alive=0.5) as side:
        slow = GET.replace(b"/path", b"/slow")
        answers = await side.exchange(GET, slow)
        assert answers.count(b"HTTP/1.1 200 OK") == 2
        assert not side.state.connections


class Impatient(OneWriteProtocol):
    patience_s = 0.3


HEAD = b"POST /path HTTP/1.1\r\nhost: a\r\n"
TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\n"


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([], b""),
        ([b"\r\n"], TIMEOUT),
        ([b"PO"], TIMEOUT),
        ([HEAD], TIMEOUT),
        ([HEAD, *[b"x: y\r\n"] * 40], TIMEOUT),
        ([HEAD + b"content-length: 10\r\n\r\n", b"half"], TIMEOUT),
        ([HEAD + b"content-length: 2\r\n\r\nok", HEAD], TIMEOUT),
        ([HEAD + b"content-length: 2\r\n\r\nok" + HEAD], TIMEOUT),
    ],
)
@pytest.mark.parametrize("app", [echo, by_the_short_way])
async def test_nobody_waits_for_the_rest_of_a_request_for_ever(app: App, pieces: list[bytes], said: bytes) -> None:
    async with Side(Impatient, app, timeout_keep_alive=LIMIT_S) as side, side.client() as (reader, writer):
        with suppress(ConnectionError):
            for piece in pieces:
                with suppress(RuntimeError):  # uvloop's, of a connection that is closed
                    writer.write(piece)
                await asyncio.sleep(0.02)
            answer = await asyncio.wait_for(reader.read(-1), LIMIT_S)
            assert answer[answer.find(TIMEOUT) :].startswith(said) if said else answer == b""
        await asyncio.sleep(0.05)
        assert not side.state.connections


async def test_an_application_that_waits_for_a_body_hears_that_it_does_not_come() -> None:
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        heard.set_result((await receive())["type"])

    async with Side(Impatient, app, limit_concurrency=100) as side, side.client() as (reader, writer):
        writer.write(HEAD + b"content-length: 10\r\n\r\nhalf")
        assert await asyncio.wait_for(heard, LIMIT_S) == "http.disconnect"
        assert (await reader.read()).startswith(TIMEOUT)


async def test_a_body_may_take_long_as_long_as_it_comes_and_an_answer_always() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        await asyncio.sleep(1.0)
        await send(start([length(2)]))
        await send(body(b"ok"))

    async with Side(Impatient, app, timeout_keep_alive=LIMIT_S) as side, side.client() as (reader, writer):
        writer.write(HEAD + b"content-length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.1)
            writer.write(b"x")
        writer.write(HEAD[:20])  # the next request begins before the first is answered: that one is not cut off
        assert (await asyncio.wait_for(reader.readuntil(b"ok"), LIMIT_S)).startswith(b"HTTP/1.1 200 OK")
        writer.write(HEAD[20:] + b"content-length: 2\r\n\r\nhi")
        assert (await asyncio.wait_for(reader.readuntil(b"ok"), LIMIT_S)).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("app", [echo, by_the_short_way])
async def test_a_head_has_a_largest_size(app: App) -> None:
    async with Side(OneWriteProtocol, app, timeout_keep_alive=LIMIT_S) as side:
        answer = await side.exchange(HEAD, b"x: " + b"y" * 65_536)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


@pytest.mark.parametrize("sized", [True, False])
async def test_what_stands_behind_a_body_is_no_header(sized: bool) -> None:  # noqa: FBT001 - a parameter
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.append(scope["headers"])
        await send(start([length(2)]))
        await send(body(b"ok"))

    ask = HEAD + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    rest = b"2\r\nhi\r\n0\r\nauthorization: Bearer late\r\nhost: b\r\nexpect: 100-continue\r\n\r\n"
    async with Side(OneWriteProtocol, app) as side:
        answer = await side.exchange(*([ask + rest] if sized else [ask, rest]))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert [name for name, _ in seen[0]] == [b"host", b"transfer-encoding", b"connection"]


async def test_nobody_names_two_hosts() -> None:
    async with Side(OneWriteProtocol, echo) as side:
        for line in (b"host: a", b"Host: b", b"HOST:"):
            assert (await side.exchange(HEAD + line + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_a_server_that_shuts_down_finishes_what_it_answers_and_says_that_it_closes() -> None:
    for protocol in (HttpToolsProtocol, OneWriteProtocol):
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any, begun: Any = begun, go_on: Any = go_on) -> None:
            begun.set()
            await go_on.wait()
            await send(start([length(2)]))
            await send(body(b"ok"))

        async with Side(protocol, app) as side:
            task = asyncio.ensure_future(side.exchange(GET))
            await asyncio.wait_for(begun.wait(), LIMIT_S)
            for connection in list(side.state.connections):
                connection.shutdown()
            go_on.set()
            answer = await task
            assert answer.endswith(b"connection: close\r\n\r\nok")


async def test_an_answer_is_one_write() -> None:
    writes: list[bytes] = []

    class Counting(OneWriteProtocol):
        def connection_made(self, transport: Any) -> None:
            class Transport:
                def write(self, data: bytes) -> None:
                    writes.append(data)
                    transport.write(data)

                def __getattr__(self, name: str) -> Any:
                    return getattr(transport, name)

            super().connection_made(Transport())  # type: ignore[arg-type]

    for name, app in ANSWERS.items():
        if name in {"sized", "sized and empty", "chunked by the application", "no content"}:
            writes.clear()
            async with Side(Counting, app) as side:
                assert await side.exchange(GET) == b"".join(writes)
            assert len(writes) == 1


@given(st.lists(st.tuples(st.integers(0, 90_000), st.booleans()), max_size=12), st.booleans())
def test_joining_keeps_every_byte_in_its_order(writes: list[tuple[int, bool]], closes: bool) -> None:  # noqa: FBT001 - Hypothesis
    out: list[bytes] = []

    class Transport:
        write = staticmethod(out.append)
        is_closing = staticmethod(bool)

        def writelines(self, pieces: Iterable[bytes]) -> None:
            out.extend(pieces)

        def close(self) -> None:
            out.append(b"|")

    async def main() -> bytes:
        transport, expected = JoiningTransport(Transport(), asyncio.get_running_loop()), b""  # type: ignore[arg-type]
        for number, (size, turns) in enumerate(writes):
            piece = bytes([number]) * size
            expected += piece
            transport.write(piece)
            if turns:
                await asyncio.sleep(0)
                assert b"".join(out) == expected
        if closes:
            transport.close()
            return expected + b"|"
        await asyncio.sleep(0)
        return expected

    assert asyncio.run(main()) == b"".join(out)


@pytest.mark.parametrize("request_name", [*REQUESTS, "in pieces", "with a body"])
async def test_the_short_way_gives_the_same_bytes(request_name: str) -> None:
    pieces = {"in pieces": (POST[:30], POST[30:-2], POST[-2:]), "with a body": (POST + POST,)} | REQUESTS
    answers = []
    for protocol, app in ((HttpToolsProtocol, echo), (OneWriteProtocol, by_the_short_way)):
        async with Side(protocol, app) as side:
            answers.append(await side.exchange(*pieces[request_name]))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("last", [b"", b"and the last"])
@pytest.mark.parametrize("request_name", [*REQUESTS, "with a body"])
async def test_an_answer_in_pieces_is_the_same_by_the_short_way(request_name: str, last: bytes) -> None:
    async def in_pieces(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        short = scope.get("extensions", {}).get(SHORT_WAY)
        head = [(b"X-Seen", b"yes")]
        if short is None or not short.begin(200, head):
            await send(start(head))
        for piece in (b"one", b"two" * 40_000):
            if short is None or not short.write(piece):
                await send(body(piece, more=True))
        if short is None or not short.finish(last):
            await send(body(last))
        assert short is None or not short.finish(b"once only")

    pieces = {"with a body": (POST + POST,)} | REQUESTS
    answers = []
    for protocol in (HttpToolsProtocol, OneWriteProtocol):
        async with Side(protocol, in_pieces) as side:
            answers.append(await side.exchange(*pieces[request_name]))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([(b"a b", b"c")], RuntimeError),
        ([(b"a", b"b\r\nc: d")], RuntimeError),
        ([length(2)], ValueError),
        ([(b"Transfer-Encoding", b"chunked")], ValueError),
    ],
)
async def test_the_short_way_refuses_the_headers_that_could_lie(headers: Any, error: type[Exception]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        short = scope["extensions"][SHORT_WAY]
        with pytest.raises(error):
            short.answer(200, headers, b"ok")
        if error is RuntimeError:  # of an answer in pieces they may say how long it is
            with pytest.raises(error):
                short.begin(200, [(b"content-length", b"2"), *headers])
        short.answer(200, [(b"a", b"b")], b"fine")
        short.answer(200, [(b"a", b"b")], b"once only")

    async with Side(OneWriteProtocol, app) as side:
        for name in ("a", "b"):
            side.state.default_headers = [(b"server", name.encode())]
            answer = b"HTTP/1.1 200 OK\r\nserver: %b\r\na: b\r\ncontent-length: 4\r\n\r\nfine" % name.encode()
            assert await side.exchange(GET) == answer
            assert await side.exchange(GET) == answer


@pytest.mark.parametrize("leaves", [True, False])
async def test_by_the_short_way_a_caller_who_leaves_is_told_at_once(leaves: bool) -> None:  # noqa: FBT001 - a parameter
    begun, ended = asyncio.Event(), asyncio.Event()
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        short = scope["extensions"][SHORT_WAY]
        task = asyncio.current_task()
        assert task is not None
        short.when_left(lambda: (told.append("left"), task.cancel()))
        begun.set()
        try:
            await asyncio.sleep(LIMIT_S if leaves else 0.01)
            short.answer(200, [], b"ok")
        except asyncio.CancelledError:
            told.append("cancelled")
        ended.set()

    async with Side(OneWriteProtocol, app, timeout_keep_alive=LIMIT_S) as side, side.client() as (reader, writer):
        writer.write(GET)
        await asyncio.wait_for(begun.wait(), LIMIT_S)
        if not leaves:
            assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200")
        writer.close()
        await asyncio.wait_for(ended.wait(), LIMIT_S)
        while side.state.connections:
            await asyncio.sleep(0.001)
    assert told == (["left", "cancelled"] if leaves else [])


async def test_a_connection_that_is_gone_does_not_hold_back_the_others() -> None:
    out: list[bytes] = []

    class Gone:
        is_closing = staticmethod(bool)

        def write(self, _: bytes) -> None:
            raise RuntimeError("the handler is closed")

    class Alive:
        is_closing = staticmethod(bool)
        write = staticmethod(out.append)

    loop = asyncio.get_running_loop()
    for transport in (Gone(), Alive(), Gone(), Alive()):
        JoiningTransport(transport, loop).write(b"x")  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert out == [b"x", b"x"]


async def test_what_is_not_bytes_fails_where_it_is_sent_and_a_buffer_may_be_used_again() -> None:
    buffer = bytearray(b"ok")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start([length(4)]))
        await send(body(buffer, more=True))
        buffer[:] = b"no"
        with pytest.raises(TypeError):
            await send(body("ok"))  # type: ignore[arg-type]
        raise ValueError("for a reason of its own")

    async with Side(OneWriteProtocol, app) as side:
        assert (await side.exchange(GET)).endswith(b"\r\n\r\nok")


REPLACED = {
    HttpToolsProtocol.on_message_begin: "96d377fdc7c2baef",
    HttpToolsProtocol.on_headers_complete: "1ea8589acfad92d8",
    HttpToolsProtocol._start_asgi_task: "9c08c2571ae9b038",
    HttpToolsProtocol.on_body: "dba9c32aeba35b6a",
    HttpToolsProtocol.on_message_complete: "1fbad42dc31fc01f",
    HttpToolsProtocol.on_response_complete: "64e254f28e389e76",
    HttpToolsProtocol._unset_keepalive_if_required: "00a6a4e47214e68e",
    HttpToolsProtocol.connection_lost: "c91a4c9bf2e29c55",
    HttpToolsProtocol.data_received: "010a7ae59a5d3b1a",
    RequestResponseCycle.__init__: "4d2f220910c33c12",
    RequestResponseCycle.run_asgi: "0f33f2449a444bc2",
    RequestResponseCycle.receive: "8124ae006be71184",
    RequestResponseCycle.send: "abdd8601b326a8da",
}


@pytest.mark.parametrize("method", REPLACED, ids=lambda method: method.__qualname__)
def test_uvicorn_has_not_changed_what_we_replace(method: Any) -> None:
    """If this fails after an upgrade: compare the method with ours, then note its new digest."""
    assert hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:16] == REPLACED[method]
