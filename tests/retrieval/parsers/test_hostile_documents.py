"""Files that are broken, lie or attack: each is read, or fails by its name, and the next one is read."""

from __future__ import annotations

import asyncio

import hostile_documents as hostile
import pytest
from hostile_documents import HOSTILE, READ

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.catalog import ocr_is_installed
from headworks.retrieval.parsers.contract import FAILURE_CODES, ParsedDocument
from headworks.retrieval.parsers.isolation.sandbox import ParseLimits, ParserPool

LIMITS = ParseLimits(memory_mb=384, cpu_s=30, wall_s=90.0)


async def outcome(pool: ParserPool, each: hostile.Hostile, *, ocr: bool = False) -> ParsedDocument | DocumentUnreadable:
    try:
        return await pool.parse(each.name, await asyncio.to_thread(each.make), ocr=ocr)
    except DocumentUnreadable as error:
        return error


def complaint(each: hostile.Hostile, found: ParsedDocument | DocumentUnreadable) -> str:
    """What is wrong with what became of a file; empty if nothing is."""
    code, text = (READ, found.text) if isinstance(found, ParsedDocument) else (found.code, str(found))
    if code not in each.codes:
        return f"{each.name}: {code}, not {each.codes}: {text[:200]}"
    if code != READ and (code not in FAILURE_CODES or len(text) > 500):
        return f"{each.name}: no failure that can be shown: {text[:200]}"
    if code == READ and each.says not in text:
        return f"{each.name}: {text[:200]!r} lacks {each.says!r}"
    return f"{each.name}: {text[:200]!r} has {each.never!r}" if each.never and each.never in text else ""


@pytest.mark.timeout(300)
async def test_each_is_read_or_fails_by_name_and_none_stops_the_next() -> None:
    assert len(HOSTILE) >= 40
    pool = ParserPool(LIMITS)
    try:
        found = await asyncio.gather(*(outcome(pool, each) for each in HOSTILE))
        complaints = [complaint(each, one) for each, one in zip(HOSTILE, found, strict=True)]
        assert list(filter(None, complaints)) == []
        assert (await pool.parse("a.md", b"still here")).text == "still here"
    finally:
        await pool.close()


@pytest.mark.skipif(not ocr_is_installed(), reason="the extra `headworks[ocr]` is not installed")
async def test_a_picture_of_50000_by_50000_is_a_bomb_where_pictures_are_read() -> None:
    pool = ParserPool()
    huge = next(each for each in HOSTILE if each.name == "huge.png")
    found = await outcome(pool, huge, ocr=True)
    await pool.close()
    assert isinstance(found, DocumentUnreadable)
    assert found.code == "bomb"
