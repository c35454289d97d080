from __future__ import annotations

from collections.abc import Iterator

import pytest
from fresh_databases import FreshDatabases
from running_gateway import IMPATIENT, Running, World

from headworks.testing.provider import SimulatedProvider


@pytest.fixture(scope="session")
def world_of_session(databases: FreshDatabases) -> Iterator[World]:
    with databases.lend() as urls, SimulatedProvider() as first, SimulatedProvider() as second:
        running = Running(urls, first, second)
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
