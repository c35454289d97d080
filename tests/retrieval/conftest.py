from __future__ import annotations

from typing import Any

import psycopg
import pytest
from retrieval_world import World, make_world

from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring


@pytest.fixture
async def world(database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any]) -> World:
    return await make_world(database, keyring, as_superuser)


@pytest.fixture
def world_maker() -> Any:
    return make_world
