"""The hop alone in our parts: a raw ASGI function and our upstream client, without the product's work."""

from __future__ import annotations

import argparse
import asyncio

import uvicorn
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from headworks.providers.upstream import Deadlines, Origin, Upstream, header_block
from headworks.server.http_cycles import SHORT_WAY


async def read(receive: ASGIReceiveCallable) -> bytes:
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


def app_to(port: int, *, takes_short_way: bool) -> ASGI3Application:
    origin = Origin("http", "127.0.0.1", port)
    block = header_block([(b"content-type", b"application/json"), (b"authorization", b"Bearer sk-bench")])
    deadlines = Deadlines()
    upstream: Upstream | None = None

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        nonlocal upstream
        if scope["type"] != "http":
            return
        if upstream is None:
            upstream = Upstream()
        short = scope.get("extensions", {}).get(SHORT_WAY) if takes_short_way else None
        body = short.body if short is not None else await read(receive)
        status, headers, answer = await upstream.fetch(origin, b"POST", scope["raw_path"], block, body, deadlines)
        kept = [(name, value) for name, value in headers if name in {b"content-type", b"x-request-id"}]
        if short is not None:
            short.answer(status, kept, answer)
            return
        kept.append((b"content-length", b"%d" % len(answer)))
        await send({"type": "http.response.start", "status": status, "headers": kept})
        await send({"type": "http.response.body", "body": answer})

    return app


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--provider", type=int, required=True)
    options.add_argument("--protocol", default="httptools")
    options.add_argument("--short-way", action="store_true")
    chosen = options.parse_args()
    config = uvicorn.Config(
        app_to(chosen.provider, takes_short_way=chosen.short_way),
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
