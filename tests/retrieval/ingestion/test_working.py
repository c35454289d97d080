"""A batch is written in one transaction, and each document of it as if it were alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg
import pytest
from retrieval_world import InlineParsers, World, make_world

from headworks.retrieval.contract import Sync
from headworks.retrieval.ingestion import newest
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring


class Interrupted(InlineParsers):
    """While a file of a certain name is parsed, something else happens."""

    def __init__(self) -> None:
        self.meanwhile: dict[str, Callable[[], Awaitable[object]]] = {}

    async def parse(self, name: str, data: bytes, *, ocr: bool = False) -> ParsedDocument:
        if (happens := self.meanwhile.pop(name, None)) is not None:
            await happens()
        return await super().parse(name, data, ocr=ocr)


@pytest.fixture
def parsers() -> Interrupted:
    return Interrupted()


@pytest.fixture
async def world(
    database: Database, keyring: Keyring, as_superuser: psycopg.Connection[object], parsers: Interrupted
) -> World:
    world = await make_world(database, keyring, as_superuser, parsers)
    await world.collection("handbook", "everyone")
    return world


def _text(number: int, word: str = "heron") -> str:
    return f"# Note {number}\n\nA {word} by pond {number}.\n"


async def _found(world: World, word: str = "heron") -> dict[str, str]:
    found = (await world.search(world.admin, "handbook", word, k=50)).passages
    assert len({each.path for each in found}) == len(found), "none of them twice"
    return {each.path: each.text for each in found}


_UNTIDY = {
    "nothing waits": "SELECT path FROM ingest_item WHERE state = 'queued'",
    "each version of a document has one text, and is known": (
        "SELECT * FROM (SELECT document_id, generate_series(1, version) AS version FROM document) d "
        "FULL JOIN document_version v USING (document_id, version) "
        "FULL JOIN document_text t USING (document_id, version) "
        "WHERE num_nulls(d, v, t) > 0"
    ),
    "it is the newest that is read": (
        "SELECT path FROM document d JOIN document_version v USING (document_id) "
        "WHERE (v.replaced_at IS NULL) <> (v.version = d.version)"
    ),
    "each original belongs to one document or failure, each of which has one": (
        "SELECT * FROM (SELECT blob_id AS named FROM document "
        "UNION ALL SELECT blob_id FROM ingest_item WHERE state = 'failed') AS n "
        "FULL JOIN (SELECT DISTINCT blob_id FROM blob) b ON b.blob_id = n.named WHERE num_nulls(n.named, b.blob_id) > 0"
    ),
    "no two have the same original": (
        "SELECT blob_id FROM (SELECT blob_id FROM document "
        "UNION ALL SELECT blob_id FROM ingest_item WHERE state = 'failed') AS n GROUP BY 1 HAVING count(*) > 1"
    ),
    "each document that is there has chunks, each of which has one vector": (
        "SELECT d.path, c.chunk_id, e.chunk_id FROM document d FULL JOIN chunk c USING (document_id) "
        "FULL JOIN embedding e USING (document_id, chunk_id) "
        "WHERE d IS NULL OR (c IS NULL) <> (e IS NULL) OR (c IS NULL AND d.tombstoned_at IS NULL)"
    ),
}
"""What there may be no row of."""


def _assert_tidy(world: World) -> None:
    """Every original, text, version and vector belongs to a document, each version of it once, and each has its own."""
    for rule, broken_by in _UNTIDY.items():
        assert world.behind.execute(broken_by).fetchall() == [], rule  # type: ignore[call-overload] # one of those above


async def test_what_fails_goes_or_comes_again_while_a_batch_is_worked_on_is_itself_only(
    world: World, parsers: Interrupted
) -> None:
    await world.add("handbook", "old.md", _text(0))
    await world.add("handbook", "kept.md", _text(0))
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    for number in range(20):
        await world.hand_in("handbook", f"{number}.md", _text(number))
        if number == 10:
            await world.hand_in("handbook", "empty.md", b"")
            await world.hand_in("handbook", "old.md", _text(99))
            await world.hand_in("handbook", "tool.exe", b"MZ")
            await world.hand_in("handbook", "swept.md", _text(10), sync=sync.id)
            await world.hand_in("handbook", "kept.md", _text(0), readers=["administrators"])

    async def meanwhile() -> None:
        delete = world.retrieval.lifecycle.failures.delete
        assert await delete(world.admin, "handbook", "upload", ["3.md", "old.md", "15.md"]) == 3
        again: Sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
        await world.retrieval.finish_sync(world.admin, again.id, [], collection="handbook")
        await world.hand_in("handbook", "5.md", _text(55))

    parsers.meanwhile["12.md"] = meanwhile
    await world.drain()
    assert not parsers.meanwhile
    found = await _found(world)
    assert set(found) == {f"{number}.md" for number in range(20) if number not in {3, 15}} | {"kept.md"}
    assert "pond 55" in found["5.md"]
    assert all(f"pond {number}." in found[f"{number}.md"] for number in range(20) if number not in {3, 5, 15})
    bob = await world.person("bob")
    assert "kept.md" not in await world.found(bob, "handbook", "heron", k=50)
    assert world.count("document", "path = 'kept.md' AND version = 1") == 1
    failed = (await world.progress("handbook")).failed
    assert [(each.path, each.code) for each in failed] == [("empty.md", "empty"), ("tool.exe", "unsupported")]
    _assert_tidy(world)
    await world.retrieval.lifecycle.erasure.purge_all(world.admin, "handbook", at_once=True)
    assert await _found(world) == found
    assert world.count("document") == 19


async def test_a_document_that_can_not_be_written_is_set_aside_and_the_rest_of_its_batch_is_found(world: World) -> None:
    world.behind.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.path = '4.md' THEN RAISE EXCEPTION 'no' USING ERRCODE = 'data_exception'; END IF; "
        "RETURN NEW; END $$"
    )
    world.behind.execute("CREATE TRIGGER refuse BEFORE INSERT ON document FOR EACH ROW EXECUTE FUNCTION refuse()")
    for number in range(9):
        await world.hand_in("handbook", f"{number}.md", _text(number))
    for _ in range(12):
        with suppress(psycopg.DataError):
            await world.drain()
        await world.retrieval.catch_up()
    assert set(await _found(world)) == {f"{number}.md" for number in range(9) if number != 4}
    (failed,) = (await world.progress("handbook")).failed
    assert (failed.path, failed.code) == ("4.md", "crashed")
    _assert_tidy(world)


async def test_two_contents_of_one_file_are_never_in_one_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> int:
        return 0

    monkeypatch.setattr(newest, "supersede", none)  # as if the second came between this and the taking
    for number in range(3):
        await world.hand_in("handbook", "a.md", _text(number))
        await world.hand_in("handbook", f"b{number}.md", _text(number))
    await world.drain()
    found = await _found(world)
    assert set(found) == {"a.md", "b0.md", "b1.md", "b2.md"}
    assert "pond 2" in found["a.md"]
    assert world.count("document", "path = 'a.md' AND version = 3") == 1
    _assert_tidy(world)


async def test_many_small_files_are_one_batch_and_of_long_ones_there_are_fewer(world: World) -> None:
    for number in range(100):
        await world.hand_in("handbook", f"{number}.md", _text(number))
    await world.drain()
    segments = world.behind.execute("SELECT chunks FROM posting_segment").fetchall()
    assert segments == [(100,)]
    for number in range(40):
        await world.hand_in("handbook", f"{number}.md", _text(number) + f"<!-- {'x' * 3_000} -->\n")
    await world.drain()
    written = world.behind.execute("SELECT count(*) FROM document WHERE version = 2 GROUP BY updated_at").fetchall()
    assert sorted(written) == [(8,), (32,)], "in one transaction each"
