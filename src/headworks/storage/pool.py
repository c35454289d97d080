"""The one way to a cursor: `async with db.tx(principal) as tx`. Every transaction knows who asks.

The tenant, the principal and the key are set for the transaction only, in the same message that begins it, so nothing
of one request is left on the connection for the next. Row-level security does the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, overload
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row, namedtuple_row

from headworks.storage.connections import (
    Connection,
    Connections,
    ConnectionSettings,
    close,
    connect,
    notified,
    roll_back,
    translated,
)

_log = logging.getLogger(__name__)

R = TypeVar("R")

_BEGIN = {False: "BEGIN", True: "BEGIN ISOLATION LEVEL REPEATABLE READ"}


class Actor(Protocol):
    """Who a transaction runs as; `headworks.types.identity.Principal` is one."""

    @property
    def tenant(self) -> UUID:
        """Whose rows exist at all."""

    @property
    def id(self) -> UUID:
        """The principal, whose groups the policies join."""

    @property
    def key(self) -> UUID | None:
        """The API key, whose narrowing the policies join."""


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """One database by four logins. `owner` is the administrator's: for migrations and maintenance only."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    system: str = field(repr=False)
    ingest: str = field(repr=False)


class Tx:
    """One transaction. SQL takes `%(name)s` parameters by keyword; rows are named tuples, or instances of `into`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @overload
    async def fetch_all(self, sql: str, /, *, into: type[R], **params: object) -> list[R]: ...
    @overload
    async def fetch_all(self, sql: str, /, **params: object) -> list[Any]: ...
    async def fetch_all(self, sql: str, /, *, into: Any = None, **params: object) -> list[Any]:
        """All rows of a statement."""
        cursor = await self._execute(sql, params, into)
        return await cursor.fetchall()

    @overload
    async def fetch_one(self, sql: str, /, *, into: type[R], **params: object) -> R | None: ...
    @overload
    async def fetch_one(self, sql: str, /, **params: object) -> Any: ...  # noqa: ANN401 -- a named tuple
    async def fetch_one(self, sql: str, /, *, into: Any = None, **params: object) -> Any:
        """The first row, None when there is none."""
        cursor = await self._execute(sql, params, into)
        return await cursor.fetchone()

    async def fetch_value(self, sql: str, /, **params: object) -> Any:  # noqa: ANN401 -- whatever the column holds
        """The first column of the first row, None when there is none."""
        cursor = await self._execute(sql, params, None)
        row = await cursor.fetchone()
        return None if row is None else row[0]

    async def run(self, sql: str, /, **params: object) -> int:
        """Execute a statement; the number of rows that it changed."""
        return (await self._execute(sql, params, None)).rowcount

    async def run_many(self, sql: str, rows: Iterable[Mapping[str, object]], /) -> int:
        """Execute a statement once for each row of parameters; the number of rows changed.

        For more than a few dozen rows, one `INSERT … SELECT FROM unnest(…)` is several times cheaper.
        """
        total = 0
        for params in rows:
            total += await self.run(sql, **params)
        return total

    @asynccontextmanager
    async def copy_in(self, statement: str, /) -> AsyncIterator[psycopg.AsyncCopy]:
        """COPY … FROM STDIN, by `write_row` on what this gives. Refused on tables with row-level security."""
        try:
            async with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
                yield copy
        except psycopg.Error as error:
            raise translated(error, self._connection) from error

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails inside is undone, and the transaction can go on; the error still leaves this block."""
        await self.run("SAVEPOINT inner_part")
        try:
            yield
        except Exception:
            if self._connection.pgconn.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
                await self.run("ROLLBACK TO SAVEPOINT inner_part")
            raise
        await self.run("RELEASE SAVEPOINT inner_part")

    async def _execute(
        self, statement: str, params: Mapping[str, object], into: type[Any] | None
    ) -> psycopg.AsyncCursor[Any]:
        row_factory: Any = namedtuple_row if into is None else class_row(into)
        cursor = self._connection.cursor(binary=True, row_factory=row_factory)
        try:
            await cursor.execute(statement.encode(), params or None)
        except (psycopg.Error, UnicodeEncodeError, TypeError) as error:
            raise translated(error, self._connection) from error
        return cursor


class _Transaction:
    """Begins on entry, commits on a normal exit, rolls back on any other; gives back what is clean, closes the rest."""

    def __init__(self, connections: Connections, begin: str) -> None:
        self._connections = connections
        self._begin = begin.encode()
        self._connection: Connection | None = None

    async def __aenter__(self) -> Tx:
        self._connection = (await self._connections.begin(self._begin)).connection
        return Tx(self._connection)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        connection = self._connection
        assert connection is not None  # noqa: S101 -- entered before it is left
        try:
            if kind is None:
                await _commit(connection)
            elif connection.pgconn.transaction_status == TransactionStatus.INTRANS:
                await roll_back(connection)
            elif connection.pgconn.transaction_status == TransactionStatus.INERROR:
                await connection.rollback()  # a statement failed: it may have been prepared for what is another now
        except psycopg.Error as failure:
            if kind is None:
                raise translated(failure, connection) from failure
            _log.debug("rollback failed, the connection is closed: %s", failure)
        finally:
            self._connections.give_back(connection)


