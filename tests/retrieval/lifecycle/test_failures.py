"""What failed is listed and tried again; what is to go, goes by its path."""

from __future__ import annotations

from typing import Any

import pytest
from retrieval_world import InlineParsers, World

from headworks.errors import DocumentUnreadable, InvalidRequest, NotFound
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.service import HandedIn

LEAVE = "# Parental leave\n\nParents take fourteen weeks of parental leave.\n"


class Mending(InlineParsers):
    """Reads scans only once it has been mended."""

    is_mended = False

    async def parse(self, name: str, data: bytes, **more: Any) -> ParsedDocument:
        if name.endswith(".scan"):
            if not self.is_mended:
                raise DocumentUnreadable("There are only pictures in it.", code="needs_ocr")
            name = f"{name}.md"
        return await super().parse(name, data, **more)


@pytest.fixture
def parsers() -> Mending:
    return Mending()


@pytest.fixture
async def world(database: Any, keyring: Any, as_superuser: Any, world_maker: Any, parsers: Mending) -> World:
    made: World = await world_maker(database, keyring, as_superuser, parsers)
    await made.collection("handbook", "everyone")
    return made


async def test_what_failed_is_listed_and_found_when_it_is_tried_again(world: World, parsers: Mending) -> None:
    failures = world.retrieval.lifecycle.failures
    await world.add("handbook", "a.scan", LEAVE, readers=["admin"])
    await world.add("handbook", "b.scan", LEAVE)
    await world.add("handbook", "tool.exe", b"MZ")
    listed = await failures.listed(world.admin, "handbook")
    assert [(each.path, each.code, each.has_original) for each in listed] == [
        ("a.scan", "needs_ocr", True), ("b.scan", "needs_ocr", True), ("tool.exe", "unsupported", True),
    ]  # fmt: skip
    parsers.is_mended = True
    assert (await failures.retry(world.admin, "handbook", ["needs_ocr"], ["a.scan"])).queued == 1
    assert (await world.progress("handbook")).done == 2
    await world.drain()
    assert await world.found(world.admin, "handbook", "parental leave") == ["a.scan"]
    jane = await world.person("jane", "everyone")
    assert await world.found(jane, "handbook", "parental leave") == [], "its readers are those it was handed in with"
    retried = await failures.retry(world.admin, "handbook", None, None)
    assert (retried.queued, retried.sources, retried.left) == (2, (), 0)
    await world.drain()
    assert [each.path for each in await failures.listed(world.admin, "handbook")] == ["tool.exe"]
    assert world.count("document") == 2
    assert world.count("blob") == 3


async def test_the_original_of_a_failure_goes_when_it_is_replaced_or_swept(world: World) -> None:
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    for content in ("one", "two"):
        await world.hand_in("handbook", "a.scan", content, sync=sync.id)
        await world.drain()
    assert world.count("blob") == 1, "of a path only the newest is kept"
    await world.hand_in("handbook", "b.scan", "three", sync=sync.id)
    await world.drain()
    await world.retrieval.finish_sync(world.admin, sync.id, ["b.scan"], collection="handbook")
    assert world.count("blob") == 1, "what is no longer at its source can't be tried again"
    listed = await world.retrieval.lifecycle.failures.listed(world.admin, "handbook")
    assert [(each.path, each.has_original) for each in listed] == [("a.scan", False), ("b.scan", True)]
    retried = await world.retrieval.lifecycle.failures.retry(world.admin, "handbook", None, None)
    assert (retried.queued, retried.left) == (1, 1)


async def test_everybody_sees_and_retries_only_what_is_his(world: World) -> None:
    failures = world.retrieval.lifecycle.failures
    for name in ("jane", "joe"):
        await world.person(name, "everyone")
        await world.identity.bind_role(world.admin, name, "engineer")
    jane, joe = await world.key("jane"), await world.key("joe")
    await world.hand_in("handbook", "jane.scan", LEAVE, by=jane)
    await world.hand_in("handbook", "joe.scan", LEAVE, by=joe)
    await world.drain()
    assert [each.path for each in await failures.listed(jane, "handbook")] == ["jane.scan"]
    assert [each.path for each in await failures.listed(world.admin, "handbook")] == ["jane.scan", "joe.scan"]
    assert (await failures.retry(joe, "handbook", None, ["jane.scan"])).queued == 0
    with pytest.raises(NotFound, match="no collection"):
        await failures.listed(jane, "nobook")
    other = await world.tenant("other")
    with pytest.raises(NotFound, match="no collection"):
        await failures.listed(other, "handbook")


