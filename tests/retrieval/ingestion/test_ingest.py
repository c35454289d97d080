"""Handing in: what is acknowledged is stored, worked on once, and what is gone from its source is gone here."""

from __future__ import annotations

import hashlib

import psycopg
import pytest
from retrieval_world import World

from headworks.errors import BodyTooLarge, InvalidRequest, NotFound, Unavailable
from headworks.retrieval.service import HandedIn

LEAVE = "# Leave\n\nParental leave is twelve weeks.\n"
NEW_LEAVE = "# Leave\n\nParental leave is sixteen weeks.\n"


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _sync(
    world: World, files: dict[str, str], source: str = "folder:a", collection: str = "handbook"
) -> list[str]:
    """What a client does with a folder; the paths that it had to send."""
    sync = await world.retrieval.begin_sync(world.admin, collection, source)
    sent = [path for path, text in files.items() if sync.known.get(path) != _sha(text)]
    for path in sent:
        await world.hand_in(collection, path, files[path], sync=sync.id)
    await world.retrieval.finish_sync(world.admin, sync.id, list(files), collection=collection)
    await world.drain()
    return sent


# ── What is acknowledged ──


async def test_a_file_is_stored_sealed_with_its_item_and_its_run_before_it_is_acknowledged(world: World) -> None:
    await world.collection("handbook", "everyone")
    item = await world.hand_in("handbook", "leave.md", LEAVE)
    assert (item.path, item.state, item.bytes) == ("leave.md", "queued", len(LEAVE))
    assert world.count("ingest_item", "state = 'queued'") == 1
    assert world.count("dbos.workflow_status", "status = 'ENQUEUED'") == 1
    assert world.count("blob") == 1
    assert world.count("blob", "position('twelve'::bytea IN content) > 0") == 0
    progress = await world.progress("handbook")
    assert (progress.total, progress.done) == (1, 0)


async def test_many_files_of_a_wave_ask_for_one_run(world: World) -> None:
    await world.collection("handbook", "everyone")
    for number in range(20):
        await world.hand_in("handbook", f"{number}.md", LEAVE)
    assert world.count("dbos.workflow_status") == 1
    assert await world.drain() == 1
    progress = await world.progress("handbook")
    assert (progress.total, progress.done, progress.documents) == (20, 20, 20)


async def test_nothing_is_acknowledged_where_the_database_refuses_to_commit(world: World) -> None:
    await world.collection("handbook", "everyone")
    world.behind.execute("ALTER TABLE blob ADD CONSTRAINT full_disk CHECK (piece < 0)")
    with pytest.raises(psycopg.errors.CheckViolation):
        await world.hand_in("handbook", "leave.md", LEAVE)
    assert world.count("ingest_item") == world.count("dbos.workflow_status") == 0


async def test_a_full_disk_is_said_and_nothing_of_the_file_is_kept(world: World) -> None:
    await world.collection("handbook", "everyone")
    world.behind.execute(
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
    )
    world.behind.execute("CREATE TRIGGER no_space BEFORE INSERT ON blob FOR EACH ROW EXECUTE FUNCTION no_space()")
    with pytest.raises(Unavailable, match=r"disk is full.*Free some space") as caught:
        await world.hand_in("handbook", "leave.md", LEAVE)
    assert (caught.value.status, caught.value.code) == (503, "disk_full")
    assert world.count("ingest_item") == world.count("blob") == 0
    world.behind.execute("DROP TRIGGER no_space ON blob")
    await world.add("handbook", "leave.md", LEAVE)
    assert await world.found(world.admin, "handbook", "leave") == ["leave.md"]


async def test_a_file_over_the_limit_is_refused_with_the_limit(world: World) -> None:
    await world.collection("handbook", "everyone")
    with pytest.raises(BodyTooLarge, match="larger than 1 MB.*max_file_mb") as caught:
        await world.hand_in("handbook", "big.txt", b"x" * ((1 << 20) + 1))
    assert caught.value.status == 413
    assert world.count("ingest_item") == 0


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../up.md", "a/../b.md", "a//b.md", "a/./b", "a\x00.md", "a\nb", "x" * 1001]
)
async def test_a_path_that_is_not_plain_and_relative_is_refused(world: World, path: str) -> None:
    await world.collection("handbook", "everyone")
    with pytest.raises(InvalidRequest, match="is not a path of a document"):
        await world.hand_in("handbook", path, LEAVE)


