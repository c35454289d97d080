"""A few connections of one login, made when they are wanted: fails at once when PostgreSQL is away, heals by itself.

Why not psycopg's own pool: it connects in the background and waits longer after each failure, so that a caller learns
late that the database is away and late that it is back. Here the caller connects, all state changes between two awaits,
and a connection that is not exactly as it was lent is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg import generators
from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus
from psycopg.types.json import JsonbBinaryDumper, JsonbDumper, set_json_dumps, set_json_loads

from headworks.errors import DatabaseUnavailable, Unavailable, UnstorableText

Connection = psycopg.AsyncConnection[Any]

_CONNECT_S = 2
_RETRY_S = 0.25
"""After a failed attempt to connect, everybody is refused for so long; then one caller tries again."""
_BROKEN_STATES = ("08", "57P")
"""SQLSTATE classes: connection exceptions, and a server that shuts down or starts."""
_UNSTORABLE_STATES = ("22021", "22P05")
"""SQLSTATEs: a character that UTF-8, or a text within JSON, does not have. There is one such: NUL."""


class _Adaptation:
    """How values travel: dicts go out as jsonb, and JSON is read and written by orjson."""

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        self.connection = None
        self.adapters.register_dumper(dict, JsonbBinaryDumper)
        self.adapters.register_dumper(dict, JsonbDumper)
        set_json_loads(orjson.loads, self)
        set_json_dumps(orjson.dumps, self)


_ADAPTATION = _Adaptation()


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How one login connects."""

    url: str
    size: int
    """At most so many connections at once."""
    statement_timeout_s: float = 30.0
    idle_in_transaction_s: float = 60.0
    wait_s: float = 5.0
    """How long a caller waits for a connection when all are lent."""
    keep_idle_s: float = 30.0
    prepare_threshold: int | None = 5
    """None for a pooler in transaction mode in between."""


async def connect(settings: ConnectionSettings) -> Connection:
    """A connection in autocommit; psycopg.OperationalError where there is none to be had within 2 s."""
    options = (
        f"-c search_path=headworks,public -c statement_timeout={settings.statement_timeout_s * 1000:.0f} "
        f"-c idle_in_transaction_session_timeout={settings.idle_in_transaction_s * 1000:.0f}"
    )
    return await psycopg.AsyncConnection.connect(
        settings.url,
        autocommit=True,
        context=_ADAPTATION,
        prepare_threshold=settings.prepare_threshold,
        connect_timeout=_CONNECT_S,
        tcp_user_timeout=10_000,
        application_name="headworks",
        options=options,
    )


def close(connection: Connection) -> None:
    """Close at once, between two awaits: psycopg's `close` is a coroutine that never waits."""
    with contextlib.suppress(StopIteration):
        connection.close().send(None)


async def roll_back(connection: Connection) -> None:
    """End a transaction in which no statement failed, and keep what is prepared.

    psycopg's `rollback` forgets it, so that whoever is refused something has all who come after on this connection
    planned for anew. It is afraid of tables that the transaction made: their names PostgreSQL looks up again by itself.
    """
    async with connection.lock:
        connection.pgconn.send_query(b"ROLLBACK")
        await connection.wait(generators.execute(connection.pgconn))


