"""A right that is taken away is gone from the next statement: each read path, by each way to lose the right."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from experiment_stage import Scripted, evaluation_over
from release_world import Declared, releases_over, workspace
from retrieval_world import World

from headworks.errors import Conflict, NotFound
from headworks.evaluation.contract import subject_of
from headworks.evaluation.datasets.promotion import Promotion
from headworks.evaluation.exchange.inspect_logs import import_inspect
from headworks.evaluation.experiments.running import ExperimentRuns
from headworks.evaluation.service import Evaluation, Wanted
from headworks.gateway.stored.contract import Making
from headworks.gateway.stored.service import StoredResponses, new_response_id
from headworks.guardrails.service import Guardrails
from headworks.observability.service import Traces
from headworks.records.drain import store
from headworks.records.lines import span_line, usage_line
from headworks.review.contract import Judgement
from headworks.review.files import line_of
from headworks.review.service import Review
from headworks.review.store import Filter
from headworks.storage.pool import Database, Tx
from headworks.types.evaluation import Output
from headworks.types.identity import Principal
from headworks.types.ids import TraceId, new_id
from headworks.types.records import Span, UsageRow
from headworks.types.retrieval import Citation, Passage
from headworks.types.workspace import SectionSpec

FACT = "The merger closes on 14 May."
PATH, PART = "board/merger.md", "board/merger.md#Board › Merger"
WHOLE, PARTED = f"# Merger\n\n{FACT}", f"# Board\n\nIt meets each month.\n\n## Merger\n\n{FACT}"
GOLDEN = {"id": "closing", "question": "When does the merger close?", "reference": FACT}
CLAIMS = {
    "features/claims/evals/gate.yaml": b"must_not_get_worse:\n  - {metric: said, margin: 0.3}\n",
    "features/claims/evals/suite.yaml": b"dataset: golden\nscorers: {said: {scorer: regex, pattern: .}}\n",
    "features/claims/golden/golden.jsonl": json.dumps(GOLDEN).encode(),
}


@dataclass
class Scene:
    """Jane is a nurse, nurses are in the clinic, and the clinic reads a note; she has asked about it before."""

    world: World
    jane: Principal
    passage: Passage
    trace: Any
    response: str
    evaluation: Evaluation
    experiment: UUID
    subject: str
    """Of the answer in the experiment, which Jane has judged, as she has the trace's."""
    path: str = PATH

    @property
    def review(self) -> Review:
        world = self.world
        releases = releases_over(world.db, world.keyring, world.identity, Declared())
        traces = Traces(world.db, world.keyring)
        return Review(world.db, world.keyring, world.identity, releases, traces, self.evaluation, world.retrieval)


@pytest.fixture
async def scene(world: World) -> Scene:
    return await _scene(world, PATH, WHOLE, await _jane(world))


async def _jane(world: World) -> Principal:
    await world.person("jane", "nurses")
    await world.identity.bind_role(world.admin, "jane", "expert")
    await world.identity.create_group(world.admin, "clinic")
    await world.identity.add_member(world.admin, "clinic", "nurses")
    await _lists(world)
    return await world.key("jane")


async def _scene(world: World, path: str, text: str, jane: Principal) -> Scene:
    await world.add("handbook", PATH, text)
    passage = next(each for each in (await world.search(jane, "handbook", "merger")).passages if each.path == path)
    trace, span, at = new_id(), new_id(), datetime(2026, 11, 18, tzinfo=UTC)
    usage = UsageRow(jane.tenant, at, trace, trace, "chat", "answer", "claims", feature="claims", principal_id=jane.id)
    said = msgspec.json.encode({"question": "When does it close?", "answer": FACT})
    stage = Span(
        jane.tenant, at, trace, span, "request", at, principal_id=jane.id, documents=[passage.document],
        payload=world.keyring.seal(jane.tenant, "span.payload", span, said),
    )  # fmt: skip
    await store(world.db, [usage_line(usage) + span_line(stage)])
    response = new_response_id()
    body = msgspec.json.encode({"output": []})
    making = Making(documents=(passage.document,))
    await StoredResponses(world.db, world.keyring).keep(jane, response, [], body, making=making)
    evaluation = evaluation_over(world.db, world.keyring, world.identity, world.jobs)
    experiment, subject = await _tried(world, evaluation, passage)
    made = Scene(world, jane, passage, trace, response, evaluation, experiment, subject, path)
    for judged in (subject, f"trace:{trace}"):
        await made.review.judgements.give(jane, "default", Judgement(judged, "said", "pass", evidence=FACT))
    return made


