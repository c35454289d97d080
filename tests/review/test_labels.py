"""What gates take of what people say: nobody's word on his own work, and nothing lost through it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from experiment_stage import Scripted
from hypothesis import given
from hypothesis import strategies as st
from release_world import FEATURE, PROMPT, Declared, World, guest, releases_over, shared_urls, workspace
from scripted_judge import ScriptedModels, verdict

from headworks.errors import InvalidRequest
from headworks.evaluation.experiments.lifecycle import Experiment
from headworks.evaluation.experiments.running import ExperimentRuns
from headworks.evaluation.gates.gating import GateOrder, GateVerdict
from headworks.evaluation.service import Evaluation
from headworks.evaluation.suites.suite_files import suite_reader
from headworks.jobs.engine import Jobs
from headworks.releases.proposals.resolving import Wanted
from headworks.review.contract import Judgement
from headworks.review.judgements import Judgements
from headworks.review.labels import Opinion, standing
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId, new_id

__all__ = ["guest", "shared_urls"]

ANN, BEN = UUID(int=1), UUID(int=2)


def chain(*makers: UUID) -> list[Opinion]:
    """Judgements of one answer, each in the place of the one before."""
    ids = [new_id() for _ in makers]
    return [
        Opinion(ids[at], "r", "e", "opinion", "pass", ids[at - 1] if at else None, who) for at, who in enumerate(makers)
    ]


@given(st.lists(st.lists(st.sampled_from([ANN, BEN]), min_size=1, max_size=6), max_size=4))
def test_of_each_chain_the_newest_that_counts_stands(makers: list[list[UUID]]) -> None:
    chains = [chain(*each) for each in makers]
    found = standing([row for each in chains for row in each], {BEN})
    newest = [[row for row in each if row.made_by == ANN][-1:] for each in chains]
    assert found == [row for each in newest for row in each]


N, ASKED = 16, 10
_GOLDEN = "".join(f'{{"id": "case-{at}", "question": "case {at}", "reference": "please {at}"}}\n' for at in range(N))
_JUDGING = {
    "features/claims/evals/gate.yaml": "must_not_get_worse:\n"
    f"  - {{metric: polite, margin: 0.3, judge: {{correct: ppi, min_human: {ASKED}}}}}\n",
    "features/claims/evals/suite.yaml": "dataset: golden\nscorers: {polite: {scorer: judge, judge: manners}}\n",
    "features/claims/golden/golden.jsonl": _GOLDEN,
    "features/claims/judges/manners/judge.yaml": "model: simulated/judge\ncriteria: {polite: It is polite.}\n",
    "features/claims/judges/manners/judge.prompty": "---\ninputs:\n  question: {kind: string, from: question}\n"
    "  answer: {kind: string}\n---\nsystem:\nYou judge manners.\nuser:\n{{ answer }}\n",
}
ORDER = GateOrder("default", "claims@staging")


class _Trusted:
    """gating.JudgeCards: every judge may decide."""

    async def is_calibrated(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> bool:
        del principal, project, judge, metric
        return True


class Ward:
    """A tenant whose owner's release is live; Ben has made another, and a gate has to judge it."""

    def __init__(self, world: World, keyring: Keyring, ben: Principal) -> None:
        self.world = world
        self.ben = ben
        self.keyring = keyring
        self.judgements = Judgements(world.db, keyring, world.identity, world.releases)
        models = ScriptedModels(lambda prompt, _: verdict(prompt, {"polite": "pass"}))
        releases = releases_over(world.db, keyring, world.identity, Declared())
        self.evaluation = Evaluation(
            world.db, keyring, Jobs(), releases, suite_reader(models), humans=self.judgements, cards=_Trusted()
        )

    async def run(self, order: GateOrder = ORDER) -> None:
        """Both sides of the gate."""
        admin, experiments = self.world.admin, self.evaluation.experiments
        await self.evaluation.gates.start(admin, order)
        runs = ExperimentRuns(self.world.db, self.keyring, self.world.identity, experiments, Scripted())
        for each in await experiments.list(admin):
            while await runs.batch(str(admin.tenant), str(each.id)):
                pass

    async def verdict(self, order: GateOrder = ORDER) -> GateVerdict:
        return await self.evaluation.gates.verdict(self.world.admin, order)

    async def staged(self) -> tuple[Experiment, list[Digest]]:
        """The experiment of Ben's release, and its examples."""
        digest = await self.world.digest("staging")
        (run,) = [each for each in await self.evaluation.experiments.list(self.world.admin) if each.release == digest]
        results = await self.evaluation.experiments.results(self.world.admin, run)
        return run, [each.example_digest for each in results]

    async def authors(self, release: Digest) -> frozenset[PrincipalId]:
        return await self.world.releases.judged.authors(self.world.admin, [release])

    async def subjects(self, who: Principal) -> tuple[list[str], int]:
        rows, own = await self.judgements.wanted(who, "default")
        return [each.subject for each in rows], own


