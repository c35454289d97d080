"""Which PostgreSQL Headworks runs on, and whether a configured one is such: nothing is changed there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from headworks.errors import StartupRefused

_OLDEST_SERVER = 150_000
_OLDEST_PGVECTOR = (0, 7)
"""The first with halfvec."""


@contextlib.contextmanager
def administrator(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A plain connection in autocommit. Raises StartupRefused, without a secret, where there is none to be had."""
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="headworks-admin")
    except psycopg.Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StartupRefused(
            f"PostgreSQL can't be reached: {reason}.", next_step="Check `url` in [database], or DATABASE_URL."
        ) from error
    try:
        yield connection
    finally:
        connection.close()


def describe_server(url: str) -> str:
    """Version and pgvector of the server at this address. StartupRefused when Headworks could not run on it."""
    with administrator(url) as connection:
        return f"version {connection.info.server_version // 10_000} with pgvector {suitable_pgvector(connection)}"


def suitable_pgvector(connection: psycopg.Connection[Any]) -> str:
    """The version of pgvector there. Raises StartupRefused: an old server, or no pgvector, or an old one."""
    version = connection.info.server_version
    major = version // 10_000
    if version < _OLDEST_SERVER:
        raise StartupRefused(
            f"This database is PostgreSQL {major}; Headworks needs 15 or later.",
            next_step="Use a newer server, or remove DATABASE_URL to run on the embedded one.",
        )
    found = connection.execute(
        "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'"
    ).fetchone()
    if found is None:
        raise StartupRefused(
            f"This PostgreSQL {major} has no pgvector, which Headworks keeps its vectors in.",
            next_step=f"Install pgvector 0.7 or later for PostgreSQL {major} on the database's machine (the package "
            f"`postgresql-{major}-pgvector` of apt.postgresql.org, or from source), then start again; or remove "
            "DATABASE_URL to run on the embedded database.",
        )
    if tuple(int(part) for part in found[0].split(".")[:2]) < _OLDEST_PGVECTOR:
        raise StartupRefused(
            f"This PostgreSQL {major} has pgvector {found[0]}; Headworks needs 0.7 or later.",
            next_step="Install a newer pgvector, run `ALTER EXTENSION vector UPDATE`, then start again.",
        )
    return str(found[0])
