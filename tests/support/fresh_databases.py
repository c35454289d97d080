"""Databases for tests: copied from a migrated template, and emptied after a test rather than copied again.

A copy costs a quarter of a second of CPU, emptying one a hundredth. What a test could tell from a copy is thrown away:
a database with another catalogue, with tables grown beyond ten pages (up to which PostgreSQL plans as for new ones),
or with somebody still connected to it.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from headworks.storage.embedded import Cluster
from headworks.storage.pool import DatabaseUrls

Behind = psycopg.Connection[tuple[Any, ...]]
Table = tuple[str, str]
"""Its schema and its name."""

_LEAVING_S = 2.0
_MOST_BYTES = 10 * 8192
_NUMBERS = itertools.count(1)
# fmt: off
_CATALOGUES = [
    "pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_default_acl", "pg_description", "pg_event_trigger",
    "pg_extension", "pg_index", "pg_inherits", "pg_largeobject_metadata", "pg_namespace", "pg_policy", "pg_proc",
    "pg_publication", "pg_rewrite", "pg_sequence", "pg_statistic", "pg_statistic_ext", "pg_trigger", "pg_ts_config",
    "pg_ts_config_map", "pg_type",
]
# fmt: on
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_APART = """
SELECT datacl::text, datconnlimit, ARRAY(SELECT setconfig::text FROM pg_db_role_setting WHERE setdatabase = d.oid),
  (SELECT sum(reltuples) FROM pg_class WHERE relkind = 'r' AND relnamespace >= 16384)
FROM pg_database d WHERE datname = current_database()
"""
_TABLES = """
SELECT nspname, relname, pg_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') AND pg_relation_size(c.oid) > 0
"""


class FreshDatabases:
    """The databases of one process of the tests."""

    def __init__(self, cluster: Cluster, template: str, urls: DatabaseUrls) -> None:
        """`urls` are the logins of the database `template`."""
        self._cluster, self._template, self._urls = cluster, template, urls
        self._choosing = threading.Lock()
        self._idle: list[str] = []
        self._kept: frozenset[Table] = frozenset()
        self._as_copied: list[object] = []

    @contextmanager
    def lend(self) -> Iterator[DatabaseUrls]:
        """The logins of a migrated and otherwise empty database that nobody else uses."""
        with self._choosing:
            name = self._idle.pop() if self._idle else self._copy()
        urls = self._urls
        logins = (urls.owner, urls.app, urls.system, urls.ingest)
        try:
            yield DatabaseUrls(*(url.replace(f"/{self._template}?", f"/{name}?") for url in logins))
        finally:
            if self._is_as_copied(name):
                self._idle.append(name)
            else:
                self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _copy(self) -> str:
        name = f"test_{os.getpid()}_{next(_NUMBERS)}"
        self._run("CREATE DATABASE {} TEMPLATE {}", name, self._template)
        self._run("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", name)
        self._run("GRANT TEMPORARY ON DATABASE {} TO hw_ingest", name)
        if not self._as_copied:
            with self._behind(name) as behind:
                self._kept = frozenset(_sizes(behind))
                self._as_copied = _state(behind, self._kept)
        return name

    def _is_as_copied(self, name: str) -> bool:
        """Whether the database is as a copy of the template, now that its tables have been emptied."""
        try:
            with self._behind(name) as behind:
                return _is_alone(behind) and _state(behind, self._kept) == self._as_copied and self._empty(behind)
        except psycopg.Error:  # dropped, or not to be entered
            return False

    def _empty(self, behind: Behind) -> bool:
        sizes = _sizes(behind)
        if max(sizes.values()) > _MOST_BYTES:
            return False
        behind.execute("SET session_replication_role = replica")  # no trigger, and no foreign key, has a say in this
        for table in sizes.keys() - self._kept:
            behind.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(*table)))
        behind.execute("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence")
        return True

    def _behind(self, name: str) -> Behind:
        return psycopg.connect(self._cluster.url(name), autocommit=True)

    def _run(self, statement: str, *names: str) -> None:
        with self._behind("postgres") as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _is_alone(behind: Behind) -> bool:
    """Whether all others have left. Who has just closed a connection is waited for."""
    limit = time.monotonic() + _LEAVING_S
    while behind.execute(_OTHERS).fetchall() != [(0,)]:
        if time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


def _state(behind: Behind, kept: frozenset[Table]) -> list[object]:
    """What changes with the catalogue, rights, what the planner knows, and rows of the tables `kept`."""
    last_change = sql.SQL("SELECT count(*), max(xmin::text::bigint) FROM {}")
    names = [("pg_catalog", name) for name in _CATALOGUES] + sorted(kept)
    changes = sql.SQL(" UNION ALL ").join(last_change.format(sql.Identifier(*name)) for name in names)
    return [*behind.execute(_APART), *behind.execute(changes)]


def _sizes(behind: Behind) -> dict[Table, int]:
    """The tables that have pages, with their sizes in bytes."""
    return {(schema, name): size for schema, name, size in behind.execute(_TABLES)}
