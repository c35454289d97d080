"""Why somebody may or may not read a document: told to administrators, true by the database, written to the audit."""

from __future__ import annotations

import pytest

from headworks.errors import Forbidden, NotFound

from .conftest import World

TEXT = "# Merger\n\nIt closes in May."


async def test_who_may_read_is_told_through_which_groups(world: World) -> None:
    await world.person("bob", "clinic", "board")
    await world.collection("handbook", "clinic", documents=[("board/**", ("board",))])
    await world.add("handbook", "board/merger.md", TEXT)
    found = await world.retrieval.explain(world.admin, "handbook", "board/merger.md", "bob")
    assert found.may_read
    assert found.reason == "`bob` may read it, by `clinic` and `board`: both lists admit."
    collection, document = found.admissions
    assert (collection.listed, collection.by, collection.admits) == (("clinic",), ("clinic",), True)
    assert (document.listed, document.by, document.admits) == (("board",), ("board",), True)
    assert document.origin == "the pattern `board/**` of the collection"
    assert (found.path, found.title, found.collection) == ("board/merger.md", "Merger", "handbook")


async def test_who_may_not_read_is_told_which_list_is_in_the_way(world: World) -> None:
    await world.person("bob", "clinic")
    await world.person("eve")
    await world.person("carl", "board")
    await world.collection("handbook", "clinic", documents=[("board/**", ("board",))])
    await world.add("handbook", "board/merger.md", TEXT)
    await world.add("handbook", "given.md", TEXT, readers=["board"])
    await world.add("handbook", "shut.md", TEXT, readers=[])
    reasons = {
        (name, path): (await world.retrieval.explain(world.admin, None, path, name)).reason
        for name, path in [
            ("bob", "board/merger.md"),
            ("eve", "board/merger.md"),
            ("bob", "given.md"),
            ("bob", "shut.md"),
        ]
    }
    assert reasons["bob", "board/merger.md"] == (
        "`bob` may not read it: only `board` may (the pattern `board/**` of the collection), "
        "and `bob` is in none of them."
    )
    assert reasons["eve", "board/merger.md"] == (
        "`eve` may not read it: only `clinic` may (`readers` of the collection `handbook`), "
        "and `eve` is in none of them."
    )
    assert "given when it was handed in" in reasons["bob", "given.md"]
    assert reasons["bob", "shut.md"] == "Nobody may read it: the list (given when it was handed in) is empty."


async def test_a_collection_without_readers_and_a_disabled_account_are_told(world: World) -> None:
    await world.person("bob")
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    await world.identity.disable_principal(world.admin, "bob")
    found = await world.retrieval.explain(world.admin, "handbook", "a.md", "bob")
    assert not found.may_read
    await world.collection("handbook")
    found = await world.retrieval.explain(world.admin, "handbook", "a.md", "bob")
    assert found.reason == "Nobody may read it: the list (`readers` of the collection `handbook`) is empty."


async def test_a_document_that_vanished_is_told_to_be_gone(world: World) -> None:
    await world.collection("handbook", "everyone")
    sync = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    await world.hand_in("handbook", "a.md", TEXT, sync=sync.id)
    await world.drain()
    await world.retrieval.finish_sync(world.admin, sync.id, [], collection="handbook")
    found = await world.retrieval.explain(world.admin, "handbook", "a.md", "admin")
    assert (found.may_read, found.reason) == (False, "Nobody may read it: it vanished from its source.")


async def test_the_question_is_written_to_the_audit_without_path_or_title(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    found = await world.retrieval.explain(world.admin, "handbook", "a.md", "admin")
    rows = world.behind.execute(
        "SELECT subject, detail, principal_id, key_id FROM audit_event WHERE action = 'reader.explain'"
    ).fetchall()
    assert rows == [
        (f"document:{found.document}", {"principal": "admin", "may_read": True}, world.admin.id, world.admin.key)
    ]


async def test_only_who_has_the_permission_may_ask(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    bob = await world.person("bob")
    with pytest.raises(Forbidden, match="reader:explain"):
        await world.retrieval.explain(bob, "handbook", "a.md", "admin")


async def test_unknown_documents_and_people_are_said_to_be_unknown(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    with pytest.raises(NotFound, match="no document `b.md` in `handbook`"):
        await world.retrieval.explain(world.admin, "handbook", "b.md", "admin")
    with pytest.raises(NotFound, match="admni.*Did you mean `admin`"):
        await world.retrieval.explain(world.admin, "handbook", "a.md", "admni")
    other = await world.tenant("acme")
    with pytest.raises(NotFound, match="no document"):
        await world.retrieval.explain(other, "handbook", "a.md", "admin")


async def test_a_document_is_found_by_its_id_too(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    (passage,) = (await world.search(world.admin, "handbook", "merger")).passages
    found = await world.retrieval.explain(world.admin, None, str(passage.document), "admin")
    assert found.path == "a.md"


async def test_no_one_but_the_curator_can_write_documents_or_readers(world: World) -> None:
    import psycopg

    await world.collection("handbook", "administrators")
    await world.add("handbook", "a.md", TEXT)
    bob = await world.person("bob")
    attempts = [
        (
            "INSERT INTO collection_reader SELECT tenant_id, collection_id, %(me)s FROM collection "
            "WHERE tenant_id = %(tenant)s"
        ),
        "INSERT INTO document_reader SELECT %(tenant)s, %(document)s, %(me)s",
    ]
    (document,) = world.behind.execute("SELECT document_id FROM document").fetchone() or (None,)
    for statement in attempts:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with world.db.tx(bob) as tx:
                await tx.run(statement, tenant=bob.tenant, me=bob.id, document=document)
    for statement in (
        "UPDATE document SET restricted = false WHERE tenant_id = %(tenant)s",
        "DELETE FROM document_reader WHERE tenant_id = %(tenant)s",
        "DELETE FROM chunk WHERE tenant_id = %(tenant)s",
    ):
        async with world.db.tx(world.admin) as tx:
            assert await tx.run(statement, tenant=bob.tenant) == 0, "not even its administrator"
