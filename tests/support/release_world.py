"""Releases over a real database, without the rooms above: workspaces, people, and what is live."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
import pytest
from psycopg import sql

from headworks.guardrails.schema import read_output_schema
from headworks.identity.contract import KeyRequest
from headworks.identity.service import Identity
from headworks.releases.service import Releases
from headworks.releases.workspace.reading import Surroundings
from headworks.storage.embedded import Cluster
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal, ShownKey
from headworks.types.ids import ProjectId
from headworks.types.workspace import CollectionSpec

_counter = itertools.count(1)
_operators: dict[str, str] = {}
"""The first key of each shared database."""

AROUND = Surroundings(
    providers=frozenset({"openai"}),
    pii_kinds=frozenset({"email"}),
    permissions=frozenset({"feature:call"}),
    usual_env=frozenset({"OPENAI_API_KEY"}),
    operator_env=frozenset(),
    read_schema=read_output_schema,
)
PROMPT = "---\ninputs:\n  question: {kind: string, from: question}\n---\nsystem:\nBe brief.\nuser:\n{{ question }}\n"
FEATURE = "owner: claims\nroute: default\nprompt: prompts/answer.prompty\nretrieval: {collection: docs}\n"


def workspace(**changed: str) -> dict[str, bytes]:
    files = {
        "routes.yaml": "routes:\n  default:\n    targets: [builtin/extractive]\n",
        "collections/docs.yaml": "readers: [everyone]\n",
        "features/claims/feature.yaml": FEATURE,
        "features/claims/prompts/answer.prompty": PROMPT,
    }
    names = {
        "feature": "features/claims/feature.yaml",
        "prompt": "features/claims/prompts/answer.prompty",
        "routes": "routes.yaml",
    }
    files |= {names[key]: text for key, text in changed.items()}
    return {path: text.encode() for path, text in files.items()}


def reaching(line: str) -> dict[str, bytes]:
    return workspace() | {"providers.yaml": f"providers:\n  openai:\n    {line}\n".encode()}


@dataclass
class Declared:
    """Stands in for retrieval, which lies above; remembers what was declared."""

    specs: list[CollectionSpec] = field(default_factory=list)

    async def check(self, principal: Principal, specs: Sequence[CollectionSpec]) -> None:
        del principal, specs

    async def declare(self, principal: Principal, project: ProjectId, specs: Sequence[CollectionSpec]) -> None:
        del principal, project
        self.specs = list(specs)


@dataclass
class World:
    releases: Releases
    identity: Identity
    admin: Principal
    declared: Declared
    db: Database

    async def digest(self, channel: str = "prod", feature: str = "claims") -> str | None:
        async with self.db.system("test") as tx:
            table = await self.releases.load(tx)
        found = table.feature(self.admin.tenant, feature, channel)
        return found.digest if found else None

    async def person(self, name: str, *roles: str, kind: Literal["user", "service"] = "user") -> Principal:
        """A new user or service account with these roles, as a key of theirs would ask."""
        await self.identity.create_principal(self.admin, name, kind=kind, roles=roles)
        made = await self.identity.create_key(self.admin, KeyRequest(name))
        async with self.db.system("test") as tx:
            return (await self.identity.load(tx)).authenticate(ShownKey(made.token), 0.0)

    async def apply(self, files: Mapping[str, bytes] | None = None, by: Principal | None = None, **changed: str) -> Any:
        """Make the workspace be `workspace(**changed)`, or these files; what became of its one feature."""
        report = await self.releases.apply(by or self.admin, "default", files or workspace(**changed))
        return report.features[0]


def releases_over(database: Database, keyring: Keyring, identity: Identity, declared: Declared) -> Releases:
    return Releases(database, keyring, declared, identity, AROUND, lambda _: "sha256:weights")


async def enter(database: Database, keyring: Keyring, identity: Identity, key: str) -> World:
    """As the holder of a key."""
    async with database.system("test") as tx:
        admin = (await identity.load(tx)).authenticate(ShownKey(key), 0.0)
    declared = Declared()
    return World(releases_over(database, keyring, identity, declared), identity, admin, declared, database)


@pytest.fixture
async def world(database: Database, keyring: Keyring) -> World:
    """A database of its own, and its operator."""
    identity = Identity(database, keyring, b"pepper" * 6)
    founded = await identity.bootstrap()
    assert founded is not None
    return await enter(database, keyring, identity, founded.key)


@pytest.fixture(scope="module")
def shared_urls(cluster: Cluster, template_urls: DatabaseUrls) -> Iterator[DatabaseUrls]:
    """One database for all tests of a module that need no more than a tenant of their own."""
    name = f"shared_{os.getpid()}_{next(_counter)}"
    database, template = sql.Identifier(name), template_urls.owner.split("?")[0].rpartition("/")[2]
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(database, sql.Identifier(template)))
    urls = (template_urls.owner, template_urls.app, template_urls.system, template_urls.ingest)
    try:
        yield DatabaseUrls(*(url.replace(f"/{template}?", f"/{name}?") for url in urls))
    finally:
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


@pytest.fixture
async def guest(shared_urls: DatabaseUrls, keyring: Keyring) -> AsyncIterator[World]:
    """A new tenant of the module's database, and its owner."""
    async with Database(shared_urls) as database:
        identity = Identity(database, keyring, b"pepper" * 6)
        founded = await identity.bootstrap()
        if founded is not None:
            _operators[shared_urls.owner] = founded.key
        async with database.system("test") as tx:
            operator = (await identity.load(tx)).authenticate(ShownKey(_operators[shared_urls.owner]), 0.0)
        made = await identity.create_tenant(operator, f"tenant-{next(_counter)}", "admin")
        yield await enter(database, keyring, identity, made.key)


@pytest.fixture
def shared_superuser(shared_urls: DatabaseUrls) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection to the module's database that no policy binds. Name the tenant: others' rows are there, too."""
    with psycopg.connect(shared_urls.owner, autocommit=True) as connection:
        connection.execute("SET search_path = headworks, public")
        yield connection
