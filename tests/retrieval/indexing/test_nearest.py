"""The nearest vectors of what the caller may read: three ways, one answer, and never the planner's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vector_stage import VectorStage, as_text, made_up

from headworks.retrieval.indexing import nearest
from headworks.retrieval.indexing.nearest import Nearest, chosen_way, crossover, index_name, trusted
from headworks.retrieval.store import NEAREST_SQL
from headworks.storage.pool import Database, Tx
from headworks.types.identity import Principal

MakePrincipal = Callable[..., Principal]

CHUNKS = 3_000
SHARES = {"nobody": 0, "few": 5, "half": 150, "all": 300}
"""Of 300 documents, ten chunks each. Few: below the crossover of 245 chunks for ten."""
WAYS = {"nobody": "few", "few": "few", "half": "index", "all": "index"}


@pytest.fixture
def stage(
    database: Database, as_superuser: psycopg.Connection[Any], make_principal: MakePrincipal,
    monkeypatch: pytest.MonkeyPatch,
) -> VectorStage:  # fmt: skip
    monkeypatch.setattr(nearest, "MANY", 1_000)
    made = VectorStage(database, as_superuser, make_principal().tenant, made_up(CHUNKS, 24))
    made.build()
    return made


@pytest.fixture
def indexed(stage: VectorStage) -> VectorStage:
    stage.behind.execute(
        f"CREATE INDEX {index_name(stage.generation)} ON embedding USING hnsw ((vector::halfvec(24)) halfvec_ip_ops) "
        f"WHERE tenant_id = '{stage.tenant}'::uuid AND generation_id = '{stage.generation}'::uuid"
    )
    return stage


@pytest.fixture
def readers(stage: VectorStage, make_principal: MakePrincipal) -> dict[str, Principal]:
    found = {name: make_principal(tenant=stage.tenant, name=name) for name in SHARES}
    for name, number in SHARES.items():
        stage.let_read(found[name], range(number))
    return found


async def plan_of(tx: Tx, statement: str, **parameters: object) -> str:
    return "\n".join(row[0] for row in await tx.fetch_all(f"EXPLAIN {statement}", **parameters))


@pytest.mark.parametrize("has_index", [False, True])
async def test_what_is_found_is_readable_and_the_nearest(
    stage: VectorStage, readers: dict[str, Principal], request: pytest.FixtureRequest, *, has_index: bool
) -> None:
    if has_index:
        request.getfixturevalue("indexed")
    for name, principal in readers.items():
        readable = stage.chunks_of(range(SHARES[name]))
        right = 0
        for query in made_up(10, 24, seed=1):
            async with stage.db.tx(principal) as tx:
                found = await Nearest().find(tx, stage.within(principal), as_text(query), 10)
            expected = stage.best(query, readable, 10)
            assert set(found) <= readable
            assert list(found.values()) == sorted(found.values(), reverse=True)
            assert len(found) == len(expected)
            right += len(set(found) & set(expected))
        assert right >= 0.95 * 10 * min(10, len(readable)), f"{name}: {right}"


async def test_the_way_is_chosen_by_what_the_caller_may_read(
    indexed: VectorStage, readers: dict[str, Principal]
) -> None:
    ways = {}
    for name, principal in readers.items():
        async with indexed.db.tx(principal) as tx:
            ways[name] = await Nearest()._way(tx, indexed.within(principal), 10)
    assert ways == WAYS


async def test_each_way_is_planned_as_it_is_meant(indexed: VectorStage, readers: dict[str, Principal]) -> None:
    """With prepared statements, too, whose plans PostgreSQL may keep for any values."""
    principal, index = readers["half"], index_name(indexed.generation)
    within = indexed.within(principal)
    asked = {**within.keys, "vector": as_text(made_up(1, 24)[0]), "limit": 10}
    for _ in range(8):
        async with indexed.db.tx(principal) as tx:
            everything = await plan_of(tx, NEAREST_SQL.scan_all, **asked)
            by_documents = await plan_of(tx, NEAREST_SQL.scan_few, **asked, collection=within.collection)
            await tx.run(NEAREST_SQL.aim, ef="40", tuples="20000", index=f"headworks.{index}")
            walk = await plan_of(tx, NEAREST_SQL.walk, **asked, dimension=24)
        assert f"Index Scan using {index} on embedding" in walk
        assert "Sort" not in walk
        assert index not in everything
        assert index not in by_documents
        assert "embedding_of_document" in by_documents


async def test_a_plan_that_is_kept_uses_the_index_as_well(indexed: VectorStage, readers: dict[str, Principal]) -> None:
    """From the sixth time on PostgreSQL might take a plan for any values, in which no partial index has a place."""
    principal, near = readers["half"], Nearest()
    scans = f"SELECT pg_stat_get_xact_numscans('headworks.{index_name(indexed.generation)}'::regclass)"
    for query in made_up(14, 24):
        async with indexed.db.tx(principal) as tx:
            before = await tx.fetch_value(scans)
            assert len(await near.find(tx, indexed.within(principal), as_text(query), 10)) == 10
            assert await tx.fetch_value(scans) > before


async def test_the_rest_of_the_transaction_is_planned_as_before(
    indexed: VectorStage, readers: dict[str, Principal]
) -> None:
    settings = (
        "SELECT current_setting('enable_sort') || current_setting('work_mem') || current_setting('plan_cache_mode')"
    )
    principal = readers["all"]
    async with indexed.db.tx(principal) as tx:
        before = await tx.fetch_value(settings)
        assert await Nearest().find(tx, indexed.within(principal), as_text(made_up(1, 24)[0]), 10)
        assert await tx.fetch_value(settings) == before


async def test_an_index_that_does_not_give_enough_is_no_answer(
    indexed: VectorStage, readers: dict[str, Principal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be read is far from the question, and the walk gives up early."""
    monkeypatch.setattr(nearest, "_SEEN_PER_TRUSTED", 0)
    monkeypatch.setattr(nearest, "_WIDEST_EF", 1)
    principal = readers["half"]
    readable = indexed.chunks_of(range(150))
    for query in indexed.vectors[1500::300]:
        async with indexed.db.tx(principal) as tx:
            within = indexed.within(principal)
            asked = {**within.keys, "vector": as_text(query), "limit": 200}
            assert len(await Nearest()._walk(tx, within, asked, 200)) < 200
            found = await Nearest().find(tx, within, as_text(query), 200)
        assert len(found) == 200
        assert set(found) <= readable
        assert len(set(found) & set(indexed.best(query, readable, 200))) >= 197, "but for ties of half precision"


