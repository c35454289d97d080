"""Brings a database to this version of the code: roles, extension, schema, DBOS's tables, partitions.

Run as `python -m headworks.storage.migrate` in a process of its own, so that Alembic and SQLAlchemy are loaded nowhere
else. The URLs come as JSON on stdin; a refusal goes as JSON to stdout, with exit status 2.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headworks.errors import StartupRefused
from headworks.storage.inspection import administrator, suitable_pgvector
from headworks.storage.partitions import ensure_partitions
from headworks.storage.pool import DatabaseUrls, owner_connection
from headworks.storage.roles import database_name, ensure_groups, ensure_logins, with_login
from headworks.storage.versions import expected_stamp, known_revisions, read_stamp, schema_stamp

_MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x6877_6D69  # "hwmi"
_LOCK_WAIT_S = 600.0


def migrate(urls: DatabaseUrls, *, create_database: bool = False) -> None:
    """Bring the database of `urls.owner` to this version; nothing happens where it is there already.

    Raises StartupRefused: unreachable, PostgreSQL older than 15, no pgvector, rights missing, or a database that a
    newer Headworks, or one between releases, has migrated. What one version changes, it changes in one transaction.
    """
    if create_database:
        _create_database(urls.owner)
    with administrator(urls.owner) as connection:
        suitable_pgvector(connection)
        _refuse_newer(connection)
        _refuse_unreleased(connection)
        _lock(connection)
        ensure_groups(connection)
        ensure_logins(connection, urls)
        if read_stamp(connection) == expected_stamp():
            return
        _prepare_schema(connection)
        _run_alembic(urls.owner)
        _migrate_dbos(urls.owner)
        with owner_connection(urls) as owner:
            ensure_partitions(owner)
            owner.execute(sql.SQL("COMMENT ON SCHEMA headworks IS {}").format(sql.Literal(expected_stamp())))


def _lock(connection: psycopg.Connection[Any]) -> None:
    """One migration at a time, until the connection closes.

    Asked for again and again, not waited for: a waiting statement would hold up the indexes that the other process
    makes concurrently, and each would wait for the other.
    """
    deadline = time.monotonic() + _LOCK_WAIT_S
    while connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise StartupRefused(
                f"Another process has been migrating this database for {_LOCK_WAIT_S:.0f} s.",
                next_step="Start again later.",
            )
        time.sleep(0.1)


def _create_database(url: str) -> None:
    name = database_name(url)
    with administrator(make_conninfo(url, dbname="postgres")) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _refuse_newer(connection: psycopg.Connection[Any]) -> None:
    if connection.execute("SELECT to_regclass('headworks.alembic_version')").fetchone() == (None,):
        return
    (found,) = connection.execute("SELECT version_num FROM headworks.alembic_version").fetchone() or ("",)
    if found not in known_revisions():
        raise StartupRefused(
            f"This database is at version {found}, which is newer than this Headworks knows ({known_revisions()[-1]}).",
            next_step="Run the Headworks that migrated it, or a newer one. Going back needs a backup.",
        )


def _refuse_unreleased(connection: psycopg.Connection[Any]) -> None:
    """A migration that was edited after it was run would leave tables that this code can't use."""
    stamp = read_stamp(connection)
    if stamp is None:
        return
    revision = stamp.removeprefix("headworks ").partition(",")[0].partition(" ")[0]
    if revision in known_revisions() and not stamp.startswith(f"{schema_stamp(revision)},"):
        raise StartupRefused(
            f"This database was made by a state of Headworks between releases: its migration {revision} is not ours.",
            next_step="Only releases are migrated: start with an empty database, e.g. in another folder (--data DIR).",
        )


def _prepare_schema(connection: psycopg.Connection[Any]) -> None:
    """What only the administrator may do; the rest is done as hw_owner."""
    database = sql.Identifier(connection.info.dbname)
    try:
        # TEMPORARY: a temporary table would outlive its transaction on a pooled connection.
        connection.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
        # hw_ingest alone: records/drain.py stages its COPY in one that is emptied at every commit.
        connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO hw_ingest").format(database))
        for schema in ("headworks", "dbos"):
            name = sql.Identifier(schema)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION hw_owner").format(name))
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    except psycopg.errors.InsufficientPrivilege as error:
        raise StartupRefused(
            f"The administrator's login `{connection.info.user}` lacks a right: {str(error).splitlines()[0]}.",
            next_step="Let a superuser run `CREATE EXTENSION vector` and `GRANT CREATE ON DATABASE` to it, once.",
        ) from error
    except psycopg.OperationalError as error:
        raise StartupRefused(
            f"PostgreSQL failed while it loaded pgvector: {str(error).splitlines()[0]}.",
            next_step="Its log says why; on an old processor pgvector has to be built from source.",
        ) from error


def _run_alembic(url: str) -> None:
    """To the newest version, as hw_owner, in one transaction."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, connect_timeout=5, application_name="headworks-migrate"),
        poolclass=NullPool,
    )
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL ROLE hw_owner")
        connection.exec_driver_sql("SET LOCAL search_path = headworks, public")
        connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def _migrate_dbos(url: str) -> None:
    """DBOS's own tables, in the schema `dbos`, owned by hw_owner and used by hw_app."""
    from dbos import DBOS

    logging.getLogger("dbos").setLevel(logging.WARNING)
    parts = conninfo_to_dict(url)
    as_owner = make_conninfo(url, options=f"{parts.get('options') or ''} -c role=hw_owner".strip())
    login = with_login(as_owner, str(parts.get("user") or ""), str(parts.get("password") or ""))
    DBOS.migrate(login, schema="dbos", application_role="hw_app")


def main() -> int:
    """Read the URLs from stdin, migrate; 0, or 2 with a refusal on stdout."""
    given = json.load(sys.stdin)
    create = given.pop("create_database")
    try:
        migrate(DatabaseUrls(**given), create_database=create)
    except StartupRefused as refusal:
        json.dump({"message": refusal.message, "next_step": refusal.next_step}, sys.stdout)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
