"""kill -9 in the middle of syncs, purges, merges and new generations: another process ends them, once and wholly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from retrieval_world import World, make_world

from headworks.config import RetrievalServerSettings
from headworks.retrieval.service import HandedIn
from headworks.retrieval.sources.catalog import usual_openers
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.workspace import ChunkingSpec, SourceSpec

from .conftest import StartIngesting, is_waited_for, until

_HOLD_UP = """
CREATE OR REPLACE FUNCTION public.hold_up() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN coalesce(NEW, OLD); END'
"""


@pytest.fixture
async def world(database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any], tmp_path: Path) -> World:
    """What is done here is done without vectors: the process that is killed has another model."""
    openers = usual_openers(RetrievalServerSettings(source_folders=(str(tmp_path),)))
    found = await make_world(database, keyring, as_superuser, openers=openers)
    found.models.is_missing = True
    return found


@contextmanager
def held_up(connection: psycopg.Connection[Any], event: str, table: str, when: str) -> Iterator[None]:
    """Whoever does this to such a row waits, until this is over."""
    connection.execute(_HOLD_UP)
    trigger = f"CREATE TRIGGER hold_up BEFORE {event} ON {table} FOR EACH ROW WHEN ({when})"
    connection.execute(f"{trigger} EXECUTE FUNCTION public.hold_up()".encode())
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(1)")
        yield
    connection.execute(f"DROP TRIGGER hold_up ON {table}".encode())


class Killing:
    """Starts processes that do what is queued; some are killed where they are held up, and one ends it all."""

    def __init__(self, world: World, start: StartIngesting, *folders: Path) -> None:
        self._world = world
        self._start = start
        self._folders = folders

    def at(self, event: str, table: str, when: str = "true") -> None:
        behind = self._world.behind
        with held_up(behind, event, table, when):
            process = self._start(*self._folders)
            until(lambda: is_waited_for(behind), within_s=90)
            process.kill()
            process.wait()
        here = "datname = current_database() AND wait_event = 'advisory'"
        until(lambda: self._world.count("pg_stat_activity", here) == 0)  # what was cut off has noticed

    def end(self) -> None:
        """All that was queued is done, and nothing twice."""
        unfinished = "status NOT IN ('SUCCESS', 'CANCELLED')"
        process = self._start(*self._folders)
        until(lambda: self._world.count("dbos.workflow_status", unfinished) == 0, within_s=90)
        assert process.wait(60) == 0
        assert self._world.count("generation") == 1


async def _found(world: World, word: str) -> Sequence[str]:
    """The path of every chunk that has this word: one that stood in two segments would come twice."""
    assert world.models.is_missing
    return sorted(await world.found(world.admin, "handbook", word, 50))


async def test_a_sync_that_is_killed_takes_everything_once(
    world: World, start_ingesting: StartIngesting, tmp_path: Path
) -> None:
    for number in range(20):
        (tmp_path / f"{number}.md").write_text(f"# Note {number}\n\nThe heron waits.")
    source = SourceSpec("disk", "folder", {"folder": str(tmp_path)})
    await world.collection("handbook", "everyone", sources=(source,))
    await world.retrieval.sync_sources(world.admin, "handbook")
    await world.drain()
    assert len(await _found(world, "heron")) == 20
    for number in range(4):
        (tmp_path / f"{number}.md").unlink()
        (tmp_path / f"{number + 10}.md").write_text(f"# Note {number}\n\nThe stork sails.")
    for number in range(20, 30):
        (tmp_path / f"{number}.md").write_text(f"# Note {number}\n\nThe stork sails.")
    await world.retrieval.sync_sources(world.admin, "handbook")
    killing = Killing(world, start_ingesting, tmp_path)
    killing.at("INSERT", "ingest_item", "NEW.path = '25.md'")
    assert world.count("document", "tombstoned_at IS NOT NULL") == 0
    killing.at("UPDATE", "document", "OLD.tombstoned_at IS NULL AND NEW.tombstoned_at IS NOT NULL")
    assert world.count("document", "tombstoned_at IS NOT NULL") == 0, "what is gone vanishes with all else, or not yet"
    killing.end()
    (view,) = await world.retrieval.list_sources(world.admin, "handbook")
    assert (view.state, view.trouble) == ("done", "")
    rows = world.behind.execute("SELECT path, version FROM document WHERE tombstoned_at IS NULL").fetchall()
    changed = {f"{number}.md" for number in range(10, 14)}
    assert dict(rows) == {each.name: 1 + (each.name in changed) for each in tmp_path.iterdir()}
    assert len(rows) == 26
    assert world.count("document", "tombstoned_at IS NOT NULL") == 4
    assert world.count("document_version") == 20 + 4 + 10
    assert world.count("embedding") == world.count("chunk")
    assert await _found(world, "stork") == sorted(changed | {f"{number}.md" for number in range(20, 30)})
    assert len(await _found(world, "heron")) == 12


async def test_a_purge_that_is_killed_removes_everything_and_writes_each_receipt_once(
    world: World, start_ingesting: StartIngesting
) -> None:
    """Two hundred documents are purged at a time."""
    await world.collection("handbook", "everyone")
    begun = await world.retrieval.begin_sync(world.admin, "handbook", "upload")
    kept = [HandedIn(f"kept-{number}.md", f"# Note {number}\n\nThe heron waits.".encode()) for number in range(5)]
    gone = [HandedIn(f"gone-{number}.md", f"# Note {number}\n\nThe stork sails.".encode()) for number in range(205)]
    await world.retrieval.ingestion.hand_in_several(world.admin, "handbook", [*kept, *gone])
    await world.drain()
    seen = {each.path for each in kept}
    await world.retrieval.finish_sync(world.admin, begun.id, seen, collection="handbook")
    world.behind.execute("UPDATE document SET tombstoned_at = now() - interval '10 years' WHERE path LIKE 'gone%'")
    killing = Killing(world, start_ingesting)
    killing.at("DELETE", "document", "OLD.path = 'gone-204.md'")
    assert (world.count("document"), world.count("purge_receipt")) == (10, 1), "the second of two"
    killing.at("DELETE", "posting_segment")
    assert (world.count("document"), world.count("purge_receipt")) == (5, 2)
    assert world.count("posting", "term = 'stork'") > 0
    killing.end()
    assert world.count("posting", "term = 'stork'") == 0
    assert world.count("document") == world.count("blob") == world.count("chunk") == 5
    documents = "SELECT jsonb_array_elements(detail -> 'documents') ->> 'document' FROM purge_receipt"
    rows = world.behind.execute(documents).fetchall()
    assert len(rows) == len({document for (document,) in rows}) == 205
    assert await _found(world, "heron") == sorted(seen)
    assert await _found(world, "stork") == []


async def test_a_merge_that_is_killed_leaves_every_posting_once(world: World, start_ingesting: StartIngesting) -> None:
    """Eight segments of a size become one."""
    await world.collection("handbook", "everyone")
    for number in range(7):
        await world.add("handbook", f"{number}.md", f"# Note {number}\n\nThe heron waits.")
    await world.hand_in("handbook", "7.md", "# Note 7\n\nThe heron waits.")
    killing = Killing(world, start_ingesting)
    for event in ("DELETE", "UPDATE"):
        killing.at(event, "posting_segment")
        assert world.count("posting_segment") == world.count("posting", "term = 'heron'") == 8
        assert len(await _found(world, "heron")) == 8
    killing.end()
    assert world.count("posting_segment") == world.count("posting", "term = 'heron'") == 1
    assert world.behind.execute("SELECT chunks FROM posting_segment").fetchall() == [(8,)]
    assert world.count("embedding") == world.count("chunk")
    assert await _found(world, "heron") == [f"{number}.md" for number in range(8)]


async def test_a_new_generation_whose_making_is_killed_serves_once_it_is_whole(
    world: World, start_ingesting: StartIngesting
) -> None:
    text = "\n\n".join(f"## Part {part}\n\n{'The heron waits in its pond. ' * 8}" for part in range(4))
    await world.collection("handbook", "everyone")
    for number in range(70):
        await world.hand_in("handbook", f"{number}.md", f"# Note {number}\n\n{text}")
    await world.drain()
    (before,) = world.behind.execute("SELECT generation_id FROM collection").fetchone() or ()
    chunks = world.count("chunk")
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=60))
    killing = Killing(world, start_ingesting)
    killing.at("INSERT", "chunk", "true")
    assert world.count("chunk") == chunks, "nothing of the first batch"
    killing.at("UPDATE", "collection", "NEW.generation_id IS DISTINCT FROM OLD.generation_id")
    assert world.count("collection", f"generation_id = '{before}'") == 1, "the old one serves"
    assert world.count("chunk", f"generation_id = '{before}'") == chunks
    assert len(await _found(world, "heron")) == 50
    killing.end()
    assert world.count("chunk", f"generation_id = '{before}'") == 0
    assert world.count("embedding") == world.count("chunk")
    per_document = world.behind.execute(
        "SELECT count(*), count(DISTINCT ordinal), max(ordinal) + 1 FROM chunk GROUP BY document_id"
    ).fetchall()
    assert len(per_document) == 70
    assert len(set(per_document)) == 1, "all alike, and none is missing"
    assert per_document[0][0] == per_document[0][1] == per_document[0][2] > chunks // 70
    (posted,) = world.behind.execute("SELECT sum(chunks) FROM posting_segment").fetchone() or ()
    assert posted == world.count("chunk")
