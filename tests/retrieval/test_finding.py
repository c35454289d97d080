"""Documents by their paths: only what the caller may read, and nothing that tells of the rest."""

from __future__ import annotations

import pytest
from retrieval_world import World

from headworks.errors import InvalidRequest, NotFound


async def test_documents_are_found_by_their_paths_with_id_and_version(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "people/leave.md", "# Leave\n\nTwelve weeks.")
    await world.add("handbook", "pay.md", "# Pay\n\nMonthly.")
    (first, second) = await world.retrieval.find_documents(
        world.admin, "handbook", ["pay.md", "people/leave.md", "no.md", "bad\0.md"]
    )
    assert [(each.path, each.title, each.version) for each in (first, second)] == [
        ("pay.md", "Pay", 1),
        ("people/leave.md", "Leave", 1),
    ]
    assert (await world.retrieval.document(world.admin, first.document)).path == "pay.md"


async def test_what_the_caller_may_not_read_is_not_there(world: World) -> None:
    await world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    await world.collection("closed", "administrators")
    await world.add("handbook", "board/merger.md", "# Merger\n\nIn May.")
    bob = await world.person("bob")
    assert await world.retrieval.find_documents(world.admin, "handbook", ["board/merger.md"])
    assert await world.retrieval.find_documents(bob, "handbook", ["board/merger.md"]) == []
    for name in ("closed", "nowhere", "no\0where"):
        with pytest.raises(NotFound, match="There is no collection"):
            await world.retrieval.find_documents(bob, name, ["x.md"])


async def test_too_many_paths_at_once_are_refused(world: World) -> None:
    await world.collection("handbook", "everyone")
    with pytest.raises(InvalidRequest, match="at most 1000"):
        await world.retrieval.find_documents(world.admin, "handbook", ["a.md"] * 1001)