async def test_documents_go_by_their_paths_with_what_waits(world: World) -> None:
    failures = world.retrieval.lifecycle.failures
    await world.add("handbook", "old.md", LEAVE)
    await world.hand_in("handbook", "old.md", f"{LEAVE}more\n")
    await world.hand_in("handbook", "new.md", LEAVE)
    await world.hand_in("handbook", "old.md", LEAVE, source="folder:b")
    assert await failures.delete(world.admin, "handbook", "upload", ["old.md", "new.md", "none.md"]) == 2
    assert await world.found(world.admin, "handbook", "parental leave") == [], "from the next statement"
    await world.drain()
    assert world.count("document", "tombstoned_at IS NULL") == 1, "that of another source stays"
    with pytest.raises(InvalidRequest, match="vanishes when it is gone there"):
        await failures.delete(world.admin, "handbook", "source:web", ["old.md"])
    with pytest.raises(InvalidRequest):
        await failures.delete(world.admin, "handbook", "upload", ["../x"])


async def test_what_somebody_may_not_read_is_not_there_to_be_deleted_but_what_he_brought_is(world: World) -> None:
    failures = world.retrieval.lifecycle.failures
    await world.person("jane", "everyone")
    await world.identity.bind_role(world.admin, "jane", "engineer")
    jane = await world.key("jane")
    await world.add("handbook", "board.md", LEAVE, readers=["administrators"])
    await world.add("handbook", "open.md", LEAVE)
    await world.add("handbook", "hers.md", LEAVE, readers=["administrators"], by=jane)
    for path in ("board.md", "open.md", "board.scan"):
        await world.hand_in("handbook", path, f"{LEAVE}more\n")
    await world.hand_in("handbook", "open.md", LEAVE, source="folder:b")
    paths = ["board.md", "board.scan", "none.md"]
    assert await failures.delete(jane, "handbook", None, paths) == 0
    kept = [("board.md", "upload"), ("board.scan", "upload"), ("open.md", "folder:b")]
    assert _waiting(world) == [*kept, ("open.md", "upload")]
    assert await failures.delete(jane, "handbook", None, ["open.md", "hers.md"]) == 2
    assert _waiting(world) == kept, "what would replace a document that she may read and change goes with it"
    await world.drain()
    assert set(await world.found(world.admin, "handbook", "parental leave")) == {"board.md", "open.md"}
    assert world.count("document", "path = 'board.md' AND version = 2") == 1
    assert world.count("document", "path = 'open.md' AND source = 'upload' AND tombstoned_at IS NULL") == 0
    assert await failures.delete(world.admin, "handbook", None, paths) == 2


def _waiting(world: World) -> list[tuple[str, str]]:
    """The paths and sources of what is queued."""
    rows = world.behind.execute("SELECT path, source FROM ingest_item WHERE state = 'queued' ORDER BY 1, 2").fetchall()
    return [(str(path), str(source)) for path, source in rows]


async def test_a_file_that_kills_again_and_again_can_be_tried_once_more(world: World, parsers: Mending) -> None:
    parsers.is_mended = True
    await world.retrieval.hand_in(world.admin, "handbook", HandedIn("a.scan", LEAVE.encode()))
    world.behind.execute("UPDATE ingest_item SET attempts = 8")
    await world.drain()
    (failed,) = await world.retrieval.lifecycle.failures.listed(world.admin, "handbook")
    assert failed.code == "crashed"
    await world.retrieval.lifecycle.failures.retry(world.admin, "handbook", ["crashed"], None)
    await world.drain()
    assert await world.found(world.admin, "handbook", "parental leave") == ["a.scan"]
