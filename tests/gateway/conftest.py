from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from running_gateway import IMPATIENT, Running, World

from headworks.storage.embedded import Cluster
from headworks.storage.pool import DatabaseUrls
from headworks.testing.provider import SimulatedProvider


@pytest.fixture(scope="session")
def world_of_session(cluster: Cluster, template_urls: DatabaseUrls) -> Iterator[World]:
    name = "gateway_tests"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(made.format(sql.Identifier(name), sql.Identifier("hw_template")))
    logins = (template_urls.owner, template_urls.app, template_urls.system, template_urls.ingest)
    urls = DatabaseUrls(*(url.replace("/hw_template?", f"/{name}?") for url in logins))
    with SimulatedProvider() as first, SimulatedProvider() as second:
        running = Running(urls, first, second, name)
        yield running.start()
        running.stop()


@pytest.fixture
def world(world_of_session: World) -> Iterator[World]:
    """The gateway as if it had just been started, apart from its keys."""
    for provider in world_of_session.providers:
        provider.forget()
    world_of_session.records.rows.clear()
    world_of_session.records.spans.clear()
    world_of_session.records.fails = None
    world_of_session.shelf.passages_of = []
    world_of_session.shelf.asked.clear()
    yield world_of_session
    world_of_session.close_clients()


@pytest.fixture
def impatient(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a silent provider is given up by while a test waits."""
    monkeypatch.setattr(world.gateway._attempts, "_deadlines", IMPATIENT)


@pytest.fixture
def provider(world: World) -> SimulatedProvider:
    """Behind `outside`, `inside` and `silent`."""
    return world.providers[0]


@pytest.fixture
def other(world: World) -> SimulatedProvider:
    """Behind `other`."""
    return world.providers[1]
