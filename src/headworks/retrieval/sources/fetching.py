"""Fetching by links that strangers write: addresses are looked up once, checked all, and exactly those connected to.

Every redirect is a new request with the same checks. Answers are bounded in bytes, on the wire and unpacked, and in
time as a whole. No proxy, cookie or credential is ever used.
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from headworks.retrieval.sources.addresses import Reach
from headworks.retrieval.sources.contract import Unfetchable

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

USER_AGENT = "headworks-retrieval"
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOOKUP_S = 10.0
_CONNECT_S = 10.0

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, for a port."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Of one fetch: bytes of its unpacked body, and seconds for all of it, redirects included."""

    max_bytes: int
    total_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. `url` is where it came from in the end; header names are in lower case; `body` is unpacked."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """From the headers, in lower case, without parameters; empty where there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after_s(self) -> float | None:
        """How long the server asks to wait, in seconds; None where it does not say."""
        return _seconds(self.headers.get("retry-after", ""))


@dataclass(frozen=True, slots=True)
class Ask:
    """A GET. `follows` says whether a redirect to an address is wanted; one that is not is the answer itself.

    `wants` says whether a body of a media type is wanted; of others nothing is read.
    """

    url: str
    headers: Mapping[str, str]
    follows: Callable[[str], bool] = lambda url: True  # noqa: ARG005 -- any
    wants: Callable[[str], bool] = lambda media_type: True  # noqa: ARG005 -- any


class Fetcher:
    """Fetches; give it up with `close`.

    Everything wrong with one address is Unfetchable with a code: `address_refused`, `unreachable`, `too_large`,
    `too_slow`, `redirects`, `bad_answer`, `media_type`.
    """

    def __init__(self, limits: FetchLimits, reach: Reach, lookup: Lookup | None = None) -> None:
        """`lookup` in place of the system's resolver."""
        self._limits = limits
        self._reach = reach
        self._lookup = lookup or _look_up
        self._session: aiohttp.ClientSession | None = None
        self._pinned: dict[tuple[str, int], list[str]] = {}

    async def get(self, ask: Ask) -> Answer:
        """The answer, whatever its status. Raises Unfetchable."""
        import aiohttp

        try:
            async with asyncio.timeout(self._limits.total_s):
                return await self._follow(ask)
        except TimeoutError:
            message = f"It did not come within {self._limits.total_s:g} s."
            raise Unfetchable("too_slow", message) from None
        except (aiohttp.InvalidURL, aiohttp.ClientPayloadError, aiohttp.ClientResponseError, zlib.error) as error:
            raise Unfetchable("bad_answer", f"The answer makes no sense ({type(error).__name__}).") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unfetchable("unreachable", f"There is no connection ({type(error).__name__}).") from None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _follow(self, ask: Ask) -> Answer:
        url = _parsed(ask.url)
        for _ in range(_MOST_REDIRECTS + 1):
            await self._check(url)
            answer = await self._once(url, ask)
            target = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not target:
                return answer
            following = _parsed(str(url.join(_parsed(target, relative=True))))
            if url.scheme == "https" and following.scheme == "http":
                raise Unfetchable("address_refused", "It redirects from https to http.")
            if not ask.follows(str(following)):
                return answer
            url = following
        raise Unfetchable("redirects", f"It redirects more than {_MOST_REDIRECTS} times.")

    async def _check(self, url: URL) -> None:
        """Look the host up, refuse it if any of its addresses is refused, and pin the others."""
        host, port = url.raw_host or "", url.port or 0
        if self._reach.refuses_port(host, port):
            raise Unfetchable(
                "address_refused",
                f"Port {port} is not for web sources, which are 80 and 443; `fetch_private_hosts` may name it.",
            )
        try:
            async with asyncio.timeout(_LOOKUP_S):
                addresses = await self._lookup(host, port)
        except (TimeoutError, OSError, UnicodeError):
            raise Unfetchable("unreachable", f"There is no host `{host[:100]}`.") from None
        if not addresses:
            raise Unfetchable("unreachable", f"There is no host `{host[:100]}`.")
        if why := self._reach.why_not(host, port, addresses):
            raise Unfetchable("address_refused", f"{why} `fetch_private_hosts` names hosts that may be private.")
        self._pinned[host, port] = addresses

    async def _once(self, url: URL, ask: Ask) -> Answer:
        import aiohttp

        session = self._session or self._open()
        headers = {"user-agent": USER_AGENT, "accept-encoding": "gzip", **ask.headers}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        async with session.get(url, headers=headers, allow_redirects=False, timeout=timeout) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(response.status, str(url), found, b"")
            if response.status != 200:
                return answer
            if not ask.wants(answer.media_type):
                raise Unfetchable("media_type", f"It is of the type `{answer.media_type[:100]}`, which is not taken.")
            return Answer(response.status, str(url), found, await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The unpacked body, or Unfetchable as soon as it is known to be too long."""
        packing = response.headers.get("content-encoding", "").strip().lower()
        if packing not in {"", "identity", "gzip", "x-gzip"}:
            raise Unfetchable("bad_answer", f"It is packed by `{packing[:50]}`, which was not asked for.")
        if (response.content_length or 0) > self._limits.max_bytes:
            raise self._too_large()
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS) if packing.endswith("gzip") else None
        body = bytearray()
        on_the_wire = 0
        async for part in response.content.iter_any():
            on_the_wire += len(part)
            left = self._limits.max_bytes + 1 - len(body)
            body += part if unpacker is None else unpacker.decompress(part, left)
            if max(len(body), on_the_wire) > self._limits.max_bytes:
                raise self._too_large()
        if unpacker is not None and not unpacker.eof:
            raise Unfetchable("bad_answer", "The answer was cut off.")
        return bytes(body)

    def _too_large(self) -> Unfetchable:
        return Unfetchable("too_large", f"It has more than the limit of {self._limits.max_bytes:,} bytes.")

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp
        from aiohttp.abc import AbstractResolver, ResolveResult

        pinned = self._pinned

        class Pinned(AbstractResolver):
            """Gives what was checked and nothing else: no name is looked up a second time."""

            async def resolve(
                self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
            ) -> list[ResolveResult]:
                del family
                if (host, port) not in pinned:
                    raise OSError(f"`{host}` was not checked.")
                return [
                    ResolveResult(
                        hostname=host,
                        host=address,
                        port=port,
                        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                        proto=socket.IPPROTO_TCP,
                        flags=socket.AI_NUMERICHOST,
                    )
                    for address in pinned[host, port]
                ]

            async def close(self) -> None:
                """Nothing is open."""

        connector = aiohttp.TCPConnector(resolver=Pinned(), use_dns_cache=False, limit=4)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self._session


def _parsed(text: str, *, relative: bool = False) -> URL:
    """An http or https address without credentials, or Unfetchable."""
    from yarl import URL

    try:
        url = URL(text)
    except ValueError:
        raise Unfetchable("address_refused", "It is no web address.") from None
    if relative:
        return url
    if url.scheme not in {"http", "https"} or not url.host or url.port is None:
        raise Unfetchable("address_refused", "Only http and https addresses are fetched.")
    if url.user is not None or url.password is not None:
        raise Unfetchable("address_refused", "It has a user name or password in it.")
    return url.with_fragment(None)


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _seconds(text: str) -> float | None:
    """The value of `retry-after`: seconds, or a date."""
    text = text.strip()
    if text.isdecimal() and len(text) < 8:
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return max((until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
