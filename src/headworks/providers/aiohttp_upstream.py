"""The second client: aiohttp's, for what ours does not speak, proxies and certificates of our own to show.

It keeps the promises of `upstream.py`: the same calls, errors and deadlines, bytes as they came, no cookies, no
redirects, one retry when a kept connection died before the first byte, and a connection that is closed at once when
nobody waits any more. It costs several times the CPU, so it is only taken where it must be; see `reaching.py`.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from base64 import b64encode
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDict
from yarl import URL

from headworks.eager import in_task
from headworks.errors import HeadworksError, UpstreamError
from headworks.providers.aiohttp_answers import (
    SWITCHING,
    Exchange,
    StreamedAnswer,
    Unreadable,
    cause,
    refuse_odd,
    too_many_headers,
    unreadable,
)
from headworks.providers.http1 import Deadlines, Limits
from headworks.providers.pooling import Origin, tls_context, unreachable
from headworks.providers.request_heads import HeaderBlock, header_block, request_line
from headworks.providers.responses import Headers

_PATIENT = Deadlines()
_UNTIMED = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_NOT_BY_ITSELF = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_MANY_HEADERS = 10_000
_IN_ONE_PIECE_BYTES = 1024 * 1024
_AUTHENTICATION_REQUIRED = 407
_TRY_AGAIN = "Try again; see the provider's status."
_current: ContextVar[Exchange] = ContextVar("exchange")


@dataclass(frozen=True, slots=True)
class _Request:
    origin: Origin
    method: str
    path: str
    block: HeaderBlock
    body: bytes

    @property
    def url(self) -> URL:
        """The path stays as it is written."""
        return URL(f"{self.origin.scheme}://{self.origin}{self.path}", encoded=True)


class _Carrier(ResponseHandler):
    """A connection that knows how much of an answer has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, header_bytes: int) -> None:
        super().__init__(loop)
        self.exchange: Exchange | None = None
        self._header_bytes = header_bytes

    def data_received(self, data: bytes) -> None:
        """Count and parse; refuse a head without end, and what nobody has asked for."""
        exchange = self.exchange
        if exchange is not None and data:  # empty: aiohttp goes on with what it had put aside
            exchange.received += len(data)
            if exchange.is_over:
                exchange.abort()
                return
        super().data_received(data)
        if (error := self.exception()) is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(Unreadable(error))  # else its reader is left waiting
        if exchange is not None and not exchange.has_head and exchange.received > self._header_bytes:
            self.set_exception(too_many_headers(exchange.place, self._header_bytes))
            exchange.abort()

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """A head has been parsed, perhaps an informational one."""
        if self.exchange is not None and (data[0].code >= 200 or data[0].code == SWITCHING):
            self.exchange.has_head = True
        super().feed_data(data, size)


