"""Our HTTP/1.1 client for providers: pooled connections, strict parsing, four deadlines, one retry where it is safe.

    upstream = Upstream()
    origin, base = Origin.of("https://api.example.com/v1")
    status, headers, body = await upstream.fetch(origin, b"POST", b"/v1/embeddings", block, payload, Deadlines())
    async with await upstream.send(origin, b"POST", b"/v1/chat/completions", block, payload, Deadlines()) as answer:
        async for piece in answer: ...

A request goes out a second time, on a new connection, only where a kept one ended before the first byte of an answer.
Nearly always its other side had closed it while the request was on its way. RFC 9110 §9.2.2 leaves this to clients that
know a request's meaning: a model that is asked twice answers twice and changes nothing, so what is at stake is the
price of one answer, against an error each time that a provider closes an idle connection. Such an answer ends its
headers with `RESENT`, such an error `is_resent`, so that both requests are counted.

What is refused rather than guessed: an answer with two framings, compressed although asked not to be, longer than the
limits, or cut before its end. Proxies, HTTP/2 and trailers are not spoken.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

from headworks.errors import UpstreamError
from headworks.providers.http1 import Deadlines, Limits
from headworks.providers.pooling import Origin, Pool, tls_context
from headworks.providers.request_heads import HeaderBlock, framing, header_block, request_line
from headworks.providers.responses import Headers, Response

__all__ = ["Deadlines", "HeaderBlock", "Headers", "Limits", "Origin", "Response", "Upstream", "header_block"]

MAX_CONNECTIONS = 16_384
"""To one origin: more open streams than a worker serves well."""
_PATIENT = Deadlines()


class Upstream:
    """The connections of one event loop to all providers."""

    def __init__(
        self,
        *,
        max_connections_per_origin: int = MAX_CONNECTIONS,
        idle_keepalive_s: float = 30.0,
        limits: Limits | None = None,
    ) -> None:
        self._size = max_connections_per_origin
        self._limits = limits or Limits(idle_keepalive_s=idle_keepalive_s)
        self._pools: dict[str, Pool] = {}
        """By the origin's key."""
        self._contexts: dict[Path | None, ssl.SSLContext] = {}
        self._closed = False

    async def send(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines = _PATIENT,
    ) -> Response:
        """Ask, and return once the head of the answer is there; its body follows by `read` or `async for`.

        `path` starts with a slash and includes the query. Raises UpstreamError (unreachable, unreadable),
        UpstreamTimeout (names the deadline), UpstreamTruncated. An error status is an answer, not an error.
        Cancelling the waiting task closes the connection at once.
        """
        pool, request = self._request(origin, method, path, headers, body)
        response = await _exchange(pool, request, deadlines, whole=False)
        if response.status == 0:
            response.raise_failure()
        return response

    async def fetch(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines = _PATIENT,
    ) -> tuple[int, Headers, bytes]:
        """As `send`, for an answer that is wanted whole: status, headers and body, with one wake-up."""
        pool, request = self._request(origin, method, path, headers, body)
        connection = pool.idle()
        if connection is None:
            response = await _exchange(pool, request, deadlines, whole=True)
        else:  # the common way, without a coroutine between
            response = Response(connection, whole=True)
            connection.begin(response, request, deadlines, pool.loop.time() + deadlines.total_s)
            try:
                await response
            except BaseException:
                response.abort()
                raise
            if response.unanswered:
                response = await _exchange(pool, request, deadlines, whole=True, is_retry=True)
        return response.told()

    async def close(self) -> None:
        """Close all connections; exchanges under way fail with UpstreamError, later ones too."""
        self._closed = True
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.close()

    def _open_pool(self, origin: Origin) -> Pool:
        if self._closed:
            raise UpstreamError("The server is shutting down.", next_step="Try again.")
        pool = self._pools[origin.key] = Pool(origin, self._size, self._limits, self._tls(origin))
        return pool

    def _tls(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme != "https":
            return None
        context = self._contexts.get(origin.ca_file)
        if context is None:
            context = self._contexts[origin.ca_file] = tls_context(origin.ca_file)
        return context

    def _request(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
    ) -> tuple[Pool, list[bytes]]:
        """Where to ask, and the bytes of it."""
        pool = self._pools.get(origin.key) or self._open_pool(origin)
        block = headers if isinstance(headers, bytes) else header_block(headers)
        return pool, [request_line(method, path), pool.host_line, block, framing(method, body), body]


async def _exchange(
    pool: Pool, request: list[bytes], deadlines: Deadlines, *, whole: bool, is_retry: bool = False
) -> Response:
    """The answer, perhaps on a second connection: the other side may have closed the first while it was idle."""
    total_at = pool.loop.time() + deadlines.total_s
    connection = await (pool.fresh if is_retry else pool.acquire)(deadlines)
    while True:
        response = Response(connection, whole=whole)
        connection.begin(response, request, deadlines, total_at)
        await response.arrival()
        if not response.unanswered:
            if is_retry:
                response.was_resent()
            return response
        is_retry = True
        connection = await pool.fresh(deadlines)
