"""Vectors that come later, weights that change, segments that are merged, and what is removed for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from retrieval_world import InlineRun, World

from headworks.retrieval import jobs
from headworks.retrieval.indexing import generations, merging
from headworks.retrieval.ingestion import working
from headworks.retrieval.jobs import Runs
from headworks.retrieval.passages import lexical
from headworks.retrieval.store import INGEST_SQL
from headworks.types.models import Embeddings, ModelCall
from headworks.types.workspace import ChunkingSpec, FreshnessSpec

HERON = "# Heron\n\nA heron stands in the pond.\n"


async def test_without_the_model_documents_are_found_by_keywords_and_get_vectors_when_it_is_there(world: World) -> None:
    world.models.is_missing = True
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", HERON)
    progress = await world.progress("handbook")
    assert (progress.done, progress.documents) == (1, 1)
    assert "found by keywords only" in progress.notice
    assert "headworks models install" in progress.notice
    assert await world.found(world.admin, "handbook", "heron") == ["a.md"]
    assert await world.drain() == 0, "nobody tries again and again"
    world.models.is_missing = False
    found = await world.search(world.admin, "handbook", "heron")
    assert found.notice == "By keywords only: the collection's vectors are being made."
    assert await world.drain() == 1, "the search has asked for them"
    assert world.count("embedding") == 1
    found = await world.search(world.admin, "handbook", "heron")
    assert (found.ranking, found.notice) == ("hybrid", "")
    assert (await world.progress("handbook")).notice == ""


async def test_a_server_that_starts_asks_for_vectors_that_are_missing(world: World) -> None:
    world.models.is_missing = True
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", HERON)
    world.models.is_missing = False
    await world.retrieval.catch_up()
    assert await world.drain() == 1
    assert world.count("embedding") == 1
    await world.retrieval.catch_up()
    assert await world.drain() == 0


async def test_a_server_that_starts_asks_for_work_whose_run_failed(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.hand_in("handbook", "a.md", HERON)
    world.behind.execute("UPDATE dbos.workflow_status SET status = 'ERROR'")
    await world.hand_in("handbook", "b.md", HERON)
    assert await world.drain() == 0, "it joined a wave whose run has failed"
    await world.retrieval.catch_up()
    await world.drain()
    assert sorted(await world.found(world.admin, "handbook", "heron")) == ["a.md", "b.md"]
    await world.add("handbook", "c.md", HERON)
    assert len(await world.found(world.admin, "handbook", "heron")) == 3, "and the next wave has a run again"


async def test_a_long_queue_lets_others_have_their_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_STEPS_OF_A_RUN", 2)
    monkeypatch.setattr(working, "_ITEMS", 16)
    await world.collection("handbook", "everyone")
    for number in range(70):
        await world.hand_in("handbook", f"{number}.md", f"# Heron {number}\n\nStands.")
    assert await world.drain() == 3
    assert world.count("document") == 70


async def test_a_large_batch_is_found_by_keywords_before_all_its_vectors_are_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "_EMBEDDED_AT_ONCE", 3)
    monkeypatch.setattr(generations, "_VECTORS_AT_ONCE", 4)
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", "\n\n".join(f"# Heron {n}\n\nStands in pond {n}." for n in range(10)))
    assert world.count("embedding") == world.count("chunk") == 10
    assert [number for _, purpose, number in world.models.calls if purpose == "embed_ingest"] == [4, 4, 2]


async def test_a_small_file_does_not_wait_for_all_vectors_of_a_large_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "_EMBEDDED_AT_ONCE", 3)
    monkeypatch.setattr(generations, "_VECTORS_AT_ONCE", 4)
    await world.collection("handbook", "everyone")
    embed, documents = world.models.embed, []

    async def meanwhile(call: ModelCall, texts: Sequence[str]) -> Embeddings:
        documents.append(world.count("document"))
        if len(documents) == 1:
            await world.hand_in("handbook", "small.md", "# Stork\n\nSails.")
        return await embed(call, texts)

    monkeypatch.setattr(world.models, "embed", meanwhile)
    await world.add("handbook", "a.md", "\n\n".join(f"# Heron {n}\n\nStands in pond {n}." for n in range(20)))
    assert documents == [1, 1, *[2] * (len(documents) - 2)], "the large one, then both"
    assert world.count("embedding") == world.count("chunk") == 21


async def test_other_weights_are_a_new_generation_made_while_the_old_one_serves(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", HERON)
    world.models.digest = "sha256:words-2"
    found = await world.search(world.admin, "handbook", "heron")
    assert (found.ranking, len(found.passages)) == ("keywords", 1), "vectors of two models are never compared"
    assert "of other weights" in found.notice
    await world.add("handbook", "b.md", HERON)
    assert world.count("generation") == 1
    assert world.count("generation", "model_digest = 'sha256:words-2'") == 1
    assert world.count("embedding") == world.count("chunk") == 2
    assert (await world.search(world.admin, "handbook", "heron")).ranking == "hybrid"


async def test_weights_that_change_again_while_a_generation_is_made_begin_another_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "_DOCUMENTS_AT_ONCE", 1)
    await world.collection("handbook", "everyone")
    for name in ("a", "b", "c"):
        await world.add("handbook", f"{name}.md", HERON)
    embed = world.models.embed

    async def changing(call: ModelCall, texts: Sequence[str]) -> Embeddings:
        found = await embed(call, texts)
        if world.count("generation") == 2:
            world.models.digest = "sha256:words-3"
        return found

    monkeypatch.setattr(world.models, "embed", changing)
    world.models.digest = "sha256:words-2"
    await world.add("handbook", "d.md", HERON)
    assert world.count("generation", "model_digest = 'sha256:words-2'") == 0
    world.behind.execute("UPDATE dbos.workflow_status SET status = 'ENQUEUED' WHERE status = 'DELAYED'")
    await world.drain()
    assert world.count("generation") == 1
    assert world.count("generation", "model_digest = 'sha256:words-3'") == 1
    assert world.count("embedding") == world.count("chunk") == 4
    assert (await world.search(world.admin, "handbook", "heron")).ranking == "hybrid"


async def test_a_new_generation_does_not_go_live_without_the_vectors_that_the_old_one_has(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", HERON)
    world.models.is_missing = True
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=60))
    await world.drain()
    world.models.is_missing = False
    assert (await world.search(world.admin, "handbook", "heron")).ranking == "hybrid", "the old one still serves"
    await world.retrieval.catch_up()
    await world.drain()
    assert world.count("generation") == 1
    assert world.count("generation", 'chunking = \'{"tokens": 60, "overlap": 1}\'') == 1


MANY = "\n\n".join(f"## Heron {number}\n\n{'It stands in the pond and waits. ' * 12}" for number in range(4))


async def test_what_changes_or_goes_while_a_new_generation_is_made_is_right_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "_DOCUMENTS_AT_ONCE", 1)
    await world.collection("handbook", "everyone")
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    for name in ("a", "b", "c", "d"):
        await world.hand_in("handbook", f"{name}.md", MANY, sync=sync.id)
    await world.drain()
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=60))
    filled: list[str] = []
    fill = Runs._fill

    async def fill_and_change(self: Runs, *arguments: str) -> str:
        outcome = await fill(self, *arguments)
        filled.append(outcome)
        if len(filled) == 2:  # two of four documents are in the new generation
            await world.hand_in("handbook", "a.md", "# Kestrel\n\nIt hovers.", source="folder:a")
            await world.hand_in("handbook", "d.md", "# Kestrel\n\nIt dives.", source="folder:a")
            again = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
            await world.retrieval.finish_sync(world.admin, again.id, ["a.md", "b.md", "d.md"], collection="handbook")
            works = world.jobs._works["retrieval.ingest"]
            await works(InlineRun("now"), *arguments[:2], 99)
        return outcome

    monkeypatch.setattr(Runs, "_fill", fill_and_change)
    await world.drain()
    assert world.count("generation") == 1
    assert world.count("generation", "(chunking -> 'tokens')::int = 60") == 1
    assert sorted(await world.found(world.admin, "handbook", "kestrel", k=2)) == ["a.md", "d.md"]
    assert set(await world.found(world.admin, "handbook", "heron pond", k=50)) >= {"b.md"}
    assert "c.md" not in await world.found(world.admin, "handbook", "heron pond", k=50)
    doubled = world.behind.execute(
        "SELECT count(*) FROM (SELECT document_id, ordinal FROM chunk GROUP BY 1, 2 HAVING count(*) > 1) AS twice"
    ).fetchone()
    assert doubled == (0,)


async def test_a_kill_while_a_new_generation_is_made_leaves_the_old_one_and_loses_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As if the process ended."""

    monkeypatch.setattr(generations, "_DOCUMENTS_AT_ONCE", 1)
    await world.collection("handbook", "everyone")
    for name in ("a", "b", "c"):
        await world.hand_in("handbook", f"{name}.md", MANY)
    await world.drain()
    before = await world.found(world.admin, "handbook", "heron", k=50)
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=60))
    embed, left = world.models.embed, [2]

    async def dying(call: ModelCall, texts: Sequence[str]) -> Embeddings:
        left[0] -= call.purpose == "embed_ingest"
        if left[0] < 0:
            raise Killed
        return await embed(call, texts)

    with monkeypatch.context() as patched:
        patched.setattr(world.models, "embed", dying)
        with pytest.raises(Killed):
            await world.drain()
    assert world.count("generation") == 2
    assert await world.found(world.admin, "handbook", "heron", k=50) == before
    await world.retrieval.catch_up()
    await world.drain()
    assert world.count("generation") == 1
    found = await world.found(world.admin, "handbook", "heron", k=50)
    assert len(found) == world.count("chunk") == world.count("embedding")
    assert {path: found.count(path) for path in set(found)} == dict.fromkeys(("a.md", "b.md", "c.md"), len(found) // 3)


@pytest.fixture(params=[{}, {"_BLOCKS_AT_ONCE": 1}, {"_BLOCKS_AT_ONCE": 7}, {"_BYTES_AT_ONCE": 100}], ids=str)
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are written anew whole, or in pages: of a block, of a few which end within a term, of some bytes."""
    for name, value in request.param.items():
        monkeypatch.setattr(merging, name, value)


def _statistics(world: World) -> tuple[object, ...]:
    """How many chunks are in the segments, and how long they are together."""
    return world.behind.execute("SELECT sum(chunks), sum(total_length) FROM posting_segment").fetchone() or ()


def _postings(world: World) -> dict[str, list[tuple[str, int, int]]]:
    """Of each term: the paths of the documents that it is in, how often it is there, and how long the chunks are."""
    rows = world.behind.execute("SELECT chunk_id, path FROM chunk JOIN document USING (document_id)").fetchall()
    paths: dict[int, str] = {int(chunk): str(path) for chunk, path in rows}
    found: dict[str, list[tuple[str, int, int]]] = {}
    for term, block in world.behind.execute("SELECT term, block FROM posting").fetchall():
        of = lexical.unpack(block)
        rows = zip(of.chunks.tolist(), of.frequencies.tolist(), of.lengths.tolist(), strict=True)
        found.setdefault(str(term), []).extend((paths[chunk], often, length) for chunk, often, length in rows)
    return {term: sorted(rows) for term, rows in found.items()}


def _note(number: int) -> tuple[str, str]:
    """A path and a text whose last word, in the order of the postings, is in no other."""
    return f"{number:02}.md", f"# Note {number}\n\nA heron {'heron ' * (number % 5)}by pond {number}, zebra{number}."


async def test_postings_that_the_planner_does_not_know_yet_are_not_gone_through_for_each_term(world: World) -> None:
    await world.collection("handbook", "everyone")
    tenant, collection = world.behind.execute("SELECT tenant_id, collection_id FROM collection").fetchall()[0]
    world.behind.execute(
        "INSERT INTO posting SELECT %s, %s, to_char(n, 'FM00000'), 1, '\\x00' FROM generate_series(1, 3000) n",
        [tenant, collection],
    )
    asked = {"tenant": tenant, "collection": collection, "segments": [1], "after": "", "limit": 2_000, "bytes": 1 << 20}
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {INGEST_SQL.list_next_blocks}"
    plan = world.behind.execute(explain.encode(), asked).fetchall()[0][0][0]["Plan"]
    assert plan["Actual Rows"] == 2_000
    assert max(_touched(plan)) <= 3_000


def _touched(plan: dict[str, Any]) -> Iterator[float]:
    """How many rows each step has looked at."""
    rows = [value for name, value in plan.items() if name == "Actual Rows" or name.startswith("Rows Removed by")]
    yield sum(rows) * plan["Actual Loops"]
    for each in plan.get("Plans", ()):
        yield from _touched(each)


@pytest.mark.usefixtures("at_once")
async def test_segments_are_merged_and_the_ranking_stays(world: World) -> None:
    await world.collection("handbook", "everyone")
    for number in range(20):
        await world.add("handbook", *_note(number))
    world.models.is_missing = True

    async def scored() -> list[tuple[str, float]]:
        found = await world.search(world.admin, "handbook", "heron pond", k=20)
        return [(each.path, each.score) for each in found.passages]

    many, statistics, postings = await scored(), _statistics(world), _postings(world)
    assert world.count("posting_segment") < 10
    assert len(many) == 20
    world.behind.execute("DELETE FROM posting")
    world.behind.execute("DELETE FROM posting_segment")
    world.behind.execute("DELETE FROM document")
    for number in range(20):
        await world.hand_in("handbook", *_note(number))
    await world.drain()
    assert world.count("posting_segment") == 1
    assert (await scored(), _statistics(world), _postings(world)) == (many, statistics, postings)


@pytest.mark.usefixtures("at_once")
async def test_postings_of_documents_that_are_gone_are_merged_away(world: World) -> None:
    await world.collection("handbook", "everyone", freshness=FreshnessSpec(keep_s=0))
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    for number in range(100):
        await world.hand_in("handbook", f"{number}.md", f"# Note {number}\n\nzebra{number} heron", sync=sync.id)
    await world.drain()
    of_it = {
        term: kept for term, rows in _postings(world).items() if (kept := [row for row in rows if row[0] == "7.md"])
    }
    assert {"zebra7", "heron"} <= set(of_it)
    await world.retrieval.finish_sync(world.admin, sync.id, ["7.md"], collection="handbook")
    assert await world.found(world.admin, "handbook", "heron") == ["7.md"]
    await world.drain()
    assert _postings(world) == of_it, "its postings are left as they were, and no others"
    (length,) = {length for rows in of_it.values() for _, _, length in rows}
    assert _statistics(world) == (1, length)
    assert await world.found(world.admin, "handbook", "heron") == ["7.md"]


async def test_items_that_ended_long_ago_are_forgotten(world: World) -> None:
    await world.collection("handbook", "everyone", freshness=FreshnessSpec(keep_s=0))
    await world.add("handbook", "a.md", HERON)
    world.behind.execute("UPDATE ingest_item SET finished_at = now() - interval '31 days'")
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "upload")
    await world.retrieval.finish_sync(world.admin, sync.id, [], collection="handbook")
    await world.drain()
    assert world.count("ingest_item") == world.count("document") == world.count("blob") == 0


@pytest.mark.parametrize(
    ("sizes", "alive", "expected"),
    [
        ({}, 0, []),
        ({1: 100}, 100, []),
        (dict.fromkeys(range(7), 10), 70, []),
        (dict.fromkeys(range(8), 10), 80, list(range(8))),
        ({**dict.fromkeys(range(8), 10), 9: 5000}, 5080, list(range(8))),
        ({1: 1000, 2: 10}, 600, [1, 2]),
        ({1: 40}, 0, []),
        ({1: 500_000, 2: 1000}, 100_000, [2]),
    ],
)
def test_segments_of_a_size_are_merged_when_they_are_many_and_all_when_much_is_dead(
    sizes: dict[int, int], alive: int, expected: list[int]
) -> None:
    assert merging.chosen_segments(sizes, alive) == expected


def test_merging_rewrites_each_posting_a_few_times_only() -> None:
    sizes: dict[int, int] = {}
    rewritten = 0
    for number in range(2000):
        sizes[number] = 20
        while chosen := merging.chosen_segments(sizes, sum(sizes.values())):
            merged = sum(sizes.pop(each) for each in chosen)
            rewritten += merged
            sizes[max(chosen)] = merged
    assert rewritten < 6 * 2000 * 20
    assert len(sizes) < 40


def test_the_public_limits_are_what_the_documentation_says() -> None:
    assert merging._MOST_MERGED_CHUNKS == 400_000