async def test_a_walk_that_came_by_too_much_is_no_answer(
    indexed: VectorStage, readers: dict[str, Principal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its order is too rough: everything is compared, also where it gave enough."""
    principal, query = readers["half"], as_text(indexed.vectors[1500])
    within = indexed.within(principal)
    asked = {**within.keys, "vector": query, "limit": 10}
    for most, gives in ((10_000, 20), (5, 0)):
        monkeypatch.setattr(nearest, "trusted", lambda *_, most=most: most)
        async with indexed.db.tx(principal) as tx:
            for _ in range(2):  # what walks before it came by is not counted
                assert len(await Nearest()._walk(tx, within, asked, 10)) == gives
            found = await Nearest().find(tx, within, query, 10)
        assert set(found) == set(indexed.best(indexed.vectors[1500], indexed.chunks_of(range(150)), 10))


async def test_a_number_that_is_kept_permits_nothing(indexed: VectorStage, readers: dict[str, Principal]) -> None:
    near, query = Nearest(), indexed.vectors[0]
    for name in ("few", "all"):
        principal, within = readers[name], indexed.within(readers[name])
        async with indexed.db.tx(principal) as tx:
            assert indexed.first in await near.find(tx, within, as_text(query), 10)
        indexed.behind.execute(
            "DELETE FROM document_reader WHERE principal_id = %s AND document_id = %s",
            [principal.id, indexed.documents[0]],
        )
        async with indexed.db.tx(principal) as tx:
            found = await near.find(tx, within, as_text(query), 10)
        assert len(found) == 10
        assert not set(found) & indexed.chunks_of([0])


async def test_the_number_is_counted_anew_when_the_collection_has_changed(
    indexed: VectorStage, readers: dict[str, Principal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "_KEPT_WHATEVER_S", 0.0)
    near, principal = Nearest(), readers["nobody"]
    async with indexed.db.tx(principal) as tx:
        assert await near._way(tx, indexed.within(principal), 10) == "few"
    indexed.let_read_more(principal, range(300))
    async with indexed.db.tx(principal) as tx:
        assert await near._way(tx, indexed.within(principal), 10) == "few", "the epoch has not moved"
        assert await near._way(tx, indexed.within(principal, epoch=2), 10) == "index"


async def test_documents_that_nobody_restricted_count_as_readable(
    stage: VectorStage, make_principal: MakePrincipal
) -> None:
    somebody = make_principal(tenant=stage.tenant)
    stage.let_read(somebody, [])
    stage.behind.execute("UPDATE document SET restricted = false WHERE document_id = ANY (%s)", [stage.documents[:3]])
    async with stage.db.tx(somebody) as tx:
        found = await Nearest().find(tx, stage.within(somebody), as_text(stage.vectors[0]), 100)
    assert set(found) == stage.chunks_of(range(3))


async def test_an_index_that_is_not_finished_is_not_walked_along(
    indexed: VectorStage, readers: dict[str, Principal]
) -> None:
    name = f"headworks.{index_name(indexed.generation)}"
    indexed.behind.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [name])
    async with indexed.db.tx(readers["all"]) as tx:
        assert await Nearest()._way(tx, indexed.within(readers["all"]), 10) == "all"


async def test_of_another_tenant_nothing_is_near(
    indexed: VectorStage, readers: dict[str, Principal], make_principal: MakePrincipal
) -> None:
    stranger = make_principal()
    for way in ("scan_all", "scan_few", "walk"):
        async with indexed.db.tx(stranger) as tx:
            asked = {"tenant": indexed.tenant, "generation": indexed.generation, "limit": 10, "dimension": 24}
            asked |= {"collection": indexed.collection, "vector": as_text(indexed.vectors[0])}
            used = {name: value for name, value in asked.items() if f"%({name})s" in NEAREST_SQL[way]}
            assert await tx.fetch_all(NEAREST_SQL[way], **used) == []


def test_a_small_generation_is_compared_whole_whoever_asks() -> None:
    assert {chosen_way(19_999, readable, 100, has_index=True) for readable in (0, 100, 19_999)} == {"all"}


@pytest.mark.parametrize(
    ("vectors", "readable", "has_index", "way"),
    [
        (100_000, 100, True, "few"),
        (100_000, 5_000, True, "few"),
        (100_000, 5_001, True, "index"),
        (100_000, 5_001, False, "all"),
        (1_000_000, 20_000, True, "few"),
        (1_000_000, 20_001, True, "index"),
        (10_000_000, 44_721, True, "few"),
        (10_000_000, 44_722, True, "index"),
    ],
)
def test_few_are_compared_and_for_more_there_is_the_index(
    vectors: int, readable: int, *, has_index: bool, way: str
) -> None:
    assert chosen_way(vectors, readable, 100, has_index=has_index) == way


@given(st.integers(20_000, 10**8), st.integers(1, 1_000))
def test_beyond_the_crossover_a_walk_is_cheaper_and_not_too_long(vectors: int, limit: int) -> None:
    readable = crossover(vectors, limit) + 1
    assert readable**2 > 2 * limit * vectors, "comparing what may be read costs more"
    assert 2 * limit * vectors / readable <= 0.8 * trusted(vectors, limit), "if that is spread evenly"


def test_vectors_made_up_for_tests_are_of_length_1() -> None:
    assert np.allclose(np.linalg.norm(made_up(10, 5), axis=1), 1)
