from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from headworks.errors import StartupRefused
from headworks.storage import migrations
from headworks.storage.embedded import Cluster
from headworks.storage.migrate import migrate
from headworks.storage.pool import DatabaseUrls
from headworks.storage.prepare import migrate_in_child, needs_migration, prepare
from headworks.storage.roles import derive_urls
from headworks.storage.versions import expected_stamp, known_revisions

MASTER = bytes(range(32))
_counter = itertools.count(1)

FreshUrls = Callable[..., DatabaseUrls]


@pytest.fixture
def fresh(cluster: Cluster) -> Iterator[FreshUrls]:
    """The URLs of databases that do not exist yet; they and their logins are gone afterwards."""
    names: list[str] = []

    def urls(master: bytes = MASTER, name: str | None = None) -> DatabaseUrls:
        names.append(name or f"fresh_{os.getpid()}_{next(_counter)}")
        return derive_urls(cluster.url(names[-1]), master)

    yield urls
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        for name in set(names):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            for login in ("app", "system", "ingest"):
                role = sql.Identifier(f"{name}_{login}")
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))


def copy_template(cluster: Cluster, name: str) -> None:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE hw_template").format(sql.Identifier(name)))


def value(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


def test_a_database_that_does_not_exist_is_made_migrated_and_ready(fresh: FreshUrls) -> None:
    urls = fresh()
    assert needs_migration(urls)
    prepare(urls, create_database=True)
    assert not needs_migration(urls)
    assert value(urls.owner, "SELECT version_num FROM headworks.alembic_version") == known_revisions()[-1]
    assert value(urls.owner, "SELECT obj_description('headworks'::regnamespace)") == expected_stamp()
    assert value(urls.app, "SELECT count(*) FROM headworks.project") == 0
    assert value(urls.app, "SELECT count(*) FROM dbos.workflow_status") == 0
    assert value(urls.system, "SELECT count(*) FROM headworks.tenant") == 0
    assert value(urls.owner, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'headworks.usage'::regclass") == 4


def test_migrating_again_changes_nothing(database_urls: DatabaseUrls, as_superuser: Any) -> None:
    objects = (
        "SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_class WHERE relnamespace = 'headworks'::regnamespace"
    )
    before = value(database_urls.owner, objects)
    prepare(database_urls)
    as_superuser.execute("COMMENT ON SCHEMA headworks IS NULL")  # as after a kill just before the end
    assert needs_migration(database_urls)
    prepare(database_urls)
    assert not needs_migration(database_urls)
    assert value(database_urls.owner, objects) == before


def test_two_replicas_that_migrate_at_once_both_succeed(fresh: FreshUrls) -> None:
    urls = fresh()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: migrate_in_child(urls, create_database=True), range(2)))
    assert not needs_migration(urls)


def test_two_databases_of_one_server_migrated_at_once_share_their_roles_and_nothing_else(fresh: FreshUrls) -> None:
    one, other = fresh(), fresh()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda urls: migrate_in_child(urls, create_database=True), (one, other)))
    assert not needs_migration(one)
    assert not needs_migration(other)
    name = value(other.owner, "SELECT current_database()")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(one.app, dbname=name))


def test_nobody_else_may_connect_to_a_migrated_database(fresh: FreshUrls) -> None:
    urls = fresh()
    prepare(urls, create_database=True)
    rights = "SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE datname = current_database() AND grantee = 0"
    assert value(urls.owner, rights) == 0


def test_logins_follow_another_master_key(fresh: FreshUrls, cluster: Cluster, template_urls: DatabaseUrls) -> None:
    name = f"fresh_{os.getpid()}_{next(_counter)}"
    first, second = fresh(name=name), fresh(b"x" * 32, name=name)
    copy_template(cluster, name)
    prepare(first)
    assert needs_migration(second)
    prepare(second)
    assert value(second.app, "SELECT 1") == 1
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(first.app)


