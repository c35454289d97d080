"""Cards as they are kept: the newest counts, for its project and its time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from experiment_stage import Scripted
from release_world import Declared, World, guest, releases_over, shared_superuser, shared_urls, workspace, world
from scripted_judge import ScriptedModels, between, verdict

from headworks.cli.judge_cards import card as drawn
from headworks.errors import Forbidden, InvalidRequest, NotFound
from headworks.evaluation.calibration import JudgeCards, card_as_json
from headworks.evaluation.contract import HumanLabels
from headworks.evaluation.datasets.files import example_digest, read_dataset
from headworks.evaluation.experiments.lifecycle import Experiment
from headworks.evaluation.experiments.running import ExperimentRuns
from headworks.evaluation.judges.cards import Pair
from headworks.evaluation.service import Evaluation, Wanted
from headworks.evaluation.suites.suite_files import suite_reader
from headworks.jobs.engine import Jobs
from headworks.releases.channels import Order
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Score
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId

__all__ = ["guest", "shared_superuser", "shared_urls", "world"]

_JUDGE, _OTHER = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)
_GOOD = [Pair(float(at % 2), Score(float(at % 2)), tags={"risk": "low"}) for at in range(80)]
_BAD = [Pair(float(at % 2), Score(1.0)) for at in range(80)]


@pytest.fixture
def cards(guest: World) -> JudgeCards:
    return JudgeCards(guest.db)


@pytest.fixture
async def project(guest: World) -> ProjectId:
    return await _project(guest)


async def _project(world: World) -> ProjectId:
    async with world.db.tx(world.admin) as tx:
        sql = "SELECT project_id FROM project WHERE tenant_id = %(tenant)s ORDER BY name LIMIT 1"
        return ProjectId(await tx.fetch_value(sql, tenant=world.admin.tenant))


async def test_a_calibrated_judge_is_known_by_its_digest_and_metric(
    guest: World, cards: JudgeCards, project: ProjectId
) -> None:
    assert not await cards.is_calibrated(guest.admin, project, _JUDGE, "m")
    kept = await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    assert kept.is_calibrated
    assert await cards.is_calibrated(guest.admin, project, _JUDGE, "m")
    assert not await cards.is_calibrated(guest.admin, project, _OTHER, "m")
    assert not await cards.is_calibrated(guest.admin, project, _JUDGE, "other")
    assert (await cards.find(guest.admin, project, _JUDGE, "m")).card == kept.card
    assert [each.id for each in await cards.list(guest.admin)] == [kept.id]


async def test_the_newest_card_counts_even_if_it_is_worse(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    await cards.calibrate(guest.admin, project, _JUDGE, "m", _BAD)
    assert not await cards.is_calibrated(guest.admin, project, _JUDGE, "m")


async def test_the_newest_card_is_the_last_one_made_whatever_the_clock_said(
    guest: World, cards: JudgeCards, project: ProjectId, shared_superuser: psycopg.Connection[Any]
) -> None:
    good = await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    move = "UPDATE judge_card SET made_at = made_at + %(by)s, valid_until = valid_until + %(by)s WHERE card_id = %(id)s"
    shared_superuser.execute(move, {"by": timedelta(days=400), "id": good.id})
    kept = await cards.find(guest.admin, project, _JUDGE, "m")
    assert (kept.id, kept.is_calibrated) == (good.id, False), "it was not made yet"
    assert "not valid now" in drawn(card_as_json(kept))
    await cards.calibrate(guest.admin, project, _JUDGE, "m", _BAD)
    assert "kappa" in (await cards.find(guest.admin, project, _JUDGE, "m")).card.missing[0]
    again = await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    shared_superuser.execute(move, {"by": timedelta(days=-400), "id": again.id})
    assert not await cards.is_calibrated(guest.admin, project, _JUDGE, "m"), "its time is over"
    assert [each.id for each in await cards.list(guest.admin)] == [again.id]


async def test_without_judgements_there_is_no_card(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    with pytest.raises(InvalidRequest, match="Nobody has judged"):
        await cards.calibrate(guest.admin, project, _JUDGE, "m", [])
    with pytest.raises(NotFound):
        await cards.find(guest.admin, project, _JUDGE, "m")


async def test_who_may_not_run_experiments_makes_no_cards(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    stranger: Principal = replace(guest.admin, permissions=frozenset())
    with pytest.raises(Forbidden):
        await cards.calibrate(stranger, project, _JUDGE, "m", _GOOD)


async def test_a_card_is_told_in_words_and_in_json(guest: World, cards: JudgeCards, project: ProjectId) -> None:
    good = await cards.calibrate(guest.admin, project, _JUDGE, "m", _GOOD)
    bad = await cards.calibrate(guest.admin, project, _JUDGE, "m", _BAD)
    text = drawn(card_as_json(good))
    assert text.startswith("m  calibrated: it may decide")
    assert "risk=low" in text
    assert "not calibrated: it informs, and can't gate" in drawn(card_as_json(bad))
    assert "• kappa is 0.00" in drawn(card_as_json(bad))
    assert "not valid now" in drawn(card_as_json(replace(good, is_valid=False)))
    assert card_as_json(good)["kappa"]["value"] == 1.0
    assert card_as_json(bad)["is_calibrated"] is False


_WORKSPACE = {
    "features/claims/evals/gate.yaml": "must_be_perfect: [polite]\n",
    "features/claims/evals/suite.yaml": "dataset: golden\nscorers:\n"
    "  polite: {scorer: judge, judge: manners}\n  said: {scorer: regex, pattern: .}\n",
    "features/claims/judges/manners/judge.yaml": "model: simulated/judge\ncriteria: {polite: It is polite.}\n",
    "features/claims/judges/manners/judge.prompty": "---\ninputs:\n  question: {kind: string, from: question}\n"
    "  answer: {kind: string}\n---\nsystem:\nYou judge manners.\nuser:\n{{ answer }}\n",
    "features/claims/golden/golden.jsonl": "".join(
        f'{{"id": "case-{at}", "question": "{at}", "reference": "{"please" if at % 2 else "now!"} {at}"}}\n'
        for at in range(60)
    ),
}


class _People:
    """gating.HumanJudgements: they find polite what says please, but for the first cases."""

    def __init__(self, strange: int, *, are_authors: bool = False) -> None:
        self.strange = strange
        self.are_authors = are_authors

    async def labels(
        self,
        principal: Principal,
        project: ProjectId,
        metric: str,
        release: Digest,
        examples: Sequence[Digest],
        *,
        not_by: Collection[PrincipalId] = (),
    ) -> HumanLabels:
        del project, metric, release
        if self.are_authors and principal.id in not_by:
            return HumanLabels({}, len(examples))
        by_digest = {example_digest(each): each for each in read_dataset("g", _GOLDEN)}
        said = {digest: float("please" in str(by_digest[digest].reference)) for digest in examples}
        turned = sorted(said)[: self.strange]
        return HumanLabels(said | {digest: 1 - said[digest] for digest in turned})


_GOLDEN = _WORKSPACE["features/claims/golden/golden.jsonl"].encode()


async def _run(world: World, keyring: Keyring, people: _People | None) -> tuple[Evaluation, Experiment]:
    models = ScriptedModels(
        lambda prompt, _: verdict(prompt, {"polite": "pass" if "please" in between(prompt, "answer") else "fail"})
    )
    await world.apply(workspace() | {path: text.encode() for path, text in _WORKSPACE.items()})
    releases = releases_over(world.db, keyring, world.identity, Declared())
    evaluation = Evaluation(world.db, keyring, Jobs(), releases, suite_reader(models), humans=people)
    return evaluation, await _again(world, keyring, evaluation)


async def _again(world: World, keyring: Keyring, evaluation: Evaluation) -> Experiment:
    experiment = await evaluation.run(world.admin, Wanted("default", "claims@staging"))
    runs = ExperimentRuns(world.db, keyring, world.identity, evaluation.experiments, Scripted())
    while await runs.batch(str(world.admin.tenant), str(experiment.id)):
        pass
    return await evaluation.experiments.find(world.admin, experiment.id)


@pytest.mark.parametrize(("strange", "is_good"), [(2, True), (25, False)])
async def test_a_judge_of_an_experiment_is_put_beside_people(
    world: World, keyring: Keyring, strange: int, *, is_good: bool
) -> None:
    evaluation, experiment = await _run(world, keyring, _People(strange))
    both = [experiment.id, (await _again(world, keyring, evaluation)).id]
    kept = (await evaluation.calibration.calibrate(world.admin, both))[0]
    assert (kept.card.n, kept.card.metric, kept.is_calibrated) == (60, "polite", is_good)
    assert kept.card.agreement.value == pytest.approx(1 - strange / 60)
    judge = next(each for each in experiment.metrics if each.name == "polite")
    cards = evaluation.calibration.cards
    assert judge.digest is not None
    assert await cards.is_calibrated(world.admin, experiment.project_id, judge.digest, "polite") == is_good


async def test_who_made_a_release_calibrates_no_judge_by_it_before_it_is_live(world: World, keyring: Keyring) -> None:
    evaluation, experiment = await _run(world, keyring, _People(0, are_authors=True))
    with pytest.raises(InvalidRequest, match="Nobody but who made or proposed it has judged"):
        await evaluation.calibration.calibrate(world.admin, [experiment.id])
    order = Order("claims", experiment.release, None, glass=True, reason="the first")
    await world.releases.promotions.promote(world.admin, "default", order)
    (kept,) = await evaluation.calibration.calibrate(world.admin, [experiment.id])
    assert (kept.card.n, kept.is_calibrated) == (60, True)


async def test_without_people_or_judges_calibration_says_what_is_missing(world: World, keyring: Keyring) -> None:
    evaluation, experiment = await _run(world, keyring, None)
    with pytest.raises(InvalidRequest, match="Nobody has judged"):
        await evaluation.calibration.calibrate(world.admin, [experiment.id])
    with pytest.raises(InvalidRequest, match="No judge scores them as `said`"):
        await evaluation.calibration.calibrate(world.admin, [experiment.id], "said")
