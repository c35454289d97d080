"""Why somebody may or may not read a document: told to administrators, true by the database, written to the audit."""

from __future__ import annotations

import pytest
from retrieval_world import World

from headworks.errors import Forbidden, NotFound

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


async def test_groups_on_the_way_are_told(world: World) -> None:
    await world.person("bob", "nurses")
    for inner, outer in (("nurses", "clinic"), ("clinic", "hospital")):
        await world.identity.create_group(world.admin, outer)
        await world.identity.add_member(world.admin, outer, inner)
    await world.collection("handbook", "hospital")
    await world.add("handbook", "a.md", TEXT)
    found = await world.retrieval.explain(world.admin, "handbook", "a.md", "bob")
    assert found.reason == "`bob` may read it, by `hospital` (through `nurses` → `clinic`): both lists admit."
    assert found.admissions[0].ways == (("nurses", "clinic", "hospital"),)
    await world.identity.disable_principal(world.admin, "clinic")
    found = await world.retrieval.explain(world.admin, "handbook", "a.md", "bob")
    assert (found.may_read, found.admissions[0].by) == (False, ())


async def test_a_deny_entry_is_told_before_the_lists(world: World) -> None:
    await world.person("bob", "clinic", "temps")
    await world.collection("handbook", "clinic", denied=("temps",))
    await world.add("handbook", "a.md", TEXT, denied=["bob"])
    found = await world.retrieval.explain(world.admin, "handbook", "a.md", "bob")
    assert found.reason == (
        "`bob` may not read it: the collection is closed to `temps`, which `bob` is in, "
        "and that goes before every list."
    )
    first, second = found.admissions
    assert (first.by, first.denied, first.denied_by, first.admits) == (("clinic",), ("temps",), ("temps",), False)
    assert (second.denied_by, second.admits) == (("bob",), False)
    await world.collection("handbook", "clinic")
    found = await world.retrieval.explain(world.admin, "handbook", "a.md", "bob")
    assert "the document is closed to `bob`, and" in found.reason


async def test_what_hides_a_document_from_everybody_is_told(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    for column, told in (
        ("valid_from = now() + interval '1 day'", "it is valid only from"),
        ("valid_from = NULL, valid_to = now()", "it was valid until"),
        ("valid_to = NULL, readers_from = gen_random_uuid()", "has not told its readers for too long"),
    ):
        world.behind.execute(f"UPDATE document SET {column}")  # type: ignore[call-overload] # put together here
        found = await world.retrieval.explain(world.admin, "handbook", "a.md", "admin")
        assert (found.may_read, len(found.obstacles)) == (False, 1)
        assert found.reason.startswith("Nobody may read it: ")
        assert told in found.reason


# ── As somebody else would see it ──


async def test_an_administrator_sees_exactly_what_somebody_would(world: World) -> None:
    bob = await world.person("bob", "board")
    await world.collection("handbook", "everyone", documents=[("board/**", ("board",)), ("mine/**", ("admin",))])
    for path in ("open.md", "board/a.md", "mine/a.md"):
        await world.add("handbook", path, TEXT)
    seen = await world.identity.seen_as(world.admin, "bob", "POST /api/search")
    assert sorted(await world.found(seen, "handbook", "merger")) == ["board/a.md", "open.md"]
    assert sorted(await world.found(bob, "handbook", "merger")) == ["board/a.md", "open.md"]
    assert sorted(await world.found(world.admin, "handbook", "merger")) == ["mine/a.md", "open.md"]
    await world.identity.disable_principal(world.admin, "bob")
    again = await world.identity.seen_as(world.admin, "bob", "POST /api/search")
    assert again.permissions == frozenset()
    with pytest.raises(NotFound):
        await world.found(again, "handbook", "merger")


async def test_seeing_as_somebody_is_audited_and_gives_no_rights_but_to_read(world: World) -> None:
    await world.person("bob")
    await world.identity.bind_role(world.admin, "bob", "engineer")
    seen = await world.identity.seen_as(world.admin, "bob", "GET /api/collections")
    assert seen.permissions == {"collection:read"}
    assert (seen.key, seen.seen_by) == (None, world.admin)
    rows = world.behind.execute(
        "SELECT principal_id, key_id, subject, detail FROM audit_event WHERE action = 'reader.see_as'"
    ).fetchall()
    assert rows == [(world.admin.id, world.admin.key, "principal:bob", {"request": "GET /api/collections"})]


async def test_who_may_see_as_somebody_needs_the_permission_and_a_key_without_limits(world: World) -> None:
    bob = await world.person("bob")
    with pytest.raises(Forbidden, match="reader:see_as"):
        await world.identity.seen_as(bob, "admin", "GET /")
    for limits in ({"groups": ("everyone",)}, {"models": ("simulated/simulated",)}):
        limited = await world.key("admin", **limits)
        with pytest.raises(Forbidden, match="would not be limited as this key is"):
            await world.identity.seen_as(limited, "bob", "GET /")
    with pytest.raises(NotFound, match="no user or service account `everyone`"):
        await world.identity.seen_as(world.admin, "everyone", "GET /")
    other = await world.tenant("acme")
    with pytest.raises(NotFound, match="no user or service account `bob`"):
        await world.identity.seen_as(other, "bob", "GET /")


async def test_what_is_looked_for_as_somebody_is_paid_by_who_looks(world: World) -> None:
    await world.person("bob")
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", TEXT)
    seen = await world.identity.seen_as(world.admin, "bob", "POST /api/search")
    world.models.calls.clear()
    await world.search(seen, "handbook", "merger")
    assert [name for name, _, _ in world.models.calls] == ["admin"]
