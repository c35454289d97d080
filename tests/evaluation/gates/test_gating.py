"""Gates over a real database: what asking for a verdict starts, and what it does not."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import psycopg
import pytest
from experiment_stage import Scripted, evaluation_over
from release_world import PROMPT, Declared, World, guest, releases_over, shared_superuser, shared_urls, workspace
from scripted_judge import ScriptedModels, verdict

from headworks.errors import Conflict
from headworks.evaluation.experiments.running import ExperimentRuns
from headworks.evaluation.gates import gating
from headworks.evaluation.gates.gating import GateOrder
from headworks.evaluation.service import Evaluation
from headworks.evaluation.suites.suite_files import suite_reader
from headworks.jobs.engine import Jobs
from headworks.review.contract import Judgement
from headworks.review.judgements import Judgements
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Example, Output
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, new_id
from headworks.types.retrieval import Passage

__all__ = ["guest", "shared_superuser", "shared_urls"]

N = 12
ORDER = GateOrder("default", "claims@staging", most_cost_micro_usd=55)


class Bench:
    """A tenant with a release that a gate judges, and a worker that is stepped by hand."""

    def __init__(self, world: World, keyring: Keyring) -> None:
        self.world = world
        self.keyring = keyring
        self.evaluation: Evaluation = evaluation_over(world.db, keyring, world.identity, Jobs())

    async def work(self, answerer: Scripted) -> None:
        experiments = self.evaluation.experiments
        runs = ExperimentRuns(self.world.db, self.keyring, self.world.identity, experiments, answerer)
        for each in await experiments.list(self.world.admin):
            while await runs.batch(str(self.world.admin.tenant), str(each.id)):
                pass

    async def states(self) -> list[str]:
        return [each.state for each in await self.evaluation.experiments.list(self.world.admin)]


@pytest.fixture
async def bench(guest: World, keyring: Keyring) -> Bench:
    rows = [{"id": f"case-{at}", "question": f"case {at}", "reference": f"answer {at}"} for at in range(N)]
    judging = {
        "features/claims/evals/gate.yaml": b"compare_to: none\nmust_be_perfect: [right]\n",
        "features/claims/evals/suite.yaml": b"dataset: golden\nscorers: {right: {scorer: exact}}\n",
        "features/claims/golden/golden.jsonl": "".join(json.dumps(each) + "\n" for each in rows).encode(),
    }
    await guest.apply(workspace() | judging)
    return Bench(guest, keyring)


async def test_a_verdict_starts_nothing_again_that_its_ceiling_has_stopped(bench: Bench) -> None:
    gates, admin = bench.evaluation.gates, bench.world.admin
    run = await gates.start(admin, ORDER)
    with pytest.raises(Conflict, match="running"):
        await gates.verdict(admin, ORDER)
    await bench.work(Scripted(holds=True))
    for _ in range(2):
        said = await gates.verdict(admin, ORDER)
        assert (said.judged.verdict, said.attestation) == ("INCONCLUSIVE", None)
        (line,) = said.judged.lines
        assert "answers are missing" in line.message
        assert f"{run.candidate.id} is stopped" in line.message
        assert "--max-cost" in line.next_step
    assert await bench.states() == ["stopped"]
    (spent,) = [each.cost_micro_usd for each in await bench.evaluation.experiments.list(admin)]
    assert spent <= 55


async def test_a_verdict_is_of_what_was_run_last_though_the_clock_was_set_back(
    bench: Bench, shared_superuser: psycopg.Connection[tuple[object, ...]]
) -> None:
    gates, admin = bench.evaluation.gates, bench.world.admin
    await gates.start(admin, ORDER)
    await bench.work(Scripted(is_forbidden=True))
    later = "UPDATE experiment SET made_at = made_at + interval '1 day' WHERE tenant_id = %s"
    shared_superuser.execute(later, [admin.tenant])
    second = (await gates.start(admin, GateOrder("default", "claims@staging"))).candidate
    await bench.work(Scripted())
    assert next(iter(await bench.evaluation.experiments.list(admin))).id == second.id
    said = await gates.verdict(admin, ORDER)
    assert (said.run.candidate.id, said.judged.verdict) == (second.id, "PASS")


async def test_asking_the_gate_again_goes_on_with_what_is_missing(bench: Bench) -> None:
    gates, admin = bench.evaluation.gates, bench.world.admin
    await gates.start(admin, ORDER)
    await bench.work(Scripted(is_forbidden=True))
    said = await gates.verdict(admin, ORDER)
    assert "is failed: The key may not call it." in said.judged.lines[0].message
    await gates.start(admin, ORDER)
    first = Scripted(holds=True)
    await bench.work(first)
    await gates.start(admin, GateOrder("default", "claims@staging"))
    rest = Scripted()
    await bench.work(rest)
    assert await bench.states() == ["done", "stopped", "failed"]
    assert sorted(first.asked + rest.asked) == sorted(f"case-{at}" for at in range(N))
    said = await gates.verdict(admin, ORDER)
    assert (said.judged.verdict, said.attestation is not None) == ("PASS", True)
    await gates.start(admin, ORDER)
    assert len(await bench.states()) == 3


SEARCHED = {
    "features/claims/evals/gate.yaml": "must_not_get_worse:\n  - {metric: found, margin: 0.3}\n",
    "features/claims/evals/suite.yaml": "dataset: golden\n"
    "scorers: {found: {scorer: retrieval_recall, reference: /documents}}\n",
    "features/claims/golden/golden.jsonl": "".join(
        json.dumps({"id": f"case-{at}", "question": f"case {at}", "reference": {"documents": [f"{at}.md", "all.md"]}})
        + "\n"
        for at in range(3 * N)
    ),
}


@dataclass
class Finding(Scripted):
    """Finds both documents that are wanted; the release that is told so only the one that all want."""

    forgetful: str = "no release"

    async def answer(self, principal: Principal, model: str, example: Example) -> Output:
        said = await super().answer(principal, model, example)
        paths = ["all.md"] if model.endswith(self.forgetful) else ["all.md", f"{example.id.removeprefix('case-')}.md"]
        found = (Passage(1, DocumentId(new_id()), 1, path, path, (), 0, 0, 1, "x", 1.0) for path in paths)
        return replace(said, text="So.", passages=tuple(found))


@pytest.mark.parametrize(("is_worse", "expected"), [(False, "PASS"), (True, "FAIL")])
async def test_what_was_found_decides_as_what_was_answered(
    guest: World, keyring: Keyring, *, is_worse: bool, expected: str
) -> None:
    judging = {path: text.encode() for path, text in SEARCHED.items()}
    await guest.apply(workspace())
    await guest.apply(workspace() | judging)
    applied = await guest.apply(workspace(prompt=PROMPT.replace("brief", "short")) | judging)
    bench, order = Bench(guest, keyring), GateOrder("default", "claims@staging")
    await bench.evaluation.gates.start(guest.admin, order)
    await bench.work(Finding(forgetful=applied.digest if is_worse else "no release"))
    said = await bench.evaluation.gates.verdict(guest.admin, order)
    (line,) = said.judged.lines
    assert (said.judged.verdict, line.metric, line.evidence["n"]) == (expected, "found", 3 * N)
    assert line.evidence["difference"] == (-0.5 if is_worse else 0)


JUDGED = {
    "features/claims/evals/gate.yaml": "must_not_get_worse:\n"
    "  - {metric: polite, margin: 0.2, judge: {correct: ppi, min_human: 10}}\n",
    "features/claims/evals/suite.yaml": "dataset: golden\nscorers: {polite: {scorer: judge, judge: manners}}\n",
    "features/claims/judges/manners/judge.yaml": "model: simulated/judge\ncriteria: {polite: It is polite.}\n",
    "features/claims/judges/manners/judge.prompty": "---\ninputs:\n  question: {kind: string, from: question}\n"
    "  answer: {kind: string}\n---\nsystem:\nYou judge manners.\nuser:\n{{ answer }}\n",
    "features/claims/golden/golden.jsonl": "".join(
        f'{{"id": "case-{at}", "question": "case {at}", "reference": "answer {at}"}}\n' for at in range(N)
    ),
}


async def test_what_is_asked_of_fewer_people_is_asked_again_of_more(guest: World, keyring: Keyring) -> None:
    """Whose word does not count for one gate is asked by another for which it does."""
    ana, bob = [await guest.person(name, "engineer") for name in ("ana", "bob")]
    judgements = Judgements(guest.db, keyring, guest.identity, guest.releases)
    project = (await guest.identity.find_project(guest.admin, "default")).id

    async def ask(*not_by: Principal) -> bool:
        async with guest.db.tx(guest.admin) as tx:
            is_new = await tx.fetch_value(
                gating._SQL["ask_for_judgement"],
                tenant=guest.admin.tenant, id=new_id(), project=project, queue="gate", metric="polite",
                subject="case:1", release=None, dataset=None, example=None, trace=None,
                not_by=[each.id for each in not_by], reason="", by=guest.admin.id,
            )  # fmt: skip
        return bool(is_new)

    assert await ask(ana, bob)
    assert (await judgements.wanted(bob, "default"))[0] == []
    assert not await ask(ana), "it is asked for, if by others"
    for _ in range(2):
        assert not await ask(bob, ana)
        assert len((await judgements.wanted(bob, "default"))[0]) == 1
    kept = await judgements.give(bob, "default", Judgement("case:1", "polite", "pass"))
    assert kept.is_counted, "for the gate of ana's release"
    assert not (await judgements.give(ana, "default", Judgement("case:1", "polite", "pass"))).is_counted


async def test_what_one_gate_has_asked_for_no_other_asks_again(guest: World, keyring: Keyring) -> None:
    ana, bob = [await guest.person(name, "engineer") for name in ("ana", "bob")]
    judging = {path: text.encode() for path, text in JUDGED.items()}
    await guest.apply(workspace(), by=ana)
    await guest.apply(workspace() | judging, by=ana)
    await guest.apply(workspace(prompt=PROMPT.replace("brief", "short")) | judging, by=bob)
    bench = Bench(guest, keyring)
    read = suite_reader(ScriptedModels(lambda prompt, _: verdict(prompt, {"polite": "pass"})))
    releases = releases_over(guest.db, keyring, guest.identity, Declared())
    bench.evaluation = Evaluation(guest.db, keyring, Jobs(), releases, read)
    asked = []
    for release in ("claims@prod", "claims@staging"):
        order = GateOrder("default", release)
        await bench.evaluation.gates.start(guest.admin, order)
        await bench.work(Scripted())
        said = await bench.evaluation.gates.verdict(guest.admin, order)
        asked.append((said.judged.needed, said.asked))
    assert asked == [(N, N), (2 * N, N)], "the live release beside itself is asked about once, and then not again"
    judgements = Judgements(guest.db, keyring, guest.identity, releases)
    for done in (False, True):
        rows, _ = await judgements.wanted(guest.admin, "default", done=done)
        assert len(rows) == len({(row.subject, row.metric, row.queue) for row in rows}) == 2 * N
    may_judge = [len((await judgements.wanted(each, "default"))[0]) for each in (ana, bob)]
    assert may_judge == [2 * N, N], "ana for the gate of bob's release, bob for the one of ana's"
