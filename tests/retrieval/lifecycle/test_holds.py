"""Legal holds in a list: what they stand on has a name for who may know it."""

from __future__ import annotations

from retrieval_world import World

from headworks.retrieval.lifecycle.holds import HoldKind


async def test_a_hold_names_what_it_stands_on_for_who_may_read_it(world: World) -> None:
    await world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    await world.add("handbook", "leave.md", "# Parental leave\n\nSixteen weeks.")
    await world.add("handbook", "board/merger.md", "# The merger canary\n\nIn May.")
    auditor = await world.person("ada")
    holds = world.retrieval.lifecycle.holds
    assert await holds.listed(world.admin) == []
    wanted: list[tuple[HoldKind, str]] = [
        ("document", "leave.md"),
        ("document", "board/merger.md"),
        ("collection", "handbook"),
    ]
    for kind, name in wanted:
        await holds.place(world.admin, kind, name, "case 17", "handbook")
    placed = await holds.place(world.admin, "person", "ada", "case 18")
    assert (placed.title, placed.path) == ("ada", "")
    assert [(each.title, each.path) for each in await holds.listed(world.admin)] == [
        ("Parental leave", "handbook/leave.md"),
        ("The merger canary", "handbook/board/merger.md"),
        ("handbook", ""),
        ("ada", ""),
    ]
    assert [(each.title, each.path) for each in await holds.listed(auditor)] == [
        ("Parental leave", "handbook/leave.md"),
        ("", ""),
        ("handbook", ""),
        ("ada", ""),
    ]
