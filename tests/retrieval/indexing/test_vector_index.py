"""Indexes of vectors: built after a load, dropped with their generation, and whole again whatever ended a build."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import psycopg
import pytest
from retrieval_world import World, make_world
from vector_stage import VectorStage, as_text, made_up

from headworks.errors import Unavailable
from headworks.retrieval.indexing import nearest, vector_index
from headworks.retrieval.indexing.generations import GenerationWork
from headworks.retrieval.indexing.nearest import Nearest, index_name
from headworks.retrieval.indexing.vector_index import VectorIndexes, Wanted, memory_kb
from headworks.storage.pool import Database, DatabaseUrls, owner_connection
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import TenantId, new_id

MakePrincipal = Callable[..., Principal]
PATIENCE_S = 60
BUILD = """
import json, sys
from uuid import UUID
from headworks.retrieval.indexing.vector_index import Wanted, _Work
from headworks.storage.pool import DatabaseUrls, owner_connection
given = json.load(sys.stdin)
wanted = [Wanted(UUID(given["generation"]), 16, 600)]
_Work(owner_connection(DatabaseUrls(**given["urls"])), UUID(given["tenant"])).do(wanted, [])
"""


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (nearest, vector_index):
        monkeypatch.setattr(module, "MANY", 500)
    monkeypatch.setattr(vector_index, "_VERY_MANY", 5_000)


@pytest.fixture
def curators(make_principal: MakePrincipal) -> Callable[[TenantId], Any]:
    """As `identity.service.Identity.curator`."""
    made: dict[TenantId, Principal] = {}

    async def curator(tenant: TenantId) -> Principal:
        return made.setdefault(tenant, make_principal(tenant=tenant, kind="curator"))

    return curator


class Directory:
    def __init__(self, curator: Callable[[TenantId], Any]) -> None:
        self.curator = curator


@pytest.fixture
def stage(database: Database, as_superuser: psycopg.Connection[Any], make_principal: MakePrincipal) -> VectorStage:
    made = VectorStage(database, as_superuser, make_principal().tenant, made_up(600, 16))
    made.build()
    return made


@pytest.fixture
def indexes(database: Database, database_urls: DatabaseUrls, curators: Any) -> VectorIndexes:
    return VectorIndexes(database, Directory(curators), partial(owner_connection, database_urls))  # type: ignore[arg-type]  # asked for curators only


def there(behind: psycopg.Connection[Any]) -> dict[str, bool]:
    """The indexes by their names, and whether PostgreSQL uses them."""
    return dict(
        behind.execute(
            "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE starts_with(c.relname, 'nearest_') ORDER BY 1"
        ).fetchall()
    )


async def test_a_generation_with_many_vectors_gets_an_index_and_keeps_it(
    stage: VectorStage, indexes: VectorIndexes, make_principal: MakePrincipal
) -> None:
    reader, query = make_principal(tenant=stage.tenant), stage.vectors[0]
    stage.let_read(reader, range(60))
    assert await indexes.keep(TenantId(stage.tenant)) == 1
    assert there(stage.behind) == {index_name(stage.generation): True}
    assert await indexes.keep(TenantId(stage.tenant)) == 0, "it is there"
    async with stage.db.tx(reader) as tx:
        assert await Nearest()._way(tx, stage.within(reader), 10) == "index"
        found = await Nearest().find(tx, stage.within(reader), as_text(query), 10)
    assert len(set(found) & set(stage.best(query, stage.chunks_of(range(60)), 10))) >= 9


async def test_few_vectors_and_very_large_ones_get_none(stage: VectorStage, indexes: VectorIndexes) -> None:
    for change in ("vectors = 499", "vectors = 600, dimension = 4001"):
        stage.behind.execute(f"UPDATE generation SET {change}")
        assert await indexes.keep(TenantId(stage.tenant)) == 0
    assert there(stage.behind) == {}


async def test_without_a_pgvector_that_goes_on_along_an_index_there_is_none(
    stage: VectorStage, indexes: VectorIndexes
) -> None:
    stage.behind.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    assert await indexes.keep(TenantId(stage.tenant)) == 0
    stage.behind.execute("UPDATE pg_extension SET extversion = '0.10.0' WHERE extname = 'vector'")
    assert await indexes.keep(TenantId(stage.tenant)) == 1


async def test_no_index_is_built_while_more_is_handed_in_unless_it_is_very_much(
    stage: VectorStage, indexes: VectorIndexes
) -> None:
    stage.behind.execute(
        "INSERT INTO ingest_item (tenant_id, item_id, collection_id, source, path, media_type, content_hash, bytes, "
        "handed_in_by) VALUES (%s, %s, %s, 'upload', 'a.md', '', '', 1, %s)",
        [stage.tenant, new_id(), stage.collection, new_id()],
    )
    assert await indexes.keep(TenantId(stage.tenant)) == 0
    stage.behind.execute("UPDATE generation SET vectors = 5000")
    assert await indexes.keep(TenantId(stage.tenant)) == 1


async def test_a_generation_that_does_not_serve_yet_gets_one_when_it_is_named(
    stage: VectorStage, indexes: VectorIndexes
) -> None:
    coming = new_id()
    stage.add_generation(coming)
    stage.put_vectors(coming, stage.first + len(stage.vectors))
    assert await indexes.keep(TenantId(stage.tenant)) == 1
    assert await indexes.keep(TenantId(stage.tenant), coming) == 1
    assert set(there(stage.behind)) == {index_name(stage.generation), index_name(coming)}


async def test_an_index_goes_with_its_generation_and_others_stay(
    stage: VectorStage, indexes: VectorIndexes, make_principal: MakePrincipal
) -> None:
    other = VectorStage(stage.db, stage.behind, make_principal().tenant, made_up(600, 8))
    other.build()
    await indexes.keep(TenantId(stage.tenant))
    await indexes.keep(TenantId(other.tenant))
    stage.behind.execute("UPDATE collection SET generation_id = NULL WHERE tenant_id = %s", [stage.tenant])
    stage.behind.execute("DELETE FROM generation WHERE tenant_id = %s", [stage.tenant])
    assert await indexes.keep(TenantId(other.tenant)) == 0, "another tenant's is none of its business"
    assert await indexes.keep(TenantId(stage.tenant)) == 1
    assert there(stage.behind) == {index_name(other.generation): True}


async def test_a_build_whose_process_was_killed_is_cleaned_up_and_done_again(
    stage: VectorStage, indexes: VectorIndexes, database_urls: DatabaseUrls
) -> None:
    """An old snapshot keeps the build from its end; what it has stored by then is an index that must not be used."""
    with psycopg.connect(database_urls.owner) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1 FROM headworks.embedding LIMIT 1")
        with subprocess.Popen([sys.executable, "-c", BUILD], stdin=subprocess.PIPE, text=True) as child:
            assert child.stdin is not None
            given = {"urls": asdict(database_urls), "tenant": str(stage.tenant), "generation": str(stage.generation)}
            child.stdin.write(json.dumps(given))
            child.stdin.close()
            await until(lambda: there(stage.behind) == {index_name(stage.generation): False})
            child.kill()
        # Nobody has told PostgreSQL; its backend finds out by itself.
        await until(lambda: not owners(stage.behind))
    assert there(stage.behind) == {index_name(stage.generation): False}
    assert await indexes.keep(TenantId(stage.tenant)) == 2, "one dropped, one built"
    assert there(stage.behind) == {index_name(stage.generation): True}


async def test_who_is_cancelled_ends_its_build(stage: VectorStage, indexes: VectorIndexes) -> None:
    with psycopg.connect(stage.behind.info.dsn, password=stage.behind.info.password) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1 FROM headworks.embedding LIMIT 1")
        task = asyncio.create_task(indexes.keep(TenantId(stage.tenant)))
        await until(lambda: there(stage.behind) == {index_name(stage.generation): False})
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not owners(stage.behind))
    assert await indexes.keep(TenantId(stage.tenant)) == 2
    assert there(stage.behind) == {index_name(stage.generation): True}


async def test_one_builds_at_a_time(
    stage: VectorStage, indexes: VectorIndexes, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "_LOCK_WAIT_S", 0.0)
    with owner_connection(database_urls) as another:
        another.execute("SELECT pg_advisory_lock(%s)", [vector_index._LOCK])
        with pytest.raises(Unavailable, match="built elsewhere"):
            await indexes.keep(TenantId(stage.tenant))
    assert await indexes.keep(TenantId(stage.tenant)) == 1


async def test_two_at_the_same_time_build_it_once(stage: VectorStage, indexes: VectorIndexes) -> None:
    done = await asyncio.gather(*(indexes.keep(TenantId(stage.tenant)) for _ in range(2)))
    assert sorted(done) == [0, 1]
    assert there(stage.behind) == {index_name(stage.generation): True}


def test_memory_is_what_the_graph_takes_up_to_a_bound() -> None:
    assert memory_kb(Wanted(new_id(), 384, 1_000)) == 64 << 10
    assert 150_000 < memory_kb(Wanted(new_id(), 384, 100_000)) < 250_000
    assert memory_kb(Wanted(new_id(), 3072, 10_000_000)) == 2 << 20


# ── Through the service ──


@pytest.fixture
async def indexing(
    database: Database, database_urls: DatabaseUrls, keyring: Keyring, as_superuser: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> World:  # fmt: skip
    """A world whose jobs process has a way to hw_owner, where forty vectors are many."""
    for module in (nearest, vector_index):
        monkeypatch.setattr(module, "MANY", 40)
    return await make_world(database, keyring, as_superuser, owner=partial(owner_connection, database_urls))


def live(world: World) -> Any:
    row = world.behind.execute(
        "SELECT g.generation_id, g.dimension, g.vectors "
        "FROM generation g JOIN collection c USING (tenant_id, generation_id)"
    ).fetchone()
    assert row is not None
    return row


async def add_notes(world: World, first: int, number: int) -> None:
    for place in range(first, first + number):
        await world.hand_in("handbook", f"{place}.md", f"# Note {place}\n\nA heron stands in pond {place}.")
    await world.drain()


async def test_the_last_run_of_a_load_has_the_index_built(indexing: World) -> None:
    await indexing.collection("handbook", "everyone")
    await add_notes(indexing, 0, 30)
    assert there(indexing.behind) == {}
    await add_notes(indexing, 30, 30)
    generation, dimension, vectors = live(indexing)
    assert (dimension, vectors) == (384, 60)
    assert there(indexing.behind) == {index_name(generation): True}
    found = await indexing.found(indexing.admin, "handbook", "heron in pond 41", k=5)
    assert found[0] == "41.md"


async def test_vectors_of_another_size_come_in_while_the_old_ones_serve(
    indexing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is there before the new generation serves, and the old one's is gone after."""
    await indexing.collection("handbook", "everyone")
    await add_notes(indexing, 0, 60)
    before = live(indexing)
    seen: list[tuple[int, dict[str, bool]]] = []
    switch = GenerationWork.switch

    async def seen_switch(self: GenerationWork, *arguments: Any) -> bool:
        found = await indexing.search(indexing.admin, "handbook", "heron in pond 7")
        seen.append((len(found.passages), there(indexing.behind)))
        return await switch(self, *arguments)

    monkeypatch.setattr(GenerationWork, "switch", seen_switch)
    monkeypatch.setattr(indexing.models, "_vector", sized(indexing, 1024))
    indexing.models.digest = "sha256:words-1024"
    await indexing.collection("handbook", "everyone", embedding="openai/large")
    await indexing.drain()
    after = live(indexing)
    assert (before[1], after[1]) == (384, 1024)
    assert seen == [(10, {index_name(before[0]): True, index_name(after[0]): True})]
    assert there(indexing.behind) == {index_name(after[0]): True}
    assert indexing.count("embedding", "vector_dims(vector) <> 1024") == 0
    found = await indexing.search(indexing.admin, "handbook", "heron in pond 7")
    assert (found.ranking, found.passages[0].path) == ("hybrid", "7.md")


