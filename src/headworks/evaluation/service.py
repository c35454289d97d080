"""Evaluation, as others may call it: experiments, comparisons and gates."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from headworks.errors import Conflict, InvalidRequest, NotFound, WorkspaceInvalid
from headworks.evaluation.calibration import Calibration
from headworks.evaluation.contract import DatasetVersion, JudgedAnswer, Result
from headworks.evaluation.datasets.files import write_dataset
from headworks.evaluation.erasing import ExampleErasing
from headworks.evaluation.exchange.inspect_logs import Experimented, export_inspect
from headworks.evaluation.experiments.comparing import (
    Difference,
    FlippedExample,
    Metric,
    Repeated,
    Spent,
    by_example,
    difference,
    flips,
    paired,
    repeated,
    slices,
    spent,
)
from headworks.evaluation.experiments.keeping import Cell
from headworks.evaluation.experiments.lifecycle import Experiment, Experiments, Order
from headworks.evaluation.experiments.running import Directory, ExperimentRuns
from headworks.evaluation.experiments.showing import Answers, criteria_of
from headworks.evaluation.gates.gating import Gates, HumanJudgements, JudgeCards
from headworks.evaluation.gates.statements import comparison_of
from headworks.evaluation.suites.reading import SuiteReader, feature_files
from headworks.identity.service import allow
from headworks.jobs.engine import Jobs
from headworks.releases.service import COMPARISON, Releases
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Answerer
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId
from headworks.types.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class Wanted:
    """An experiment that somebody wants, by the suite among the workspace's files. None: as the suite says."""

    project: str
    release: str
    dataset: str | None = None
    repeats: int | None = None
    at_once: int = 4
    most_cost_micro_usd: int | None = None
    retries_errors: bool = False
    pushed: DatasetVersion | None = None
    """A version of the server's own, called `dataset` in what is told; None: a golden file of the workspace."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two experiments side by side; the second is the candidate."""

    base: Experiment
    candidate: Experiment
    differences: Sequence[Difference]
    slices: Sequence[tuple[str, str, Difference]]
    """Metric, `tag=value`, and what lies between there."""
    flips: Sequence[FlippedExample]
    repeats: Sequence[tuple[Repeated | None, Repeated | None]]
    spent: tuple[Spent, Spent]
    examples: int


