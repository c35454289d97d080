"""Every way to read, for somebody who reads a file and not its section: what he gets is of what he may read."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

import pytest
from retrieval_world import World

from headworks.errors import NotFound
from headworks.retrieval.contract import Ranking
from headworks.retrieval.searching.search import Wanted
from headworks.types.features import RetrievalSettings
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId
from headworks.types.retrieval import Citation, Passage
from headworks.types.workspace import ChunkingSpec, SectionSpec

TEXT = """# Claims manual

Claims are paid in thirty days.

## Audit thresholds

Claims over 900 EUR canaryaudit are audited each week.

## Appeals

Claims are appealed within sixty days.
"""
RULE = SectionSpec("**", "Audit*", ("auditors",))
PART = "claims.md#Claims manual › Audit thresholds"
QUESTION = "claims audited over 900 EUR thresholds"
WIDE = (ChunkingSpec(), ChunkingSpec(neighbours=3), ChunkingSpec(parent_tokens=400))


async def _passages(world: World, who: Principal) -> list[Passage]:
    """By a search of each kind, and as a feature has them, which is what chat and tries of an evaluation go through."""
    found: list[Passage] = []
    rankings: tuple[Ranking, ...] = ("keywords", "vectors", "hybrid")
    for ranking in rankings:
        wanted = Wanted(explains=True)
        told = await world.retrieval.search(who, "handbook", QUESTION, 20, ranking=ranking, wanted=wanted)
        assert "canary" not in repr(told.reasons)
        found += told.passages
    found += (await world.retrieval.passages(who, RetrievalSettings("handbook", 20), QUESTION)).passages
    return found


async def _opened(world: World, who: Principal, document: DocumentId) -> list[object]:
    """All that is told of a document by its id."""
    told: list[object] = []
    for ask in (world.retrieval.document, world.retrieval.lifecycle.history.versions):
        with suppress(NotFound):
            told.append(await ask(who, document))
    with suppress(NotFound):
        told.append(await world.retrieval.lifecycle.history.text(who, document, 1))
    return told


@pytest.mark.parametrize("how", WIDE, ids=["chunks", "neighbours", "parents"])
async def test_what_somebody_gets_is_of_what_he_may_read(world: World, how: ChunkingSpec) -> None:
    bob, ann = await world.person("bob", "clinic"), await world.person("ann", "clinic", "auditors")
    await world.collection("handbook", "clinic", sections=(RULE,), chunking=how)
    await world.add("handbook", "claims.md", TEXT)
    await world.add("handbook", "claims.md", TEXT.replace("900", "950"))
    ids = {
        path: DocumentId(found)
        for path, found in world.behind.execute("SELECT shown_path, document_id FROM document").fetchall()
    }
    stolen = [each for each in await _passages(world, ann) if each.path == PART]
    assert stolen
    seen = await world.identity.seen_as(world.admin, "bob", "POST /api/search")
    for who in (bob, seen):
        passages = await _passages(world, who)
        assert {each.path for each in passages} == {"claims.md"}
        assert not [each for each in passages if "Audit" in repr(asdict(each)) or "canary" in repr(asdict(each))]
        assert await _opened(world, who, ids[PART]) == []
        own = repr(await _opened(world, who, ids["claims.md"]))
        assert "Appeals" in own
        assert "canary" not in own
        assert "Audit" not in own
        assert [each.path for each in await world.retrieval.find_documents(who, "handbook", ["claims.md", PART])] == [
            "claims.md"
        ]
        assert [each.documents for each in await world.retrieval.list_collections(who)] == [1]
        stream = world.retrieval.citing(who, stolen[:1])
        out = await stream.feed("Claims over 950 EUR canaryaudit are audited each week [1].") + await stream.finish()
        assert not [each for each in out if isinstance(each, Citation)]
    assert len(await _opened(world, ann, ids[PART])) == 3
    explained = {name: await world.retrieval.explain(world.admin, "handbook", PART, name) for name in ("bob", "ann")}
    assert {name: each.may_read for name, each in explained.items()} == {"bob": False, "ann": True}