async def notified(connection: Connection, within_s: float) -> None:
    """Until a notification comes, or the time is over; `Connection.notifies` would look ten times a second."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await connection.wait(generators.notifies(connection.pgconn), interval=within_s)


class Connections:
    """Lends connections, each to one borrower at a time. Belongs to one event loop."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        self._free = settings.size
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: list[tuple[Connection, float]] = []
        self._trimming: asyncio.TimerHandle | None = None
        self._refuse_until = 0.0
        self._is_away = False
        self._is_probing = False
        self._is_closed = False

    async def begin(self, statement: bytes) -> psycopg.AsyncCursor[Any]:
        """What `statement` has found on a connection that is lent with it; `give_back` that.

        Raises DatabaseUnavailable at once when PostgreSQL is away, Unavailable when all connections stay lent.
        """
        await self._take_slot()
        connection: Connection | None = None
        try:
            if (connection := self._pop_idle()) is not None:
                try:
                    return await connection.execute(statement, prepare=False)
                except psycopg.OperationalError as error:
                    if not _is_lost(connection, error):
                        raise
                    self._drop_idle()  # the server was restarted: its other connections are dead, too
                    close(connection)
            connection = await self._connect()
            return await connection.execute(statement, prepare=False)
        except psycopg.Error as error:
            shown = translated(error, connection)
            self._give_up(connection)
            raise shown from error
        except BaseException:
            self._give_up(connection)
            raise

    def give_back(self, connection: Connection) -> None:
        """Take a connection back; one that is still in a transaction, or broken, is closed instead."""
        clean = connection.pgconn.transaction_status == TransactionStatus.IDLE
        if clean and not self._is_closed:
            self._idle.append((connection, asyncio.get_running_loop().time()))
            self._trim_later()
        else:
            close(connection)
        self._release_slot()

    def _give_up(self, connection: Connection | None) -> None:
        if connection is not None:
            close(connection)
        self._release_slot()

    def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back."""
        self._is_closed = True
        self._drop_idle()
        if self._trimming is not None:
            self._trimming.cancel()

    # ── the right to one of `size` connections ──

    async def _take_slot(self) -> None:
        if self._is_closed:
            raise DatabaseUnavailable("The database was closed: the server is shutting down.")
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(self._settings.wait_s, _expire, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._release_slot()  # it had just become ours
            raise
        finally:
            timer.cancel()

    def _release_slot(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    # ── connecting ──

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self._is_away and (self._is_probing or loop.time() < self._refuse_until):
            raise DatabaseUnavailable(
                "PostgreSQL can't be reached.", next_step="It is tried again several times a second."
            )
        self._is_probing = True
        try:
            connection = await connect(self._settings)
        except psycopg.OperationalError as error:
            self._is_away = True
            self._refuse_until = loop.time() + _RETRY_S
            self._drop_idle()
            raise DatabaseUnavailable(f"PostgreSQL can't be reached: {first_line(error)}.") from error
        finally:
            self._is_probing = False
        self._is_away = False
        return connection

    # ── idle connections ──

    def _pop_idle(self) -> Connection | None:
        """The one used last, so that those not needed grow old."""
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def _drop_idle(self) -> None:
        while self._idle:
            close(self._idle.pop()[0])

    def _trim_later(self) -> None:
        if self._trimming is None:
            loop = asyncio.get_running_loop()
            self._trimming = loop.call_later(self._settings.keep_idle_s, self._trim)

    def _trim(self) -> None:
        self._trimming = None
        limit = asyncio.get_running_loop().time() - self._settings.keep_idle_s
        while self._idle and self._idle[0][1] <= limit:
            close(self._idle.pop(0)[0])
        if self._idle:
            self._trim_later()


def _expire(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(
            Unavailable(
                "All connections to the database are in use.",
                next_step="Try again, or raise `pool_size` in [database].",
                code="database_busy",
            )
        )


def _is_lost(connection: Connection, error: psycopg.Error) -> bool:
    return connection.closed or (error.sqlstate or "").startswith(_BROKEN_STATES)


def translated(error: psycopg.Error | UnicodeEncodeError | TypeError, connection: Connection | None) -> Exception:
    """What a caller should see: an outage, a time-out, a full disk and a text with a NUL as ours, the rest as it is."""
    if _is_of_text(error):
        return UnstorableText.found()
    if isinstance(error, psycopg.errors.QueryCanceled):
        return Unavailable("The database took too long for a statement.", code="database_timeout")
    if isinstance(error, psycopg.errors.DiskFull):
        return Unavailable(
            "The database's disk is full.", next_step="Free some space on it; nothing stored is lost.", code="disk_full"
        )
    if isinstance(error, psycopg.errors.InsufficientResources):
        return Unavailable(f"The database is out of resources: {first_line(error)}.")
    if isinstance(error, psycopg.Error) and (connection is None or _is_lost(connection, error)):
        return DatabaseUnavailable(f"PostgreSQL went away: {first_line(error)}.")
    return error


def _is_of_text(error: Exception) -> bool:
    """Whether a text among the parameters is what can't be stored: psycopg, orjson or PostgreSQL says so."""
    if isinstance(error, psycopg.DataError):
        return error.sqlstate in _UNSTORABLE_STATES or (error.sqlstate is None and "NUL" in str(error))
    return isinstance(error, UnicodeEncodeError) or (isinstance(error, TypeError) and "surrogates" in str(error))


def first_line(error: psycopg.Error) -> str:
    """What happened, without the server's hints and details."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
