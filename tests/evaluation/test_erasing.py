"""What an erased document takes of experiments: answers that quote it themselves, or whose traces do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from experiment_stage import Scripted, evaluation_over
from release_world import World, guest, shared_urls, workspace

from headworks.evaluation.contract import subject_of
from headworks.evaluation.experiments.running import ExperimentRuns
from headworks.evaluation.service import Wanted
from headworks.jobs.engine import Jobs
from headworks.records.drain import store
from headworks.records.lines import span_line
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Output
from headworks.types.ids import DocumentId, TraceId, new_id
from headworks.types.records import Span
from headworks.types.retrieval import Passage

__all__ = ["guest", "shared_urls"]

IDS = ("cited", "traced", "other")
CLAIMS = {
    "features/claims/evals/gate.yaml": b"must_be_perfect: [said]\n",
    "features/claims/evals/suite.yaml": b"dataset: golden\nscorers: {said: {scorer: regex, pattern: .}}\n",
    "features/claims/golden/golden.jsonl": "".join(
        f'{{"id": "{each}", "question": "{each}?"}}\n' for each in IDS
    ).encode(),
}
GONE, KEPT = DocumentId(new_id()), DocumentId(new_id())
PASSAGE = Passage(1, GONE, 1, "a.md", "A", (), 0, 0, 5, "Nine.", 1.0)


async def test_an_answer_goes_with_a_document_that_it_or_its_trace_quotes(guest: World, keyring: Keyring) -> None:
    traces = {each: TraceId(new_id()) for each in IDS}
    passages = {"cited": (PASSAGE,), "traced": (), "other": (replace(PASSAGE, document=KEPT),)}
    says = {each: Output("Nine.", "stop", passages=passages[each], trace=traces[each]) for each in IDS}
    admin, at = guest.admin, datetime(2026, 11, 18, tzinfo=UTC)
    span = Span(admin.tenant, at, traces["traced"], new_id(), "request", at, documents=[GONE])
    await store(guest.db, [span_line(span)])
    await guest.apply(workspace() | CLAIMS)
    evaluation = evaluation_over(guest.db, keyring, guest.identity, Jobs())
    made = await evaluation.run(admin, Wanted("default", "claims@staging"))
    runs = ExperimentRuns(guest.db, keyring, guest.identity, evaluation.experiments, Scripted(says=says))
    while await runs.batch(str(admin.tenant), str(made.id)):
        pass
    before = await evaluation.experiments.results(admin, made)
    subjects = {each.example.id: subject_of(made.release, each.example_digest) for each in before}
    assert subjects.keys() == set(IDS)

    curator = await guest.identity.curator(admin.tenant)
    async with guest.db.tx(curator) as tx:
        found = await evaluation.erasing.of_documents(tx, curator, [GONE])
    assert (found.rows["experiment_output"], found.examples) == (2, ())
    assert set(found.answers) == {subjects["cited"], subjects["traced"]}
    assert [each.example.id for each in await evaluation.experiments.results(admin, made)] == ["other"]
