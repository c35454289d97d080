"""A provider that fails on purpose: a process of its own, on TCP sockets, that writes down all it does.

    python faulty_provider.py LOG      prints one line of JSON with its ports; ends when standard input ends

The first part of a request's path names the fault (`/<kind>/v1/chat/completions`), the end of it the surface. The log
has one JSON object a line, in order: `accepted`, `request`, `head`, `payload` (the bytes of a body, whatever framing
carried them), `said` (what these bytes mean: token, reason, counts, terminal, error), `closed` (by this process: how),
`peer_left`, `over` (nothing more will be said about a request). Times are of time.monotonic, which all processes of a
machine share. Standard library only.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import itertools
import json
import os
import re
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, cast

from converse_script import STREAM_TYPE, Converse, kind_of, payload_of
from fault_kinds import KINDS
from wire_scripts import Counts, Script, script_for

_CASE = re.compile(rb"case-[0-9a-f]{12}")
_RESET = struct.pack("ii", 1, 0)
_STREAMING = re.compile(r":streamGenerateContent|/converse-stream$")
"""Where the path says that a stream is wanted."""
_PACKED_ABOVE = 4096
TOKENS = 8
"""How many tokens a whole answer has."""
TLS_ALERT = bytes.fromhex("15030300020228")


class PeerLeft(Exception):
    """The gateway has closed the connection."""


class Log:
    """Append-only, one line an event, on disk before anything else happens."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, what: str, connection: int, number: int | None = None, **more: Any) -> None:
        line = {"at": time.monotonic(), "what": what, "connection": connection, "number": number, **more}
        os.write(self._file, json.dumps(line).encode() + b"\n")


def packed(data: bytes) -> dict[str, str]:
    """Bytes as JSON can hold them."""
    if len(data) <= _PACKED_ABOVE:
        return {"data": data.decode("latin-1")}
    return {"packed": base64.b64encode(zlib.compress(data, 1)).decode()}


