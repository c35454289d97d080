"""A sync that is cancelled, paused or due by itself: what it brought stays, nothing is removed by mistake."""

from __future__ import annotations

from typing import Any

from headworks.retrieval import queueing
from headworks.types.workspace import FreshnessSpec, SourceSpec


async def _paths(sources: Any) -> list[str]:
    rows = sources.world.behind.execute("SELECT path FROM document WHERE tombstoned_at IS NULL ORDER BY 1").fetchall()
    return [path for (path,) in rows]


async def _filled(sources: Any, number: int) -> None:
    await sources.declare({}, "wiki")
    for at in range(number):
        await sources.places["wiki"].put(f"{at}.md", f"# Note\n\nA heron waits at {at}.".encode())


async def test_a_cancelled_sync_removes_nothing_and_the_next_one_is_whole(sources: Any) -> None:
    world = sources.world
    await _filled(sources, 3)
    await sources.sync()
    assert await _paths(sources) == ["0.md", "1.md", "2.md"]
    await sources.places["wiki"].delete("0.md")
    await world.retrieval.sync_sources(world.admin, "docs")
    (run,) = [
        each.run
        for each in (await world.retrieval.lifecycle.work.listed(world.admin)).rows
        if each.run.kind == queueing.SYNC
    ]
    assert (await world.retrieval.lifecycle.work.cancel(world.admin, run.run)).state == "cancelled"
    view = (await sources.views())["wiki"]
    assert (view.state, view.trouble) == ("failed", "Somebody cancelled it.")
    await world.drain()
    assert await _paths(sources) == ["0.md", "1.md", "2.md"]
    assert (await sources.sync())["wiki"].state == "done"
    assert await _paths(sources) == ["1.md", "2.md"]


async def test_a_paused_source_waits_and_its_collection_goes_on(sources: Any) -> None:
    world = sources.world
    await _filled(sources, 2)
    await world.retrieval.sync_sources(world.admin, "docs")
    moved = await world.retrieval.lifecycle.work.pause(world.admin, "docs/wiki")
    assert moved.runs == 1
    await world.add("docs", "mine.md", "# Mine\n\nA heron of mine.")
    assert await _paths(sources) == ["mine.md"]
    found = await world.retrieval.lifecycle.work.listed(world.admin)
    assert [(each.lane, each.is_paused) for each in found.lanes] == [("docs/wiki", True)]
    await world.retrieval.lifecycle.work.resume(world.admin, "docs/wiki")
    await world.drain()
    sources.end_pauses()
    await world.drain()
    assert await _paths(sources) == ["0.md", "1.md", "mine.md"]


async def test_what_changes_at_a_source_with_a_schedule_comes_by_itself(sources: Any) -> None:
    world = sources.world
    await _filled(sources, 1)
    spec = SourceSpec("wiki", "simulated", {"place": "wiki"}, freshness=FreshnessSpec("6h"))
    await world.collection("docs", "everyone", sources=(spec,))
    await world.drain()
    assert await _paths(sources) == ["0.md"], "the first sync begins at once"
    await sources.places["wiki"].put("1.md", b"# Note\n\nA heron comes later.")
    await world.drain()
    assert await _paths(sources) == ["0.md"], "it is not due yet"
    assert sources.end_pauses() >= 1
    await world.drain()
    assert await _paths(sources) == ["0.md", "1.md"]
