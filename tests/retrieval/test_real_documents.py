"""Real documents through the real parsers: a standard in chapters and as DOCX, and one file of each format."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from retrieval_world import World, make_world

from headworks.retrieval.parsers.isolation.sandbox import ParserPool
from headworks.retrieval.passages.extraction import extract_sentences
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.retrieval import Citation

_DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data")) / "documents"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not _DATA.exists(), reason=f"{_DATA} is not there; HEADWORKS_TEST_DATA names the test data"),
]


@pytest.fixture
async def real(database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any]) -> AsyncIterator[World]:
    """A world whose files are parsed as in the product."""
    parsers = ParserPool()
    yield await make_world(database, keyring, as_superuser, parsers)
    await parsers.close()


async def _ingest(world: World, collection: str, folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        await world.hand_in(collection, file.name, file.read_bytes())
    await world.drain()


async def _answer(world: World, who: Principal, collection: str, question: str) -> tuple[str, list[Citation]]:
    """The closest sentences with their markers, as the extractive model gives them, and what was verified of them."""
    passages = (await world.search(who, collection, question, 6)).passages
    texts = {each.number: each.text for each in passages}
    chosen = extract_sentences(question, passages)
    answer = " ".join(f"{texts[each.number][each.start : each.end]} [{each.number}]" for each in chosen)
    stream = world.retrieval.citing(who, passages)
    out = [each for at in range(0, len(answer), 7) for each in await stream.feed(answer[at : at + 7])]
    out += await stream.finish()
    return answer, [each for each in out if isinstance(each, Citation)]


QUESTIONS = (
    (
        "How many characters must user set passwords have at least?",
        "at least 8 characters",
        "0x15-V6-Authentication.md",
    ),
    ("What is checked before a compressed file is uncompressed?", "maximum allowed uncompressed size", "0x14-V5"),
    ("Which versions of TLS may be enabled?", "TLS 1.2 and TLS 1.3", "0x21-V12-Secure-Communication.md"),
)


async def test_questions_about_a_real_standard_are_answered_with_citations_that_verify(real: World) -> None:
    await real.collection("asvs", "everyone")
    await _ingest(real, "asvs", _DATA / "asvs")
    progress = await real.progress("asvs")
    assert progress.failed == ()
    assert progress.documents == len(list((_DATA / "asvs").iterdir())) >= 28
    for question, words, path in QUESTIONS:
        _, citations = await _answer(real, real.admin, "asvs", question)
        assert citations, question
        assert any(words in each.quote for each in citations), question
        assert any(each.path.startswith(path) or each.path.endswith(".docx") for each in citations), question
        for each in citations:
            stored = await real.retrieval.document(real.admin, each.document)
            assert stored.text[each.start : each.end] == each.quote
            assert each.section, "a requirement stands under its heading"


async def test_a_chapter_for_some_is_in_nobody_elses_answer(real: World) -> None:
    await real.collection(
        "asvs", "everyone", documents=[("0x15-*", ("administrators",)), ("*.docx", ("administrators",))]
    )
    await _ingest(real, "asvs", _DATA / "asvs")
    bob = await real.person("bob")
    question = QUESTIONS[0][0]
    allowed, _ = await _answer(real, real.admin, "asvs", question)
    withheld, citations = await _answer(real, bob, "asvs", question)
    assert "at least 8 characters" in allowed
    assert "at least 8 characters" not in withheld
    assert not [each for each in citations if each.path.startswith("0x15") or each.path.endswith(".docx")]


async def test_one_file_of_each_format_is_searchable_or_named_with_the_reason(real: World) -> None:
    await real.collection("formats", "everyone")
    await _ingest(real, "formats", _DATA / "formats")
    progress = await real.progress("formats")
    assert {each.path: each.code for each in progress.failed} == {"jpg.jpg": "needs_ocr", "png.png": "needs_ocr"}
    assert all("parsing: {ocr: true}" in each.message for each in progress.failed)
    for path in ("md.md", "txt.txt", "html.html", "pdf.pdf", "docx.docx"):
        rows = real.behind.execute("SELECT document_id FROM document WHERE path = %s", [path]).fetchall()
        stored = await real.retrieval.document(real.admin, rows[0][0])
        words = [word for word in stored.text.split() if word.isalpha() and len(word) > 3][:12]
        assert path in await real.found(real.admin, "formats", " ".join(words), k=20), path