class Exchange:
    """One request and what is done to it. Everything that goes out is logged when it is written."""

    def __init__(self, connection: Connection, number: int, path: str, body: bytes) -> None:
        asked = _parsed(body)
        options = asked.get("stream_options")
        self.number = number
        self.streams = (
            asked.get("stream") is True or ":streamGenerateContent" in path or path.endswith("/converse-stream")
        )
        self.asks_usage = isinstance(options, dict) and options.get("include_usage") is True
        self.counts: Counts = (100 + number % 50, TOKENS + 3)
        self.surface, script = script_for(path, number, self.counts[0], asks_usage=self.asks_usage)
        self.words: Script = script
        self.stream_type = STREAM_TYPE if self.surface == "converse" else ""
        """What the surface calls its streams, where those are not `text/event-stream`."""
        self.tokens = [f"t{number}.{i} " for i in range(TOKENS)]
        self.respell: Callable[[bytes], bytes] = bytes
        """What is done to every part of a body before it is sent."""
        self.cuts_every = 0
        """Send parts of a body in packets of so many bytes; 0: as they are."""
        self.is_first = True
        """Whether the connection has carried no request before this one."""
        self.has_closed = False
        self._connection = connection
        self._log = connection.log
        self._framing = "close"
        self._reason = "stop"
        self._held: list[bytes] | None = None

    # Bytes.

    def raw(self, data: bytes) -> None:
        """Bytes outside any framing."""
        if self._held is not None:
            self._held.append(data)
        else:
            self._connection.write(data)

    def hold(self) -> None:
        """Write nothing until `release`."""
        self._held = []

    def release(self) -> None:
        """What was held, in one write."""
        held, self._held = self._held or [], None
        self.raw(b"".join(held))

    def head(
        self,
        status: int = 200,
        kind: str | None = "application/json",
        *,
        framing: str = "chunked",
        more: Sequence[tuple[str, str]] = (),
        version: str = "1.1",
    ) -> None:
        """A head. `framing`: chunked, close, or a length; every answer has a request id of its own."""
        headers = [("x-request-id", f"req-{self.number}"), ("x-ratelimit-remaining-requests", str(9000 + self.number))]
        headers += [("openai-processing-ms", str(self.number)), *more]
        if kind is not None and kind.startswith("text/event-stream"):
            kind = self.stream_type or kind
        if kind is not None:
            headers.insert(0, ("content-type", kind))
        if framing == "chunked":
            headers.append(("transfer-encoding", "chunked"))
        elif framing != "close":
            headers.append(("content-length", framing))
        self._framing = framing
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.raw(f"HTTP/{version} {status} Whatever\r\n{lines}\r\n".encode("latin-1"))
        self._log.write("head", self._connection.id, self.number, status=status, headers=headers)

    def payload(self, data: bytes) -> None:
        """A part of the body, in its framing."""
        data = self.respell(data)
        step = self.cuts_every or max(1, len(data))
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            self.raw(b"%x\r\n%b\r\n" % (len(piece), piece) if self._framing == "chunked" else piece)
        self._log.write("payload", self._connection.id, self.number, **packed(data))

    def plain(self, data: bytes) -> None:
        """A part of the body whose framing the fault writes itself."""
        self.raw(data)
        self._log.write("payload", self._connection.id, self.number, **packed(data))

    def end(self) -> None:
        """The end of the body, as its framing has it."""
        if self._framing == "chunked":
            self.raw(b"0\r\n\r\n")
        elif self._framing == "close":
            self.close()

    def close(self) -> None:
        """FIN, after all that was written."""
        self._closed("fin")
        self._connection.close()

    def reset(self) -> None:
        """RST."""
        self._closed("reset")
        self._connection.reset()

    async def pause(self, seconds: float) -> None:
        """Do nothing for a while. Raises PeerLeft as soon as nobody waits any more."""
        await self._connection.pause(seconds)

    async def wait_for_ever(self) -> None:
        """Until nobody waits any more."""
        await self._connection.pause(3600)

    # Meaning.

    def said(self, **what: Any) -> None:
        """What was just written means this: `token`, `reason`, `counts`, `terminal` or `error`."""
        self._log.write("said", self._connection.id, self.number, **what)

    def said_tokens(self) -> None:
        """All tokens are out."""
        for text in self.tokens:
            self.said(token=text)

    async def token(self, text: str, *, as_call: bool = False) -> None:
        """One token, in a packet of its own as far as the kernel allows."""
        self.payload(self.words.token(text, as_call=as_call))
        self.said(token=text)
        await self.pause(0.001)

    def finish(self, reason: str = "stop", *, counts: bool = True, has_counts: bool = False) -> None:
        """Why the answer ends. The counts stand there in Messages, and where a fault wants `has_counts`."""
        given = self.counts if counts and (has_counts or self.surface in {"messages", "gemini"}) else None
        self.payload(self.words.finish(reason, given))
        self._reason = reason
        if self.surface == "responses":
            return  # the item is done; only the last event says that of the response
        self.said(reason=reason)
        if given:
            self.said(counts=given)

    def usage(self) -> None:
        """The counts, where they have an event of their own and were asked for."""
        if self.surface in {"chat", "completions"} and not self.asks_usage:
            return
        if self.surface in {"messages", "gemini"}:
            return
        data = self.words.usage(self.counts)
        if data:
            self.payload(data)
            self.said(counts=self.counts)

    def terminal(self) -> None:
        """The last event."""
        data = self.words.terminal()
        if not data:
            return
        self.payload(data)
        self.said(terminal=True)
        if self.surface == "responses":
            self.said(reason=self._reason)
            if b'"usage"' in data:
                self.said(counts=self.counts)

    def error(self, kind: str = "server_error", code: str = "engine_failure") -> None:
        """An error event."""
        data = self.words.error_event(kind, code)
        self.payload(data)
        self.said(error=self._error_in(data))

    def error_kind(self, status: int) -> tuple[tuple[str, str], ...]:
        """The header beside the body of an error status that says what kind of error it is."""
        return (("x-amzn-errortype", f"{kind_of(status)}:http://internal/"),) if self.surface == "converse" else ()

    @property
    def converse(self) -> Converse:
        """The words, for faults that only Bedrock can have."""
        return cast("Converse", self.words)

    def whole(self, *, counts: bool = True) -> bytes:
        """The whole answer's bytes; say `said_whole` once they are out."""
        return self.words.whole(self.tokens, self.counts if counts else None)

    def said_whole(self, *, counts: bool = True) -> None:
        """A whole answer is out."""
        if self.surface != "embeddings":
            self.said_tokens()
        self.said(reason="stop")
        if counts:
            self.said(counts=(self.counts[0], 0) if self.surface == "embeddings" else self.counts)

    def _error_in(self, data: bytes) -> str:
        if self.surface == "converse":
            return payload_of(data).decode()
        return data.decode().partition("data: ")[2].strip()

    def _closed(self, how: str) -> None:
        self.has_closed = True
        self._log.write("closed", self._connection.id, self.number, how=how)


