"""How a collection is: each kind of trouble is seen, and says what to do."""

from __future__ import annotations

from typing import Any

import pytest
from retrieval_world import World

from headworks.errors import NotFound
from headworks.retrieval.lifecycle.health import Health
from headworks.types.workspace import FreshnessSpec, SourceSpec

HERON = "# Heron\n\nA heron waits in ward nine.\n"


async def _health(world: World) -> Health:
    return await world.retrieval.lifecycle.checkup.health(world.admin, "handbook")


@pytest.fixture
async def filled(world: World) -> World:
    await world.collection("handbook", "everyone", freshness=FreshnessSpec(stale_after_s=86_400))
    for number in range(3):
        await world.add("handbook", f"{number}.md", HERON + f"Number {number}.")
    return world


async def test_nothing_is_wrong_with_a_good_collection(filled: World) -> None:
    found = await _health(filled)
    assert (found.documents, found.chunks, found.queued, found.lag_s, found.opened) == (3, 3, 0, 0.0, 3)
    assert found.problems == ()
    assert not found.needs_action


_ZERO = "(SELECT document_id FROM document WHERE path = '0.md')"
TROUBLES: dict[str, tuple[str, bool]] = {
    "failed": ("UPDATE ingest_item SET state = 'failed', error_code = 'corrupt' WHERE path = '0.md'", True),
    "unreadable": (f"UPDATE document_text SET content = content || '\\x00' WHERE document_id = {_ZERO}", True),
    "stale": ("UPDATE document SET confirmed_at = now() - interval '2 days' WHERE path = '0.md'", True),
    "review_due": ("UPDATE document SET review_at = now() WHERE path = '0.md'", True),
    "missing_vectors": ("DELETE FROM embedding", True),
    "without_chunks": ("DELETE FROM chunk WHERE ordinal = 0", True),
    "without_text": (f"DELETE FROM document_text WHERE document_id = {_ZERO}", True),
    "dead_postings": ("UPDATE posting_segment SET chunks = 5000", False),
    "purgeable": ("UPDATE document SET tombstoned_at = now() - interval '1 year' WHERE path = '2.md'", False),
    "orphaned": ("UPDATE document SET blob_id = NULL; UPDATE ingest_item SET blob_id = NULL", False),
    "lag": (
        "UPDATE ingest_item SET state = 'queued', created_at = now() - interval '2 hours' WHERE path = '0.md'",
        True,
    ),
}
"""What is done to the database, and whether somebody has to do something about it; one after the other."""


async def test_each_trouble_is_told_with_what_to_do(filled: World) -> None:
    told: set[str] = set()
    for code, (statement, needs_action) in TROUBLES.items():
        for each in statement.split(";"):
            filled.behind.execute(each.encode())
        found = await _health(filled)
        assert code not in told, "it is told of only when it is there"
        told = {each.code for each in found.problems}
        problem = next(each for each in found.problems if each.code == code)
        assert problem.needs_action == needs_action, code
        assert found.needs_action
        assert problem.next_step
        assert ".md" not in problem.message, "no document is named"


async def test_vectors_that_are_being_made_are_progress_and_no_trouble(filled: World) -> None:
    filled.behind.execute(
        f"DELETE FROM embedding WHERE chunk_id IN (SELECT chunk_id FROM chunk WHERE document_id = {_ZERO})".encode()
    )
    (missing,) = (await _health(filled)).problems
    assert (missing.code, missing.needs_action) == ("missing_vectors", True)
    assert missing.message == "1 chunk is found by keywords only: no vector was made."
    for state in ("ENQUEUED", "PENDING"):
        _has_a_run(filled, state)
        (making,) = (await _health(filled)).problems
        assert (making.code, making.needs_action) == ("vectors_being_made", False)
        assert making.message.startswith("Vectors are being made: 2 of 3 chunks have theirs.")


async def test_a_pause_is_something_to_do_and_nothing_is_being_made_meanwhile(filled: World) -> None:
    source = SourceSpec("wiki", "web", {"url": "https://x.example"})
    await filled.collection("handbook", "everyone", sources=(source,))
    await filled.retrieval.sync_sources(filled.admin, "handbook")
    filled.behind.execute(b"DELETE FROM embedding")
    work = filled.retrieval.lifecycle.work
    for lane in ("handbook/wiki", "handbook"):
        await work.pause(filled.admin, lane)
    paused = [each for each in (await _health(filled)).problems if each.needs_action]
    assert [(each.code, each.next_step) for each in paused] == [
        ("paused", "Let it go on: headworks jobs resume handbook"),
        ("paused", "Let it go on: headworks jobs resume handbook/wiki"),
    ]
    assert {each.code for each in (await _health(filled)).problems} == {"paused"}
    for lane in ("handbook/wiki", "handbook"):
        await work.resume(filled.admin, lane)
    assert "paused" not in {each.code for each in (await _health(filled)).problems}


async def test_durable_work_that_gave_up_or_does_not_come_further_is_told(filled: World) -> None:
    expected = {"ERROR": "work_failed", "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "work_failed", "PENDING": "work_stuck"}
    for state, code in expected.items():
        run = _has_a_run(filled, state, age="20 minutes")
        (problem,) = (await _health(filled)).problems
        assert (problem.code, problem.needs_action) == (code, True)
        assert run in problem.message
        assert run in problem.next_step
    _has_a_run(filled, "PENDING", age="5 minutes")
    assert (await _health(filled)).problems == (), "a step may take its time"


def _has_a_run(world: World, state: str, age: str = "1 second") -> str:
    """A run of the collection is in this state since then."""
    row = world.behind.execute(
        "UPDATE dbos.workflow_status SET status = %s,"
        " updated_at = (extract(epoch FROM now() - %s::interval) * 1000)::bigint"
        " WHERE workflow_uuid = (SELECT workflow_uuid FROM dbos.workflow_status, collection"
        "  WHERE queue_partition_key = 'collection:' || collection_id::text ORDER BY created_at LIMIT 1)"
        " RETURNING workflow_uuid",
        [state, age],
    ).fetchone()
    assert row is not None
    return str(row[0])


async def test_trouble_with_a_source_is_told(filled: World) -> None:
    source = SourceSpec("wiki", "web", {"url": "https://x.example"}, freshness=FreshnessSpec("6h"))
    await filled.collection("handbook", "everyone", sources=(source,))
    changes = {
        "sync_waits": "phase = 'changes', error_code = 'throttled', error_message = 'slow down'",
        "sync_failed": "phase = 'failed', error_message = 'it is away'",
        "stale_permissions": "carries_permissions = true, readable_until = now()",
        "overdue": "due_at = now() - interval '2 hours'",
    }
    for code, change in changes.items():
        filled.behind.execute(f"UPDATE source SET {change}".encode())
        found = await _health(filled)
        problem = next(each for each in found.problems if each.code == code)
        assert "`wiki`" in problem.message
        assert [each.source for each in found.sources] == ["wiki"]


async def test_another_tenant_has_no_such_collection(filled: World) -> None:
    other: Any = await filled.tenant("other")
    with pytest.raises(NotFound):
        await filled.retrieval.lifecycle.checkup.health(other, "handbook")
