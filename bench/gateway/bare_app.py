"""The hop alone in our parts: our upstream client behind an ASGI application, without the product's work."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from headworks.eager import start
from headworks.gateway.contract import Arrived
from headworks.providers.upstream import Deadlines, Origin, Upstream, header_block

_KEPT = frozenset((b"content-type", b"x-request-id"))
_PATH = b"/v1/chat/completions"


class Hop:
    """Sends each request on. With `serves_at_once`, one that has arrived whole needs no task."""

    def __init__(self, port: int, *, serves_at_once: bool) -> None:
        self._origin = Origin("http", "127.0.0.1", port)
        self._head = header_block([(b"content-type", b"application/json"), (b"authorization", b"Bearer sk-bench")])
        self._deadlines = Deadlines()
        self._upstream: Upstream | None = None
        served: dict[bytes, Callable[[Arrived], None]] = {_PATH: self._serve_at_once}
        self.at_once = served if serves_at_once else {}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            return
        status, headers, answer = await self._fetch(await read(receive))
        headers.append((b"content-length", b"%d" % len(answer)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _serve_at_once(self, request: Arrived) -> None:
        start(self._whole(request))

    async def _whole(self, request: Arrived) -> None:
        request.answer(*await self._fetch(request.body))

    async def _fetch(self, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if self._upstream is None:
            self._upstream = Upstream()
        status, headers, answer = await self._upstream.fetch(
            self._origin, b"POST", _PATH, self._head, body, self._deadlines
        )
        return status, [(name, value) for name, value in headers if name in _KEPT], answer


async def read(receive: ASGIReceiveCallable) -> bytes:
    """The body of a request."""
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--provider", type=int, required=True)
    options.add_argument("--protocol", default="httptools")
    options.add_argument("--at-once", action="store_true")
    chosen = options.parse_args()
    config = uvicorn.Config(
        Hop(chosen.provider, serves_at_once=chosen.at_once),
        port=chosen.port,
        http=chosen.protocol,
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
    )
    asyncio.Runner(loop_factory=config.get_loop_factory()).run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