class Connection(asyncio.Protocol):
    """One connection from the gateway; requests on it come one after the other."""

    def __init__(self, provider: Provider, door: str) -> None:
        self._provider = provider
        self._door = door
        self._buffer = b""
        self._transport = cast("asyncio.Transport", None)
        self._task: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._served = 0
        self.log = provider.log
        self.id = next(provider.connections)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.log.write("accepted", self.id, door=self._door)
        if self._door == "reset":
            self.log.write("closed", self.id, how="reset")
            self.reset()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._door == "tls":
            self.write(TLS_ALERT)
            self.log.write("closed", self.id, how="fin")
            self.close()
        elif self._task is None:
            self._next()

    def eof_received(self) -> None:
        self._left()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._left()

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    async def pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        if self._gone.is_set():
            raise PeerLeft

    @property
    def _socket(self) -> socket.socket:
        return cast("socket.socket", self._transport.get_extra_info("socket"))

    def _left(self) -> None:
        if not self._gone.is_set():
            self._gone.set()
            self.log.write("peer_left", self.id)

    def _next(self) -> None:
        """Take the next request, once it is whole."""
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        length = int(found[1]) if found else 0
        if not end or len(rest) < length:
            return
        body, self._buffer = rest[:length], rest[length:]
        self._task = asyncio.get_running_loop().create_task(self._serve(head, body))

    async def _serve(self, head: bytes, body: bytes) -> None:
        number = next(self._provider.numbers)
        path = head.split(b" ", 2)[1].decode("latin-1")
        kind = path.strip("/").partition("/")[0]
        exchange = Exchange(self, number, path, body)
        exchange.is_first = self._served == 0
        found = _CASE.search(body)
        self.log.write(
            "request",
            self.id,
            number,
            case=found[0].decode() if found else "",
            kind=kind,
            surface=exchange.surface,
            streams=exchange.streams,
            head=head.decode("latin-1"),
            body=packed(body),
        )
        self._served += 1
        try:
            await KINDS[kind].play(exchange)
            if b"\r\nconnection: close" in head.lower() and not exchange.has_closed:
                exchange.close()
        except PeerLeft:
            pass
        finally:
            self.log.write("over", self.id, number)
        self._task = None
        if not exchange.has_closed and not self._gone.is_set():
            self._next()


class Provider:
    """All doors, one log."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.connections = itertools.count(1)
        self.numbers = itertools.count(1)

    async def open(self) -> dict[str, int]:
        """Listen; the port of each door. Nobody listens behind `refused`, and nobody else can."""
        ports = {}
        for door in ("main", "apart", "reset", "tls"):
            listening = await asyncio.get_running_loop().create_server(
                functools.partial(Connection, self, door), "127.0.0.1", 0, backlog=1024
            )
            ports[door] = listening.sockets[0].getsockname()[1]
        self._reserved = socket.socket()
        self._reserved.bind(("127.0.0.1", 0))
        ports["refused"] = self._reserved.getsockname()[1]
        return ports


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


async def main(log: str) -> None:
    """Serve until standard input ends, which it does when whoever started this has gone."""
    ports = await Provider(Log(log)).open()
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
