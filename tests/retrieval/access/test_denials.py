"""Deny entries go before every list: by name, by group, by groups in groups, for narrowed keys and disabled groups."""

from __future__ import annotations

import pytest
from retrieval_world import World

from headworks.errors import InvalidRequest, NotFound, WorkspaceInvalid
from headworks.retrieval.access.readers import PatternDenials, denied_at, read_denials, write_denials
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, new_id

TEXT = "# Merger\n\nIt closes in May."


async def _reads(world: World, who: Principal, collection: str = "handbook") -> list[str]:
    """What somebody finds; nothing where the collection itself is shut."""
    try:
        return sorted(await world.found(who, collection, "when does it close"))
    except NotFound:
        return []


async def test_a_collection_is_closed_to_whom_it_denies_and_is_none_for_them(world: World) -> None:
    bob, eve = await world.person("bob", "clinic"), await world.person("eve", "clinic", "contractors")
    await world.collection("handbook", "clinic", denied=("contractors",))
    await world.add("handbook", "a.md", TEXT)
    assert await _reads(world, bob) == ["a.md"]
    with pytest.raises(NotFound, match="no collection `handbook` that you may read"):
        await world.search(eve, "handbook", "merger")
    assert await world.retrieval.list_collections(eve) == []
    await world.collection("handbook", "clinic")
    assert await _reads(world, eve) == ["a.md"], "taken back, it is open from the next statement"


async def test_every_pattern_that_matches_denies_beside_the_first_that_admits(world: World) -> None:
    bob, eve = await world.person("bob"), await world.person("eve")
    await world.collection(
        "handbook", "everyone", documents=[("board/**", ("bob", "eve"))],
        denials=[("**/merger.md", ("eve",)), ("board/old/", ("bob",))],
    )  # fmt: skip
    for path in ("merger.md", "board/merger.md", "board/old/merger.md", "board/plan.md"):
        await world.add("handbook", path, TEXT)
    assert await _reads(world, bob) == ["board/merger.md", "board/plan.md", "merger.md"]
    assert await _reads(world, eve) == ["board/plan.md"]
    assert await _reads(world, world.admin) == ["merger.md"]


async def test_entries_that_are_given_on_upload_stay_until_others_are_given(world: World) -> None:
    bob = await world.person("bob")
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT, denied=["bob"])
    assert await _reads(world, bob) == []
    assert await _reads(world, world.admin) == ["a.md"]
    await world.add("handbook", "a.md", f"{TEXT} Or June.")
    assert await _reads(world, bob) == [], "left out: as it was"
    await world.add("handbook", "a.md", f"{TEXT} Or June.", denied=["admin"])
    assert (await _reads(world, bob), await _reads(world, world.admin)) == (["a.md"], []), (
        "the same content, another list"
    )
    await world.add("handbook", "a.md", f"{TEXT} Or June.", denied=[])
    assert await _reads(world, world.admin) == ["a.md"]


async def test_a_denial_holds_through_groups_in_groups_and_for_keys_that_are_narrowed_past_it(world: World) -> None:
    bob = await world.person("bob", "clinic", "temps")
    await world.identity.create_group(world.admin, "contractors")
    await world.identity.add_member(world.admin, "contractors", "temps")
    await world.collection("handbook", "clinic")
    await world.collection("library", "clinic", denied=("bob",))
    await world.add("handbook", "a.md", TEXT, denied=["contractors"])
    await world.add("library", "b.md", TEXT)
    narrowed = await world.key("bob", groups=("clinic",))
    for who in (bob, narrowed):
        assert (await _reads(world, who), await _reads(world, who, "library")) == ([], [])
    await world.identity.remove_member(world.admin, "contractors", "temps")
    for who in (bob, narrowed):
        assert await _reads(world, who) == ["a.md"]


async def test_a_group_that_is_disabled_denies_all_the_same(world: World) -> None:
    bob = await world.person("bob", "contractors")
    await world.collection("handbook", "everyone", denials=[("**", ("contractors",))])
    await world.add("handbook", "a.md", TEXT)
    await world.identity.disable_principal(world.admin, "contractors")
    assert await _reads(world, bob) == []


async def test_readers_and_denied_that_do_not_exist_are_named(world: World) -> None:
    for wrong in ({"denied": ("contractor",)}, {"denials": [("**", ("contractor",))]}):
        with pytest.raises(WorkspaceInvalid, match=r"handbook.yaml:1.*no principal `contractor`"):
            await world.collection("handbook", "everyone", **wrong)
    await world.collection("handbook", "everyone")
    with pytest.raises(InvalidRequest, match="no principal `bub`") as caught:
        await world.hand_in("handbook", "a.md", TEXT, denied=["bub"])
    assert caught.value.param == "deny"


async def test_an_entry_on_a_document_without_one_costs_its_mark(world: World) -> None:
    await world.collection("handbook", "everyone", denials=[("board/**", ("admin",))])
    await world.add("handbook", "a.md", TEXT)
    await world.add("handbook", "board/a.md", TEXT)
    assert (world.count("document", "has_denials"), world.count("document_denial")) == (1, 1)
    await world.collection("handbook", "everyone")
    assert (world.count("document", "has_denials"), world.count("document_denial")) == (0, 0)


def test_patterns_of_denials_are_stored_as_they_are_and_add_up() -> None:
    one, two, three = (PrincipalId(new_id()) for _ in range(3))
    rows = [PatternDenials("board/**", (one,)), PatternDenials("**", (two,))]
    assert read_denials({"denials": write_denials(rows)}) == rows
    assert read_denials({}) == []
    assert denied_at("board/a.md", rows, [three]) == {one, two, three}
    assert denied_at("a.md", rows) == {two}
