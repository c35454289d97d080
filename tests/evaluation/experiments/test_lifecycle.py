"""Experiments on a real database: kept, counted, stopped, and gone on with after kill -9."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
from experiment_stage import Scripted, evaluation_over
from release_world import World, guest, shared_urls, workspace, world

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound, WorkspaceInvalid
from headworks.evaluation.experiments.lifecycle import Experiment
from headworks.evaluation.experiments.running import ExperimentRuns
from headworks.evaluation.service import Evaluation, Wanted
from headworks.jobs.engine import Jobs
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Output
from headworks.types.identity import ShownKey

__all__ = ["guest", "shared_urls", "world"]

N = 12
SUITE = "dataset: golden\nscorers:\n  right: {scorer: exact}\n  said: {scorer: regex, pattern: '.'}\n"
ROOT = Path(__file__).parents[2]


def files(n: int = N) -> dict[str, bytes]:
    rows = [{"id": f"case-{at}", "question": f"case {at}", "reference": f"answer {at}"} for at in range(n)]
    return workspace() | {
        "features/claims/evals/gate.yaml": b"must_not_get_worse:\n  - {metric: right, margin: 0.3}\n",
        "features/claims/evals/suite.yaml": SUITE.encode(),
        "features/claims/golden/golden.jsonl": "".join(json.dumps(each) + "\n" for each in rows).encode(),
    }


class Stage:
    """A tenant with a release, and a worker that is stepped by hand."""

    def __init__(self, world: World, keyring: Keyring) -> None:
        self.world = world
        self.keyring = keyring
        self.evaluation: Evaluation = evaluation_over(world.db, keyring, world.identity, Jobs())

    async def start(self, **wanted: Any) -> Experiment:
        return await self.evaluation.run(self.world.admin, Wanted("default", "claims@staging", **wanted))

    async def work(self, experiment: Experiment, answerer: Scripted) -> Experiment:
        runs = ExperimentRuns(self.world.db, self.keyring, self.world.identity, self.evaluation.experiments, answerer)
        while await runs.batch(str(self.world.admin.tenant), str(experiment.id)):
            pass
        return await self.evaluation.experiments.find(self.world.admin, experiment.id)


@pytest.fixture
async def stage(guest: World, keyring: Keyring) -> Stage:
    await guest.apply(files())
    return Stage(guest, keyring)


@pytest.fixture
async def own_stage(world: World, keyring: Keyring) -> Stage:
    """In a database of its own."""
    await world.apply(files())
    return Stage(world, keyring)


async def test_every_example_is_answered_so_often_and_scored(stage: Stage) -> None:
    answerer = Scripted(says={"case-1": "something else"}, pause_s=0.001)
    done = await stage.work(await stage.start(repeats=2, at_once=3), answerer)
    assert (done.state, done.cost_micro_usd) == ("done", 2 * N * 10)
    assert len(answerer.asked) == 2 * N
    assert 1 <= answerer.most_at_once <= 3
    results = await stage.evaluation.experiments.results(stage.world.admin, done)
    assert [each.repeat for each in results[:2]] == [0, 1]
    assert [each.scores["right"].value for each in results[:4]] == [1, 1, 0, 0]
    assert all(each.output.trace for each in results)


async def test_what_was_answered_before_is_not_asked_again_but_a_further_repeat_is(stage: Stage) -> None:
    first = Scripted()
    await stage.work(await stage.start(), first)
    again = Scripted()
    done = await stage.work(await stage.start(repeats=2), again)
    assert sorted(again.asked) == sorted(f"case-{at}" for at in range(N))
    assert done.cost_micro_usd == N * 10


async def test_a_changed_scorer_scores_kept_answers_anew_and_asks_no_model(stage: Stage) -> None:
    says = {"case-1": "something else"}
    before = await stage.work(await stage.start(), Scripted(says=says))
    changed = {"features/claims/evals/suite.yaml": SUITE.replace("pattern: '.'", "pattern: else").encode()}
    await stage.world.apply(files() | changed)
    nobody = Scripted()
    after = await stage.work(await stage.start(), nobody)
    assert (after.release, after.state, after.cost_micro_usd, nobody.asked) == (before.release, "done", 0, [])
    scores = {
        each.id: [
            {name: score.value for name, score in result.scores.items()}
            for result in (await stage.evaluation.experiments.results(stage.world.admin, each))[:2]
        ]
        for each in (before, after)
    }
    assert scores[before.id] == [{"right": 1.0, "said": 1.0}, {"right": 0.0, "said": 1.0}]
    assert scores[after.id] == [{"right": 1.0, "said": 0.0}, {"right": 0.0, "said": 1.0}]


async def test_an_error_is_a_result_and_is_asked_again_only_if_somebody_says_so(stage: Stage) -> None:
    broken = Scripted(says={"case-3": Output(error_code="upstream_error", error_message="It broke.")})
    done = await stage.work(await stage.start(), broken)
    results = await stage.evaluation.experiments.results(stage.world.admin, done)
    assert [each.example.id for each in results if each.scores["right"].is_error] == ["case-3"]
    patient = Scripted()
    await stage.work(await stage.start(), patient)
    assert patient.asked == []
    await stage.work(await stage.start(retries_errors=True), patient)
    assert patient.asked == ["case-3"]


async def test_the_ceiling_stops_before_more_is_spent_and_says_so_and_a_higher_one_goes_on(stage: Stage) -> None:
    answerer = Scripted(pause_s=0.001, holds=True)
    stopped = await stage.work(await stage.start(most_cost_micro_usd=55, at_once=4), answerer)
    assert stopped.state == "stopped"
    assert 0 < stopped.cost_micro_usd <= 55
    assert "0.000055" in stopped.why
    experiments, admin = stage.evaluation.experiments, stage.world.admin
    progress = await experiments.progress(admin, stopped)
    assert progress.total - progress.done > 0
    resumed = await stage.work(await experiments.resume(admin, stopped.id, 1_000), Scripted())
    assert (resumed.state, resumed.cost_micro_usd) == ("done", N * 10)


async def test_a_price_that_is_not_known_stops_what_has_a_ceiling(stage: Stage) -> None:
    stopped = await stage.work(await stage.start(most_cost_micro_usd=1_000), Scripted(cost_micro_usd=None))
    assert (stopped.state, "price" in stopped.why) == ("stopped", True)


async def test_who_starts_the_same_again_looks_on_at_what_is_under_way(stage: Stage) -> None:
    first = await stage.start(most_cost_micro_usd=10_000)
    assert (await stage.start(most_cost_micro_usd=10_000)).id == first.id
    others = [await stage.start(), await stage.start(repeats=2), await stage.start(retries_errors=True)]
    assert len({first.id, *(each.id for each in others)}) == 4
    answerer = Scripted()
    assert (await stage.work(first, answerer)).state == "done"
    again = await stage.start(most_cost_micro_usd=10_000)
    assert again.id != first.id
    assert (await stage.work(again, answerer)).state == "done"
    assert len(answerer.asked) == N


async def test_cancelled_nothing_more_is_asked(stage: Stage) -> None:
    experiment = await stage.start()
    experiments, admin = stage.evaluation.experiments, stage.world.admin
    assert (await experiments.cancel(admin, experiment.id)).state == "cancelled"
    answerer = Scripted()
    assert (await stage.work(experiment, answerer)).state == "cancelled"
    assert answerer.asked == []
    with pytest.raises(Conflict):
        await experiments.cancel(admin, experiment.id)
    await experiments.resume(admin, experiment.id)
    assert (await stage.work(experiment, answerer)).state == "done"


async def test_a_refused_call_fails_the_experiment_and_says_why(stage: Stage) -> None:
    failed = await stage.work(await stage.start(), Scripted(is_forbidden=True))
    assert (failed.state, failed.why) == ("failed", "The key may not call it.")


async def test_who_may_not_run_experiments_is_refused(stage: Stage) -> None:
    reader = await stage.world.person("rita", "auditor")
    with pytest.raises(Forbidden, match="experiment:run"):
        await stage.evaluation.run(reader, Wanted("default", "claims@staging"))


async def test_what_is_not_there_is_named(stage: Stage) -> None:
    with pytest.raises(WorkspaceInvalid, match="golden/others.jsonl"):
        await stage.start(dataset="others")
    with pytest.raises(InvalidRequest, match="repeats"):
        await stage.start(repeats=0)
    with pytest.raises(NotFound):
        await stage.evaluation.run(stage.world.admin, Wanted("default", "nobody"))


async def test_others_tenants_see_nothing(own_stage: Stage) -> None:
    done = await own_stage.work(await own_stage.start(), Scripted())
    made = await own_stage.world.identity.create_tenant(own_stage.world.admin, "others", "admin")
    async with own_stage.world.db.system("test") as tx:
        stranger = (await own_stage.world.identity.load(tx)).authenticate(ShownKey(made.key), 0.0)
    assert await own_stage.evaluation.experiments.list(stranger) == []
    with pytest.raises(NotFound):
        await own_stage.evaluation.experiments.find(stranger, done.id)


@pytest.fixture
def start_worker(database_urls: DatabaseUrls, keyring: Keyring) -> Iterator[Callable[[float], subprocess.Popen[str]]]:
    del keyring
    started: list[subprocess.Popen[str]] = []

    def start(pause_s: float) -> subprocess.Popen[str]:
        program = ROOT / "evaluation" / "experiment_worker.py"
        environ = {"PYTHONPATH": str(ROOT / "support")}
        process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        started.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        given = {"urls": asdict(database_urls), "master": bytes(range(32)).hex(), "pause_s": pause_s}
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        assert process.stdout.readline() == "working\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def test_killed_in_the_middle_it_goes_on_with_what_is_missing(
    own_stage: Stage,
    start_worker: Callable[[float], subprocess.Popen[str]],
    as_superuser: psycopg.Connection[Any],
    database: Database,
) -> None:
    del database
    experiment = await own_stage.start(at_once=2)
    killed = start_worker(0.3)

    def kept() -> dict[str, Any]:
        rows = as_superuser.execute("SELECT example, made_at FROM headworks.experiment_output").fetchall()
        return {row[0]: row[1] for row in rows}

    def until(condition: Callable[[], object]) -> None:
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < 90, "it did not come true"
            time.sleep(0.05)

    until(lambda: len(kept()) >= 3)
    killed.kill()
    killed.wait()
    before = kept()
    assert len(before) < N
    start_worker(0.01)
    until(lambda: as_superuser.execute("SELECT state FROM headworks.experiment").fetchone() == ("done",))
    after = kept()
    assert len(after) == N
    assert all(after[example] == made_at for example, made_at in before.items())
    done = await own_stage.evaluation.experiments.find(own_stage.world.admin, experiment.id)
    progress = await own_stage.evaluation.experiments.progress(own_stage.world.admin, done)
    assert (progress.done, progress.total) == (N, N)