def test_a_database_of_a_newer_headworks_is_refused(database_urls: DatabaseUrls) -> None:
    with psycopg.connect(database_urls.owner) as connection:
        connection.execute("UPDATE headworks.alembic_version SET version_num = '9999'")
        connection.execute("COMMENT ON SCHEMA headworks IS 'headworks 9999, dbos 9.9.9'")
    with pytest.raises(
        StartupRefused, match=r"at version 9999, which is newer than this Headworks knows .*a newer one"
    ):
        prepare(database_urls)


def test_a_database_made_between_releases_is_refused_before_anything_is_changed(database_urls: DatabaseUrls) -> None:
    with psycopg.connect(database_urls.owner) as connection:
        connection.execute("COMMENT ON SCHEMA headworks IS 'headworks 0001 (0123456789ab), dbos 9.9.9'")
    with pytest.raises(
        StartupRefused, match=r"between releases: its migration 0001 is not ours\. .*empty database.*--data"
    ):
        prepare(database_urls)


def test_a_migration_that_fails_changes_nothing_and_says_why(fresh: FreshUrls) -> None:
    urls = fresh()
    name = str(psycopg.conninfo.conninfo_to_dict(urls.owner)["dbname"])
    with psycopg.connect(make_conninfo(urls.owner, dbname="postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(urls.owner) as connection:
        connection.execute("CREATE SCHEMA headworks")
        connection.execute("CREATE TABLE headworks.span (somebody text)")
        connection.execute("GRANT ALL ON SCHEMA headworks TO hw_owner")
    with pytest.raises(StartupRefused, match=r'could not be migrated[^$]*relation "span" already exists'):
        prepare(urls)
    tables = "SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = 'headworks'::regnamespace"
    assert value(urls.owner, tables) == "span"
    assert needs_migration(urls)


def test_a_server_that_cannot_be_reached_is_refused_with_where_to_look(tmp_path: Any) -> None:
    url = f"postgresql://somebody:secret@/database?host={tmp_path}"
    with pytest.raises(StartupRefused, match=r"can't be reached.*DATABASE_URL") as refused:
        prepare(DatabaseUrls(url, url, url, url))
    assert "secret" not in str(refused.value)


def test_a_database_that_does_not_exist_is_refused_where_we_may_not_make_it(fresh: FreshUrls) -> None:
    with pytest.raises(StartupRefused, match="does not exist"):
        prepare(fresh())


def test_a_migration_that_waits_too_long_for_another_is_refused(
    database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headworks.storage.migrate._LOCK_WAIT_S", 0.2)
    with psycopg.connect(database_urls.owner) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [0x6877_6D69])
        with pytest.raises(StartupRefused, match="Another process has been migrating"):
            migrate(database_urls)


def test_the_child_answers_a_refusal_in_json_with_exit_status_2(tmp_path: Any) -> None:
    url = f"postgresql://somebody@/database?host={tmp_path}"
    done = subprocess.run(
        [sys.executable, "-m", "headworks.storage.migrate"],
        input=json.dumps({**asdict(DatabaseUrls(url, url, url, url)), "create_database": False}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert set(json.loads(done.stdout)) == {"message", "next_step"}


def test_the_supervisor_loads_neither_alembic_nor_sqlalchemy_nor_dbos() -> None:
    program = (
        "import sys, headworks.storage.prepare, headworks.storage.embedded, headworks.storage.pool; "
        "print([name for name in ('alembic', 'sqlalchemy', 'dbos') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_each_migration_has_a_body_of_sql_and_a_number_of_its_own() -> None:
    files = sorted(path for path in (Path(migrations.__file__).parent / "versions").iterdir() if path.is_file())
    bodies = [path.stem for path in files if path.suffix == ".sql"]
    assert bodies == [path.stem for path in files if path.suffix == ".py"]
    assert len({name.split("_")[0] for name in bodies}) == len(bodies)
    assert known_revisions() == tuple(f"{number:04d}" for number in range(1, len(bodies) + 1))
