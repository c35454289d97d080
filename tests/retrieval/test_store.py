"""The stored forms: sealed for one place, read back as they were, and harmless names."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrieval_world import World

from headworks.errors import SealBroken
from headworks.retrieval.parsers.contract import Box, Heading, ParsedDocument, Table
from headworks.retrieval.store import Payloads, StoredChunk, storable, vector_text
from headworks.types.ids import new_id

PARSED = ParsedDocument("# Héron 🦉\n\nStands.", "Héron", (Heading(1, "Héron 🦉", 0, 9),), "text/markdown", (0, 4))
CHUNK = StoredChunk("Stands.", ("Héron", "Pond"), "Héron > Pond")


async def _payloads(world: World) -> Payloads:
    await world.keyring.ensure(world.db, world.admin.tenant)
    return Payloads(world.keyring, world.admin.tenant)


async def test_a_text_comes_back_with_headings_and_pages(world: World) -> None:
    payloads = await _payloads(world)
    document = new_id()
    sealed = payloads.seal_text(document, 3, PARSED)
    assert b"Stands" not in sealed
    assert payloads.open_text(document, 3, sealed).as_parsed("Héron", "text/markdown") == PARSED


async def test_boxes_and_tables_come_back_with_the_text(world: World) -> None:
    payloads = await _payloads(world)
    document = new_id()
    boxes = (Box(0, 5, 1, 72.0, 10.5, 300.1, 22.0), Box(7, 7, 3, 0.0, 0.0, 595.3, 841.9), Box(9, 18, 2, 1, 2, 3, 4))
    parsed = replace(PARSED, boxes=boxes, tables=(Table(0, 18, 5), Table(18, 18, 18)))
    stored = payloads.open_text(document, 1, payloads.seal_text(document, 1, parsed))
    assert stored.as_parsed(parsed.title, parsed.media_type) == parsed


async def test_a_text_that_was_stored_without_boxes_has_none(world: World) -> None:
    payloads = await _payloads(world)
    document = new_id()
    old = orjson.dumps({"text": "a", "headings": [], "pages": [0]})
    sealed = world.keyring.seal(world.admin.tenant, "document_text.content", f"{document}/1", old)
    stored = payloads.open_text(document, 1, sealed)
    assert (stored.text, stored.pages, stored.boxes, stored.tables) == ("a", (0,), (), ())


async def test_a_chunk_comes_back_with_what_it_is_indexed_by(world: World) -> None:
    payloads = await _payloads(world)
    assert payloads.open_chunk(7, payloads.seal_chunk(7, CHUNK)) == CHUNK
    assert CHUNK.indexed == "Héron > Pond\n\nStands."
    assert StoredChunk("Stands.", (), "").indexed == "Stands."


async def test_what_was_moved_to_another_row_version_or_tenant_does_not_open(world: World) -> None:
    payloads = await _payloads(world)
    document = new_id()
    text, chunk = payloads.seal_text(document, 1, PARSED), payloads.seal_chunk(7, CHUNK)
    other = await world.tenant("acme")
    await world.keyring.ensure(world.db, other.tenant)
    foreign = Payloads(world.keyring, other.tenant)
    attempts = [
        lambda: payloads.open_text(document, 2, text),
        lambda: payloads.open_text(new_id(), 1, text),
        lambda: payloads.open_chunk(8, chunk),
        lambda: foreign.open_chunk(7, chunk),
        lambda: foreign.open_text(document, 1, text),
    ]
    for attempt in attempts:
        with pytest.raises(SealBroken):
            attempt()


async def test_a_chunk_that_somebody_moved_in_the_database_is_not_shown(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", "# A\n\nA heron by the pond.")
    await world.add("handbook", "b.md", "# B\n\nThe salaries of the board.", readers=["administrators"])
    world.behind.execute(
        "UPDATE chunk SET content = (SELECT content FROM chunk ORDER BY chunk_id DESC LIMIT 1) "
        "WHERE chunk_id = (SELECT min(chunk_id) FROM chunk)"
    )
    bob = await world.person("bob")
    with pytest.raises(SealBroken):
        await world.search(bob, "handbook", "heron pond")


@given(st.text())
def test_any_name_can_be_asked_for(name: str) -> None:
    asked = storable(name)
    assert "\0" not in asked
    asked.encode()
    if name.isascii() and "\0" not in name:
        assert asked == name


def test_a_vector_is_written_as_pgvector_reads_it() -> None:
    assert vector_text([0.5, -0.25, 1e-9, 0.1234567]) == "[0.5,-0.25,1e-09,0.12346]"
