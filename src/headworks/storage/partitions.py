"""Monthly partitions of the tables that only grow, by the moment a row arrived; made ahead, by hw_owner.

Nobody reads a partition itself: requests go through the parent, where row-level security is. `hw_ingest` may append to
a month's, since COPY, which takes half of what INSERT does, is refused where that security is. What arrives for a month
without a partition lands in `…_default` and is moved when the month gets one, so nothing is ever lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg import sql

TABLES = ("usage", "span")
_AHEAD_MONTHS = 2
_LOCK_TIMEOUT = "3s"


@dataclass(frozen=True, slots=True)
class Month:
    """One calendar month, in UTC."""

    year: int
    month: int

    def next(self) -> Month:
        """The month after."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def of(self, table: str) -> str:
        """The name of its partition of `table`."""
        return f"{table}_{self.year:04d}_{self.month:02d}"

    def begins(self) -> str:
        """Its first moment, as PostgreSQL reads it."""
        return f"{date(self.year, self.month, 1).isoformat()} 00:00:00+00"


def ensure_partitions(connection: psycopg.Connection[Any], today: date | None = None) -> list[str]:
    """Make the partitions of this month and the next two where they are missing; the names of those made.

    `connection` is `owner_connection`'s. Raises psycopg.errors.LockNotAvailable when a table stays busy for 3 s: try
    again later, rows go to the default partition meanwhile.
    """
    day = today or datetime.now(UTC).date()
    made: list[str] = []
    for table in TABLES:
        made += _ensure_default(connection, table)
        month = Month(day.year, day.month)
        for _ in range(_AHEAD_MONTHS + 1):
            made += _ensure_month(connection, table, month)
            month = month.next()
    return made


def _ensure_default(connection: psycopg.Connection[Any], table: str) -> list[str]:
    name = f"{table}_default"
    if _exists(connection, name):
        return []
    words = {"name": sql.Identifier(name), "table": sql.Identifier(table)}
    with connection.transaction():
        _lock(connection, table)
        connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} DEFAULT").format(**words))
    return [name]


def _ensure_month(connection: psycopg.Connection[Any], table: str, month: Month) -> list[str]:
    """Made beside, filled with what is in the default partition already, then attached, in one transaction."""
    name = month.of(table)
    if _exists(connection, name):
        return []
    words = {
        "name": sql.Identifier(name),
        "table": sql.Identifier(table),
        "default": sql.Identifier(f"{table}_default"),
        "begins": sql.Literal(month.begins()),
        "ends": sql.Literal(month.next().begins()),
    }
    with connection.transaction():
        _lock(connection, table)
        if _exists(connection, name):
            return []  # another process was first
        for statement in (_MAKE, _MOVE, _ATTACH, _GRANT):
            connection.execute(sql.SQL(statement).format(**words))
    return [name]


_MAKE = "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
_MOVE = """
    WITH moved AS (DELETE FROM {default} WHERE arrived_at >= {begins} AND arrived_at < {ends} RETURNING *)
    INSERT INTO {name} SELECT * FROM moved
"""
_ATTACH = "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({begins}) TO ({ends})"
_GRANT = "GRANT INSERT ON {name} TO hw_ingest"


def _exists(connection: psycopg.Connection[Any], name: str) -> bool:
    return connection.execute("SELECT to_regclass(%s)", [f"headworks.{name}"]).fetchone() != (None,)


def _lock(connection: psycopg.Connection[Any], table: str) -> None:
    connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
