"""Rules of sections that change, and change back, while files are being worked on: the newest content and lists win."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from retrieval_world import InlineParsers, World, make_world

from headworks.retrieval.ingestion.ingest import NewItem
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.store import find_collection
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, new_id
from headworks.types.workspace import SectionSpec

Meanwhile = Callable[[], Awaitable[None]]
RULE = SectionSpec("**", "Audit*", ("auditors",))
OTHER = replace(RULE, heading="Appeals")
PART = "claims.md#Claims › Audit"


def _text(number: int) -> str:
    return (
        f"# Claims\n\nPaid in {number} days.\n\n## Audit\n\nOver {number} EUR.\n\n## Appeals\n\nWithin {number} days.\n"
    )


class SlowParsers(InlineParsers):
    """While a file is parsed, something else happens: once for each time that it is said."""

    def __init__(self) -> None:
        self.meanwhile: list[Meanwhile] = []

    async def parse(self, name: str, data: bytes, *, ocr: bool = False) -> ParsedDocument:
        if self.meanwhile:
            await self.meanwhile.pop(0)()
        return await super().parse(name, data, ocr=ocr)


@pytest.fixture
def parsers() -> SlowParsers:
    return SlowParsers()


@pytest.fixture
async def world(
    database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any], parsers: SlowParsers
) -> World:
    return await make_world(database, keyring, as_superuser, parsers)


async def _stage(world: World) -> tuple[Principal, Principal]:
    bob, ann = await world.person("bob", "clinic"), await world.person("ann", "clinic", "auditors")
    await _rules(world, RULE)
    await world.add("handbook", "claims.md", _text(1))
    return bob, ann


async def _rules(world: World, *rules: SectionSpec) -> None:
    await world.collection("handbook", "clinic", sections=rules)


def _to_and_fro(world: World) -> Meanwhile:
    async def change() -> None:
        await _rules(world, OTHER)
        await _rules(world, RULE)

    return change


async def _readable(world: World, who: Principal) -> dict[str, str]:
    """What somebody may read, by path."""
    rows = world.behind.execute("SELECT shown_path, document_id FROM document WHERE tombstoned_at IS NULL").fetchall()
    async with world.db.tx(who) as tx:
        seen = {row[0] for row in await tx.fetch_all("SELECT document_id FROM document_text")}
    return {
        path: (await world.retrieval.document(who, DocumentId(found))).text for path, found in rows if found in seen
    }


def _is_tidy(world: World) -> bool:
    """Nothing waits or has failed, and every original is of something."""
    orphans = (
        "NOT EXISTS (SELECT FROM document d WHERE d.blob_id = blob.blob_id) "
        "AND NOT EXISTS (SELECT FROM ingest_item i WHERE i.blob_id = blob.blob_id)"
    )
    waiting = world.count("ingest_item", "state IN ('queued', 'failed')")
    lost = "blob_id IS NOT NULL AND NOT EXISTS (SELECT FROM blob b WHERE b.blob_id = document.blob_id)"
    return not waiting and not world.count("blob", orphans) and not world.count("document", lost)


async def test_an_update_on_its_way_is_not_replaced_by_the_original_that_is_cut_anew(
    world: World, parsers: SlowParsers
) -> None:
    bob, ann = await _stage(world)
    await world.hand_in("handbook", "claims.md", _text(2))
    parsers.meanwhile.append(_to_and_fro(world))
    await world.drain()
    for who, paths in ((bob, {"claims.md"}), (ann, {"claims.md", PART})):
        found = await _readable(world, who)
        assert set(found) == paths
        assert all("2" in text and "1" not in text for text in found.values())
    assert _is_tidy(world)


@pytest.mark.parametrize("rules", [(OTHER,), (RULE,), ()])
async def test_lists_given_with_the_same_content_on_its_way_are_not_lost(
    world: World, parsers: SlowParsers, rules: tuple[SectionSpec, ...]
) -> None:
    bob, ann = await _stage(world)
    await world.hand_in("handbook", "claims.md", _text(1), readers=["auditors"])
    await world.hand_in("handbook", "another.md", "# Another\n\nThat takes a while.\n")

    async def change() -> None:
        await _rules(world, OTHER)
        await _rules(world, *rules)

    parsers.meanwhile.append(change)
    await world.drain()
    assert set(await _readable(world, bob)) == {"another.md"}
    assert "claims.md" in await _readable(world, ann)
    assert _is_tidy(world)


async def test_what_failed_and_is_tried_again_does_not_replace_what_came_after_it(
    world: World, parsers: SlowParsers
) -> None:
    _, ann = await _stage(world)
    await world.add("handbook", "claims.md", b"")
    await world.hand_in("handbook", "claims.md", _text(3))

    async def retry() -> None:
        world.behind.execute("UPDATE ingest_item SET state = 'queued', attempts = 0 WHERE state = 'failed'")

    parsers.meanwhile.append(retry)
    await world.drain()
    assert "3" in (await _readable(world, ann))["claims.md"]
    assert _is_tidy(world)


async def test_what_was_handed_in_while_rules_changed_is_newer_than_the_original(world: World) -> None:
    """Its transaction began before the document was written as it is, and asked for work after the rules changed."""
    _, ann = await _stage(world)
    curator = await world.identity.curator(world.admin.tenant)
    async with world.db.tx(curator) as tx:
        row = await find_collection(tx, curator.tenant, name="handbook")
        assert row is not None
        await world.add("handbook", "claims.md", _text(2))
        await _rules(world, OTHER)
        new = NewItem(new_id(), None, "upload", "claims.md", _text(3).encode(), "3" * 64, None, "")
        await world.retrieval.ingestion.put(tx, curator, row, new)
    await world.drain()
    assert "3" in (await _readable(world, ann))["claims.md"]
    assert _is_tidy(world)


async def test_a_file_that_waits_for_rules_to_settle_is_no_file_that_ends_processes(
    world: World, parsers: SlowParsers
) -> None:
    _, ann = await _stage(world)
    await world.hand_in("handbook", "claims.md", _text(2))
    for turn in range(12):
        rule = (OTHER, RULE)[turn % 2]
        parsers.meanwhile.append(lambda rule=rule: _rules(world, rule))  # type: ignore[misc] # bound now
    await world.drain()
    assert not parsers.meanwhile
    assert "2" in (await _readable(world, ann))["claims.md"]
    assert _is_tidy(world)


async def test_what_is_deleted_while_it_is_worked_on_stays_deleted(world: World, parsers: SlowParsers) -> None:
    bob, ann = await _stage(world)
    await world.hand_in("handbook", "claims.md", _text(1))
    await world.hand_in("handbook", "another.md", "# Another\n\nThat takes a while.\n")

    async def delete() -> None:
        await world.retrieval.lifecycle.failures.delete(world.admin, "handbook", "upload", ["claims.md"])

    parsers.meanwhile.append(delete)
    await world.drain()
    assert set(await _readable(world, ann)) == {"another.md"} == set(await _readable(world, bob))


async def test_lists_given_with_a_content_that_never_was_worked_on_hold_for_the_newer_one(world: World) -> None:
    bob, ann = await _stage(world)
    about = {"topic": "claims"}
    await world.hand_in("handbook", "new.md", _text(1), readers=["auditors"], metadata=about, idempotency_key="k1")
    await world.hand_in("handbook", "new.md", _text(2), idempotency_key="k2")
    await world.hand_in("handbook", "new.md", _text(3), denied=["ann"], idempotency_key="k3")
    await world.hand_in("handbook", "new.md", _text(4), idempotency_key="k4")
    await world.drain()
    assert "new.md" not in {**await _readable(world, bob), **await _readable(world, ann)}
    eve = await world.person("eve", "clinic", "auditors")
    assert "4" in (await _readable(world, eve))["new.md"]
    assert world.count("document", "metadata ->> 'topic' = 'claims'") == 2
    again = await world.hand_in("handbook", "new.md", _text(4), idempotency_key="k4")
    assert again.state == "done"
