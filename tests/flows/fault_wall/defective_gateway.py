"""A small gateway that is right, and wrong in one way where it is told to be: what the oracle has to tell apart.

It shares nothing with the product. It knows the chat surface and the few faults that the planted defects need.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from fault_cases import CHAINS, route_name
from fault_kinds import KINDS
from fault_surfaces import SERVED

IDLE_S = 0.6
LATE_S = 1.0
_SURVIVES = ("retry-after", "x-should-retry", "x-request-id", "x-ratelimit-", "openai-")
_FINISH = (
    b'data: {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
)
_DONE = b"data: [DONE]\n\n"


class Truncated(Exception):
    """The provider stopped before its end."""

    code = "stream_truncated"


class TimedOut(Truncated):
    """The provider fell silent."""

    code = "upstream_timeout"


@dataclass
class Answer:
    """A provider's answer while it arrives."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    def survivors(self) -> list[tuple[str, str]]:
        return [each for each in self.headers if each[0].startswith(_SURVIVES)]

    async def read(self) -> bytes:
        """The body; Truncated where it ends before its end."""
        try:
            length = dict(self.headers).get("content-length")
            if length is not None:
                return await self.reader.readexactly(int(length))
            return b"".join([piece async for piece in self.pieces()])
        except asyncio.IncompleteReadError:
            raise Truncated from None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The chunks of a chunked body."""
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    size = int(await self.reader.readuntil(b"\r\n"), 16)
                    piece = (await self.reader.readexactly(size + 2))[:-2]
            except TimeoutError:
                raise TimedOut from None
            except (asyncio.IncompleteReadError, ConnectionError):
                raise Truncated from None
            if not size:
                return
            yield piece


@dataclass
class Exchange:
    """One caller's request under way."""

    asked: dict[str, Any]
    writer: asyncio.StreamWriter
    defect: str
    trace: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempts: int = 0
    target: str = ""
    counts: tuple[int, int] | None = None
    delivered: int = 0
    error: str | None = None
    status: int = 200
    earlier: list[tuple[str, str]] = field(default_factory=list)
    """Headers of the attempt before."""

    def row(self) -> dict[str, Any]:
        """As our table of usage has it."""
        has_cost = self.counts is not None or self.delivered > 0 or self.error in {None, "client_closed"}
        counts = self.counts or ((25, self.delivered) if has_cost else (None, None))
        is_estimated = has_cost and self.counts is None
        if self.defect == "guessed-usage":
            counts, is_estimated = (25, 1), True
        if self.defect == "lost-usage":
            counts, is_estimated = (None, None), False
        return {
            "trace_id": self.trace,
            "asked_model": self.asked["model"],
            "surface": "chat",
            "status": self.status,
            "error_code": self.error,
            "streamed": self.asked.get("stream") is True,
            "attempts": 1 if self.defect == "forgotten-attempts" else self.attempts,
            "provider": f"openai-{self.target}",
            "model": "gpt-4o-mini",
            "input_tokens": counts[0],
            "output_tokens": counts[1],
            "is_estimated": is_estimated,
            "cost_micro_usd": None if self.defect == "no-cost" or counts[0] is None else 17,
            "price_version": "planted",
        }

    def head(self, status: int, headers: list[tuple[str, str]]) -> None:
        """The head of our answer."""
        if self.defect == "swallowed-retry-after":
            headers = [each for each in headers if each[0] != "retry-after"]
        if self.defect == "swallowed-request-id":
            headers = [each for each in headers if each[0] != "x-request-id"]
        if self.defect == "mixed-headers":
            headers = headers + [each for each in self.earlier if each[0] == "retry-after"]
        if self.defect == "softened-status" and status >= 500:
            status = 200
        self.status = status
        lines = "".join(f"{name}: {value}\r\n" for name, value in [*headers, ("x-headworks-trace", self.trace)])
        self.writer.write(f"HTTP/1.1 {status} OK\r\n{lines}\r\n".encode())

    def whole(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """A whole answer of ours."""
        length = ("content-length", str(len(body)))
        self.head(status, [*headers, ("content-type", "application/json"), length])
        self.writer.write(body)

    def chunk(self, data: bytes) -> None:
        """A part of our stream."""
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))


