"""Which client reaches an account's provider: our own, or aiohttp's where a proxy or a certificate calls for it.

An account's own `proxy` goes first; then HTTPS_PROXY or HTTP_PROXY, by the scheme of the provider's address, and
ALL_PROXY, as far as NO_PROXY lets them. What listens on this host is never looked for behind one of these.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from headworks.errors import StartupRefused, UpstreamError
from headworks.providers.contract import Answer
from headworks.providers.http1 import Deadlines
from headworks.providers.pooling import Origin
from headworks.providers.request_heads import HeaderBlock
from headworks.providers.responses import Headers
from headworks.providers.upstream import MAX_CONNECTIONS
from headworks.types.workspace import AccountSpec

Streamed = Coroutine[Any, Any, Answer]
Whole = Coroutine[Any, Any, tuple[int, Headers, bytes]]

_PATIENT = Deadlines()
_PROXY_PORTS = {"http": 80, "https": 443}
_VARIABLES = {"https": ("https_proxy", "all_proxy"), "http": ("http_proxy", "all_proxy")}


class Client(Protocol):
    """What `Upstream` and `AiohttpUpstream` have in common."""

    def send(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines = _PATIENT,
    ) -> Streamed:
        """See Upstream.send."""
        ...

    def fetch(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines = _PATIENT,
    ) -> Whole:
        """See Upstream.fetch."""
        ...

    async def close(self) -> None:
        """See Upstream.close."""
        ...


class Proxies:
    """The proxies that an environment names. Raises StartupRefused for one that can't be used."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._by_scheme = {scheme: _first(environ, names) for scheme, names in _VARIABLES.items()}
        self._exempt = [each.strip() for each in _value(environ, "no_proxy").lower().split(",") if each.strip()]

    def __bool__(self) -> bool:
        return any(self._by_scheme.values())

    def proxy_for(self, origin: Origin) -> str | None:
        """The address of the proxy in front of a provider, None: it is reached directly."""
        if _is_this_host(origin.host) or any(_covers(each, origin) for each in self._exempt):
            return None
        return self._by_scheme[origin.scheme]


class Clients:
    """All clients of one event loop. A client of aiohttp is made when it is first needed, and kept."""

    def __init__(
        self, ours: Client, environ: Mapping[str, str], *, max_connections_per_origin: int = MAX_CONNECTIONS
    ) -> None:
        """`environ` is the server's. Raises StartupRefused for a proxy of it that can't be used."""
        self._ours = ours
        self._proxies = Proxies(environ)
        self._size = max_connections_per_origin
        self._others: dict[tuple[str | None, Path | None], Client] = {}

    def of(self, account: AccountSpec | None) -> Client:
        """The client for an account, None: for a provider as the catalogue has it."""
        certificate = Path(account.client_certificate) if account and account.client_certificate else None
        if account and account.proxy:
            return _ByOrigin(partial(self._behind, account.proxy, certificate))
        if self._proxies:
            return _ByOrigin(partial(self._as_usual, certificate))
        return self._through(None, certificate)

    async def close(self) -> None:
        """Close those that were made here, and ours."""
        for each in (self._ours, *self._others.values()):
            await each.close()

    def _behind(self, proxy: str, certificate: Path | None, origin: Origin) -> Client:
        """Behind the proxy that a workspace chose, which must not see what goes through it."""
        if origin.scheme != "https":
            raise UpstreamError(
                f"{origin} is reached by http, and the account's proxy would see its key and all text.",
                next_step="Use an https address, or take `proxy` out of providers.yaml.",
            )
        return self._through(proxy, certificate)

    def _as_usual(self, certificate: Path | None, origin: Origin) -> Client:
        """As the environment wants it."""
        return self._through(self._proxies.proxy_for(origin), certificate)

    def _through(self, proxy: str | None, certificate: Path | None) -> Client:
        if proxy is None and certificate is None:
            return self._ours
        key = (proxy, certificate)
        if key not in self._others:
            from headworks.providers.aiohttp_upstream import AiohttpUpstream  # most servers never need it

            self._others[key] = AiohttpUpstream(
                proxy=proxy, client_certificate=certificate, max_connections_per_origin=self._size
            )
        return self._others[key]


class _ByOrigin:
    """Chooses by the provider's address, once for each."""

    def __init__(self, choose: Callable[[Origin], Client]) -> None:
        self._choice = choose
        self._chosen: dict[Origin, Client] = {}

    def send(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines = _PATIENT,
    ) -> Streamed:
        """See Upstream.send."""
        return self._choose(origin).send(origin, method, path, headers, body, deadlines)

    def fetch(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        headers: HeaderBlock | Iterable[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines = _PATIENT,
    ) -> Whole:
        """See Upstream.fetch."""
        return self._choose(origin).fetch(origin, method, path, headers, body, deadlines)

    async def close(self) -> None:
        """Nothing of its own."""

    def _choose(self, origin: Origin) -> Client:
        client = self._chosen.get(origin)
        if client is None:
            client = self._chosen[origin] = self._choice(origin)
        return client


def origin_of(address: str, account: AccountSpec | None) -> tuple[Origin, str]:
    """The origin of a provider's address, trusted as its account says, and the path without a slash at the end."""
    return Origin.of(address, ca_file=Path(account.ca_file) if account and account.ca_file else None)


def why_no_proxy(address: str, *, may_sign_in: bool) -> str | None:
    """What is wrong with a proxy's address, None: nothing. The text never repeats the address."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PROXY_PORTS.get(parts.scheme)
    except ValueError:
        return "can't be read"
    if parts.scheme not in _PROXY_PORTS:
        return "is not of http or https: proxies of another kind are not spoken"
    if not parts.hostname or not port or parts.path.strip("/") or parts.query or parts.fragment:
        return "is not http(s)://host:port"
    if not may_sign_in and parts.username is not None:
        return "holds a name or password"
    return None


def _first(environ: Mapping[str, str], names: Iterable[str]) -> str | None:
    for name in names:
        address = _value(environ, name)
        if not address:
            continue
        address = address if "://" in address else f"http://{address}"
        if why := why_no_proxy(address, may_sign_in=True):
            raise StartupRefused(
                f"The proxy in {name.upper()} {why}.", next_step="Write http://[name:password@]host:port, or unset it."
            )
        return address
    return None


def _value(environ: Mapping[str, str], name: str) -> str:
    """As curl: the lower-case name goes first."""
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _is_this_host(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _covers(exempt: str, origin: Origin) -> bool:
    """Whether an entry of NO_PROXY (`*`, a name with all below it, an address, a network; perhaps a port) is meant."""
    if exempt == "*":
        return True
    try:
        return ipaddress.ip_address(origin.host) in ipaddress.ip_network(exempt.strip("[]"), strict=False)
    except ValueError:
        pass
    name, colon, port = exempt.rpartition(":")
    if colon and port.isdigit():
        if int(port) != origin.port:
            return False
        exempt = name
    exempt = exempt.removeprefix("*").lstrip(".").strip("[]")
    return bool(exempt) and (origin.host == exempt or origin.host.endswith(f".{exempt}"))
