"""What a score is made of: numbers of one tenant's one collection, in few segments, whoever else holds its words."""

from __future__ import annotations

from retrieval_world import World


async def keyword_scores(world: World, collection: str = "handbook") -> list[tuple[str, float]]:
    found = await world.retrieval.search(world.admin, collection, "heron pond", 10, ranking="keywords")
    return [(each.path, each.score) for each in found.passages]


async def test_scores_do_not_move_with_what_other_tenants_and_collections_hold(world: World) -> None:
    """Else the score of one's own document would tell how often a word stands in what one may not read."""
    await world.collection("handbook", "everyone")
    for number in range(6):
        await world.hand_in("handbook", f"{number}.md", f"# Note {number}\n\n{'heron ' * number} pond stork {number}")
    await world.drain()
    before = await keyword_scores(world)
    assert len(before) == 6
    stranger = await world.tenant("somebody-else")
    await world.collection("handbook", "everyone", maker=stranger)
    await world.collection("other", "everyone")
    for number in range(12):
        for where, who in (("handbook", stranger), ("other", world.admin)):
            await world.hand_in(where, f"{number}.md", "# Heron\n\nheron heron heron pond " * 3, by=who)
    await world.drain()
    assert await keyword_scores(world) == before
    assert len({score for _, score in await keyword_scores(world, "other")}) == 1


async def test_single_documents_are_found_at_once_and_compacted_by_the_job(world: World) -> None:
    """Each ingestion adds a small segment; those of a size are merged, so a search reads a few blocks a term."""
    await world.collection("handbook", "everyone")
    for number in range(9):
        await world.add("handbook", f"{number}.md", f"# Note {number}\n\nA heron by pond {number}.")
        assert len(await world.found(world.admin, "handbook", f"pond {number}")) == number + 1
    assert world.count("posting_segment") < 8
    assert world.count("posting", "term = 'heron'") == world.count("posting_segment")
