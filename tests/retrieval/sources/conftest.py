"""A tenant whose collections bring documents from simulated places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from headworks.retrieval.sources.asking import SourceView
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.testing.simulated_source import SimulatedPlace, SimulatedSource
from headworks.types.workspace import SourceSpec


@dataclass
class Sources:
    """Places by name, and the collection `docs` that reads them."""

    world: Any
    places: dict[str, SimulatedPlace]

    async def declare(self, readers: Mapping[str, str], *names: str, **spec: Any) -> None:
        """The collection, with a source for each name; ids of the source to names of ours."""
        specs = tuple(SourceSpec(name, "simulated", {"place": name}, tuple(readers.items())) for name in names)
        for name in names:
            self.places.setdefault(name, SimulatedPlace())
        await self.world.collection("docs", "everyone", sources=specs, **spec)

    async def sync(self) -> dict[str, SourceView]:
        """Ask for a sync, and do what that takes; pauses are over at once."""
        await self.world.retrieval.sync_sources(self.world.admin, "docs")
        for _ in range(20):
            await self.world.drain()
            if not self.end_pauses():
                break
        return await self.views()

    def end_pauses(self) -> int:
        """How many runs waited for a moment to come."""
        changed = self.world.behind.execute(
            "UPDATE dbos.workflow_status SET status = 'ENQUEUED' WHERE status = 'DELAYED'"
        )
        return int(changed.rowcount)

    async def views(self) -> dict[str, SourceView]:
        found = await self.world.retrieval.list_sources(self.world.admin, "docs")
        return {each.source: each for each in found}


@pytest.fixture
async def sources(
    database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any], world_maker: Any
) -> Sources:
    places: dict[str, SimulatedPlace] = {}
    world = await world_maker(
        database,
        keyring,
        as_superuser,
        openers={"simulated": lambda settings: SimulatedSource(places[settings["place"]])},
    )
    return Sources(world, places)
