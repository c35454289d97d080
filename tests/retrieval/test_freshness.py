"""Documents in time: valid from and to, versions, staleness in citations, and syncs that begin by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from retrieval_world import World

from headworks.errors import InvalidRequest, NotFound
from headworks.retrieval.freshness import next_due, staleness, validity_of
from headworks.retrieval.metadata import given_metadata
from headworks.types.retrieval import Citation
from headworks.types.schedules import parse_schedule
from headworks.types.workspace import FreshnessSpec, SourceSpec

LEAVE = "# Parental leave\n\nParents take fourteen weeks of parental leave.\n"
NEW_LEAVE = LEAVE.replace("fourteen", "sixteen")
NOW = datetime(2026, 11, 23, tzinfo=UTC)


async def _handbook(world: World, **spec: Any) -> None:
    await world.collection("handbook", "everyone", freshness=FreshnessSpec(**spec))


async def _document(world: World, path: str = "leave.md") -> UUID:
    (found,) = world.behind.execute("SELECT document_id FROM document WHERE path = %s", [path]).fetchall()
    return UUID(str(found[0]))


# ── Validity ──


@pytest.mark.parametrize("metadata", [{"valid_from": "2999-01-01"}, {"valid_to": "2001-01-01T00:00:00Z"}])
async def test_nobody_reads_a_document_outside_of_its_time(world: World, metadata: dict[str, Any]) -> None:
    await _handbook(world)
    await world.add("handbook", "leave.md", LEAVE, metadata=metadata)
    document = await _document(world)
    assert (await world.progress("handbook")).documents == 1
    assert await world.found(world.admin, "handbook", "parental leave") == []
    with pytest.raises(NotFound):
        await world.retrieval.document(world.admin, document)
    with pytest.raises(NotFound):
        await world.retrieval.lifecycle.history.versions(world.admin, document)
    async with world.db.tx(world.admin) as tx:
        for table in ("document", "document_text", "document_version", "chunk"):
            assert await tx.fetch_value(f"SELECT count(*) FROM {table}") == 0, table
    await world.add("handbook", "leave.md", LEAVE, metadata={})
    assert await world.found(world.admin, "handbook", "parental leave") == ["leave.md"], "the file says no more"


async def test_the_front_matter_of_a_file_says_its_time(world: World) -> None:
    await _handbook(world)
    await world.add("handbook", "old.md", f"---\nvalid_to: 2001-12-31\n---\n{LEAVE}")
    await world.add("handbook", "now.md", f"---\nvalid_from: 2001-12-31\nreview_at: 2998-01-01\n---\n{LEAVE}")
    assert set(await world.found(world.admin, "handbook", "parental leave")) == {"now.md"}
    await world.add("handbook", "bad.md", f"---\nvalid_to: never\n---\n{LEAVE}")
    (failed,) = (await world.progress("handbook")).failed
    assert (failed.path, failed.code) == ("bad.md", "validity")
    assert "`valid_to` is not a date" in failed.message


async def test_a_document_that_contradicts_itself_is_hidden(world: World) -> None:
    await _handbook(world)
    await world.add("handbook", "leave.md", LEAVE, metadata={"valid_from": "2010-01-01"})
    assert await world.found(world.admin, "handbook", "parental leave") == ["leave.md"]
    await world.add("handbook", "leave.md", f"---\nvalid_to: 2005-01-01\n---\n{LEAVE}")
    assert await world.found(world.admin, "handbook", "parental leave") == []


def test_a_day_that_something_is_valid_to_is_its_last() -> None:
    found = validity_of(
        given_metadata({"valid_from": "2026-01-01", "valid_to": "2026-12-31", "review_at": "2026-06-01"})
    )
    assert found.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert found.valid_to == datetime(2027, 1, 1, tzinfo=UTC)
    assert found.review_at == datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"valid_from": "soon"}, "not a date"),
        ({"review_at": 20260101}, "not a date"),
        ({"valid_from": "2026-02-01", "valid_to": "2026-01-01"}, "lies before"),
        ({"valid_to": "9999-12-31"}, "too far away"),
    ],
)
async def test_a_bad_time_is_refused_at_the_door(world: World, metadata: dict[str, Any], said: str) -> None:
    await _handbook(world)
    with pytest.raises(InvalidRequest, match=said):
        await world.hand_in("handbook", "leave.md", LEAVE, metadata=metadata)


# ── Versions ──


async def test_versions_say_who_and_when_and_old_texts_are_the_curators(world: World) -> None:
    await _handbook(world)
    jane = await world.person("jane", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    await world.add("handbook", "leave.md", NEW_LEAVE)
    document, history = await _document(world), world.retrieval.lifecycle.history
    new, old = await history.versions(jane, document)
    assert [(each.version, each.handed_in_by, each.has_text) for each in (new, old)] == [
        (2, "admin", True), (1, "admin", True),
    ]  # fmt: skip
    assert new.replaced_at is None
    assert old.replaced_at is not None
    assert old.sha256 != new.sha256
    assert "fourteen" in await history.text(world.admin, document, 1)
    async with world.db.tx(jane) as tx:
        assert await tx.fetch_value("SELECT array_agg(version) FROM document_text") == [2]
    await world.retrieval.lifecycle.erasure.purge_all(world.admin, "handbook", at_once=True)
    assert [each.has_text for each in await history.versions(jane, document)] == [True, False]
    with pytest.raises(NotFound, match="purged"):
        await history.text(world.admin, document, 1)


# ── Staleness ──


async def _cited(world: World) -> Citation:
    found = await world.search(world.admin, "handbook", "parental leave")
    stream = world.retrieval.citing(world.admin, found.passages)
    out = [*await stream.feed("Parents take fourteen weeks of parental leave [1]."), *await stream.finish()]
    (citation,) = (each for each in out if isinstance(each, Citation))
    return citation


async def test_a_citation_says_that_its_document_is_stale(world: World) -> None:
    await _handbook(world, stale_after_s=86_400)
    await world.add("handbook", "leave.md", LEAVE)
    assert (await _cited(world)).stale == ""
    world.behind.execute("UPDATE document SET confirmed_at = '2026-01-02T10:00Z'")
    assert (await _cited(world)).stale == "Nobody has confirmed it since 2026-01-02."
    await world.add("handbook", "leave.md", LEAVE)
    assert (await _cited(world)).stale == "", "handed in again, it is confirmed, also unchanged"
    await world.add("handbook", "leave.md", LEAVE, metadata={"review_at": "2026-03-01"})
    assert (await _cited(world)).stale == "Its review was due on 2026-03-01."


async def test_a_whole_sync_confirms_what_it_has_seen(world: World) -> None:
    await _handbook(world, stale_after_s=86_400)
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    await world.add("handbook", "leave.md", LEAVE, sync=sync.id)
    world.behind.execute("UPDATE document SET confirmed_at = '2026-01-02'")
    again = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    assert list(again.known) == ["leave.md"], "it is not sent again"
    await world.retrieval.finish_sync(world.admin, again.id, ["leave.md"], collection="handbook")
    assert (await _cited(world)).stale == ""


def test_a_source_has_its_own_time_until_it_is_stale() -> None:
    settings = {
        "freshness": {"stale_after_s": 86_400},
        "sources": [{"name": "web", "freshness": {"stale_after_s": 10 * 86_400}}],
    }
    before = NOW - timedelta(days=5)
    assert staleness(settings, "upload", before, None, NOW).startswith("Nobody has confirmed it")
    assert staleness(settings, "source:web", before, None, NOW) == ""
    assert staleness({}, "upload", before, None, NOW) == ""


# ── Syncs by themselves ──


def test_each_source_is_due_a_little_later_than_its_schedule_and_always_the_same() -> None:
    schedule = parse_schedule("6h")
    dues = {next_due(schedule, uuid4(), NOW) for _ in range(50)}
    assert len(dues) > 40
    assert all(timedelta(hours=6) <= due - NOW <= timedelta(hours=6, minutes=10) for due in dues)
    source = uuid4()
    assert next_due(schedule, source, NOW) == next_due(schedule, source, NOW)


def _source(**freshness: Any) -> SourceSpec:
    return SourceSpec("wiki", "web", {"url": "https://x.example"}, freshness=FreshnessSpec(**freshness))


def _due(world: World) -> datetime | None:
    row = world.behind.execute("SELECT due_at FROM source").fetchone()
    return None if row is None else row[0]  # type: ignore[no-any-return] # a row


async def test_a_new_source_with_a_schedule_is_due_at_once_and_without_one_never(world: World) -> None:
    await world.collection("docs", "everyone", sources=(_source(),))
    assert world.count("source") == 0
    await world.collection("docs", "everyone", sources=(_source(recrawl="6h"),))
    assert _due(world) is not None
    assert world.count("dbos.workflow_status", "name = 'retrieval.recrawl' AND status = 'ENQUEUED'") == 1
    await world.collection("docs", "everyone", sources=(_source(recrawl="never"),))
    assert _due(world) is None
    assert await world.jobs.drain(world.behind) == 1, "the run that was asked for finds that it is no longer meant"
    assert world.count("sync") == 0


async def test_after_downtime_a_source_is_synced_once(world: World) -> None:
    await world.collection("docs", "everyone", sources=(_source(recrawl="6h"),))
    world.behind.execute("UPDATE source SET due_at = now() - interval '3 days', synced_at = now() - interval '4 days'")
    world.behind.execute("DELETE FROM dbos.workflow_status")
    await world.retrieval.catch_up()
    await world.retrieval.catch_up()
    begun = "name = 'retrieval.recrawl' AND status IN ('ENQUEUED', 'DELAYED')"
    assert world.count("dbos.workflow_status", begun) >= 1
    for _ in range(3):
        world.behind.execute("UPDATE dbos.workflow_status SET status = 'DELAYED' WHERE name = 'retrieval.sync'")
        await world.drain()
    assert world.count("sync") == 1, "one sync, however many times it was missed"
    due = _due(world)
    assert due is not None
    assert due > datetime.now(UTC) + timedelta(hours=5)


async def test_a_sync_that_is_under_way_is_not_begun_again(world: World) -> None:
    await world.collection("docs", "everyone", sources=(_source(recrawl="6h"),))
    world.behind.execute("UPDATE dbos.workflow_status SET status = 'CANCELLED' WHERE name = 'retrieval.recrawl'")
    await world.retrieval.sync_sources(world.admin, "docs")
    chain = world.behind.execute("SELECT chain, sync_id FROM source").fetchone()
    world.behind.execute("UPDATE dbos.workflow_status SET status = 'CANCELLED' WHERE name = 'retrieval.sync'")
    world.behind.execute("UPDATE dbos.workflow_status SET status = 'ENQUEUED' WHERE name = 'retrieval.recrawl'")
    assert await world.drain() == 1
    assert world.behind.execute("SELECT chain, sync_id FROM source").fetchone() == chain
    assert world.count("sync") == 1
    due = _due(world)
    assert due is not None
    assert due > datetime.now(UTC), "the next one comes at its time"
