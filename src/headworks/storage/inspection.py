"""What a configured PostgreSQL is, for `headworks doctor`: nothing is changed there."""

from __future__ import annotations

import psycopg

from headworks.errors import StartupRefused

_OLDEST_SERVER = 150_000
_CONNECT_S = 5


def describe_server(url: str) -> str:
    """Version and pgvector of the server at this address. StartupRefused when Headworks could not run on it."""
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_S, application_name="headworks-doctor") as connection:
            version = connection.info.server_version
            row = connection.execute(
                "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
            ).fetchone()
    except psycopg.Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StartupRefused(
            f"PostgreSQL can't be reached: {reason}.", next_step="Check `url` in [database], or DATABASE_URL."
        ) from None
    major = version // 10_000
    if version < _OLDEST_SERVER:
        raise StartupRefused(f"It is PostgreSQL {major}.", next_step="Headworks needs 15 or later.")
    if row is None:
        raise StartupRefused(
            f"PostgreSQL {major} there has no pgvector.",
            next_step=f"Install it on the database's machine, for instance `postgresql-{major}-pgvector`.",
        )
    return f"version {major} with pgvector {row[0]}"
