"""Gates over a real database: what asking for a verdict starts, and what it does not."""

from __future__ import annotations

import json

import psycopg
import pytest
from experiment_stage import Scripted, evaluation_over
from release_world import World, guest, shared_superuser, shared_urls, workspace

from headworks.errors import Conflict
from headworks.evaluation.experiments.running import ExperimentRuns
from headworks.evaluation.gates.gating import GateOrder
from headworks.evaluation.service import Evaluation
from headworks.jobs.engine import Jobs
from headworks.storage.sealing import Keyring

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
