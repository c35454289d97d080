"""Pages of originals over HTTP: drawn for who may read all that stands on them, and for nobody else."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from PIL import Image
from retrieval_world import InlineParsers, World, make_world
from sample_documents import flowing_pdf, pdf

from headworks.errors import Unavailable
from headworks.retrieval.originals import Originals
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.pdf.document import parse
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.workspace import SectionSpec

from .test_routes import Caller, Http, _error

STORY = [
    ("Title", "Manual"),
    ("BodyText", "Claims are paid in thirty days."),
    ("Heading1", "Audit thresholds"),
    ("BodyText", "Claims over 900 EUR are audited."),
]
MANUAL = flowing_pdf(STORY)
NOT_THERE = "/api/documents/00000000-0000-7000-8000-000000000000"


class WithPdf(InlineParsers):
    """Also the parser of PDF."""

    async def parse(self, name: str, data: bytes, *, ocr: bool = False) -> ParsedDocument:
        return parse(name, data) if name.endswith(".pdf") else await super().parse(name, data, ocr=ocr)


@pytest.fixture
async def world(database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any]) -> AsyncIterator[World]:
    world = await make_world(database, keyring, as_superuser, WithPdf())
    yield world
    await world.retrieval.close()


@pytest.fixture
async def http(world: World) -> AsyncIterator[Http]:
    http = Http(world)
    yield http
    await http.client.aclose()


async def _address(world: World, path: str) -> str:
    (found,) = await world.retrieval.find_documents(world.admin, "handbook", [path])
    return f"/api/documents/{found.document}"


async def _refused(caller: Caller, address: str) -> tuple[int, str]:
    answer = await caller("GET", address)
    return answer.status_code, _error(answer)


async def test_a_reader_sees_the_page_and_where_the_quote_stands_on_it(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.add("handbook", "manual.pdf", pdf([[(12, 100, "The first page.")], [(12, 300, "Paid in May.")]]))
    await http.world.person("bob")
    caller, address = await http.caller("bob"), await _address(http.world, "manual.pdf")
    text = (await caller("GET", address)).json()
    assert (text["page"], text["areas"], text["has_pictures"]) == (None, [], True)
    start = text["text"].index("Paid in May.")
    found = (await caller("GET", address, params={"start": start, "end": start + 4})).json()
    (area,) = found["areas"]
    assert (found["page"], area["page"]) == (2, 2)
    assert 280 < area["y0"] < area["y1"] < 310

    page = await caller("GET", f"{address}/pages/2")
    assert (page.status_code, page.headers["content-type"]) == (200, "image/png")
    assert page.headers["x-headworks-pages"] == "2"
    width, height = map(float, page.headers["x-headworks-page-size"].split())
    picture = Image.open(io.BytesIO(page.content)).convert("L")
    assert picture.size == (round(2 * width), round(2 * height))
    inside = picture.crop(tuple(round(2 * area[edge]) for edge in ("x0", "y0", "x1", "y1")))
    assert sum(inside.histogram()[:128]) == sum(picture.histogram()[:128]) > 100

    assert await _refused(caller, f"{address}/pages/3") == (404, "The document has 2 pages. Pages count from 1.")
    for nonsense in ("0", "-1", "one", "99999999999"):
        assert (await caller("GET", f"{address}/pages/{nonsense}")).status_code in {400, 422}
    assert (await caller("GET", address, params={"start": -1})).status_code in {400, 422}


async def test_who_may_not_read_it_learns_nothing_of_it(http: Http) -> None:
    await http.world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    await http.world.add("handbook", "board/manual.pdf", MANUAL)
    await http.world.person("bob")
    admin, bob = await http.caller("admin"), await http.caller("bob")
    address = await _address(http.world, "board/manual.pdf")
    nothing = await _refused(bob, f"{NOT_THERE}/pages/1")
    assert nothing[0] == 404
    assert await _refused(bob, f"{address}/pages/1") == nothing
    assert await _refused(bob, f"{address}/pages/77") == nothing
    assert await _refused(bob, "/api/documents/none/pages/1") == nothing
    as_bob = await admin("GET", f"{address}/pages/1", headers={"x-headworks-as": "bob"})
    assert as_bob.status_code == 404
    assert (await admin("GET", f"{address}/pages/1")).status_code == 200
    assert (await http.client.get(f"{address}/pages/1")).status_code == 401
    stranger = await http.world.tenant("stranger")
    with pytest.raises(Exception, match="no such document"):
        await http.world.retrieval.page(stranger, (await _document(http.world)), 1)


async def _document(world: World) -> Any:
    (row,) = world.behind.execute("SELECT document_id FROM document").fetchall()
    return row[0]


async def test_what_vanished_or_was_erased_is_drawn_no_more(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.add("handbook", "manual.pdf", MANUAL)
    await http.world.add("handbook", "other.pdf", flowing_pdf([*STORY, ("BodyText", "Another one.")]))
    admin = await http.caller("admin")
    gone, other = await _address(http.world, "manual.pdf"), await _address(http.world, "other.pdf")
    assert (await admin("GET", f"{gone}/pages/1")).status_code == 200
    await http.world.retrieval.lifecycle.erasure.erase_document(http.world.admin, "handbook", "manual.pdf", "asked for")
    assert await _refused(admin, f"{gone}/pages/1") == await _refused(admin, f"{NOT_THERE}/pages/1")
    http.world.behind.execute("UPDATE document SET tombstoned_at = now()")
    assert await _refused(admin, f"{other}/pages/1") == await _refused(admin, f"{NOT_THERE}/pages/1")


async def test_where_sections_are_kept_apart_no_file_is_drawn_for_anybody(http: Http) -> None:
    rule = SectionSpec("policies/**", "Audit*", ("administrators",))
    await http.world.collection("handbook", "everyone", sections=(rule,))
    await http.world.add("handbook", "policies/manual.pdf", MANUAL)
    await http.world.add("handbook", "policies/plain.pdf", flowing_pdf(STORY[:2]))
    await http.world.add("handbook", "open.pdf", MANUAL)
    await http.world.person("bob")
    admin, bob = await http.caller("admin"), await http.caller("bob")
    told = set()
    for path in ("policies/manual.pdf", "policies/plain.pdf"):
        address = await _address(http.world, path)
        assert not (await bob("GET", address)).json()["has_pictures"]
        told |= {await _refused(bob, f"{address}/pages/1"), await _refused(admin, f"{address}/pages/1")}
    assert len(told) == 1, "whether a file has such a section is not told"
    ((status, message),) = told
    assert (status, "Its text can" in message) == (404, True)
    (part,) = http.world.behind.execute("SELECT document_id FROM document WHERE part <> ''").fetchall()
    assert await _refused(admin, f"/api/documents/{part[0]}/pages/1") == (status, message)
    assert (await bob("GET", f"{await _address(http.world, 'open.pdf')}/pages/1")).status_code == 200


async def test_what_has_no_pages_or_no_original_says_so(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.add("handbook", "note.md", "# Note\n\nA note.")
    await http.world.add("handbook", "manual.pdf", MANUAL)
    admin = await http.caller("admin")
    note, manual = await _address(http.world, "note.md"), await _address(http.world, "manual.pdf")
    assert not (await admin("GET", note)).json()["has_pictures"]
    refused = await admin("GET", f"{note}/pages/1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "no_pictures")
    http.world.behind.execute("UPDATE document SET blob_id = NULL")
    assert not (await admin("GET", manual)).json()["has_pictures"]
    assert (await admin("GET", f"{manual}/pages/1")).json()["error"]["code"] == "no_pictures"


async def test_a_page_that_can_t_be_drawn_is_refused_by_name(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.add("handbook", "manual.pdf", MANUAL)
    admin, address = await http.caller("admin"), await _address(http.world, "manual.pdf")

    async def torn(*_: object) -> bytes:
        return b"%PDF-1.7 torn"

    monkeypatch.setattr("headworks.storage.blobs.Blobs.get", torn)
    refused = await admin("GET", f"{address}/pages/1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "corrupt")
    assert "can't be drawn" in _error(refused)


async def test_too_many_at_once_are_told_to_come_again(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "manual.pdf", MANUAL)
    document = await _document(world)
    asked = [world.retrieval.page(world.admin, document, 1) for _ in range(30)]
    drawn = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in drawn if isinstance(each, Exception)]
    assert len(refused) == 12
    assert all(isinstance(each, Unavailable) for each in refused), refused


async def test_the_process_that_draws_ends_when_nobody_asks_any_more(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "manual.pdf", MANUAL)
    originals = Originals(world.db, world.keyring, idle_s=0.05)
    try:
        for _ in range(2):
            assert (await originals.page(world.admin, await _document(world), 1)).png
            deadline = time.monotonic() + 30
            while originals._pool._process is not None:
                assert time.monotonic() < deadline, "it never ended"
                await asyncio.sleep(0.02)
    finally:
        await originals.close()
