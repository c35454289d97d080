"""Collections as a workspace declares them: readers hold at once, other chunks are made while the old ones serve."""

from __future__ import annotations

import pytest
from retrieval_world import World

from headworks.errors import NotFound, WorkspaceInvalid
from headworks.types.workspace import ChunkingSpec

TEXT = "# Herons\n\n" + "\n\n".join(
    f"Heron number {n} stands in the pond and waits for a fish to come by." for n in range(40)
)


async def test_an_unknown_reader_is_named_with_its_file_and_near_names(world: World) -> None:
    with pytest.raises(WorkspaceInvalid, match=r"^handbook.yaml:1: `readers`: .*`everyon`.*Did you mean `everyone`"):
        await world.collection("handbook", "everyon")
    with pytest.raises(WorkspaceInvalid, match="clinc"):
        await world.collection("handbook", "everyone", documents=[("a/**", ("clinc",))])
    assert world.count("collection") == 0, "all of it or nothing"


async def test_a_collection_without_readers_is_nobodys(world: World) -> None:
    await world.collection("handbook")
    await world.add("handbook", "a.md", TEXT)
    with pytest.raises(NotFound):
        await world.search(world.admin, "handbook", "heron")


async def test_readers_that_are_taken_out_read_nothing_from_the_next_statement(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    bob = await world.person("bob")
    assert await world.found(bob, "handbook", "heron")
    await world.collection("handbook", "administrators")
    with pytest.raises(NotFound):
        await world.search(bob, "handbook", "heron")
    assert await world.found(world.admin, "handbook", "heron")


async def test_a_pattern_that_is_added_shuts_the_documents_that_are_there(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "board/a.md", "# A\n\nheron")
    bob = await world.person("bob")
    await world.add("handbook", "b.md", "# B\n\nheron", readers=["bob"])
    assert sorted(await world.found(bob, "handbook", "heron")) == ["b.md", "board/a.md"]
    await world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    assert await world.found(bob, "handbook", "heron") == ["b.md"]
    await world.collection("handbook", "everyone", documents=[("**", ("administrators",))])
    assert await world.found(bob, "handbook", "heron") == []
    await world.collection("handbook", "everyone")
    assert sorted(await world.found(bob, "handbook", "heron")) == ["b.md", "board/a.md"], "the upload's list is back"
    assert await world.found(world.admin, "handbook", "heron") == ["board/a.md"]


async def test_declaring_the_same_again_changes_nothing(world: World) -> None:
    epochs = []
    for _ in range(2):
        await world.collection("handbook", "everyone", documents=[("board/**", ())])
        epochs += [each.epoch for each in await world.retrieval.list_collections(world.admin)]
    assert epochs[0] == epochs[1]
    assert world.count("collection") == world.count("generation") == 1
    assert world.count("dbos.workflow_status") == 0


async def test_the_epoch_moves_with_content_and_readers(world: World) -> None:
    async def epoch() -> int:
        (view,) = await world.retrieval.list_collections(world.admin)
        return view.epoch

    await world.collection("handbook", "everyone")
    seen = [await epoch()]
    await world.add("handbook", "a.md", TEXT)
    seen.append(await epoch())
    await world.collection("handbook", "everyone", documents=[("board/**", ())])
    seen.append(await epoch())
    await world.collection("handbook", "everyone", "administrators", documents=[("board/**", ())])
    seen.append(await epoch())
    assert seen == sorted(set(seen))


async def test_a_collection_of_another_project_is_not_taken_over(world: World) -> None:
    await world.collection("handbook", "everyone")
    project = await world.identity.create_project(world.admin, "second")
    world.behind.execute("UPDATE collection SET project_id = %s", [project.id])
    with pytest.raises(WorkspaceInvalid, match="another project of this tenant has a collection `handbook`"):
        await world.collection("handbook", "everyone")


async def test_the_listing_counts_what_the_caller_may_read(world: World) -> None:
    await world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    await world.collection("closed", "administrators", description="of the board")
    await world.add("handbook", "board/a.md", TEXT)
    await world.add("handbook", "b.md", TEXT)
    bob = await world.person("bob")
    assert [(each.name, each.documents) for each in await world.retrieval.list_collections(bob)] == [("handbook", 1)]
    views = await world.retrieval.list_collections(world.admin)
    assert [(each.name, each.description, each.documents) for each in views] == [
        ("closed", "of the board", 0), ("handbook", "", 2),
    ]  # fmt: skip


async def test_other_chunk_settings_are_a_new_generation_and_the_old_one_serves_until_it_is_full(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    before = world.count("chunk")
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=60))
    assert world.count("generation") == 2
    assert await world.found(world.admin, "handbook", "heron"), "the old one serves"
    assert world.count("chunk") == before
    await world.drain()
    assert world.count("generation") == 1
    assert world.count("chunk") > 2 * before
    assert world.count("embedding") == world.count("chunk")
    assert world.count("posting_segment") == 1
    found = await world.search(world.admin, "handbook", "heron number 7", k=20)
    assert found.ranking == "hybrid"
    assert found.passages
    for each in found.passages:
        assert TEXT[each.start : each.end] == each.text


async def test_what_is_handed_in_while_a_generation_is_made_is_in_both(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    await world.hand_in("handbook", "b.md", TEXT)
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=60))
    await world.hand_in("handbook", "a.md", TEXT + "\n\nAn egret.")
    await world.hand_in("handbook", "c.md", TEXT)
    await world.drain()
    assert sorted(set(await world.found(world.admin, "handbook", "heron pond egret", k=100))) == [
        "a.md",
        "b.md",
        "c.md",
    ]
    assert world.count("chunk", "generation_id NOT IN (SELECT generation_id FROM collection)") == 0


async def test_settings_that_are_taken_back_leave_no_half_made_generation(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=60))
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=80))
    await world.collection("handbook", "everyone")
    assert world.count("generation") == 1
    await world.drain()
    assert world.count("generation") == 1
    assert await world.found(world.admin, "handbook", "heron")