async def _commit(connection: Connection) -> None:
    if connection.pgconn.transaction_status == TransactionStatus.INERROR:
        # PostgreSQL answers COMMIT with a silent rollback here; whoever swallowed the first error must hear of it.
        await connection.rollback()
        raise psycopg.errors.InFailedSqlTransaction("a statement of this transaction failed: nothing was stored")
    await connection.commit()


class Database:
    """Transactions of the three logins of a running server. Connects when first used; belongs to one event loop."""

    def __init__(
        self,
        urls: DatabaseUrls,
        *,
        pool_size: int = 8,
        on_system: Callable[[str], None] | None = None,
        statement_timeout_s: float = 30.0,
        prepare_threshold: int | None = 5,
    ) -> None:
        """`on_system` is told the reason of each `system` transaction before it begins; without it, the log is."""
        self._on_system = on_system or _log_reason
        self._settings = {
            name: ConnectionSettings(
                url, size=size, statement_timeout_s=statement_timeout_s, prepare_threshold=prepare_threshold
            )
            for name, url, size in (
                ("app", urls.app, pool_size),
                ("system", urls.system, 2),
                ("ingest", urls.ingest, 2),
            )
        }
        self._connections = {name: Connections(settings) for name, settings in self._settings.items()}

    def tx(
        self, principal: Actor, *, repeatable: bool = False, statement_timeout_s: float | None = None
    ) -> _Transaction:
        """A transaction of this principal, under row-level security; `repeatable`: all statements see one moment."""
        settings = {
            "app.tenant": _checked(principal.tenant),
            "app.principal": _checked(principal.id),
            "app.key": "" if principal.key is None else _checked(principal.key),
        }
        if statement_timeout_s is not None:
            settings["statement_timeout"] = f"{statement_timeout_s * 1000:.0f}"
        values = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        return _Transaction(self._connections["app"], f"{_BEGIN[repeatable]}; SELECT {values}")

    def system(self, reason: str, *, repeatable: bool = False) -> _Transaction:
        """A read-only transaction over the named tables of all tenants; the reason is recorded first."""
        self._on_system(reason)
        return _Transaction(self._connections["system"], f"{_BEGIN[repeatable]} READ ONLY")

    async def glance(self, reason: str, statement: str) -> list[tuple[Any, ...]]:
        """The rows of one statement over the named tables of all tenants, in one message there and back.

        For what is looked at every second; the reason is recorded as by `system`.
        """
        self._on_system(reason)
        found = await self._connections["system"].begin(statement.encode())
        try:
            return await found.fetchall()
        finally:
            self._connections["system"].give_back(found.connection)

    def ingest(self, first: str = "") -> _Transaction:
        """A transaction that may append usage, spans and audit events of any tenant, and read nothing.

        `first` is a statement that travels with its beginning.
        """
        return _Transaction(self._connections["ingest"], f"{_BEGIN[False]}; {first}")

    async def wakeups(self, channel: str, every_s: float) -> AsyncIterator[None]:
        """Comes round at once, after each NOTIFY on the channel, and at least every `every_s`, also without PostgreSQL.

        A wake-up says only that it is time to look: notifications get lost when a connection does.
        """
        while True:
            yield
            try:
                connection = await connect(self._settings["app"])
            except psycopg.OperationalError:
                await asyncio.sleep(every_s)
                continue
            try:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                while True:
                    yield
                    await notified(connection, every_s)
            except psycopg.OperationalError as error:
                _log.debug("listening on %s ended: %s", channel, error)
            finally:
                close(connection)

    async def close(self) -> None:
        """Close every connection that is not in use; the others when they are given back."""
        for connections in self._connections.values():
            connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def owner_connection(urls: DatabaseUrls) -> psycopg.Connection[Any]:
    """A plain connection as hw_owner, for maintenance outside the event loop. Raises psycopg.OperationalError."""
    connection = psycopg.connect(urls.owner, autocommit=True, connect_timeout=5, application_name="headworks-owner")
    with ExitStack() as undoing:
        undoing.callback(connection.close)
        connection.execute("SET ROLE hw_owner")
        connection.execute("SET search_path = headworks, public")
        undoing.pop_all()
    return connection


def _checked(value: UUID) -> str:
    """The text of a UUID, and of nothing else: it is written into a statement."""
    if not isinstance(value, UUID):
        raise TypeError(f"ids of principals are UUIDs, not {type(value).__name__}")
    return str(value)


def _log_reason(reason: str) -> None:
    _log.info("reading across tenants: %s", reason)
