"""One bad file never stops a sync: forty of them beside a good one, each settled with its reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from hostile_documents import HOSTILE, READ
from retrieval_world import World, make_world

from headworks.retrieval.parsers.isolation.sandbox import ParseLimits, ParserPool
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring

_LARGEST = 100_000
_LONG = frozenset(["repeated.ods", "stream.pdf", "spans.html", "bomb.docx"])
"""Small ones that take seconds. `parsers/test_hostile_documents.py` reads them all, but without what comes after."""


@pytest.fixture
async def real(database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any]) -> AsyncIterator[World]:
    """A world whose files are parsed as in the product."""
    parsers = ParserPool(ParseLimits(memory_mb=384, cpu_s=30))
    yield await make_world(database, keyring, as_superuser, parsers)
    await parsers.close()


@pytest.mark.timeout(300)
async def test_bad_files_are_listed_with_their_reasons_and_the_good_one_is_found(real: World) -> None:
    await real.collection("mixed", "everyone")
    made = {each.name: (each, each.make()) for each in HOSTILE if each.name not in _LONG}
    wanted = [each for each, data in made.values() if len(data) <= _LARGEST]
    assert len(wanted) >= 40
    for each in wanted:
        await real.hand_in("mixed", each.name, made[each.name][1])
    await real.hand_in("mixed", "good.md", b"# Herons\n\nA heron stands by the pond.")
    await real.drain()
    progress = await real.progress("mixed")
    failed = {each.path: each for each in progress.failed}
    assert (progress.done, progress.total) == (len(wanted) + 1, len(wanted) + 1)
    for each in wanted:
        became = failed[each.name].code if each.name in failed else READ
        assert became in each.codes, each.name
    assert all(each.message and "Traceback" not in each.message for each in progress.failed)
    assert "good.md" in await real.found(real.admin, "mixed", "heron pond")
