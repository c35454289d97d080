"""Handing in by a program: once for each idempotency key, and many at a time with a result for each."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from pydantic import ValidationError
from retrieval_world import World

from headworks.errors import Conflict, InvalidRequest, NotFound
from headworks.retrieval.ingestion.batches import Batch, Refused, Result, hand_in_all

LEAVE = "# Parental leave\n\nParents take fourteen weeks of parental leave.\n"


async def _hand_in(world: World, *files: dict[str, Any], **more: Any) -> list[Result]:
    batch = Batch.model_validate({"files": list(files), **more})
    return await hand_in_all(world.retrieval.ingestion, world.admin, "handbook", batch)


async def test_the_same_key_again_is_the_same_hand_in(world: World) -> None:
    await world.collection("handbook", "everyone")
    first = await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k1")
    again = await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k1")
    assert (again.id, again.state) == (first.id, "queued")
    await world.drain()
    assert (await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k1")).state == "done"
    assert world.count("ingest_item") == world.count("blob") == 1
    for path, text in (("b.md", LEAVE), ("a.md", f"{LEAVE}more\n")):
        with pytest.raises(Conflict, match="Something else"):
            await world.hand_in("handbook", path, text, idempotency_key="k1")
    with pytest.raises(InvalidRequest, match="at most 200"):
        await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k" * 201)


async def test_the_same_key_for_others_is_refused_and_never_taken_for_done(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.person("jane", "everyone")
    said = {"readers": ["jane", "admin"], "denied": ["everyone"], "metadata": {"year": 2024, "valid_to": "2030-01-01"}}
    first = await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k1", **said)
    assert (await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k1", **said)).id == first.id
    others = {"readers": ["admin"], "denied": ["jane"], "metadata": {"year": 2024, "valid_to": "2026-01-01"}}
    for name, value in others.items():
        with pytest.raises(Conflict, match="Something else"):
            await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k1", **{**said, name: value})
    await world.hand_in("handbook", "b.md", LEAVE, idempotency_key="k2")
    with pytest.raises(Conflict, match="Something else"):
        await world.hand_in("handbook", "b.md", LEAVE, idempotency_key="k2", readers=[])


async def test_a_key_is_its_owners_and_its_collections(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.collection("other", "everyone")
    await world.person("jane", "everyone")
    await world.identity.bind_role(world.admin, "jane", "engineer")
    jane = await world.key("jane")
    items = {
        (await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k")).id,
        (await world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k", by=jane)).id,
        (await world.hand_in("other", "a.md", LEAVE, idempotency_key="k")).id,
    }
    assert len(items) == 3


async def test_the_same_key_at_once_is_stored_once(world: World) -> None:
    await world.collection("handbook", "everyone")
    asked = [world.hand_in("handbook", "a.md", LEAVE, idempotency_key="k") for _ in range(6)]
    assert len({each.id for each in await asyncio.gather(*asked)}) == 1
    assert world.count("ingest_item") == world.count("blob") == 1


async def test_each_file_of_a_batch_is_taken_or_refused_by_itself(world: World) -> None:
    await world.collection("handbook", "everyone")
    rows = await _hand_in(
        world,
        {"path": "a.md", "text": LEAVE, "metadata": {"year": 2024}, "idempotency_key": "k"},
        {"path": "../b.md", "text": LEAVE},
        {"path": "c.md", "base64": base64.b64encode(LEAVE.encode()).decode(), "readers": ["nobody-here"]},
        {"path": "d.md", "base64": "%%%"},
        {"path": "e.md"},
        {"path": "f.md", "text": LEAVE, "metadata": {"valid_to": "soon"}},
        {"path": "g.md", "base64": base64.b64encode(LEAVE.encode()).decode(), "readers": ["admin"]},
        {"path": "a.md", "text": LEAVE, "metadata": {"year": 2024}, "idempotency_key": "k"},
        source="wiki",
    )
    assert [row.path for row in rows] == ["a.md", "../b.md", "c.md", "d.md", "e.md", "f.md", "g.md", "a.md"]
    assert [row.error is None for row in rows] == [True, False, False, False, False, False, True, True]
    assert rows[0].item == rows[7].item
    refused = [row.error.code for row in rows if row.error]
    assert refused == ["path", "invalid_request", "invalid_request", "invalid_request", "invalid_request"]
    assert rows[3].error == Refused("invalid_request", "What stands in `base64` is not base64.")
    await world.drain()
    jane = await world.person("jane", "everyone")
    assert await world.found(jane, "handbook", "parental leave") == ["a.md"]
    assert set(await world.found(world.admin, "handbook", "parental leave")) == {"a.md", "g.md"}
    assert world.count("document", "source = 'wiki'") == 2


async def test_many_files_are_stored_some_at_a_time_and_ask_for_one_run(world: World) -> None:
    await world.collection("handbook", "everyone")
    files = [{"path": f"{number}.md", "text": LEAVE} for number in range(120)]
    files[60]["path"], files[70]["text"] = "../up.md", ""
    rows = await _hand_in(world, *files)
    assert [row.path for row in rows] == [file["path"] for file in files]
    assert [row.path for row in rows if row.error] == ["../up.md"]
    assert world.count("ingest_item") == world.count("blob") == 119
    stored = world.behind.execute("SELECT path FROM ingest_item ORDER BY created_at, item_id").fetchall()
    assert [path for (path,) in stored] == [row.path for row in rows if not row.error], "in the order of the request"
    stored_by = world.behind.execute("SELECT count(*) FROM ingest_item GROUP BY xmin::text").fetchall()
    assert sorted(stored_by) == [(20,), (49,), (50,)], "in one transaction each"
    assert world.count("dbos.workflow_status") == 1


async def test_a_file_with_a_key_which_is_a_lock_is_stored_alone(world: World) -> None:
    await world.collection("handbook", "everyone")
    files = [{"path": f"{number}.md", "text": LEAVE} for number in range(6)]
    files[2]["idempotency_key"], files[3]["idempotency_key"] = "k2", "k3"
    assert all(row.error is None for row in await _hand_in(world, *files))
    by_transaction = world.behind.execute("SELECT array_agg(path ORDER BY path) FROM ingest_item GROUP BY xmin::text")
    together = sorted(paths for (paths,) in by_transaction.fetchall())
    assert together == [["0.md", "1.md"], ["2.md"], ["3.md"], ["4.md", "5.md"]]


async def test_a_sync_that_is_not_ones_own_refuses_each_file(world: World) -> None:
    await world.collection("handbook", "everyone")
    rows = await _hand_in(world, {"path": "a.md", "text": LEAVE}, {"path": "../b.md", "text": LEAVE}, sync="none")
    assert [row.error and row.error.code for row in rows] == ["not_found", "path"]
    assert world.count("ingest_item") == 0


async def test_a_collection_that_is_not_there_refuses_the_whole_batch(world: World) -> None:
    with pytest.raises(NotFound):
        await _hand_in(world, {"path": "a.md", "text": LEAVE})
    with pytest.raises(ValidationError):
        Batch.model_validate({"files": [{"path": "a.md", "text": "x"}] * 1_001})
    with pytest.raises(ValidationError):
        Batch.model_validate({"files": [{"path": "a.md", "text": "x", "reader": []}]})
