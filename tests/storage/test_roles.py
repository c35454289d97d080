from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from headworks.errors import StartupRefused
from headworks.storage.pool import DatabaseUrls
from headworks.storage.roles import check_roles, database_name, derive_urls, ensure_groups, logins_work, with_login

Superuser = psycopg.Connection[tuple[Any, ...]]
MASTER = bytes(range(32))
NAME = f"danger_{os.getpid()}"


@pytest.fixture
def dangerous_login(as_superuser: Superuser, database_urls: DatabaseUrls) -> Iterator[str]:
    """A login that is a member of hw_app, to be given more than that."""
    role = sql.Identifier(NAME)
    as_superuser.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret' IN ROLE hw_app").format(role))
    yield with_login(database_urls.app, NAME, "secret")
    as_superuser.execute(sql.SQL("DROP OWNED BY {}").format(role))
    as_superuser.execute(sql.SQL("DROP ROLE {}").format(role))


def test_the_logins_of_a_migrated_database_are_harmless(database_urls: DatabaseUrls) -> None:
    check_roles(database_urls)
    assert logins_work(database_urls)


@pytest.mark.parametrize(
    ("gift", "danger"),
    [
        ("ALTER ROLE {} SUPERUSER", "is or may become a role that bypasses it"),
        ("ALTER ROLE {} BYPASSRLS", "is or may become a role that bypasses it"),
        ("GRANT headworks TO {}", "is or may become a role that bypasses it"),
        ("ALTER ROLE {} CREATEROLE", "may change roles"),
        ("GRANT hw_owner TO {}", "owns tables"),
        ("ALTER TABLE project OWNER TO {}", "owns tables"),
    ],
)
def test_a_login_that_could_get_around_row_level_security_is_refused(
    as_superuser: Superuser, database_urls: DatabaseUrls, dangerous_login: str, gift: str, danger: str
) -> None:
    urls = replace(database_urls, app=dangerous_login)
    check_roles(urls)
    as_superuser.execute(sql.SQL(gift).format(sql.Identifier(NAME)))
    try:
        with pytest.raises(StartupRefused, match=rf"`{NAME}` {danger}.*`app_url`"):
            check_roles(urls)
    finally:
        as_superuser.execute("ALTER TABLE project OWNER TO hw_owner")


def test_a_group_that_bypasses_row_level_security_is_refused_before_anything_is_migrated(
    as_superuser: Superuser,
) -> None:
    with as_superuser.transaction(force_rollback=True):
        as_superuser.execute("ALTER ROLE hw_app BYPASSRLS")
        with pytest.raises(StartupRefused, match="ALTER ROLE hw_app NOSUPERUSER NOBYPASSRLS"):
            ensure_groups(as_superuser)


def test_an_administrator_who_may_not_make_roles_is_refused_with_what_is_missing(
    as_superuser: Superuser, database_urls: DatabaseUrls, dangerous_login: str
) -> None:
    refused = pytest.raises(StartupRefused, match=f"`{NAME}`, may not become hw_owner")
    with psycopg.connect(dangerous_login, autocommit=True) as connection, refused:
        ensure_groups(connection)


def test_passwords_are_hashed_before_they_are_sent(as_superuser: Superuser, database_urls: DatabaseUrls) -> None:
    rows = as_superuser.execute("SELECT rolpassword FROM pg_authid WHERE rolname ~ '^hw_template_'").fetchall()
    assert len(rows) == 3
    assert all(str(row[0]).startswith("SCRAM-SHA-256$") for row in rows)


def test_each_login_has_a_password_of_its_own_and_every_start_the_same() -> None:
    owner = "postgresql://admin:secret@db.example:5433/claims?sslmode=require"
    urls = derive_urls(owner, MASTER)
    assert urls == derive_urls(owner, MASTER)
    assert urls != derive_urls(owner, b"x" * 32)
    parts = [conninfo_to_dict(url) for url in (urls.app, urls.system, urls.ingest)]
    assert [part["user"] for part in parts] == ["claims_app", "claims_system", "claims_ingest"]
    assert len({part["password"] for part in parts}) == 3
    for part in parts:
        kept = {key: part[key] for key in ("host", "port", "dbname", "sslmode")}
        assert kept == {"host": "db.example", "port": "5433", "dbname": "claims", "sslmode": "require"}


def test_urls_that_are_given_are_taken_as_they_are() -> None:
    urls = derive_urls("postgresql:///claims", MASTER, app="postgresql://mine@/claims")
    assert urls.app == "postgresql://mine@/claims"
    assert conninfo_to_dict(urls.ingest)["user"] == "claims_ingest"


def test_a_database_with_a_long_name_gets_logins_that_postgresql_takes() -> None:
    urls = derive_urls(f"postgresql:///{'d' * 63}", MASTER)
    for url, ending in ((urls.app, "_app"), (urls.system, "_system"), (urls.ingest, "_ingest")):
        user = str(conninfo_to_dict(url)["user"])
        assert len(user) == 63
        assert user.endswith(ending)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)


@given(words, words, words)
def test_a_login_survives_the_trip_through_a_url(user: str, password: str, database: str) -> None:
    url = with_login(with_login("postgresql://x@/y?host=/run/a%20b&port=7", "z", "z"), user, password)
    parts = conninfo_to_dict(url)
    assert (parts["user"], parts["password"], parts["dbname"]) == (user, password, "y")
    assert (parts["host"], parts["port"]) == ("/run/a b", "7")
    assert urlsplit(url).scheme == "postgresql"


@pytest.mark.parametrize(
    ("url", "name"),
    [("postgresql://me@h/claims", "claims"), ("postgresql://me@h", "me"), ("dbname=x user=y", "x"), ("", "postgres")],
)
def test_the_database_of_a_url_is_found_as_libpq_does(url: str, name: str) -> None:
    assert database_name(url) == name
