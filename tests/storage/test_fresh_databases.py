"""The databases that other tests are given: emptied where that is all it takes, thrown away where it is not."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from fresh_databases import FreshDatabases
from psycopg.conninfo import conninfo_to_dict

from headworks.storage.embedded import Cluster
from headworks.storage.pool import DatabaseUrls
from headworks.types.ids import new_id

Behind = psycopg.Connection[tuple[Any, ...]]
TENANT = "INSERT INTO headworks.tenant (tenant_id, name) VALUES (%s, 'a')"


@pytest.fixture
def own(cluster: Cluster, template_urls: DatabaseUrls) -> FreshDatabases:
    return FreshDatabases(cluster, "hw_template", template_urls)


def name(urls: DatabaseUrls) -> object:
    return conninfo_to_dict(urls.owner)["dbname"]


def rows(behind: Behind) -> dict[str, int]:
    """The tables with rows, all schemas'."""
    tables = behind.execute(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    counts = {table: behind.execute(f"SELECT count(*) FROM {table}").fetchone() for (table,) in tables}
    return {table: count[0] for table, count in counts.items() if count and count[0]}


def test_an_emptied_database_is_lent_again_without_rows_and_with_its_sequences_at_their_start(
    own: FreshDatabases,
) -> None:
    with own.lend() as first, psycopg.connect(first.owner, autocommit=True) as behind:
        untouched = rows(behind)
        for _ in range(3):
            behind.execute(TENANT, [new_id()])
        behind.execute("SELECT nextval(seqrelid) FROM pg_sequence")
        assert set(rows(behind)) > set(untouched)
    with own.lend() as again, psycopg.connect(again.owner, autocommit=True) as behind:
        assert name(again) == name(first)
        assert rows(behind) == untouched
        assert set(behind.execute("SELECT pg_sequence_last_value(seqrelid) FROM pg_sequence")) == {(None,)}


@pytest.mark.parametrize(
    "change",
    [
        "CREATE FUNCTION headworks.more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP POLICY {policy} ON headworks.{table}",
        "ALTER TABLE headworks.{table} DISABLE TRIGGER ALL",
        "GRANT SELECT ON headworks.{table} TO hw_ingest",
        "GRANT TEMPORARY ON DATABASE {database} TO PUBLIC",
        "ALTER DATABASE {database} SET work_mem = '1MB'",
        "ANALYZE headworks.tenant",
        "VACUUM headworks.tenant",
        "UPDATE {stamp} SET version_num = version_num",
        "INSERT INTO headworks.tenant (tenant_id, name) SELECT gen_random_uuid(), n FROM generate_series(1, 2000) n",
    ],
    ids=lambda change: " ".join(change.split()[:3]),
)
def test_a_database_that_is_not_as_copied_is_thrown_away(own: FreshDatabases, change: str) -> None:
    with own.lend() as urls, psycopg.connect(urls.owner, autocommit=True) as behind:
        behind.execute(TENANT, [new_id()])
        table, policy = behind.execute("SELECT tablename, policyname FROM pg_policies").fetchall()[0]
        stamp = behind.execute("SELECT 'alembic_version'::regclass::text").fetchall()[0][0]
        words = {"table": table, "policy": policy, "database": name(urls), "stamp": stamp}
        behind.execute(change.format(**words))
    with own.lend() as another:
        assert name(another) != name(urls)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(urls.owner)


def test_a_database_that_somebody_is_still_connected_to_is_thrown_away(own: FreshDatabases) -> None:
    with own.lend() as urls:
        forgotten = psycopg.connect(urls.app)
    with own.lend() as another:
        assert name(another) != name(urls)
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")


def test_two_at_a_time_have_a_database_each(own: FreshDatabases) -> None:
    with own.lend() as one, own.lend() as other:
        assert name(one) != name(other)
