"""A provider on a loopback port that answers what it is told, and remembers what it was asked.

    with SimulatedProvider() as provider:
        provider.will(Reply.error(429, retry_after="7"), Reply.json(completion("Hello.")))
        client = OpenAI(base_url=provider.url, api_key="any")

What is not told to it, it answers like `builtin/simulated`: by its script, else with the question. From a shell:

    python -m headworks.testing.provider --port 9000 --script rules.json
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import struct
import threading
import time
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from headworks.errors import HeadworksError, UpstreamTruncated
from headworks.providers.contract import Ask
from headworks.providers.simulated import Simulated
from headworks.testing.replies import Reply

_DIMENSION = 8
_START_TIMEOUT_S = 10.0

Outcome = Literal["open", "answered", "cut", "abandoned"]
"""`abandoned`: the caller closed the connection before the answer's end."""


@dataclass(slots=True)
class Seen:
    """A request that arrived, and what became of it. Times are of time.monotonic."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    arrived_at: float
    outcome: Outcome = "open"
    ended_at: float | None = None
    changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    @property
    def json(self) -> Any:  # noqa: ANN401 -- any JSON value
        """The body's value."""
        return json.loads(self.body)

    def wait_until_ended(self, timeout_s: float = 5.0) -> Outcome:
        """How the exchange ended; TimeoutError while it is still open."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.ended_at is not None, timeout_s):
                raise TimeoutError("the exchange is still open")
        return self.outcome

    def end(self, outcome: Outcome) -> None:
        """Note the end, once."""
        with self.changed:
            if self.ended_at is None:
                self.outcome, self.ended_at = outcome, time.monotonic()
                self.changed.notify_all()


class SimulatedProvider:
    """See the module. It runs in a thread of its own, so that tests may block."""

    def __init__(self, port: int = 0, script: Sequence[Mapping[str, Any]] = ()) -> None:
        self.seen: list[Seen] = []
        self._port = port
        self._script = list(script)
        self._told: deque[Reply] = deque()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="simulated provider", daemon=True)

    @property
    def url(self) -> str:
        """The base URL for a client or an account."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def last(self) -> Seen:
        """The newest request."""
        return self.seen[-1]

    def will(self, *replies: Reply) -> None:
        """Answer the next requests with these, in order."""
        self._told.extend(replies)

    def forget(self) -> None:
        """As if it had just been started."""
        self._told.clear()
        self.seen.clear()

    def wait_for_request(self, number: int = 1, timeout_s: float = 5.0) -> Seen:
        """The request of that number, from 1, once it is here."""
        until = time.monotonic() + timeout_s
        while len(self.seen) < number:
            if time.monotonic() > until:
                raise TimeoutError(f"only {len(self.seen)} requests have arrived")
            time.sleep(0.002)
        return self.seen[number - 1]

    def start(self) -> Self:
        """Listen. Raises OSError when the port is taken."""
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S):
            raise TimeoutError("the simulated provider did not start")
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Close everything."""
        if self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_START_TIMEOUT_S)

    def join(self) -> None:
        """Wait until it is stopped."""
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._listen())
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _listen(self) -> None:
        self._stopping = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", self._port, limit=64 * 1024 * 1024)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            begun: bytes | None = b""
            while begun is not None and (seen := await _read_request(reader, begun)) is not None:
                self.seen.append(seen)
                begun = await _watched(self._perform(seen, writer), reader, seen)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _perform(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        """Answer; whether the connection can be used again."""
        reply = self._told.popleft() if self._told else await self._scripted(seen)
        await asyncio.sleep(reply.delay_s)
        if reply.status:
            writer.write(_head(reply))
            for number, piece in enumerate(reply.pieces):
                if number:
                    await asyncio.sleep(reply.gap_s)
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.is_chunked else piece)
                await writer.drain()
        if reply.end == "hang":
            await asyncio.Event().wait()
        if reply.end == "cut":
            seen.end("cut")
            return False
        if reply.is_chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        seen.end("answered")
        return True

    async def _scripted(self, seen: Seen) -> Reply:
        if seen.path.endswith("/models"):
            row = {"id": "simulated", "object": "model", "created": 0, "owned_by": "headworks"}
            return Reply.json({"object": "list", "data": [row]})
        if seen.path.endswith("/embeddings"):
            return Reply.json(_embeddings(seen.json))
        return await self._chat(seen)

    async def _chat(self, seen: Seen) -> Reply:
        request = {**seen.json, "script": seen.json.get("script", self._script)}
        ask = Ask("chat", str(request.get("model")), json.dumps(request).encode())
        try:
            if not request.get("stream"):
                status, headers, body = await Simulated().fetch(ask)
                return Reply(status, _text(headers), (body,))
            answer = await Simulated().stream(ask)
            return await _collected(answer.status, _text(answer.headers), answer)
        except UpstreamTruncated:
            return Reply.hang_up()
        except HeadworksError as error:
            return Reply.json(error.as_openai(), error.status)


async def _collected(status: int, headers: Mapping[str, str], answer: Any) -> Reply:  # noqa: ANN401 -- an Answer
    pieces: list[bytes] = []
    try:
        async for piece in answer:
            pieces.append(piece)  # noqa: PERF401 -- what came before a cut counts
    except UpstreamTruncated:
        return Reply(status, headers, tuple(pieces), is_chunked=True, end="cut")
    return Reply(status, headers, tuple(pieces), is_chunked=True)


async def _watched(work: Coroutine[Any, Any, bool], reader: asyncio.StreamReader, seen: Seen) -> bytes | None:
    """Do the work unless the caller hangs up first; the beginning of the next request, None: there will be none."""
    performing = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(reader.read(1))
    reusable = False
    try:
        await asyncio.wait({performing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if performing.done():
            reusable = performing.result()
        elif not watching.result():
            seen.end("abandoned")
    except ConnectionError:
        seen.end("abandoned")
    finally:
        for task in (performing, watching):
            task.cancel()
        await asyncio.gather(performing, watching, return_exceptions=True)
    if not reusable:
        return None
    return b"" if watching.cancelled() else watching.result()


async def _read_request(reader: asyncio.StreamReader, begun: bytes) -> Seen | None:
    try:
        head = begun + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path, headers, body, time.monotonic())


def _head(reply: Reply) -> bytes:
    headers = dict(reply.headers)
    if reply.is_chunked:
        headers["transfer-encoding"] = "chunked"
    else:
        headers["content-length"] = str(sum(map(len, reply.pieces)) + (reply.end == "cut"))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} Simulated\r\n{lines}\r\n".encode("latin-1")


def _text(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


def _embeddings(request: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    """The same text always has the same vector, and another text another one."""
    texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
    rows = []
    for index, text in enumerate(texts):
        digest = hashlib.sha256(str(text).encode()).digest()[:_DIMENSION]
        vector = [byte / 255 for byte in digest]
        packed = base64.b64encode(struct.pack(f"<{_DIMENSION}f", *vector)).decode()
        embedding = packed if request.get("encoding_format") == "base64" else vector
        rows.append({"object": "embedding", "index": index, "embedding": embedding})
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "data": rows, "model": request.get("model"), "usage": usage}


def main() -> None:
    """Serve until it is interrupted."""
    options = argparse.ArgumentParser(description="An OpenAI-compatible provider that says what it is told.")
    options.add_argument("--port", type=int, default=9000)
    options.add_argument("--script", type=Path, help="JSON: a list of rules as of builtin/simulated")
    chosen = options.parse_args()
    script = json.loads(chosen.script.read_text()) if chosen.script else []
    with SimulatedProvider(chosen.port, script) as provider:
        print(f"{provider.url} answers; interrupt to stop", flush=True)  # noqa: T201 -- a program's own output
        try:
            provider.join()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
