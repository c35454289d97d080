"""A right that is taken away is gone from the next statement: each read path, by each way to lose the right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from retrieval_world import World

from headworks.errors import NotFound
from headworks.gateway.stored.contract import Making
from headworks.gateway.stored.service import StoredResponses, new_response_id
from headworks.observability.service import Traces
from headworks.records.drain import store
from headworks.records.lines import span_line, usage_line
from headworks.types.identity import Principal
from headworks.types.ids import new_id
from headworks.types.records import Span, UsageRow
from headworks.types.retrieval import Citation, Passage

FACT = "The merger closes on 14 May."
PATH = "board/merger.md"


@dataclass
class Scene:
    """Jane is a nurse, nurses are in the clinic, and the clinic reads a note; she has asked about it before."""

    world: World
    jane: Principal
    passage: Passage
    trace: Any
    response: str


@pytest.fixture
async def scene(world: World) -> Scene:
    jane = await world.person("jane", "nurses")
    await world.identity.create_group(world.admin, "clinic")
    await world.identity.add_member(world.admin, "clinic", "nurses")
    await _lists(world)
    await world.add("handbook", PATH, f"# Merger\n\n{FACT}")
    (passage,) = (await world.search(jane, "handbook", "merger")).passages
    trace, span, at = new_id(), new_id(), 1_795_000_000.0
    usage = UsageRow(jane.tenant, at, trace, trace, "chat", "answer", "assistant", principal_id=jane.id)
    stage = Span(
        jane.tenant, at, trace, span, "answer", at, principal_id=jane.id, documents=[passage.document],
        payload=world.keyring.seal(jane.tenant, "span.payload", span, msgspec.json.encode({"answer": FACT})),
    )  # fmt: skip
    await store(world.db, [usage_line(usage) + span_line(stage)])
    response = new_response_id()
    body = msgspec.json.encode({"output": []})
    making = Making(documents=(passage.document,))
    await StoredResponses(world.db, world.keyring).keep(jane, response, [], body, making=making)
    return Scene(world, jane, passage, trace, response)


async def _lists(
    world: World,
    *readers: str,
    denied: Sequence[str] = (),
    board: Sequence[str] = ("clinic",),
    shut: Sequence[str] = (),
) -> None:
    """The collection's file, by default as Jane reads it."""
    await world.collection(
        "handbook", *(readers or ("clinic",)), documents=[("board/**", tuple(board))], denied=tuple(denied),
        denials=[("board/**", tuple(shut))] if shut else [],
    )  # fmt: skip


# ── Ways to lose the right, and to get it back ──

Change = Callable[[World], Awaitable[object]]
WAYS: dict[str, tuple[Change, Change]] = {
    "she leaves the group": (
        lambda world: world.identity.remove_member(world.admin, "nurses", "jane"),
        lambda world: world.identity.add_member(world.admin, "nurses", "jane"),
    ),
    "her group leaves the group": (
        lambda world: world.identity.remove_member(world.admin, "clinic", "nurses"),
        lambda world: world.identity.add_member(world.admin, "clinic", "nurses"),
    ),
    "the group in the middle is disabled": (
        lambda world: world.identity.disable_principal(world.admin, "nurses"),
        lambda world: world.identity.enable_principal(world.admin, "nurses"),
    ),
    "she is disabled": (
        lambda world: world.identity.disable_principal(world.admin, "jane"),
        lambda world: world.identity.enable_principal(world.admin, "jane"),
    ),
    "the collection is no longer for them": (lambda world: _lists(world, "administrators"), _lists),
    "the document is no longer for them": (lambda world: _lists(world, board=("administrators",)), _lists),
    "the collection is closed to her": (lambda world: _lists(world, denied=["jane"]), _lists),
    "the document is closed to her group": (lambda world: _lists(world, shut=["nurses"]), _lists),
}

# ── Read paths: whether Jane gets it ──


async def _by_search(scene: Scene) -> bool:
    try:
        return bool((await scene.world.search(scene.jane, "handbook", "merger")).passages)
    except NotFound:
        return False


async def _by_list(scene: Scene) -> bool:
    return any(each.documents for each in await scene.world.retrieval.list_collections(scene.jane))


async def _by_path(scene: Scene) -> bool:
    try:
        return bool(await scene.world.retrieval.find_documents(scene.jane, "handbook", [PATH]))
    except NotFound:
        return False


async def _by_document(scene: Scene) -> bool:
    try:
        return FACT in (await scene.world.retrieval.document(scene.jane, scene.passage.document)).text
    except NotFound:
        return False


async def _by_page(scene: Scene) -> bool:
    try:
        await scene.world.retrieval.page(scene.jane, scene.passage.document, 1)
    except NotFound as refused:
        return refused.code == "no_pictures"  # it is no PDF, which only its readers are told
    return True


async def _by_citation(scene: Scene) -> bool:
    stream = scene.world.retrieval.citing(scene.jane, [scene.passage])
    out = await stream.feed(f"{FACT[:-1]} [1].") + await stream.finish()
    return any(isinstance(each, Citation) for each in out)


async def _by_trace(scene: Scene) -> bool:
    view = await Traces(scene.world.db, scene.world.keyring).show(scene.jane, scene.trace)
    return any(span.payload is not None for span in view.spans)


async def _by_response(scene: Scene) -> bool:
    try:
        await StoredResponses(scene.world.db, scene.world.keyring).find(scene.jane, scene.response)
    except NotFound:
        return False
    return True


async def _seen_as_her(scene: Scene) -> bool:
    seen = await scene.world.identity.seen_as(scene.world.admin, "jane", "POST /api/search")
    return await _by_search(Scene(scene.world, seen, scene.passage, scene.trace, scene.response))


async def _by_explanation(scene: Scene) -> bool:
    return (await scene.world.retrieval.explain(scene.world.admin, "handbook", PATH, "jane")).may_read


PATHS = (
    _by_search, _by_list, _by_path, _by_document, _by_page, _by_citation, _by_trace, _by_response, _seen_as_her,
    _by_explanation,
)  # fmt: skip


async def test_each_way_to_lose_a_right_holds_on_each_read_path_from_the_next_statement(scene: Scene) -> None:
    for way, (lose, regain) in WAYS.items():
        assert {path.__name__: await path(scene) for path in PATHS} == {path.__name__: True for path in PATHS}, way
        await lose(scene.world)
        assert {path.__name__: await path(scene) for path in PATHS} == {path.__name__: False for path in PATHS}, way
        await regain(scene.world)


async def test_an_answer_that_streams_loses_what_is_cited_after_the_right_was_lost(scene: Scene) -> None:
    stream = scene.world.retrieval.citing(scene.jane, [scene.passage])
    first = await stream.feed(f"{FACT[:-1]} [1]. ")
    assert any(isinstance(each, Citation) for each in first)
    await scene.world.identity.remove_member(scene.world.admin, "clinic", "nurses")
    second = await stream.feed(f"Once more: {FACT[:-1]} [1].") + await stream.finish()
    assert not any(isinstance(each, Citation) for each in second)
    assert stream.unreadable == 1


async def test_a_revoked_key_of_hers_reads_nothing_while_another_goes_on(scene: Scene) -> None:
    other = await scene.world.key("jane")
    await scene.world.identity.revoke_key(scene.world.admin, str(scene.jane.key))
    assert not await _by_search(scene)
    assert not await _by_document(scene)
    assert await _by_search(Scene(scene.world, other, scene.passage, scene.trace, scene.response))