async def test_a_model_that_answers_with_another_size_is_said_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", "# Heron\n\nA heron stands in the pond.")
    right = world.models._vector
    monkeypatch.setattr(world.models, "_vector", sized(world, 512))
    await world.hand_in("handbook", "b.md", "# Stork\n\nA stork stands on the roof.")
    await world.jobs.drain(world.behind)
    progress = await world.progress("handbook")
    assert (progress.done, progress.documents) == (2, 2)
    assert "answered with vectors of 512 numbers; those of this collection have 384" in progress.notice
    found = await world.search(world.admin, "handbook", "stork")
    assert found.passages[0].path == "b.md"
    assert "answered with 512 numbers, not with 384" in found.notice
    monkeypatch.setattr(world.models, "_vector", right)
    await world.retrieval.catch_up()
    await world.drain()
    assert (await world.progress("handbook")).notice == ""
    assert world.count("embedding") == world.count("chunk")
    assert (await world.search(world.admin, "handbook", "stork")).notice == ""


async def test_a_server_that_starts_asks_for_an_index_that_is_missing(indexing: World) -> None:
    await indexing.collection("handbook", "everyone")
    await add_notes(indexing, 0, 45)
    (name,) = there(indexing.behind)
    indexing.behind.execute(f"DROP INDEX {name}")
    await indexing.retrieval.catch_up()
    assert await indexing.drain() == 1
    assert there(indexing.behind) == {name: True}
    await indexing.retrieval.catch_up()
    assert await indexing.drain() == 0


async def test_where_there_is_no_way_to_the_owner_nobody_asks_again_and_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "MANY", 1)
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", "# Heron\n\nA heron stands in the pond.")
    assert await world.drain() == 0
    assert there(world.behind) == {}


# ── ──


def sized(world: World, size: int) -> Callable[[str], list[float]]:
    """The same words' vectors, cut or padded to another size."""
    of_384 = world.models._vector

    def vector(text: str) -> list[float]:
        found = np.resize(of_384(text), size)
        unit: list[float] = (found / np.linalg.norm(found)).tolist()
        return unit

    return vector


def owners(behind: psycopg.Connection[Any]) -> list[Any]:
    """Backends that maintenance has open in this database."""
    return behind.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'headworks-owner' AND datname = current_database()"
    ).fetchall()


async def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
