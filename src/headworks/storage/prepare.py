"""What happens to a database before the server starts: migrated in a child process, checked, given its partitions."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import psycopg

from headworks.errors import StartupRefused
from headworks.storage.partitions import ensure_partitions
from headworks.storage.pool import DatabaseUrls, owner_connection
from headworks.storage.roles import check_roles, logins_work
from headworks.storage.versions import expected_stamp, read_stamp

_MIGRATION_LIMIT_S = 3600.0


def prepare(urls: DatabaseUrls, *, create_database: bool = False) -> None:
    """Have the database ready to serve: migrated to this version, its logins harmless, its next partitions made.

    `create_database`: make it where it does not exist, as the embedded server needs it. Raises StartupRefused.
    """
    if needs_migration(urls):
        migrate_in_child(urls, create_database=create_database)
    check_roles(urls)
    with owner_connection(urls) as connection:
        ensure_partitions(connection)


def needs_migration(urls: DatabaseUrls) -> bool:
    """Whether the database is not as this code wants it: another version, or logins that don't get in."""
    try:
        with psycopg.connect(urls.owner, autocommit=True, connect_timeout=5) as connection:
            stamp = read_stamp(connection)
    except psycopg.OperationalError:
        return True  # it may not exist; the migration says what is wrong
    return stamp != expected_stamp() or not logins_work(urls)


def migrate_in_child(urls: DatabaseUrls, *, create_database: bool = False) -> None:
    """Run `storage.migrate` in a process of its own. Raises StartupRefused with what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "headworks.storage.migrate"],
        input=json.dumps({**asdict(urls), "create_database": create_database}),
        capture_output=True,
        text=True,
        check=False,
        timeout=_MIGRATION_LIMIT_S,
    )
    if done.returncode == 0:
        return
    if done.returncode == 2 and done.stdout:
        raise StartupRefused(**json.loads(done.stdout.splitlines()[-1]))
    last = "\n".join(done.stderr.strip().splitlines()[-5:])
    raise StartupRefused(
        f"The database could not be migrated; nothing was changed by the failed step. The last words:\n{last}\n"
    )
