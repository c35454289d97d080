"""Documents by their paths: only what the caller may read, and nothing that tells of the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from retrieval_world import World

from headworks.errors import InvalidRequest, NotFound
from headworks.types.retrieval import Place, PlaceRead


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


async def test_a_place_is_read_under_the_rights_of_who_looks_and_of_this_very_version(world: World) -> None:
    await world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    await world.add("handbook", "board/leave.md", "# Leave\n\n## Parental\n\nTwelve weeks.\n\n## Sick\n\nCall us.")
    found = (await world.search(world.admin, "handbook", "weeks call")).passages
    places = {Place(each.document, each.version, each.start, each.end): each for each in found}
    assert len(places) == 2
    read = await world.retrieval.read_places(world.admin, [*places])
    assert read == {
        place: PlaceRead("board/leave.md", "Leave", each.section, None, each.text) for place, each in places.items()
    }
    bob = await world.person("bob")
    assert await world.retrieval.read_places(bob, [*places]) == {}
    (first, *_) = places
    assert (await world.retrieval.read_places(world.admin, [replace(first, version=7)])).popitem()[1].text == ""
    await world.add("handbook", "board/leave.md", "# Leave\n\nNone.")
    assert {each.text for each in (await world.retrieval.read_places(world.admin, [*places])).values()} == {""}