async def test_paths_are_the_same_in_every_form_of_unicode(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "ca\u0301sa.md", LEAVE)
    await world.add("handbook", "c\u00e1sa.md", NEW_LEAVE)
    assert world.count("document") == 1


async def test_an_unknown_collection_is_answered_with_near_ones(world: World) -> None:
    await world.collection("handbook", "everyone")
    for name in ("handbok", "hand\x00bok"):
        with pytest.raises(NotFound, match="Did you mean `handbook`"):
            await world.hand_in(name, "leave.md", LEAVE)


async def test_an_unknown_reader_is_answered_with_near_ones(world: World) -> None:
    await world.collection("handbook", "everyone")
    with pytest.raises(InvalidRequest, match="no principal `everyon`. Did you mean `everyone`") as caught:
        await world.hand_in("handbook", "leave.md", LEAVE, readers=["everyon"])
    assert caught.value.param == "readers"
    assert world.count("ingest_item") == 0


# ── What becomes of it ──


async def test_the_same_content_again_is_unchanged_and_stays_as_it_is(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    before = world.behind.execute("SELECT document_id, version, blob_id FROM document").fetchall()
    world.models.calls.clear()
    await world.add("handbook", "leave.md", LEAVE)
    assert world.behind.execute("SELECT document_id, version, blob_id FROM document").fetchall() == before
    assert world.count("ingest_item", "state = 'unchanged' AND chunks = 1") == 1
    assert world.models.calls == []
    assert world.count("blob") == 1


async def test_new_content_is_a_new_version_and_the_old_one_is_gone(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    await world.add("handbook", "leave.md", NEW_LEAVE)
    found = (await world.search(world.admin, "handbook", "parental leave")).passages
    assert [(each.version, "sixteen" in each.text) for each in found] == [(2, True)]
    await world.retrieval.lifecycle.erasure.purge_all(world.admin, "handbook", at_once=True)
    for table in ("document", "document_text", "chunk", "embedding", "blob"):
        assert world.count(table) == 1, table


async def test_only_the_last_of_several_contents_of_a_path_is_worked_on(world: World) -> None:
    await world.collection("handbook", "everyone")
    for text in ("# One\n\none", "# Two\n\ntwo", "# Three\n\nthree"):
        await world.hand_in("handbook", "a.md", text)
    await world.drain()
    states = world.behind.execute("SELECT state, count(*) FROM ingest_item GROUP BY 1 ORDER BY 1").fetchall()
    assert states == [("done", 1), ("superseded", 2)]
    assert [each.title for each in (await world.search(world.admin, "handbook", "three")).passages] == ["Three"]
    assert world.count("blob") == 1


async def test_also_when_more_of_them_wait_than_are_looked_at_at_once(world: World) -> None:
    many = 170  # a batch has at most 128
    await world.collection("handbook", "everyone")
    await world.hand_in("handbook", "b.md", "# Another\n\nanother")
    for number in range(1, many + 1):
        await world.hand_in("handbook", "a.md", f"# Number {number}\n\nsome words")
    await world.drain()
    states = world.behind.execute("SELECT state, count(*) FROM ingest_item GROUP BY 1 ORDER BY 1").fetchall()
    assert states == [("done", 2), ("superseded", many - 1)]
    found = (await world.search(world.admin, "handbook", "words")).passages
    assert found[0].title == f"Number {many}"
    assert world.count("blob") == 2


async def test_a_file_that_fails_is_named_and_the_others_go_on(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.hand_in("handbook", "empty.md", b"")
    await world.hand_in("handbook", "blank.md", "  \n \n")
    await world.hand_in("handbook", "tool.exe", b"MZ")
    await world.hand_in("handbook", "leave.md", LEAVE)
    await world.drain()
    progress = await world.progress("handbook")
    assert (progress.total, progress.done, progress.documents) == (4, 4, 1)
    assert [(each.path, each.code) for each in progress.failed] == [
        ("blank.md", "empty"), ("empty.md", "empty"), ("tool.exe", "unsupported"),
    ]  # fmt: skip
    assert progress.failed[2].message == "No parser knows this kind of file."
    assert world.count("blob") == 4, "what failed is kept, so that it can be tried again"


async def test_a_failure_is_no_longer_told_when_the_file_came_again_and_went_well(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", b"")
    assert [each.code for each in (await world.progress("handbook")).failed] == ["empty"]
    await world.add("handbook", "a.md", LEAVE)
    assert (await world.progress("handbook")).failed == ()


async def test_an_error_of_our_own_in_one_file_does_not_stop_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headworks.retrieval.indexing import index

    whole = index.cut

    def breaking(parsed: object, *how: object) -> object:
        if "poison" in parsed.text:  # type: ignore[attr-defined] # any of them
            raise ZeroDivisionError("secret of the text")
        return whole(parsed, *how)  # type: ignore[arg-type] # a plain value

    monkeypatch.setattr(index, "cut", breaking)
    await world.collection("handbook", "everyone")
    await world.hand_in("handbook", "bad.md", "# Bad\n\npoison")
    await world.hand_in("handbook", "leave.md", LEAVE)
    await world.drain()
    (failure,) = (await world.progress("handbook")).failed
    assert failure.code == "internal_error"
    assert failure.message == "An internal error (ZeroDivisionError); the server's log has more."
    assert await world.found(world.admin, "handbook", "leave") == ["leave.md"]


async def test_what_ended_its_process_again_and_again_is_set_aside(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.hand_in("handbook", "a.md", LEAVE)
    world.behind.execute("UPDATE ingest_item SET attempts = 20")
    await world.hand_in("handbook", "b.md", LEAVE)
    await world.drain()
    (failure,) = (await world.progress("handbook")).failed
    assert (failure.path, failure.code) == ("a.md", "crashed")
    assert "set aside" in failure.message
    assert await world.found(world.admin, "handbook", "leave") == ["b.md"]


async def test_a_file_without_extension_is_read_by_its_media_type(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "notes/leave", LEAVE, media_type="text/markdown; charset=utf-8")
    assert [each.title for each in (await world.search(world.admin, "handbook", "leave")).passages] == ["Leave"]


async def test_a_file_without_extension_of_which_nothing_is_said_is_not_given_one(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.hand_in("handbook", "notes/noext", b"\x00\x01" * 50, media_type="application/octet-stream")
    await world.drain()
    (failure,) = (await world.progress("handbook")).failed
    assert failure.code == "unsupported"
    assert failure.message == "No parser knows this kind of file."


async def test_one_source_does_not_touch_the_documents_of_another(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    await _sync(world, {"leave.md": NEW_LEAVE})
    assert world.count("document") == 2
    await _sync(world, {})
    assert world.count("document", "source = 'upload' AND tombstoned_at IS NULL") == 1


# ── Syncs ──


async def test_a_folder_again_sends_only_what_changed_and_drops_what_is_gone(world: World) -> None:
    await world.collection("handbook", "everyone")
    assert await _sync(world, {"a.md": LEAVE, "b.md": LEAVE, "c.md": LEAVE}) == ["a.md", "b.md", "c.md"]
    assert await _sync(world, {"a.md": LEAVE, "b.md": NEW_LEAVE}) == ["b.md"]
    assert sorted(await world.found(world.admin, "handbook", "parental leave")) == ["a.md", "b.md"]
    assert await _sync(world, {"a.md": LEAVE, "b.md": NEW_LEAVE}) == []
    assert world.count("document") == 3, "what vanished is kept for a while"
    await world.retrieval.lifecycle.erasure.purge_all(world.admin, "handbook", at_once=True)
    assert world.count("document") == world.count("blob") == world.count("document_text") == 2, "purged for good"


async def test_what_was_not_seen_is_invisible_before_any_work_is_done(world: World) -> None:
    await world.collection("handbook", "everyone")
    await _sync(world, {"a.md": LEAVE})
    (passage,) = (await world.search(world.admin, "handbook", "leave")).passages
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    await world.retrieval.finish_sync(world.admin, sync.id, [], collection="handbook")
    assert await world.found(world.admin, "handbook", "leave") == []
    with pytest.raises(NotFound):
        await world.retrieval.document(world.admin, passage.document)


async def test_a_file_that_vanished_does_not_come_back_from_the_queue(world: World) -> None:
    await world.collection("handbook", "everyone")
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    await world.hand_in("handbook", "a.md", LEAVE, sync=sync.id)
    again = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    assert again.known == {"a.md": _sha(LEAVE)}, "it waits, and need not come again"
    await world.retrieval.finish_sync(world.admin, again.id, [], collection="handbook")
    await world.drain()
    assert world.count("document") == world.count("blob") == 0


async def test_a_file_that_vanished_and_came_back_is_found_again(world: World) -> None:
    await world.collection("handbook", "everyone")
    await _sync(world, {"a.md": LEAVE})
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    await world.retrieval.finish_sync(world.admin, sync.id, [], collection="handbook")
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    assert sync.known == {}
    await world.hand_in("handbook", "a.md", LEAVE, sync=sync.id)
    await world.drain()
    assert await world.found(world.admin, "handbook", "leave") == ["a.md"]


async def test_what_an_interrupted_sync_left_in_the_queue_is_waited_for_by_the_next(world: World) -> None:
    await world.collection("handbook", "everyone")
    first = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    await world.hand_in("handbook", "a.md", LEAVE, sync=first.id)
    await world.hand_in("handbook", "elsewhere.md", LEAVE)
    again = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    assert again.known == {"a.md": _sha(LEAVE)}
    told = await world.retrieval.finish_sync(world.admin, again.id, ["a.md"], collection="handbook")
    assert (told.total, told.done) == (1, 0)
    await world.drain()
    told = await world.retrieval.progress(world.admin, collection="handbook", sync=again.id)
    assert (told.total, told.done, told.documents) == (0, 0, 1)


async def test_a_finished_sync_tells_what_its_source_has_also_when_nothing_was_sent(world: World) -> None:
    await world.collection("handbook", "everyone")
    files = {"a.md": LEAVE, "b.md": LEAVE}
    await _sync(world, files)
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    progress = await world.retrieval.finish_sync(world.admin, sync.id, list(files), collection="handbook")
    assert (progress.total, progress.done, progress.documents, progress.chunks) == (0, 0, 2, 2)


async def test_who_writes_without_reading_is_told_only_what_it_brought(world: World) -> None:
    await world.collection("closed", "administrators")
    await _sync(world, {"board.md": "# Board\n\nThe merger."}, collection="closed")
    robot = await world.person("robot", maker=world.admin)
    await world.identity.bind_role(world.admin, "robot", "engineer")
    robot = await world.key("robot")
    sync = await world.retrieval.begin_sync(robot, "closed", "folder:a")
    assert sync.known == {}, "neither read nor brought"
    await world.hand_in("closed", "own.md", LEAVE, sync=sync.id, by=robot)
    await world.hand_in("closed", "bad.md", b"", sync=sync.id, by=robot)
    await world.drain()
    again = await world.retrieval.begin_sync(robot, "closed", "folder:a")
    assert again.known == {"own.md": _sha(LEAVE)}
    progress = await world.retrieval.progress(robot, collection="closed", sync=sync.id)
    assert [(each.path, each.code) for each in progress.failed] == [("bad.md", "empty")]
    with pytest.raises(NotFound):
        await world.search(robot, "closed", "leave")


async def test_a_sync_is_only_of_who_began_it(world: World) -> None:
    await world.collection("handbook", "everyone")
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    await world.person("robot")
    await world.identity.bind_role(world.admin, "robot", "engineer")
    robot = await world.key("robot")
    other = await world.tenant("acme")
    await world.collection("handbook", "everyone", maker=other)
    for who in (robot, other):
        with pytest.raises(NotFound, match="no such sync of yours"):
            await world.retrieval.progress(who, collection="handbook", sync=sync.id)
        with pytest.raises(NotFound, match="no such sync of yours"):
            await world.hand_in("handbook", "a.md", LEAVE, sync=sync.id, by=who)
        with pytest.raises(NotFound, match="no such sync of yours"):
            await world.retrieval.finish_sync(who, sync.id, [], collection="handbook")
    with pytest.raises(NotFound, match="no such sync of yours"):
        await world.retrieval.progress(world.admin, collection="handbook", sync="no uuid")


async def test_a_source_needs_a_name(world: World) -> None:
    await world.collection("handbook", "everyone")
    for source in ("", "x" * 301, "a\nb"):
        with pytest.raises(InvalidRequest, match="`source` is 1 to 300"):
            await world.retrieval.begin_sync(world.admin, "handbook", source)
        with pytest.raises(InvalidRequest, match="`source` is 1 to 300"):
            await world.retrieval.hand_in(world.admin, "handbook", HandedIn("a.md", b"x", source=source))


# ── Readers given on upload ──


async def test_a_list_given_on_upload_narrows_and_an_empty_one_shuts(world: World) -> None:
    await world.collection("handbook", "everyone")
    bob, eve = await world.person("bob", "clinic"), await world.person("eve")
    await world.add("handbook", "clinic.md", "# C\n\nheron", readers=["clinic"])
    await world.add("handbook", "nobody.md", "# N\n\nheron", readers=[])
    await world.add("handbook", "all.md", "# A\n\nheron")
    assert sorted(await world.found(bob, "handbook", "heron")) == ["all.md", "clinic.md"]
    assert await world.found(eve, "handbook", "heron") == ["all.md"]
    assert await world.found(world.admin, "handbook", "heron") == ["all.md"]


async def test_a_list_does_not_open_what_the_collection_shuts(world: World) -> None:
    await world.collection("handbook", "administrators")
    bob = await world.person("bob")
    await world.add("handbook", "a.md", "# A\n\nheron", readers=["bob"])
    with pytest.raises(NotFound):
        await world.search(bob, "handbook", "heron")
    assert await world.found(world.admin, "handbook", "heron") == [], "both lists must admit"


async def test_the_same_content_with_other_readers_changes_the_readers_only(world: World) -> None:
    await world.collection("handbook", "everyone")
    bob = await world.person("bob")
    await world.add("handbook", "a.md", "# A\n\nheron")
    await world.add("handbook", "a.md", "# A\n\nheron", readers=["administrators"])
    assert await world.found(bob, "handbook", "heron") == []
    assert world.count("document", "version = 1") == 1
    await world.add("handbook", "a.md", "# A\n\nheron", readers=["bob"])
    assert await world.found(bob, "handbook", "heron") == ["a.md"]
    assert await world.found(world.admin, "handbook", "heron") == []


async def test_handing_in_without_a_list_opens_nothing_and_a_star_does(world: World) -> None:
    await world.collection("handbook", "everyone")
    bob = await world.person("bob")
    await world.add("handbook", "a.md", "# A\n\nheron", readers=["administrators"])
    await world.add("handbook", "a.md", "# A\n\nheron two")
    assert await world.found(bob, "handbook", "heron") == []
    await world.add("handbook", "a.md", "# A\n\nheron two", readers=["*"])
    assert await world.found(bob, "handbook", "heron") == ["a.md"]


async def test_where_a_pattern_names_the_readers_an_upload_may_not(world: World) -> None:
    await world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    with pytest.raises(InvalidRequest, match=r"names the readers of `board/\*\*`"):
        await world.hand_in("handbook", "board/a.md", LEAVE, readers=["everyone"])
    await world.add("handbook", "board/a.md", LEAVE)
    bob = await world.person("bob")
    assert await world.found(bob, "handbook", "leave") == []
