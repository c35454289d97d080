"""A web server on a loopback port that says what a test wrote down, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Page:
    """An answer. `raw` writes it in place of everything else."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: Write | None = None


def html(text: str, head: str = "", **headers: str) -> Page:
    title = text.partition("<")[0]
    page = f"<!doctype html><html><head><title>{title}</title>{head}</head><body><p>{text}</p></body></html>"
    return Page(page.encode(), headers={"content-type": "text/html; charset=utf-8", **headers})


def redirect(target: str, status: int = 302) -> Page:
    return Page(status=status, headers={"location": target})


def gzipped(data: bytes) -> Page:
    return Page(gzip.compress(data), headers={"content-encoding": "gzip", "content-type": "text/plain"})


@dataclass
class Web:
    """Pages by path; others are 404. `asked` are paths in order, `headers` those of the last request for each."""

    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, path: str) -> Page:
        """What is answered: an entity tag that fits makes it 304."""
        page = self.pages.get(path, Page(b"", 404))
        tag = page.headers.get("etag")
        return Page(b"", 304) if tag and self.headers[path].get("if-none-match") == tag else page

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self._talk(reader, writer)
        finally:
            writer.transport.abort()
            self.tasks.discard(task)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
                request, *lines = head.strip().split("\r\n")
                path = request.split(" ")[1]
                self.asked.append(path)
                self.headers[path] = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
                }
                await self._answer(writer, self.page(path))
                await writer.drain()

    async def _answer(self, writer: asyncio.StreamWriter, page: Page) -> None:
        if page.raw is not None:
            await page.raw(writer)
            raise ConnectionError
        headers = {"content-length": str(len(page.body)), **page.headers}
        lines = [f"HTTP/1.1 {page.status} Said", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + page.body)
        await writer.drain()


@asynccontextmanager
async def serving() -> AsyncIterator[Web]:
    web = Web()
    server = await asyncio.start_server(web.handle, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()
        for task in (running := list(web.tasks)):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0)