class DefectiveGateway:
    """Callers come in, `rows` is what is recorded. `defect`: empty for none."""

    def __init__(self, ports: Mapping[str, int], defect: str) -> None:
        self._ports = ports
        self._defect = defect
        self._routes = {
            route_name(surface, kind, chain): [kind if each == "*" else each for each in targets]
            for surface in SERVED
            for kind in KINDS
            for chain, targets in CHAINS.items()
        }
        self.rows: list[dict[str, Any]] = []
        self.url = ""
        self._held: list[asyncio.StreamWriter] = []

    @contextmanager
    def running(self) -> Iterator[DefectiveGateway]:
        """In a thread of its own."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        serving = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), loop).result(10)
        self.url = f"http://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._end(serving), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(20)
            loop.close()

    async def _end(self, serving: asyncio.Server) -> None:
        serving.close()
        for writer in self._held:
            writer.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        exchange = Exchange(json.loads(await reader.readexactly(length)), writer, self._defect)
        work = asyncio.create_task(self._answer(exchange))
        leaving = asyncio.create_task(reader.read(1))
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            exchange.status, exchange.error = 499, "client_closed"
            if self._defect == "late-cancel":
                await asyncio.sleep(LATE_S)
            work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        leaving.cancel()
        if self._defect != "no-row":
            self.rows.append(exchange.row())
        if self._defect == "two-rows":
            self.rows.append(exchange.row())
        with suppress(ConnectionError):
            await writer.drain()
            writer.close()

    async def _answer(self, exchange: Exchange) -> None:
        targets = self._routes[exchange.asked["model"]]
        for kind in targets:
            exchange.attempts += 1
            exchange.target = kind
            answer = await self._ask(exchange, kind)
            try:
                if answer.status == 200:
                    goes_on = await self._good(exchange, answer)
                else:
                    goes_on = await self._bad(exchange, answer, is_last=exchange.attempts == len(targets))
            finally:
                if self._defect == "held-upstream":
                    self._held.append(answer.writer)
                else:
                    answer.writer.close()
            exchange.earlier = answer.survivors()
            if not goes_on:
                return

    async def _ask(self, exchange: Exchange, kind: str) -> Answer:
        port = self._ports[KINDS[kind].door]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        asked = {**exchange.asked, "model": "gpt-4o-mini"}
        if asked.get("stream"):
            asked["stream_options"] = {"include_usage": True}
        body = json.dumps(asked).encode()
        path = f"/{kind}/v1/chat/completions"
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except BaseException:
            writer.close()
            raise
        pairs = [line.partition(": ") for line in head[1:] if line]
        headers = [(name, value) for name, _, value in pairs]
        return Answer(reader, writer, int(head[0].split()[1]), headers)

    async def _bad(self, exchange: Exchange, answer: Answer, *, is_last: bool) -> bool:
        """An error status; whether the next target is asked."""
        body = await answer.read()
        switches = answer.status >= 500 or answer.status == 429 or self._defect == "eager-fallback"
        if self._defect == "no-fallback":
            switches = False
        if switches and not is_last:
            return True
        exchange.error = "upstream_rejected"
        if self._defect == "reworded-error":
            body = json.dumps(json.loads(body)).replace("x_odd", "extra").encode()
        exchange.whole(answer.status, answer.survivors(), body)
        return False

    async def _good(self, exchange: Exchange, answer: Answer) -> bool:
        """An answer; whether the next target goes on with it, which it never should."""
        if not exchange.asked.get("stream"):
            body = await answer.read()
            value = json.loads(body)
            if value.get("usage"):
                exchange.counts = value["usage"]["prompt_tokens"], value["usage"]["completion_tokens"]
            exchange.delivered = len(body) // 4
            if self._defect == "written-anew":
                body = json.dumps(value, separators=(",", ":")).encode()
            exchange.whole(200, answer.survivors(), body)
            return False
        if not exchange.delivered:
            kind = dict(answer.headers)["content-type"]
            exchange.head(200, [*answer.survivors(), ("content-type", kind), ("transfer-encoding", "chunked")])
        return await self._stream(exchange, answer)

    async def _stream(self, exchange: Exchange, answer: Answer) -> bool:
        has_finished = has_failed = False
        code = Truncated.code
        try:
            async for event in answer.pieces():
                has_finished = has_finished or b'"finish_reason": "' in event
                has_failed = has_failed or event.startswith(b'data: {"error"')
                self._relay(exchange, event)
        except Truncated as error:
            code = error.code
        if has_failed:
            exchange.error = "upstream_error"
        elif not has_finished:
            if self._defect == "switch-after-output" and exchange.attempts < 2:
                return True
            self._truncated(exchange, code)
        if self._defect != "cut-short":
            exchange.writer.write(b"0\r\n\r\n")
        return False

    def _relay(self, exchange: Exchange, event: bytes) -> None:
        value = {} if event == _DONE else json.loads(event[6:])
        if value.get("usage"):
            exchange.counts = value["usage"]["prompt_tokens"], value["usage"]["completion_tokens"]
        if "stream_options" not in exchange.asked:
            if value.get("choices") == []:
                return
            event = event.replace(b', "usage": null', b"")
        is_text = b'"delta": {"content"' in event
        exchange.delivered += is_text
        if self._defect == "lost-token" and exchange.delivered == 3 and is_text:
            return
        if self._defect == "lost-last-token" and b".7 " in event:
            return
        if self._defect == "lost-done" and event == _DONE:
            return
        if self._defect == "changed-text" and exchange.delivered == 3:
            event = event.replace(b".2 ", b".2! ")
        exchange.chunk(event)
        if self._defect == "doubled-chunk" and exchange.delivered == 3 and is_text:
            exchange.chunk(event)

    def _truncated(self, exchange: Exchange, code: str) -> None:
        exchange.error = code
        if self._defect == "invented-stop":
            exchange.chunk(_FINISH + _DONE)
            return
        if self._defect == "silent-end":
            return
        error = {"message": "It broke.", "type": "api_error", "param": None, "code": code}
        exchange.chunk(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
        if self._defect == "done-after-error":
            exchange.chunk(_DONE)