@pytest.fixture
async def ward(guest: World, keyring: Keyring) -> Ward:
    low = workspace(feature=FEATURE + "risk: low\n")
    await guest.apply(low)
    ben = await guest.person("ben", "engineer", "principal-expert")
    changed = {path: text.encode() for path, text in _JUDGING.items()}
    prompt = {"features/claims/prompts/answer.prompty": PROMPT.replace("brief", "short").encode()}
    await guest.apply(low | changed | prompt, by=ben)
    made = Ward(guest, keyring, ben)
    await made.run()
    return made


async def test_who_made_a_release_is_no_evidence_for_it(ward: Ward) -> None:
    ben, jane = ward.ben, await ward.world.person("jane", "reviewer")
    first = await ward.verdict()
    assert first.asked == 2 * ASKED
    subjects, own = await ward.subjects(jane)
    assert (len(subjects), own) == (2 * ASKED, 0)
    assert await ward.subjects(ben) == ([], 2 * ASKED), "they are for others"

    kept = [await ward.judgements.give(ben, "default", Judgement(each, "polite", "pass")) for each in subjects]
    assert not any(each.is_counted for each in kept)
    rows = [("ann", Judgement(each, "polite", "pass")) for each in subjects]
    assert await ward.judgements.take_in(ben, "default", rows) == 2 * ASKED, "nor under other names"
    (line,) = (await ward.verdict()).judged.lines
    assert line.message == (
        f"Humans judged 0 of the {ASKED} examples asked. "
        f"Judgements of who made or proposed what is judged here do not count: {4 * ASKED}."
    )
    assert sorted((await ward.subjects(jane))[0]) == sorted(subjects), "what he said closes nothing"

    kept = [await ward.judgements.give(jane, "default", Judgement(each, "polite", "pass")) for each in subjects]
    assert all(each.is_counted for each in kept)
    (line,) = (await ward.verdict()).judged.lines
    assert line.evidence["judgements"] == ASKED
    assert await ward.subjects(ben) == ([], 0)


async def test_who_proposed_a_gate_is_no_evidence_for_what_it_judges(ward: Ward) -> None:
    jane, proposals = await ward.world.person("jane", "expert"), ward.world.releases.proposals
    at = "features/claims/evals/gate.yaml"
    files = {at: f"{_JUDGING[at]}looks: 2\n".encode()}
    number = await proposals.make(jane, "default", Wanted("two looks", files=files))
    (proposed,) = (await proposals.show(jane, number)).entries
    order = replace(ORDER, gate=proposed.entry.digest)
    await ward.run(order)
    await ward.verdict(order)
    subjects, _ = await ward.subjects(await ward.world.person("omar", "reviewer"))
    assert await ward.subjects(jane) == ([], 2 * ASKED), "they are for others"
    for each in subjects:
        await ward.judgements.give(jane, "default", Judgement(each, "polite", "pass"))
    (line,) = (await ward.verdict(order)).judged.lines
    assert line.message == (
        f"Humans judged 0 of the {ASKED} examples asked. "
        f"Judgements of who made or proposed what is judged here do not count: {2 * ASKED}."
    )
    (line,) = (await ward.verdict()).judged.lines
    assert line.evidence["judgements"] == ASKED, "to the gate that is attached she is anybody"


async def test_a_judgement_counts_that_was_given_before_anybody_asked(ward: Ward) -> None:
    jane = await ward.world.person("jane", "reviewer")
    run, digests = await ward.staged()
    said = Judgement(f"answer:{run.release}:{digests[0]}:0", "polite", "fail")
    await ward.judgements.give(jane, "default", said)
    found = await ward.judgements.labels(jane, run.project_id, "polite", run.release, digests)
    assert found.values == {digests[0]: 0.0}
    with pytest.raises(InvalidRequest, match="not an answer to what"):
        await ward.judgements.give(jane, "default", replace(said, example=digests[1]))


async def test_what_its_author_decides_takes_no_decision_away(ward: Ward) -> None:
    jane, omar = await ward.world.person("jane", "reviewer"), await ward.world.person("omar", "reviewer")
    dora = await ward.world.person("dora", "principal-expert")
    run, digests = await ward.staged()
    said = Judgement(f"answer:{run.release}:{digests[0]}:0", "polite", "fail")
    for who, given_ in ((jane, said), (omar, replace(said, verdict="pass"))):
        await ward.judgements.give(who, "default", given_)
    for who, given_ in ((dora, said), (ward.ben, replace(said, verdict="pass"))):
        await ward.judgements.give(who, "default", given_, is_adjudication=True)
    asked = (jane, run.project_id, "polite", run.release, digests)
    assert (await ward.judgements.labels(*asked)).values == {digests[0]: 1.0}
    found = await ward.judgements.labels(*asked, not_by={ward.ben.id})
    assert (found.values, found.left_out) == ({digests[0]: 0.0}, 1)
    assert await ward.authors(run.release) == {ward.ben.id}
