"""Removing for good: after a while, on request, never under a legal hold; each time with a receipt."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from retrieval_world import World

from headworks.errors import Conflict, DatabaseUnavailable, InvalidRequest, LegalHold, NotFound
from headworks.retrieval.indexing import merging
from headworks.retrieval.lifecycle.service import ask_for_purges
from headworks.retrieval.store import SQL
from headworks.types.identity import Principal
from headworks.types.workspace import FreshnessSpec

WHY = "request 2026-041"
SECRET = "# Jane\n\nThe zebrafinch of Jane Roe sings in ward nine.\n"
OTHER = "# Heron\n\nA heron waits in ward nine.\n"


async def _handbook(world: World, keep_s: int | None = None) -> None:
    await world.collection("handbook", "everyone", freshness=FreshnessSpec(keep_s=keep_s))


def _everything(behind: psycopg.Connection[Any]) -> str:
    """All that is stored, as text, but for what is sealed."""
    tables = behind.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'headworks'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition"
    ).fetchall()
    rows = [behind.execute(f"SELECT row_to_json(t)::text FROM {name} t").fetchall() for (name,) in tables]  # type: ignore[call-overload] # put together here
    return "\n".join(text for table in rows for (text,) in table)


def _terms(world: World) -> set[str]:
    return {str(row[0]) for row in world.behind.execute("SELECT DISTINCT term FROM posting").fetchall()}


def _document(world: World, path: str) -> UUID:
    (found,) = world.behind.execute("SELECT document_id FROM document WHERE path = %s", [path]).fetchall()
    return UUID(str(found[0]))


@dataclass
class Notebook:
    """Another room that keeps quotes."""

    documents: list[UUID] = field(default_factory=list)
    people: list[UUID] = field(default_factory=list)

    async def forget_documents(self, tx: Any, curator: Principal, documents: Sequence[UUID]) -> dict[str, int]:  # noqa: ARG002 -- the Protocol's
        self.documents += documents
        return {"notebook": len(documents)}

    async def forget_person(self, tx: Any, curator: Principal, person: UUID) -> dict[str, int]:  # noqa: ARG002 -- the Protocol's
        self.people.append(person)
        return {"notebook": 1}


# ── After a while ──


async def test_what_vanished_is_kept_for_its_time_and_then_purged_with_a_receipt(world: World) -> None:
    await _handbook(world, keep_s=3_600)
    await world.add("handbook", "jane.md", SECRET)
    await world.add("handbook", "heron.md", OTHER)
    document = _document(world, "jane.md")
    failures, erasure = world.retrieval.lifecycle.failures, world.retrieval.lifecycle.erasure
    assert await failures.delete(world.admin, "handbook", "upload", ["jane.md", "nothing.md"]) == 1
    await world.drain()
    assert await world.found(world.admin, "handbook", "zebrafinch") == ["heron.md"]
    assert world.count("document") == 2, "it is kept"
    assert await erasure.list_due(world.admin.tenant) == []
    world.behind.execute(
        "UPDATE document SET tombstoned_at = now() - interval '2 hours' WHERE tombstoned_at IS NOT NULL"
    )
    assert await ask_for_purges(world.db, world.identity, world.admin.tenant) == 1
    await world.drain()
    assert world.count("document") == world.count("document_text") == world.count("blob") == 1
    assert not {term for term in _terms(world) if term.startswith("zebra")}, "its words are gone from the postings"
    assert await world.found(world.admin, "handbook", "heron") == ["heron.md"]
    (receipt,) = await erasure.receipts(world.admin)
    assert (receipt.kind, receipt.policy) == ("purge", "kept for 3600 s after it vanished or was replaced")
    (of_it,) = receipt.detail["documents"]
    assert of_it["document"] == str(document)
    assert of_it["content_sha256"] == hashlib.sha256(SECRET.encode()).hexdigest()
    one_each = ("blob", "chunk", "document", "document_text", "document_version", "embedding", "ingest_item")
    assert receipt.detail["rows"] == dict.fromkeys(one_each, 1)
    assert await ask_for_purges(world.db, world.identity, world.admin.tenant) == 0


async def test_a_receipt_tells_no_name_and_is_never_changed(world: World) -> None:
    await _handbook(world)
    await world.add("handbook", "zebra-jane.md", SECRET)
    await world.retrieval.lifecycle.erasure.erase_document(world.admin, "handbook", "zebra-jane.md", WHY)
    stored = _everything(world.behind)
    assert "zebra" not in stored, "neither its text nor its name is left anywhere"
    assert WHY in stored
    for change in ("UPDATE purge_receipt SET policy = 'x'", "DELETE FROM purge_receipt"):
        with pytest.raises((psycopg.Error, DatabaseUnavailable)):
            async with world.db.tx(world.admin) as tx:
                await tx.run(change)
    actions = world.behind.execute("SELECT action, detail ->> 'documents' FROM audit_event WHERE action = 'data.erase'")
    assert actions.fetchall() == [("data.erase", "1")]


async def test_what_comes_back_before_its_time_is_not_purged(world: World) -> None:
    await _handbook(world, keep_s=0)
    await world.add("handbook", "heron.md", OTHER)
    await world.retrieval.lifecycle.failures.delete(world.admin, "handbook", "upload", ["heron.md"])
    await world.hand_in("handbook", "heron.md", OTHER)
    await world.drain()
    assert await world.found(world.admin, "handbook", "heron") == ["heron.md"]


async def test_what_people_have_chosen_to_keep_a_purge_leaves_to_them(world: World) -> None:
    await _handbook(world, keep_s=0)
    notebook, album, erasure = Notebook(), Notebook(), world.retrieval.lifecycle.erasure
    erasure.join(notebook)
    erasure.join(album, on_request_only=True)
    await world.add("handbook", "jane.md", SECRET)
    await world.add("handbook", "heron.md", OTHER)
    jane, heron = _document(world, "jane.md"), _document(world, "heron.md")
    await world.retrieval.lifecycle.failures.delete(world.admin, "handbook", "upload", ["jane.md"])
    assert await erasure.purge_all(world.admin, "handbook", at_once=True)
    assert (notebook.documents, album.documents) == ([jane], [])
    await erasure.erase_document(world.admin, "handbook", "heron.md", WHY)
    assert (notebook.documents, album.documents) == ([jane, heron], [heron])


# ── On request ──


async def test_an_erased_document_is_gone_with_all_that_quotes_it(world: World) -> None:
    await _handbook(world)
    notebook, erasure = Notebook(), world.retrieval.lifecycle.erasure
    erasure.join(notebook)
    await world.add("handbook", "jane.md", SECRET.replace("zebrafinch", "quagga"))
    await world.add("handbook", "jane.md", SECRET)
    await world.add("handbook", "heron.md", OTHER)
    document, heron = _document(world, "jane.md"), _document(world, "heron.md")
    for quoted in (document, heron):
        world.behind.execute(
            "INSERT INTO span (tenant_id, arrived_at, trace_id, span_id, name, started_at, duration_us, documents, "
            "payload) VALUES (%s, now(), gen_random_uuid(), gen_random_uuid(), 'answer', now(), 1, %s, 'sealed')",
            [world.admin.tenant, [quoted]],
        )
    await world.hand_in("handbook", "jane.md", SECRET + "more")
    receipt = await erasure.erase_document(world.admin, None, str(document), WHY)
    rows = receipt.detail["rows"]
    assert rows["document_text"] == rows["document_version"] == 2
    assert rows["ingest_item"] == 3, "also what was still queued"
    assert rows["span.payload"] == rows["notebook"] == 1
    assert notebook.documents == [document]
    assert world.count("span", "payload IS NULL") == world.count("span", "payload IS NOT NULL") == 1
    await world.drain()
    assert await world.found(world.admin, "handbook", "ward nine") == ["heron.md"]
    assert not {term for term in _terms(world) if term.startswith(("zebra", "quagga"))}


@pytest.mark.parametrize("limit", ["_BLOCKS_AT_ONCE", "_BYTES_AT_ONCE"])
async def test_words_of_an_erased_document_are_found_among_those_of_others_a_term_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(merging, limit, 1)
    await _handbook(world)
    await world.add("handbook", "heron.md", OTHER)
    of_others = _terms(world)
    for path, text in (("jane.md", SECRET), ("another.md", OTHER)):  # in one segment, whose first terms are of others
        await world.hand_in("handbook", path, text)
    await world.drain()
    assert world.count("posting_segment") == 2
    assert min(of_others) < min(_terms(world) - of_others)
    await world.retrieval.lifecycle.erasure.erase_document(world.admin, "handbook", "jane.md", WHY)
    assert _terms(world) == of_others
    lengths = world.behind.execute("SELECT chunks, total_length FROM posting_segment").fetchall()
    assert lengths[0] == lengths[1] == (1, lengths[0][1]), "as long as it was without"
    assert set(await world.found(world.admin, "handbook", "ward nine")) == {"heron.md", "another.md"}


async def test_what_is_not_there_or_has_no_reason_is_refused(world: World) -> None:
    await _handbook(world)
    erasure = world.retrieval.lifecycle.erasure
    with pytest.raises(NotFound, match=r"no document `x\.md`"):
        await erasure.erase_document(world.admin, "handbook", "x.md", WHY)
    with pytest.raises(InvalidRequest, match="A path alone"):
        await erasure.erase_document(world.admin, None, "x.md", WHY)
    with pytest.raises(InvalidRequest, match="`reason`"):
        await erasure.erase_document(world.admin, "handbook", "x.md", " ")
    with pytest.raises(NotFound, match="no collection"):
        await erasure.erase_document(world.admin, "nobook", "x.md", WHY)


async def test_a_document_of_another_tenant_is_not_there(world: World) -> None:
    await _handbook(world)
    await world.add("handbook", "heron.md", OTHER)
    other = await world.tenant("other")
    with pytest.raises(NotFound):
        await world.retrieval.lifecycle.erasure.erase_document(other, None, str(_document(world, "heron.md")), WHY)
    assert world.count("document") == 1
    assert await world.retrieval.lifecycle.erasure.receipts(other) == []


# ── People ──


async def test_an_erased_person_has_no_name_no_key_and_no_group(world: World) -> None:
    await _handbook(world)
    jane = await world.person("jane", "clinicians")
    await world.identity.create_claim(world.admin, "jane")
    await world.add("handbook", "note.md", OTHER, by=jane)
    for label in ("jane", "Jane Roe", "joe"):
        world.behind.execute(
            "INSERT INTO usage (tenant_id, arrived_at, request_id, trace_id, surface, purpose, asked_model, status, "
            "streamed, total_us, end_user, principal_id) VALUES "
            "(%s, now(), gen_random_uuid(), gen_random_uuid(), 'chat', 'answer', 'm', 200, false, 1, %s, %s)",
            [world.admin.tenant, label, jane.id],
        )
    notebook, erasure = Notebook(), world.retrieval.lifecycle.erasure
    erasure.join(notebook)
    receipt = await erasure.erase_person(world.admin, "jane", WHY, with_documents=False, labels=["Jane Roe"])
    assert receipt.subject == f"person:{jane.id}"
    assert receipt.detail["documents_left"] == 1
    rows = receipt.detail["rows"]
    assert rows["usage.end_user"] == 2
    assert rows["api_key"] == rows["claim"] == rows["notebook"] == 1
    assert notebook.people == [jane.id]
    assert [str(row[0]) for row in world.behind.execute("SELECT end_user FROM usage WHERE end_user IS NOT NULL")] == [
        "joe"
    ]
    with pytest.raises(NotFound):
        await world.search(jane, "handbook", "heron")
    names = {each.name for each in await world.identity.list_principals(world.admin)}
    assert "jane" not in names
    assert any(name.startswith("erased-") for name in names)
    assert await world.found(world.admin, "handbook", "heron") == ["note.md"], "what she handed in is the house's"
    await world.identity.create_principal(world.admin, "jane")


async def test_a_persons_documents_go_along_when_asked_for(world: World) -> None:
    await _handbook(world)
    jane = await world.person("jane", "clinicians")
    await world.add("handbook", "jane.md", SECRET, by=jane)
    await world.add("handbook", "heron.md", OTHER)
    receipt = await world.retrieval.lifecycle.erasure.erase_person(world.admin, "jane", WHY, with_documents=True)
    assert len(receipt.detail["documents"]) == 1
    assert await world.found(world.admin, "handbook", "ward nine") == ["heron.md"]


@pytest.mark.parametrize(("name", "said"), [("clinicians", "a group"), ("admin", "erase himself")])
async def test_groups_and_oneself_are_not_erased(world: World, name: str, said: str) -> None:
    await world.person("jane", "clinicians")
    with pytest.raises(Conflict, match=said):
        await world.retrieval.lifecycle.erasure.erase_person(world.admin, name, WHY, with_documents=False)


@pytest.mark.parametrize("holder", ["jane", "clinicians", "hospital"])
async def test_an_owner_gives_the_role_away_first(world: World, holder: str) -> None:
    await world.person("jane", "clinicians")
    await world.identity.create_group(world.admin, "hospital")
    await world.identity.add_member(world.admin, "hospital", "clinicians")
    await world.identity.bind_role(world.admin, holder, "owner")
    with pytest.raises(Conflict, match="is an owner"):
        await world.retrieval.lifecycle.erasure.erase_person(world.admin, "jane", WHY, with_documents=False)


# ── Legal holds ──


@pytest.mark.parametrize(("kind", "name"), [("document", "jane.md"), ("collection", "handbook")])
async def test_nothing_of_what_a_hold_stands_on_is_removed(world: World, kind: Any, name: str) -> None:
    await _handbook(world, keep_s=0)
    await world.add("handbook", "jane.md", SECRET)
    await world.add("handbook", "jane.md", SECRET + "\nmore\n")
    holds, erasure = world.retrieval.lifecycle.holds, world.retrieval.lifecycle.erasure
    hold = await holds.place(world.admin, kind, name, "case 17", "handbook")
    with pytest.raises(Conflict, match="stands on that"):
        await holds.place(world.admin, kind, name, "case 18", "handbook")
    with pytest.raises(LegalHold, match="case 17"):
        await erasure.erase_document(world.admin, "handbook", "jane.md", WHY)
    await world.retrieval.lifecycle.failures.delete(world.admin, "handbook", "upload", ["jane.md"])
    await world.drain()
    assert await erasure.purge_all(world.admin, "handbook", at_once=True) == []
    assert world.count("document_text") == 2
    released = await holds.release(world.admin, hold.hold)
    assert released.reason == "case 17"
    assert await holds.listed(world.admin) == []
    assert len(await erasure.purge_all(world.admin, "handbook", at_once=True)) == 1
    assert world.count("document_text") == world.count("document") == 0
    actions = world.behind.execute("SELECT action FROM audit_event WHERE action ~ 'hold' ORDER BY at").fetchall()
    assert actions == [("hold.place",), ("hold.release",)]


async def test_a_person_under_a_hold_stays(world: World) -> None:
    await world.person("jane", "clinicians")
    await world.retrieval.lifecycle.holds.place(world.admin, "person", "jane", "case 17")
    with pytest.raises(LegalHold, match="case 17"):
        await world.retrieval.lifecycle.erasure.erase_person(world.admin, "jane", WHY, with_documents=False)
    with pytest.raises(NotFound):
        await world.retrieval.lifecycle.holds.release(world.admin, UUID(int=0))
    with pytest.raises(InvalidRequest):
        await world.retrieval.lifecycle.holds.place(world.admin, "person", "jane", "")


# ── At the same time ──


@contextmanager
def _locked(world: World) -> Iterator[psycopg.Connection[Any]]:
    """Somebody is at work on the collection."""
    (collection,) = world.behind.execute("SELECT collection_id FROM collection").fetchone() or ("",)
    with psycopg.connect(world.behind.info.dsn, password=world.behind.info.password or None) as other:
        other.execute("SET search_path = headworks, public")
        other.execute(SQL.lock_collection, {"collection": str(collection)})
        yield other


async def _until(world: World, waiting: int, *tasks: asyncio.Task[Any]) -> None:
    """Until so many wait for a lock, or all of these have ended."""
    async with asyncio.timeout(30):
        while not all(each.done() for each in tasks):
            found = world.behind.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ).fetchone()
            if found is not None and found[0] >= waiting:
                return
            await asyncio.sleep(0.01)


async def test_a_hold_that_was_acknowledged_holds_against_an_erasure_that_had_begun(world: World) -> None:
    await _handbook(world)
    await world.add("handbook", "jane.md", SECRET)
    holds, erasure = world.retrieval.lifecycle.holds, world.retrieval.lifecycle.erasure
    with _locked(world) as other:
        erasing = asyncio.create_task(erasure.erase_document(world.admin, "handbook", "jane.md", WHY))
        await _until(world, 1, erasing)
        placing = asyncio.create_task(holds.place(world.admin, "document", "jane.md", "case 17", "handbook"))
        await _until(world, 2, placing)
        other.commit()
    outcomes = await asyncio.gather(erasing, placing, return_exceptions=True)
    is_held = bool(await holds.listed(world.admin))
    assert world.count("document") == (1 if is_held else 0), outcomes
    assert not is_held, outcomes
    assert isinstance(outcomes[1], NotFound)


async def test_an_erasure_takes_what_was_brought_while_it_waited(world: World) -> None:
    await _handbook(world)
    await world.add("handbook", "jane.md", SECRET)
    with _locked(world) as other:
        erasing = asyncio.create_task(
            world.retrieval.lifecycle.erasure.erase_document(world.admin, "handbook", "jane.md", WHY)
        )
        await _until(world, 1, erasing)
        newer = uuid4()
        other.execute("INSERT INTO blob SELECT tenant_id, %s, 0, content FROM blob", [newer])
        other.execute("UPDATE document SET blob_id = %s, version = 2", [newer])
        other.commit()
    receipt = await erasing
    assert receipt.detail["documents"][0]["version"] == 2
    assert world.behind.execute("SELECT 1 FROM blob WHERE blob_id = %s", [newer]).fetchone() is None