class _Connector(aiohttp.TCPConnector):
    """Tells an exchange which connection it has got, and gives it a new one where it wants that.

    Two of its methods are aiohttp's own business; what else could tell a dead connection from an answer that has begun?
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(limit=0, keepalive_timeout=limits.idle_keepalive_s)
        self._factory = partial(_Carrier, loop=self._loop, header_bytes=limits.header_bytes)  # type: ignore[assignment]  # a subclass's

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- as TCPConnector names it
    ) -> aiohttp.connector.Connection:
        """As TCPConnector does."""
        connection = await super().connect(req, traces, timeout)
        carrier = connection.protocol
        if isinstance(carrier, _Carrier):
            exchange = _current.get()
            exchange.connected(connection.transport, is_kept=carrier.exchange is not None)
            carrier.exchange = exchange
        return connection

    async def _get(self, key: Any, traces: list[Any]) -> aiohttp.connector.Connection | None:  # noqa: ANN401 -- aiohttp's own
        return None if _current.get().wants_new else await super()._get(key, traces)


class AiohttpUpstream:
    """As `Upstream`, through one proxy (None: directly) and with one certificate to show (None: none).

    `proxy` is `http(s)://[name:password@]host:port`. `client_certificate` is a PEM file with a certificate and its key.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        client_certificate: Path | None = None,
        max_connections_per_origin: int = 256,
        idle_keepalive_s: float = 30.0,
        limits: Limits | None = None,
    ) -> None:
        self._proxy, self._proxy_headers = _split_proxy(proxy)
        self._client_certificate = client_certificate
        self._size = max_connections_per_origin
        self._limits = limits or Limits(idle_keepalive_s=idle_keepalive_s)
        self._contexts: dict[Path | None, ssl.SSLContext] = {}
        self._slots: dict[Origin, asyncio.Semaphore] = {}  # aiohttp's own line may forget who is next
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines = _PATIENT,
    ) -> StreamedAnswer:
        """See Upstream.send."""
        await in_task()
        request_line(method, path)
        if self._closed:
            raise UpstreamError("The server is shutting down.", next_step="Try again.")
        block = headers if isinstance(headers, bytes) else header_block(headers)
        exchange = Exchange(str(origin), deadlines, self._limits)
        request = _Request(origin, method.decode(), path.decode(), block, body)
        try:
            return await self._exchange(request, exchange)
        except UpstreamError:
            if not exchange.is_stale:
                raise
        # The other side had closed the connection while it was idle.
        return await self._exchange(request, exchange.again())

    async def fetch(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines = _PATIENT,
    ) -> tuple[int, Headers, bytes]:
        """See Upstream.fetch."""
        async with await self.send(origin, method, path, headers, body, deadlines) as answer:
            return answer.status, answer.headers, await answer.read(self._limits.body_bytes)

    async def close(self) -> None:
        """Close all connections; exchanges under way fail with UpstreamError, later ones too."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _exchange(self, request: _Request, exchange: Exchange) -> StreamedAnswer:
        context = self._tls(request.origin)
        token = _current.set(exchange)
        try:
            async with exchange.waiting():
                await exchange.enter(self._slot(request.origin))
                response = await self._open_session().request(
                    request.method,
                    request.url,
                    data=io.BytesIO(request.body) if len(request.body) > _IN_ONE_PIECE_BYTES else request.body or None,
                    headers=self._headers(request),
                    skip_auto_headers=_NOT_BY_ITSELF,
                    allow_redirects=False,
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers,
                    ssl=True if context is None else context,
                )
            refuse_odd(exchange.place, response)
        except (aiohttp.ClientError, OSError, HeadworksError) as error:
            failure = self._failure(exchange, error)
            exchange.give_up()
            raise failure from error
        except BaseException:
            exchange.give_up()
            raise
        finally:
            _current.reset(token)
        return StreamedAnswer(exchange, response)

    def _failure(self, exchange: Exchange, error: Exception) -> HeadworksError:
        """What went wrong before there was a head, in our words."""
        place = exchange.place
        if isinstance(error, HeadworksError):
            return error
        if isinstance(error, TimeoutError):
            return exchange.too_late(self._size)
        if isinstance(error, aiohttp.ClientHttpProxyError | aiohttp.ClientConnectorError):
            return self._no_connection(place, error)
        if isinstance(error, aiohttp.ClientResponseError):
            return unreadable(place, error.message, self._limits.header_bytes)
        is_closed = isinstance(error, aiohttp.ServerDisconnectedError) or not str(error)
        how = "closed the connection" if is_closed else f"broke the connection ({error})"
        return UpstreamError(f"{place} {how} without an answer.", next_step=_TRY_AGAIN)

    def _no_connection(
        self, place: str, error: aiohttp.ClientHttpProxyError | aiohttp.ClientConnectorError
    ) -> HeadworksError:
        proxy = "" if self._proxy is None else f"the proxy {self._proxy.host}:{self._proxy.port}"
        if isinstance(error, aiohttp.ClientConnectorError):
            return unreachable(proxy if isinstance(error, aiohttp.ClientProxyConnectionError) else place, cause(error))
        asks = error.status == _AUTHENTICATION_REQUIRED
        return UpstreamError(
            f"There is no way to {place} through {proxy}: it answers with status {error.status}.",
            next_step="It wants a name and a password: write them into HTTPS_PROXY." if asks else "Ask its owner.",
        )

    def _headers(self, request: _Request) -> CIMultiDict[str]:
        headers = _headers(request.block)
        if self._proxy_headers is None or request.origin.scheme == "https":
            return headers
        return CIMultiDict([*headers.items(), *self._proxy_headers.items()])  # without a tunnel there is one head

    def _slot(self, origin: Origin) -> asyncio.Semaphore:
        slot = self._slots.get(origin)
        if slot is None:
            slot = self._slots[origin] = asyncio.Semaphore(self._size)
        return slot

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(self._limits),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=_UNTIMED,
                max_line_size=self._limits.header_bytes,
                max_field_size=self._limits.header_bytes,
                max_headers=_MANY_HEADERS,
            )
        return self._session

    def _tls(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme != "https":
            return None
        context = self._contexts.get(origin.ca_file)
        if context is None:
            context = self._contexts[origin.ca_file] = tls_context(origin.ca_file, self._client_certificate)
        return context


def _split_proxy(proxy: str | None) -> tuple[URL | None, dict[str, str] | None]:
    """The proxy's address, and the header that carries its name and password."""
    if proxy is None:
        return None, None
    parts = urlsplit(proxy)
    address = URL(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    if parts.username is None:
        return address, None
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return address, {"Proxy-Authorization": f"Basic {b64encode(secret).decode()}"}


@lru_cache(maxsize=256)
def _headers(block: HeaderBlock) -> CIMultiDict[str]:
    lines = (line.partition(b": ") for line in block.split(b"\r\n") if line)
    return CIMultiDict((name.decode("latin-1"), value.decode("latin-1")) for name, _, value in lines)
