"""A PostgreSQL that somebody else runs, named by DATABASE_URL: here the wheel's version 16, and Debian's 15."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from headworks.errors import StartupRefused
from headworks.storage.binaries import Binaries
from headworks.storage.blobs import Blobs
from headworks.storage.embedded import Cluster, EmbeddedPostgres
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.prepare import needs_migration, prepare
from headworks.storage.roles import derive_urls
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId, new_id

MASTER = bytes(range(32))
DEBIAN = Path("/usr/lib/postgresql/15")


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """PostgreSQL 16 that listens on a TCP port of this machine."""
    folder = tmp_path_factory.mktemp("external")
    for step in (folder, folder.parent):
        step.chmod(0o711)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "fsync": "off"}
    server = EmbeddedPostgres(folder / "data", major=16, settings=settings)
    try:
        yield server.start()
    finally:
        server.stop()


def create(cluster: Cluster, *statements: str) -> None:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def over_tcp(cluster: Cluster, database: str, user: str, password: str) -> str:
    return f"postgresql://{quote(user)}:{quote(password)}@127.0.0.1:{cluster.port}/{database}"


async def use(urls: DatabaseUrls) -> None:
    """Store and read something as two tenants do."""
    keyring = Keyring(MASTER)
    blobs = Blobs(keyring)
    async with Database(urls) as database:
        for _ in range(2):
            who = Principal(TenantId(new_id()), PrincipalId(new_id()), "somebody", "user", frozenset())
            async with database.tx(who) as tx:
                await tx.run("INSERT INTO tenant (tenant_id, name) VALUES (%(tenant)s, 'one')", tenant=who.tenant)
            await keyring.ensure(database, who.tenant)
            blob = new_id()
            async with database.tx(who) as tx:
                await blobs.put(tx, who.tenant, blob, b"text")
            async with database.tx(who) as tx:
                assert await blobs.get(tx, who.tenant, blob) == b"text"
                assert await tx.fetch_value("SELECT count(*) FROM blob") == 1
                distance = "SELECT '[1,2]'::halfvec <=> '[2,4]'::halfvec"
                assert await tx.fetch_value(distance) == pytest.approx(0.0, abs=1e-6)
        async with database.system("a test") as tx:
            assert await tx.fetch_value("SELECT count(*) FROM tenant") == 2


async def test_postgresql_16_by_its_superuser_over_tcp(external: Cluster) -> None:
    create(external, "CREATE DATABASE claims")
    urls = derive_urls(over_tcp(external, "claims", external.superuser, external.password), MASTER)
    prepare(urls)
    assert not needs_migration(urls)
    await use(urls)


async def test_postgresql_16_by_an_administrator_who_is_no_superuser(external: Cluster) -> None:
    create(external, "CREATE ROLE dba LOGIN CREATEROLE PASSWORD 'dba''s'", "CREATE DATABASE managed OWNER dba")
    with psycopg.connect(external.url("managed"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector SCHEMA public")
    urls = derive_urls(over_tcp(external, "managed", "dba", "dba's"), MASTER)
    # The roles are the whole server's: where another administrator made them, a superuser has to hand them on.
    create(external, *(f"GRANT {group} TO dba WITH ADMIN OPTION" for group in _groups(external)))
    prepare(urls)
    await use(urls)


def _groups(cluster: Cluster) -> list[str]:
    with psycopg.connect(cluster.url("postgres")) as connection:
        return [str(row[0]) for row in connection.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^hw_'")]


def test_an_administrator_who_may_not_load_pgvector_is_told_who_must(external: Cluster) -> None:
    create(external, "CREATE ROLE modest LOGIN CREATEROLE PASSWORD 'm'", "CREATE DATABASE bare OWNER modest")
    create(external, *(f"GRANT {group} TO modest WITH ADMIN OPTION" for group in _groups(external)))
    urls = derive_urls(over_tcp(external, "bare", "modest", "m"), MASTER)
    with pytest.raises(
        StartupRefused, match=r"`modest` lacks a right: .*Let a superuser run `CREATE EXTENSION vector`"
    ):
        prepare(urls)


def test_debians_postgresql_15_without_pgvector_is_refused_with_what_to_install(tmp_path: Path) -> None:
    if not (DEBIAN / "bin" / "postgres").exists():
        pytest.skip("Debian's PostgreSQL 15 is not installed here")
    server = EmbeddedPostgres(tmp_path / "data", programs=Binaries(15, DEBIAN))
    try:
        urls = derive_urls(server.start().url("postgres"), MASTER)
        with pytest.raises(StartupRefused) as refused:
            prepare(urls)
        assert str(refused.value).startswith(
            "This PostgreSQL 15 has no pgvector, which Headworks keeps its vectors in. "
            "Install pgvector 0.7 or later for PostgreSQL 15 on the database's machine "
            "(the package `postgresql-15-pgvector` of apt.postgresql.org"
        )
        with psycopg.connect(urls.owner) as connection:
            assert connection.execute("SELECT count(*) FROM pg_roles WHERE rolname ~ '^hw_'").fetchone() == (0,)
    finally:
        server.stop()
