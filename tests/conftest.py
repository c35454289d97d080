"""Fixtures for everybody: one embedded PostgreSQL per process, a fresh migrated database per test that asks for one.

`database` is what a server would use; `database_urls` its logins; `make_principal` inserts who asks; `server` is one
whole server for all tests that do not break it. `clients_python` and `node_clients` are vendors' clients in
environments of their own. Coroutine tests need no mark.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from botocore_oracle import botocore
from fresh_databases import FreshDatabases
from health_plan import plan
from hypothesis import settings
from running_server import server

from headworks.storage.embedded import Cluster, EmbeddedPostgres
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.prepare import migrate_in_child
from headworks.storage.roles import derive_urls
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal, PrincipalKind
from headworks.types.ids import KeyId, PrincipalId, TenantId, new_id

__all__ = ["botocore", "plan", "server"]

ROOT = Path(__file__).parents[1]
MASTER_KEY = bytes(range(32))
TEMPLATE = "hw_template"
_LONGEST = ("flows", "server", "storage", "retrieval", "cli", "releases", "gateway")
_OURS = ("DATABASE_URL", "HEADWORKS_MASTER_KEY", "HEADWORKS_DATA", "HEADWORKS_URL", "HEADWORKS_API_KEY")

# No deadline: the cores may be busy with something else. No database: a run depends on nothing an earlier one left.
settings.register_profile("headworks", deadline=None, database=None, print_blob=True)
settings.load_profile("headworks")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # pytest-xdist's own order leaves long files with few tests to the end
    for name in _OURS:
        os.environ.pop(name, None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script: children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.geteuid() == 0 and config.option.basetemp is None:
        # As root, PostgreSQL runs as another user, who has to pass through the folders above its own.
        folder = Path(tempfile.mkdtemp(prefix="headworks-tests-"))
        folder.chmod(0o711)
        config.option.basetemp = folder / "pytest"
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no process is left alone with it at the end."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.removeprefix("tests/").partition("/")[0], len(places)))


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """As pytest's, but every user may pass through."""
    above = [folder for folder in tmp_path.parents if folder.is_relative_to(Path(tempfile.gettempdir()))]
    for folder in (tmp_path, *above[:-1]):
        folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def anyio_backend() -> str:
    """For every test, so that plain ones may use coroutine fixtures, too."""
    return "asyncio"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running embedded PostgreSQL: nothing in it survives the run, and no background work is in a test's way."""
    folder = Path(tempfile.mkdtemp(prefix="headworks-cluster-"))
    folder.chmod(0o711)
    options = {"max_connections": "100", "scram_iterations": "1"}
    options |= dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit", "autovacuum"), "off")
    server = EmbeddedPostgres(folder / "data", settings=options)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template_urls(cluster: Cluster) -> DatabaseUrls:
    """The database that all others are copied from: migrated, and otherwise empty."""
    urls = derive_urls(cluster.url(TEMPLATE), MASTER_KEY)
    migrate_in_child(urls, create_database=True)
    return urls


@pytest.fixture(scope="session")
def databases(cluster: Cluster, template_urls: DatabaseUrls) -> FreshDatabases:
    """Migrated and empty databases, for tests and for the fixtures of a file."""
    return FreshDatabases(cluster, TEMPLATE, template_urls)


@pytest.fixture
def database_urls(databases: FreshDatabases) -> Iterator[DatabaseUrls]:
    """The logins of a fresh, migrated database."""
    with databases.lend() as urls:
        yield urls


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A fresh, migrated database as a server uses it."""
    async with Database(database_urls) as database:
        yield database


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(MASTER_KEY)


@pytest.fixture
def as_superuser(database_urls: DatabaseUrls) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection that no policy binds, to arrange and to look behind the scenes with."""
    with psycopg.connect(database_urls.owner, autocommit=True) as connection:
        connection.execute("SET search_path = headworks, public")
        yield connection


@pytest.fixture(scope="session")
def clients_python() -> Path:
    """The interpreter with boto3, botocore and LlamaIndex, which run as processes of their own."""
    python = ROOT / ".venv-clients" / "bin" / "python"
    if not (ROOT / ".venv-clients" / "headworks-lock").is_file():
        pytest.skip("there is no .venv-clients; script/test makes it where tests/clients/python can be installed")
    return python


@pytest.fixture(scope="session")
def scorer_python() -> Path:
    """The interpreter with other libraries' metrics; HEADWORKS_TEST_SCORER_PYTHON names another one."""
    if named := os.environ.get("HEADWORKS_TEST_SCORER_PYTHON"):
        return Path(named)
    if not (ROOT / ".venv-scorers" / "headworks-lock").is_file():
        pytest.skip("there is no .venv-scorers; script/test makes it where tests/clients/scorers can be installed")
    return ROOT / ".venv-scorers" / "bin" / "python"


@pytest.fixture(scope="session")
def node_clients() -> Path:
    """The folder whose scripts `node` runs with the vendors' JavaScript clients."""
    folder = ROOT / "tests" / "clients" / "node"
    if shutil.which("node") is None or not (folder / "node_modules" / "headworks-lock").is_file():
        pytest.skip("there is no Node with tests/clients/node installed; script/test installs it where npm is there")
    return folder


MakePrincipal = Callable[..., Principal]


@pytest.fixture
def make_principal(as_superuser: psycopg.Connection[tuple[object, ...]]) -> MakePrincipal:
    """Inserts a principal, with its tenant and groups where they are missing, and gives it as `identity` would.

    `make_principal(tenant=…, name=…, kind="user", groups=[…], permissions=[…], key=True)`; all may be left out. With
    `key`, it asks by an API key; `narrowed_to` names the groups that this key is narrowed to.
    """

    def make(
        *,
        tenant: UUID | None = None,
        name: str | None = None,
        kind: PrincipalKind = "user",
        groups: Iterable[Principal] = (),
        permissions: Iterable[str] = (),
        key: bool = False,
        narrowed_to: Iterable[Principal] | None = None,
    ) -> Principal:
        tenant = tenant or new_id()
        principal, groups = new_id(), list(groups)
        name = name or f"{kind} {principal}"
        run = as_superuser.execute
        run("INSERT INTO tenant (tenant_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", [tenant, f"tenant {tenant}"])
        run(
            "INSERT INTO principal (tenant_id, principal_id, kind, name) VALUES (%s, %s, %s, %s)",
            [tenant, principal, kind, name],
        )
        for group in groups:
            run(
                "INSERT INTO membership (tenant_id, group_id, principal_id) VALUES (%s, %s, %s)",
                [tenant, group.id, principal],
            )
        key_id = None
        if key or narrowed_to is not None:
            key_id = KeyId(new_id())
            run(
                "INSERT INTO api_key (tenant_id, key_id, principal_id, principal_kind, secret_hash, narrowed) "
                "VALUES (%s, %s, %s, %s, %s, %s)",
                [tenant, key_id, principal, kind, key_id.bytes, narrowed_to is not None],
            )
            for group in narrowed_to or ():
                run(
                    "INSERT INTO api_key_group (tenant_id, key_id, group_id) VALUES (%s, %s, %s)",
                    [tenant, key_id, group.id],
                )
        return Principal(
            tenant=TenantId(tenant),
            id=PrincipalId(principal),
            name=name,
            kind=kind,
            permissions=frozenset(permissions),
            key=key_id,
            groups=frozenset(group.id for group in groups),
            is_narrowed=narrowed_to is not None,
        )

    return make
