"""The connections to one origin: kept, counted, waited for."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from headworks.eager import Signal
from headworks.errors import HeadworksError, InvalidRequest, UpstreamError, UpstreamTimeout
from headworks.providers.http1 import Connection, Deadlines, Limits

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a provider listens. `ca_file` names the only authorities trusted there, else the system's are."""

    scheme: str
    host: str
    port: int
    ca_file: Path | None = None
    key: str = field(init=False, repr=False, compare=False)
    """The same for the same origin: every request looks it up, and a text's hash is computed once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.scheme}://{self.host}:{self.port} {self.ca_file}")

    @staticmethod
    def of(url: str, *, ca_file: Path | None = None) -> tuple[Origin, str]:
        """The origin of an http(s) URL, and its path without a slash at the end. The message never repeats the URL."""
        try:
            parts = urlsplit(url)
            port = parts.port
            host = (parts.hostname or "").encode("idna").decode("ascii")
        except ValueError:
            raise InvalidRequest(
                "The address of a provider can't be read.", next_step="Write http(s)://host/path."
            ) from None
        if parts.scheme not in _DEFAULT_PORTS or not host or parts.username is not None or parts.query:
            raise InvalidRequest(
                "The address of a provider is http(s)://host[:port]/path, without user name and query.",
                next_step="Correct base_url; a key belongs into the provider's key setting.",
            )
        return Origin(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], ca_file), parts.path.rstrip("/")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def host_line(self) -> bytes:
        """The host header."""
        shown = str(self)
        if self.port == _DEFAULT_PORTS[self.scheme]:
            shown = shown.rpartition(":")[0]
        return b"host: %b\r\n" % shown.encode("ascii")


class _Waiter(Signal):
    """Who waits for a connection, until there is one, or an error, or the deadline has passed."""

    __slots__ = ("connection", "error", "has_begun", "opening")

    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection | None = None
        self.error: Exception | None = None
        self.opening: asyncio.Task[None] | None = None
        """Brings a new one; None: in line for one that comes free."""
        self.has_begun = False
        """Whether the task has: one that is cancelled before gives nothing back."""


class Pool:
    """At most `size` connections to one origin; when all are busy one waits in line, within the connect deadline."""

    __slots__ = (
        "_closed",
        "_connections",
        "_emptied",
        "_idle",
        "_limits",
        "_open",
        "_size",
        "_tls",
        "_waiters",
        "host_line",
        "loop",
        "origin",
    )

    def __init__(self, origin: Origin, size: int, limits: Limits, tls: ssl.SSLContext | None) -> None:
        self.origin = origin
        self.host_line = origin.host_line
        self._size = size
        self._limits = limits
        self._tls = tls
        self.loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._connections: set[Connection] = set()
        self._open = 0
        self._closed = False
        self._emptied: asyncio.Future[None] | None = None
        self._waiters: deque[_Waiter] = deque()

    def idle(self) -> Connection | None:
        """The connection that was used last and still looks alive, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    async def acquire(self, deadlines: Deadlines) -> Connection:
        """An idle connection, a new one, or the next to come free."""
        connection = self.idle()
        if connection is not None:
            return connection
        waiter = _Waiter()
        if self._open < self._size:
            self._open += 1
            self._open_for(waiter)
        else:
            self._waiters.append(waiter)
        return await self._arrival(waiter, deadlines)

    async def fresh(self, deadlines: Deadlines) -> Connection:
        """A new connection, for the one retry: it may exceed `size`, by those whose own connection has just died."""
        waiter = _Waiter()
        self._open += 1
        self._open_for(waiter)
        return await self._arrival(waiter, deadlines)

    def released(self, connection: Connection) -> None:
        """A connection has finished its exchange: hand it to who waits longest, or keep it."""
        if self._waiters:
            connection.usable = False
            waiter = self._waiters.popleft()
            waiter.connection = connection
            self.loop.call_soon(waiter.set)  # not from within the exchange that ends
        else:
            self._idle.append(connection)

    def opened(self, connection: Connection) -> None:
        """A connection stands; from here on its slot is freed by `closed`."""
        self._connections.add(connection)
        if self._closed:
            connection.abort()

    def closed(self, connection: Connection) -> None:
        """A connection is gone: its slot goes to who waits longest."""
        self._connections.remove(connection)
        with suppress(ValueError):
            self._idle.remove(connection)
        self._free_slot()
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    async def close(self) -> None:
        """Close every connection; exchanges under way fail."""
        self._closed = True
        for connection in list(self._connections):
            connection.abort()
        if self._connections:
            self._emptied = self.loop.create_future()
            await self._emptied

    async def _arrival(self, waiter: _Waiter, deadlines: Deadlines) -> Connection:
        """The connection that is brought to `waiter` within the connect deadline."""
        limit_s = min(deadlines.connect_s, deadlines.total_s)
        timer = self.loop.call_later(limit_s, waiter.set)
        try:
            await waiter
        except BaseException:
            self._forget(waiter)
            raise
        finally:
            timer.cancel()
        if waiter.connection is not None:
            return waiter.connection
        error, waiter.error = waiter.error, None
        if error is None:
            error = self._too_late(limit_s, is_in_line=waiter.opening is None)
            self._forget(waiter)
        try:
            raise error
        finally:
            del error  # which refers back to this frame, and would wait for the collector

    def _forget(self, waiter: _Waiter) -> None:
        """Nobody waits any more: in line, for what is being opened, or for what was brought in this very turn."""
        if waiter.opening is not None:
            waiter.opening.cancel()
            if not waiter.has_begun:
                self._free_slot()
        with suppress(ValueError):
            self._waiters.remove(waiter)
        connection = waiter.connection
        if connection is not None and not connection.closing:
            connection.usable = True
            self.released(connection)

    def _free_slot(self) -> None:
        if self._waiters:
            self._open_for(self._waiters.popleft())
        else:
            self._open -= 1

    def _open_for(self, waiter: _Waiter) -> None:
        """Open a connection, in a slot that is counted already. Whoever waits needs no task of its own for it."""
        waiter.opening = self.loop.create_task(self._bring(waiter))

    async def _bring(self, waiter: _Waiter) -> None:
        waiter.has_begun = True
        try:
            waiter.connection = await self._open_in_slot()
        except Exception as error:  # noqa: BLE001 -- raised where it is waited for
            waiter.error = error
        finally:
            self.loop.call_soon(waiter.set)  # not from within this task, which ends

    async def _open_in_slot(self) -> Connection:
        """Connect, having counted the connection in `_open` already."""
        connection = Connection(self, str(self.origin), self._limits, self.loop)
        name = self.origin.host if self._tls else None
        try:
            await self.loop.create_connection(
                lambda: connection, self.origin.host, self.origin.port, ssl=self._tls, server_hostname=name
            )
        except BaseException as error:
            if connection.opened:
                connection.abort()
            else:
                self._free_slot()
            if isinstance(error, OSError):
                raise unreachable(str(self.origin), error) from error
            raise
        if not connection.usable:
            raise UpstreamError(f"{self.origin} closed the connection as soon as it stood.")
        return connection

    def _too_late(self, limit_s: float, *, is_in_line: bool) -> HeadworksError:
        why = f"all {self._size} connections to it are busy" if is_in_line else "it does not answer"
        return UpstreamTimeout(
            f"No connection to {self.origin} within the connect deadline of {limit_s:g} s: {why}.",
            next_step="Try again; see the provider's status.",
        )


