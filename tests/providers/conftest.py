"""A provider on a real socket whose every connection follows a script, so that it can misbehave at each stage."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from headworks.providers.aiohttp_upstream import AiohttpUpstream
from headworks.providers.upstream import Origin, Upstream

Script = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """The provider's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seen: list[tuple[bytes, bytes]]
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self) -> tuple[bytes, bytes]:
        """Head and body of the next request; the script ends if there is none."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        self.seen.append((head, await self.reader.readexactly(length)))
        return self.seen[-1]

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            if self.writer.is_closing():
                raise ConnectionResetError("the client has left")
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def gone(self) -> None:
        """Until the client has closed."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class ScriptedProvider:
    origin: Origin
    connections: list[Peer] = field(default_factory=list)
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def closed(self, connection: int) -> None:
        """Until the client has closed this connection, which its script waits for."""
        await asyncio.wait_for(self.connections[connection].ended.wait(), 10)


def answering(*pieces: bytes) -> Script:
    """Gives the same answer to each request, for as long as there are any."""

    async def script(peer: Peer) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await peer.request()
                await peer.say(*pieces)

    return script


@asynccontextmanager
async def _serve(
    *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[ScriptedProvider]:
    failures: list[BaseException] = []
    tasks: set[asyncio.Future[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, provider.requests)
        provider.connections.append(peer)
        script = scripts[min(len(provider.connections), len(scripts)) - 1]
        task = asyncio.ensure_future(script(peer))
        tasks.add(task)
        await asyncio.wait({task})
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, asyncio.IncompleteReadError | ConnectionError):
            failures.append(error)
        peer.ended.set()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    provider = ScriptedProvider(Origin("https" if tls else "http", host, port))
    try:
        yield provider
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for peer in provider.connections:
            await peer.ended.wait()
        await server.wait_closed()
    assert not failures, failures


class Provide:
    """`async with provide(script, …) as provider`: the n-th connection follows the n-th script, later ones the last."""

    OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    answering = staticmethod(answering)

    def __call__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> AbstractAsyncContextManager[ScriptedProvider]:
        return _serve(*scripts, tls=tls, host=host)


@pytest.fixture
def provide() -> Provide:
    return Provide()


@pytest.fixture(params=[Upstream, AiohttpUpstream], ids=["ours", "aiohttp"])
def new_upstream(request: pytest.FixtureRequest) -> Any:
    """The class of either client: what they promise is the same."""
    return request.param


@pytest.fixture
async def upstream(new_upstream: Any) -> AsyncIterator[Any]:
    client = new_upstream()
    yield client
    await client.close()