async def _tried(world: World, evaluation: Evaluation, passage: Passage) -> tuple[UUID, str]:
    """An experiment whose one answer quotes the passage, and how that answer is named."""
    releases = releases_over(world.db, world.keyring, world.identity, Declared())
    await releases.apply(world.admin, "default", workspace() | CLAIMS)
    made = await evaluation.run(world.admin, Wanted("default", "claims@staging"))
    answerer = Scripted(says={"closing": Output(FACT, "stop", passages=(passage,), trace=TraceId(new_id()))})
    runs = ExperimentRuns(world.db, world.keyring, world.identity, evaluation.experiments, answerer)
    runs.register(world.jobs)
    await world.drain()
    (result,) = await evaluation.experiments.results(
        world.admin, await evaluation.experiments.find(world.admin, made.id)
    )
    return made.id, subject_of(made.release, result.example_digest)


async def _lists(
    world: World,
    *readers: str,
    denied: Sequence[str] = (),
    board: Sequence[str] = ("clinic",),
    shut: Sequence[str] = (),
    sections: Sequence[SectionSpec] = (),
) -> None:
    """The collection's file, by default as Jane reads it."""
    await world.collection(
        "handbook", *(readers or ("clinic",)), documents=[("board/**", tuple(board))], denied=tuple(denied),
        denials=[("board/**", tuple(shut))] if shut else [], sections=tuple(sections),
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
        found = (await scene.world.search(scene.jane, "handbook", "merger")).passages
        return any(FACT in each.text for each in found)
    except NotFound:
        return False


async def _by_list(scene: Scene) -> bool:
    return any(each.documents for each in await scene.world.retrieval.list_collections(scene.jane))


async def _by_path(scene: Scene) -> bool:
    try:
        return bool(await scene.world.retrieval.find_documents(scene.jane, "handbook", [scene.path]))
    except NotFound:
        return False


async def _by_document(scene: Scene) -> bool:
    try:
        return FACT in (await scene.world.retrieval.document(scene.jane, scene.passage.document)).text
    except NotFound:
        return False


async def _by_versions(scene: Scene) -> bool:
    try:
        return bool(await scene.world.retrieval.lifecycle.history.versions(scene.jane, scene.passage.document))
    except NotFound:
        return False


async def _by_version(scene: Scene) -> bool:
    history = scene.world.retrieval.lifecycle.history
    try:
        return FACT in await history.text(scene.jane, scene.passage.document, scene.passage.version)
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
    return await _by_search(replace(scene, jane=seen))


async def _by_explanation(scene: Scene) -> bool:
    return (await scene.world.retrieval.explain(scene.world.admin, "handbook", scene.path, "jane")).may_read


async def _by_exported_experiment(scene: Scene) -> bool:
    (result,) = import_inspect(await scene.evaluation.inspect_log(scene.jane, scene.experiment)).results
    return FACT in repr(result.output)


async def _by_answer_to_judge(scene: Scene) -> bool:
    return FACT in repr(await scene.review.materials.show(scene.jane, "default", scene.subject, "said")).replace(
        repr(FACT),
        "",
        1,  # the reference is the dataset's own
    )


async def _by_trace_to_judge(scene: Scene) -> bool:
    return FACT in repr(await scene.review.materials.show(scene.jane, "default", f"trace:{scene.trace}", "said"))


async def _by_judgement(scene: Scene) -> bool:
    """Her own of both, by list and export: they quote it alike, or nothing of it."""
    found, _ = await scene.review.judgements.list(scene.jane, "default", Filter())
    exported = [line_of(each) for each in found]
    assert {each["verdict"] for each in exported} == {"pass"}
    shown = {each["subject"]: FACT in json.dumps(each) for each in exported}
    assert set(shown) == {scene.subject, f"trace:{scene.trace}"}
    assert {each["subject"]: "withheld" not in each for each in exported} == shown
    assert len(set(shown.values())) == 1
    return shown[scene.subject]


async def _by_promotion(scene: Scene) -> bool:
    traces = Traces(scene.world.db, scene.world.keyring)
    try:
        made = await Promotion(traces, Guardrails()).propose(scene.jane, scene.trace, with_reference=True)
    except Conflict:
        return False
    return FACT in repr(made)


PATHS = (
    _by_search, _by_list, _by_path, _by_document, _by_versions, _by_version, _by_page, _by_citation, _by_trace,
    _by_response, _seen_as_her, _by_explanation, _by_exported_experiment, _by_answer_to_judge, _by_trace_to_judge,
    _by_judgement, _by_promotion,
)  # fmt: skip


async def _shown(scene: Scene, paths: Sequence[Callable[[Scene], Awaitable[bool]]] = PATHS) -> Mapping[str, bool]:
    return {path.__name__: await path(scene) for path in paths}


def _all(said: bool, paths: Sequence[Callable[[Scene], Awaitable[bool]]] = PATHS) -> Mapping[str, bool]:  # noqa: FBT001 -- what each path says
    return {path.__name__: said for path in paths}


async def test_each_way_to_lose_a_right_holds_on_each_read_path_from_the_next_statement(scene: Scene) -> None:
    for way, (lose, regain) in WAYS.items():
        assert await _shown(scene) == _all(True), way
        await lose(scene.world)
        assert await _shown(scene) == _all(False), way
        await regain(scene.world)


RULE = SectionSpec("**", "Merger", ("auditors",))
OF_SECTIONS: dict[str, tuple[Change, Change]] = {
    "she leaves the group that reads the section": (
        lambda world: world.identity.remove_member(world.admin, "auditors", "jane"),
        lambda world: world.identity.add_member(world.admin, "auditors", "jane"),
    ),
    "its file is no longer for them": (
        lambda world: _lists(world, board=("administrators",), sections=[RULE]),
        lambda world: _lists(world, sections=[RULE]),
    ),
    "its file is closed to her group": (
        lambda world: _lists(world, shut=["nurses"], sections=[RULE]),
        lambda world: _lists(world, sections=[RULE]),
    ),
}
OF_WHAT_WAS_SAID = (
    _by_document, _by_versions, _by_version, _by_citation, _by_trace, _by_response, _by_exported_experiment,
    _by_answer_to_judge, _by_trace_to_judge, _by_judgement, _by_promotion,
)  # fmt: skip
"""What rests on the document as it was, by its id."""


async def test_a_right_to_a_section_holds_and_ends_on_each_read_path(world: World) -> None:
    jane = await _jane(world)
    await world.identity.create_group(world.admin, "auditors")
    await world.identity.add_member(world.admin, "auditors", "jane")
    await _lists(world, sections=[RULE])
    scene = await _scene(world, PART, PARTED, jane)
    of_section = [path for path in PATHS if path is not _by_list]  # the file's own text is there all the same
    for way, (lose, regain) in OF_SECTIONS.items():
        assert await _shown(scene, of_section) == _all(True, of_section), way
        await lose(world)
        assert await _shown(scene, of_section) == _all(False, of_section), way
        await regain(world)
    await _lists(world, sections=[replace(RULE, readers=("administrators",))])
    gone = [
        path for path in of_section if path is not _by_explanation
    ]  # until it is cut anew, there is no such section
    assert await _shown(scene, gone) == _all(False, gone), "other rules"
    await _lists(world, sections=[RULE])
    await world.drain()
    assert await _by_search(scene), "cut anew it is another document"
    assert await _shown(scene, OF_WHAT_WAS_SAID) == _all(False, OF_WHAT_WAS_SAID)
    shown = await scene.evaluation.inspect_log(world.admin, scene.experiment)
    assert {each.output.error_code for each in import_inspect(shown).results} == {"withheld"}


class Ending:
    """A transaction, and what happens when it has ended."""

    def __init__(self, whole: Any, then: Callable[[], Awaitable[object]]) -> None:
        self._whole = whole
        self._then = then

    async def __aenter__(self) -> Tx:
        begun: Tx = await self._whole.__aenter__()
        return begun

    async def __aexit__(self, *error: object) -> None:
        await self._whole.__aexit__(*error)
        await self._then()


async def _lost_after(scene: Scene, path: Callable[[Scene], Awaitable[bool]], wanted: int | None) -> tuple[bool, int]:
    """Whether Jane gets it who leaves the group after so many transactions of the read, and how many those were."""
    whole, ended = Database.tx, itertools.count(1)
    lose, regain = WAYS["she leaves the group"]
    with pytest.MonkeyPatch.context() as patch:

        async def then() -> None:
            if next(ended) == wanted:
                patch.undo()
                await lose(scene.world)

        patch.setattr(Database, "tx", lambda *asked, **options: Ending(whole(*asked, **options), then))
        said = await path(scene)
    if wanted is not None:
        await regain(scene.world)
    return said, next(ended) - 1


async def test_what_is_read_after_a_right_was_lost_is_not_given_whatever_was_asked_before(scene: Scene) -> None:
    """She leaves the group between two transactions of a read: the last one decides.

    Not asked of what goes on with other things once all of the document is read: notes, criteria, failure modes.
    """
    for path in [each for each in PATHS if each not in {_by_explanation, _by_answer_to_judge, _by_trace_to_judge}]:
        said, transactions = await _lost_after(scene, path, None)
        assert said, path.__name__
        for ended in range(1, transactions + 1):
            said, _ = await _lost_after(scene, path, ended)
            assert said == (ended == transactions), f"{path.__name__} after {ended} of {transactions}"


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
    assert await _by_search(replace(scene, jane=other))
