"""Sections with readers of their own, on every path of a reader: both lists admit, and nothing tells of the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from retrieval_world import World

from headworks.errors import LegalHold, NotFound, WorkspaceInvalid
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId
from headworks.types.workspace import ChunkingSpec, SectionSpec

TEXT = """# Claims manual

Claims are paid in thirty days.

## Audit thresholds

Claims over 900 EUR canaryaudit are audited.

### How often

Each week.

## Appeals

Claims are appealed within sixty days.
"""
RULE = SectionSpec("policies/*.md", "Audit thresholds*", ("auditors",))
PART = "policies/claims.md#Claims manual › Audit thresholds"


async def _reads(world: World, who: Principal) -> list[str]:
    try:
        return sorted(set(await world.found(who, "handbook", "claims audited over 900 EUR")))
    except NotFound:
        return []


async def _stage(world: World, **more: object) -> tuple[Principal, Principal]:
    bob, ann = await world.person("bob", "clinic"), await world.person("ann", "clinic", "auditors")
    await world.collection("handbook", "clinic", sections=(RULE,), **more)
    await world.add("handbook", "policies/claims.md", TEXT)
    return bob, ann


def _ids(world: World, where: str = "tombstoned_at IS NULL") -> dict[str, DocumentId]:
    rows = world.behind.execute(f"SELECT shown_path, document_id FROM document WHERE {where}").fetchall()  # type: ignore[call-overload] # put together here
    return {path: DocumentId(found) for path, found in rows}


async def test_a_section_is_found_and_opened_by_its_readers_only(world: World) -> None:
    bob, ann = await _stage(world)
    assert await _reads(world, bob) == ["policies/claims.md"]
    assert await _reads(world, ann) == ["policies/claims.md", PART]
    ids = _ids(world)
    whole = await world.retrieval.document(bob, ids["policies/claims.md"])
    for hidden in ("canaryaudit", "Audit", "How often", "Each week"):
        assert hidden not in repr(whole)
    assert "Appeals" in repr(whole)
    with pytest.raises(NotFound):
        await world.retrieval.document(bob, ids[PART])
    assert "canaryaudit" in repr(await world.retrieval.document(ann, ids[PART]))
    for each in (await world.search(bob, "handbook", "canaryaudit audited weekly")).passages:
        assert "canaryaudit" not in repr(each)


async def test_nothing_that_the_database_gives_to_others_tells_of_it(world: World) -> None:
    bob, _ = await _stage(world)
    part = str(_ids(world)[PART])
    async with world.db.tx(bob) as tx:
        for table in ("document", "document_text", "document_version", "chunk", "embedding", "document_reader"):
            rows = await tx.fetch_all(f"SELECT * FROM {table} WHERE tenant_id = %(tenant)s", tenant=bob.tenant)  # type: ignore[arg-type] # a plain value
            assert part not in repr(rows)


async def test_the_lists_of_the_file_hold_for_its_sections_too(world: World) -> None:
    eve = await world.person("eve", "clinic", "auditors")
    bob, ann = await _stage(world, documents=[("policies/**", ("bob", "eve"))])
    assert (await _reads(world, bob), await _reads(world, ann)) == (["policies/claims.md"], [])
    assert await _reads(world, eve) == ["policies/claims.md", PART]
    await world.collection("handbook", "clinic", sections=(RULE,), documents=[("policies/**", ("ann",))])
    assert (await _reads(world, eve), await _reads(world, ann)) == ([], ["policies/claims.md", PART])
    await world.collection("handbook", "clinic", sections=(RULE,), denials=[("policies/**", ("ann",))])
    assert await _reads(world, ann) == []
    await world.collection("handbook", "clinic", sections=(RULE,), denied=("eve",))
    assert (await _reads(world, eve), await _reads(world, ann)) == ([], ["policies/claims.md", PART])


async def test_readers_and_denials_of_an_upload_hold_for_sections_at_once(world: World) -> None:
    _, ann = await _stage(world)
    await world.add("handbook", "policies/claims.md", TEXT, readers=["bob"])
    assert await _reads(world, ann) == []
    await world.add("handbook", "policies/claims.md", TEXT, readers=["*"], denied=["ann"])
    assert await _reads(world, ann) == []
    await world.add("handbook", "policies/claims.md", TEXT, denied=[])
    assert await _reads(world, ann) == ["policies/claims.md", PART]


async def test_deny_of_a_section_goes_before_its_readers(world: World) -> None:
    _, ann = await _stage(world)
    await world.collection("handbook", "clinic", sections=(replace(RULE, denied=("ann",)),))
    await world.drain()
    assert await _reads(world, ann) == ["policies/claims.md"]
    await world.identity.remove_member(world.admin, "clinic", "ann")
    assert await _reads(world, ann) == []


async def test_leaving_the_group_closes_the_section_from_the_next_statement(world: World) -> None:
    _, ann = await _stage(world)
    await world.identity.remove_member(world.admin, "auditors", "ann")
    assert await _reads(world, ann) == ["policies/claims.md"]


async def test_other_rules_close_a_document_at_once_and_open_it_when_it_was_cut_anew(world: World) -> None:
    bob, ann = await world.person("bob", "clinic"), await world.person("ann", "clinic", "auditors")
    await world.collection("handbook", "clinic")
    await world.add("handbook", "policies/claims.md", TEXT, metadata={"topic": "claims"}, readers=["clinic"])
    await world.add("handbook", "other.md", TEXT)
    before = _ids(world)
    assert "canaryaudit" in repr(await world.retrieval.document(bob, before["policies/claims.md"]))
    await world.collection("handbook", "clinic", sections=(RULE,))
    for who in (bob, ann):
        assert await _reads(world, who) == ["other.md"]
        with pytest.raises(NotFound):
            await world.retrieval.document(who, before["policies/claims.md"])
        with pytest.raises(NotFound):
            await world.retrieval.document(who, _ids(world)["policies/claims.md"])
    await world.drain()
    assert await _reads(world, bob) == ["other.md", "policies/claims.md"]
    assert await _reads(world, ann) == ["other.md", "policies/claims.md", PART]
    with pytest.raises(NotFound):
        await world.retrieval.document(bob, before["policies/claims.md"])
    after = _ids(world)
    assert before["other.md"] == after["other.md"]
    row = world.behind.execute(
        "SELECT given_metadata ->> 'topic', cardinality(given_readers), version, blob_id IS NOT NULL FROM document "
        "WHERE document_id = %s", [after["policies/claims.md"]],
    ).fetchone()  # fmt: skip
    assert row == ("claims", 1, 1, True)
    await world.collection("handbook", "clinic")
    await world.drain()
    assert await _reads(world, bob) == ["other.md", "policies/claims.md"]
    assert "canaryaudit" in repr(await world.retrieval.document(bob, _ids(world)["policies/claims.md"]))


async def test_what_waits_already_is_newer_than_an_original_that_is_cut_anew(world: World) -> None:
    _, ann = await _stage(world)
    await world.hand_in("handbook", "policies/claims.md", TEXT.replace("900", "800"), readers=["auditors"])
    await world.collection("handbook", "clinic", sections=(replace(RULE, heading="Audit*"),))
    await world.drain()
    found = _ids(world)
    assert "800" in repr(await world.retrieval.document(ann, found[PART]))
    assert world.count("ingest_item", "state IN ('queued', 'failed')") == 0


async def test_a_new_generation_has_sections_and_no_trouble_with_a_file_that_is_all_sections(world: World) -> None:
    bob, ann = await _stage(world)
    whole = replace(RULE, documents="all.md", heading="*")
    await world.collection("handbook", "clinic", sections=(RULE, whole))
    await world.add("handbook", "all.md", TEXT)
    more = ChunkingSpec(tokens=64)
    await world.collection("handbook", "clinic", sections=(RULE, whole), chunking=more)
    await world.drain()
    assert world.count("generation") == 1
    assert world.count("generation", "(chunking ->> 'tokens')::int = 64") == 1
    assert await _reads(world, bob) == ["policies/claims.md"]
    assert await _reads(world, ann) == ["all.md#Claims manual", "policies/claims.md", PART]
    health = await world.retrieval.lifecycle.checkup.health(world.admin, "handbook")
    assert not any(each.needs_action for each in health.problems)


async def test_a_hold_on_a_section_keeps_its_file_and_one_on_a_file_what_is_cut_of_it(world: World) -> None:
    await _stage(world)
    held = _ids(world)["policies/claims.md"]
    await world.retrieval.lifecycle.holds.place(world.admin, "document", str(held), "a lawsuit")
    await world.collection("handbook", "clinic", sections=(replace(RULE, heading="Audit*"),))
    await world.drain()
    for wanted in (held, _ids(world)[PART], _ids(world)["policies/claims.md"]):
        with pytest.raises(LegalHold):
            await world.retrieval.lifecycle.erasure.erase_document(world.admin, None, str(wanted), "asked for")
    await world.retrieval.lifecycle.failures.delete(world.admin, "handbook", "upload", ["policies/claims.md"])
    await world.retrieval.lifecycle.erasure.purge_all(world.admin, "handbook", at_once=True)
    assert world.count("document") == 4


async def test_a_hold_on_a_file_keeps_what_its_sections_said_before(world: World) -> None:
    await _stage(world)
    await world.add("handbook", "policies/claims.md", TEXT.replace("Each week", "Each month"))
    file = _ids(world)["policies/claims.md"]
    hold = await world.retrieval.lifecycle.holds.place(world.admin, "document", str(file), "a lawsuit")
    before = world.count("document_text")
    erasure = world.retrieval.lifecycle.erasure
    assert await erasure.purge_all(world.admin, "handbook", at_once=True) == []
    assert world.count("document_text") == before
    await world.retrieval.lifecycle.holds.release(world.admin, hold.hold)
    assert await erasure.purge_all(world.admin, "handbook", at_once=True)
    assert world.count("document_text") == 2


async def test_a_hold_keeps_the_originals_of_versions_that_are_replaced_and_cut_anew_under_it(world: World) -> None:
    await _stage(world)
    file = _ids(world)["policies/claims.md"]
    holds, erasure = world.retrieval.lifecycle.holds, world.retrieval.lifecycle.erasure
    hold = await holds.place(world.admin, "document", str(file), "a lawsuit")
    await world.add("handbook", "policies/claims.md", TEXT.replace("900", "800"))
    await world.collection("handbook", "clinic", sections=(replace(RULE, heading="Audit*"),))
    await world.hand_in("handbook", "policies/claims.md", TEXT.replace("900", "700"))
    await world.drain()
    await world.add("handbook", "policies/claims.md", TEXT.replace("900", "600"))
    assert world.count("blob") == 4
    assert await erasure.purge_all(world.admin, "handbook", at_once=True) == []
    health = await world.retrieval.lifecycle.checkup.health(world.admin, "handbook")
    assert not any("orphan" in repr(each) for each in health.problems)
    for each in await holds.listed(world.admin):
        await holds.release(world.admin, each.hold)
    assert hold.subject == file
    await erasure.purge_all(world.admin, "handbook", at_once=True)
    assert world.count("blob") == 1
    assert world.count("blob b JOIN document d USING (tenant_id, blob_id)", "d.part = ''") == 1


async def test_an_original_that_is_cut_anew_outlives_the_version_that_a_hold_kept(world: World) -> None:
    await _stage(world)
    holds = world.retrieval.lifecycle.holds
    await holds.place(world.admin, "collection", "handbook", "a lawsuit")
    await world.collection("handbook", "clinic", sections=(replace(RULE, heading="Audit*"),))
    await world.drain()
    for each in await holds.listed(world.admin):
        await holds.release(world.admin, each.hold)
    await world.retrieval.lifecycle.erasure.purge_all(world.admin, "handbook", at_once=True)
    assert (world.count("document"), world.count("blob")) == (2, 1)


async def test_sections_follow_their_file_when_it_changes_vanishes_and_comes_back(world: World) -> None:
    _, ann = await _stage(world)
    await world.add("handbook", "policies/claims.md", TEXT.replace("## Audit thresholds", "## Auditing"))
    assert await _reads(world, ann) == ["policies/claims.md"]
    await world.add("handbook", "policies/claims.md", TEXT)
    assert await _reads(world, ann) == ["policies/claims.md", PART]
    await world.retrieval.lifecycle.failures.delete(world.admin, "handbook", "upload", ["policies/claims.md"])
    assert await _reads(world, ann) == []
    await world.add("handbook", "policies/claims.md", TEXT)
    assert await _reads(world, ann) == ["policies/claims.md", PART]
    await world.add("handbook", "policies/claims.md", TEXT, metadata={"valid_to": "2001-01-01"})
    assert await _reads(world, ann) == []


async def test_erasing_a_file_takes_its_sections_and_what_was_there_before(world: World) -> None:
    await _stage(world)
    await world.collection("handbook", "clinic", sections=(replace(RULE, heading="Audit*"),))
    await world.drain()
    assert world.count("document") == 4
    await world.retrieval.lifecycle.erasure.erase_document(world.admin, "handbook", "policies/claims.md", "asked for")
    assert [world.count(each) for each in ("document", "document_text", "chunk", "blob", "ingest_item")] == [0] * 5


async def test_a_file_that_is_all_sections_is_no_failure(world: World) -> None:
    bob, ann = await world.person("bob", "clinic"), await world.person("ann", "clinic", "auditors")
    await world.collection("handbook", "clinic", sections=(replace(RULE, heading="*"),))
    await world.add("handbook", "policies/claims.md", TEXT)
    assert (await world.progress("handbook")).failed == ()
    assert (await _reads(world, bob), await _reads(world, ann)) == ([], ["policies/claims.md#Claims manual"])
    assert "Claims manual" not in repr(await world.retrieval.document(bob, _ids(world)["policies/claims.md"]))
    await world.add("handbook", "policies/claims.md", TEXT)
    assert world.count("ingest_item", "state = 'unchanged'") == 1


async def test_a_rule_that_matches_nothing_is_said(world: World) -> None:
    await _stage(world)
    assert "No heading" not in (await world.progress("handbook")).notice
    await world.collection("handbook", "clinic", sections=(RULE, replace(RULE, heading="Nowhere")))
    await world.drain()
    assert "No heading matches `Nowhere` in `policies/*.md`" in (await world.progress("handbook")).notice


async def test_an_explanation_names_the_list_of_the_section(world: World) -> None:
    await _stage(world)
    for name, may in (("bob", False), ("ann", True)):
        found = await world.retrieval.explain(world.admin, "handbook", PART, name)
        assert (found.may_read, found.path) == (may, PART)
        assert [each.kind for each in found.admissions] == ["collection", "document", "section"]
        assert "Audit thresholds*" in found.admissions[2].origin


async def test_a_reader_that_is_nobody_is_named(world: World) -> None:
    with pytest.raises(WorkspaceInvalid, match="auditors"):
        await world.collection("handbook", "everyone", sections=(RULE,))


@pytest.mark.parametrize(
    "leak",
    [
        "ALTER POLICY readable ON document USING (tenant_id = app_tenant() AND tombstoned_at IS NULL)",
        "DROP TRIGGER parts_follow ON document",
    ],
)
async def test_a_leak_that_is_planted_is_found(world: World, leak: str) -> None:
    bob, ann = await _stage(world)
    world.behind.execute(leak)  # type: ignore[call-overload] # put together here
    try:
        await world.collection("handbook", "clinic", sections=(RULE,), documents=[("policies/**", ("bob",))])
        assert PART in {*await _reads(world, bob), *await _reads(world, ann)}
    finally:
        world.behind.rollback()