class Evaluation:
    """The face of the domain."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        jobs: Jobs,
        releases: Releases,
        read_suite: SuiteReader,
        *,
        humans: HumanJudgements | None = None,
        cards: JudgeCards | None = None,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._jobs = jobs
        self._releases = releases
        self.experiments = Experiments(db, keyring, jobs, read_suite)
        self.gates = Gates(db, releases, self.experiments, humans, cards)
        self.erasing = ExampleErasing(db, keyring)
        self.calibration = Calibration(db, releases.judged, self.experiments, humans)
        self._answers = Answers(db, self.experiments)
        self._read_suite = read_suite

    def register_work(self, directory: Directory, answerer: Answerer) -> None:
        """In the jobs process, before `jobs.start()`."""
        ExperimentRuns(self._db, self._keyring, directory, self.experiments, answerer).register(self._jobs)

    async def run(self, principal: Principal, wanted: Wanted) -> Experiment:
        """Start an experiment with the suite of the project's workspace. Raises NotFound, WorkspaceInvalid."""
        allow(principal, "experiment:run")
        subject = await self._releases.judged.subject(principal, wanted.project, wanted.release)
        files = feature_files(subject.feature, await self._releases.pull(principal, wanted.project))
        if wanted.pushed is not None:
            files[f"golden/{wanted.dataset}.jsonl"] = write_dataset(wanted.pushed.examples)
        order = Order(
            files,
            wanted.dataset,
            wanted.repeats,
            wanted.at_once,
            wanted.most_cost_micro_usd,
            wanted.retries_errors,
        )
        return await self.experiments.start(principal, subject, order)

    async def compare(
        self, principal: Principal, project: str, names: tuple[str, str], slice_by: str | None = None
    ) -> Compared:
        """Two experiments, by their ids or by the releases whose newest ones are meant; on the same examples.

        Raises NotFound, Conflict while one is running, InvalidRequest for such without a common example.
        """
        base, candidate = [await self._named(principal, project, each) for each in names]
        sides = [await self.experiments.results(principal, each) for each in (base, candidate)]
        if not by_example(sides[0]).keys() & by_example(sides[1]).keys():
            raise InvalidRequest("They have no example in common.", next_step="Run both on the same dataset.")
        shared = {each.name: each for each in base.metrics}
        metrics = [each for each in candidate.metrics if each.name in shared]
        return Compared(
            base,
            candidate,
            _differences(sides, metrics),
            [] if slice_by is None else _sliced(sides, metrics, slice_by),
            [flip for each in metrics for flip in flips(sides[0], sides[1], each, "count_as_fail")],
            [(repeated(sides[0], each), repeated(sides[1], each)) for each in metrics],
            (spent(sides[0]), spent(sides[1])),
            len(by_example(sides[0]).keys() & by_example(sides[1]).keys()),
        )

    async def answer(
        self, principal: Principal, project: ProjectId, release: Digest, example: Digest, repeat: int, metric: str
    ) -> JudgedAnswer | None:
        """One answer of an experiment, for who may judge it; None where no experiment of the project has it."""
        return await self._answers.find(principal, project, release, Cell(example, repeat), metric)

    async def inspect_log(self, principal: Principal, experiment: UUID) -> bytes:
        """An experiment as a log that Inspect reads; answers that the caller may not read stand as errors, `withheld`.

        Raises NotFound, Conflict while it runs.
        """
        found = await self.experiments.find(principal, experiment)
        if found.state == "running":
            raise Conflict(f"The experiment {found.id} is running.", code="experiment_running")
        results = await self._answers.readable(principal, await self.experiments.results(principal, found))
        models = Counter(each.output.model for each in results if each.output.model)
        model = models.most_common(1)[0][0] if models else found.feature
        about = Experimented(found.feature, model, found.dataset, found.made_at.isoformat(), found.release)
        return await asyncio.to_thread(export_inspect, about, results)

    async def criteria(self, principal: Principal, project: str, feature: str, metric: str) -> Mapping[str, str]:
        """What the judge of a metric is asked by the workspace's suite, by name; none where it has no such judge."""
        files = feature_files(feature, await self._releases.pull(principal, project))
        try:
            return criteria_of(self._read_suite(files).scorers, metric)
        except WorkspaceInvalid:
            return {}

    async def attest_comparison(self, principal: Principal, compared: Compared) -> str:
        """Sign it, about the candidate; its id. Raises Conflict for two experiments of one release."""
        allow(principal, "experiment:run")
        if compared.base.release == compared.candidate.release:
            raise Conflict("Both are experiments of one release.")
        predicate = comparison_of(
            compared.base.release, str(compared.candidate.dataset_digest), compared.candidate, compared.flips
        )
        return str((await self._releases.attest(principal, compared.candidate.release, COMPARISON, predicate)).id)

    async def _named(self, principal: Principal, project: str, name: str) -> Experiment:
        try:
            found = await self.experiments.find(principal, UUID(name))
        except ValueError:
            subject = await self._releases.judged.subject(principal, project, name)
            there = await self.experiments.list(principal, subject.feature, subject.digest, 1)
            if not there:
                step = f"Run one: `headworks eval run {name}`."
                raise NotFound(f"There is no experiment of `{name}`.", next_step=step) from None
            found = there[0]
        if found.state == "running":
            raise Conflict(f"The experiment {found.id} is running.", code="experiment_running")
        return found


def _differences(sides: Sequence[Sequence[Result]], metrics: Sequence[Metric]) -> list[Difference]:
    found = [difference(paired(sides[0], sides[1], each, "count_as_fail")) for each in metrics]
    return [each for each in found if each is not None]


def _sliced(
    sides: Sequence[Sequence[Result]], metrics: Sequence[Metric], tag: str
) -> list[tuple[str, str, Difference]]:
    found: list[tuple[str, str, Difference]] = []
    for metric in metrics:
        for value, part in slices(paired(sides[0], sides[1], metric, "count_as_fail"), tag).items():
            if (each := difference(part)) is not None:
                found.append((metric.name, f"{tag}={value}", each))
    return found


def describe(experiment: Experiment) -> JsonObject:
    """As answers of the API say it."""
    return {
        "id": str(experiment.id),
        "project": experiment.project,
        "feature": experiment.feature,
        "release": experiment.release,
        "gate": experiment.gate,
        "dataset": experiment.dataset,
        "dataset_digest": experiment.dataset_digest,
        "metrics": [each.name for each in experiment.metrics],
        "examples": experiment.examples,
        "erased": experiment.erased,
        "repeats": experiment.repeats,
        "concurrency": experiment.at_once,
        "most_cost_micro_usd": experiment.most_cost_micro_usd,
        "cost_micro_usd": experiment.cost_micro_usd,
        "state": experiment.state,
        "why": experiment.why,
        "made_by": experiment.made_by_name,
        "made_at": experiment.made_at.isoformat(),
        "ended_at": None if experiment.ended_at is None else experiment.ended_at.isoformat(),
    }