def unreachable(where: str, error: OSError) -> HeadworksError:
    """Why there is no connection to `where`, and what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return UpstreamError(
            f"The certificate of {where} is not trusted: {error.verify_message}.",
            next_step="Install the authority's certificate, or name it in the provider's ca_file.",
        )
    if isinstance(error, ssl.SSLError):
        what = (error.reason or "handshake failed").lower().replace("_", " ")
        return UpstreamError(f"No TLS with {where}: {what}.", next_step="Does it speak https on this port?")
    if isinstance(error, socket.gaierror):
        return UpstreamError(f"The name of {where} can't be resolved.", next_step="Check the host name and the DNS.")
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return UpstreamError(f"{where} refuses connections.", next_step="Is the provider running there?")
    return UpstreamError(f"{where} can't be reached: {error.strerror or error}.", next_step="Check the network.")


def tls_context(ca_file: Path | None, client_certificate: Path | None = None) -> ssl.SSLContext:
    """Certificates and names are verified, by `ca_file` alone if given. Costs milliseconds: share it."""
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise UpstreamError(
            f"The file of certificate authorities {ca_file} can't be read: {error.strerror or error}.",
            next_step="Name a PEM file in the provider's ca_file.",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if client_certificate is not None:
        try:
            context.load_cert_chain(client_certificate, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            raise UpstreamError(
                f"The client certificate {client_certificate} can't be read: {error.strerror or error}.",
                next_step="Name a PEM file that holds a certificate and its key, without a password.",
            ) from error
    return context


def _no_password() -> str:
    """Without this, OpenSSL would ask on the terminal."""
    return ""
