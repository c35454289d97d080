"""Experiments: a release asked every example of a dataset, so many times, and scored. Started, seen, cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
import orjson

from headworks.errors import Conflict, InvalidRequest, NotFound, WorkspaceInvalid
from headworks.evaluation.contract import Result, Scale
from headworks.evaluation.datasets.files import is_golden, read_dataset, trace_of
from headworks.evaluation.datasets.store import refuse_erased
from headworks.evaluation.experiments.comparing import Metric
from headworks.evaluation.experiments.keeping import SQL, Cells, Keeping
from headworks.evaluation.suites.reading import Plan, SuiteReader, naming, read_plan
from headworks.identity.service import allow, refuse_limited
from headworks.jobs.engine import Jobs
from headworks.records.audit import note_audit
from headworks.releases.service import Subject
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId, new_id

RUN = "evaluation.run"
MOST_AT_ONCE, MOST_REPEATS, MOST_ANSWERS = 32, 100, 200_000
USUAL_AT_ONCE = 4


class Material(msgspec.Struct, frozen=True):
    """What an experiment was read from: the files that judge the feature, and which of its datasets."""

    files: dict[str, bytes]
    dataset: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run. None: as the suite says. `most_cost_micro_usd` None: no ceiling of its own."""

    files: Mapping[str, bytes]
    dataset: str | None = None
    repeats: int | None = None
    at_once: int = USUAL_AT_ONCE
    most_cost_micro_usd: int | None = None
    retries_errors: bool = False
    gate: Digest | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """One of them, as it stands."""

    id: UUID
    project_id: ProjectId
    project: str
    feature: str
    release: Digest
    gate: Digest | None
    dataset: str
    dataset_digest: Digest
    metrics: tuple[Metric, ...]
    examples: int
    repeats: int
    at_once: int
    most_cost_micro_usd: int | None
    cost_micro_usd: int
    state: str
    why: str
    made_by: PrincipalId
    made_by_name: str
    made_at: datetime
    ended_at: datetime | None
    revision: int
    sealed: bytes
    erased: int = 0
    """Examples that it had, and that were erased since with what was answered to them."""

    @property
    def answers(self) -> int:
        """How many there are when it is done."""
        return self.examples * self.repeats


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an experiment is, in answers that all scorers have scored."""

    done: int
    total: int


class Experiments:
    """See the module."""

    def __init__(self, db: Database, keyring: Keyring, jobs: Jobs, read_suite: SuiteReader) -> None:
        self._db = db
        self._keyring = keyring
        self._jobs = jobs
        self._read_suite = read_suite
        self.keeping = Keeping(keyring)

    async def start(self, principal: Principal, subject: Subject, order: Order) -> Experiment:
        """Store it and have it run, or give one's own that is under way already and asks the same.

        Raises WorkspaceInvalid for files that say no suite, InvalidRequest.
        """
        allow(principal, "experiment:run")
        refuse_limited(principal, "An experiment")
        with naming(subject.feature):
            plan = read_plan(order.files, self._read_suite, order.dataset)
        repeats = plan.repeats if order.repeats is None else order.repeats
        _check(order, repeats, len(plan.examples))
        identifier = new_id()
        await self._keyring.ensure(self._db, principal.tenant)
        material = msgspec.msgpack.encode(Material(dict(order.files), order.dataset))
        content = self._keyring.seal(principal.tenant, "experiment.content", identifier, material)
        asks = {
            "tenant": principal.tenant, "by": principal.id, "project": subject.project, "release": subject.digest,
            "gate": order.gate, "dataset": plan.dataset_digest, "dataset_name": plan.dataset,
            "scorers": orjson.dumps(_described(plan)).decode(), "repeats": repeats,
            "most_cost": order.most_cost_micro_usd,
        }  # fmt: skip
        async with self._db.tx(principal) as tx:
            await refuse_erased(tx, principal, [(d, e.id) for d, e in zip(plan.digests, plan.examples, strict=True)])
            if order.retries_errors:
                await self._forget_errors(tx, principal, subject.digest, plan)
            elif (running := await tx.fetch_value(SQL["running_alike"], **asks)) is not None:
                return await self._found(tx, principal, running)
            await tx.run(
                SQL["add_experiment"],
                experiment=identifier, feature=subject.feature, examples=len(plan.examples), at_once=order.at_once,
                content=content, traces=_traces_in(order.files), **asks,
            )  # fmt: skip
            await self._enqueue(tx, principal, identifier, 1)
            detail = {
                "release": subject.digest,
                "dataset": plan.dataset_digest,
                "answers": len(plan.examples) * repeats,
            }
            await note_audit(tx, principal, "experiment.run", str(identifier), detail)
        return await self.find(principal, identifier)

    async def find(self, principal: Principal, experiment: UUID) -> Experiment:
        """Raises NotFound."""
        async with self._db.tx(principal) as tx:
            return await self._found(tx, principal, experiment)

    async def _found(self, tx: Tx, principal: Principal, experiment: UUID) -> Experiment:
        row = await tx.fetch_one(SQL["find_experiment"], tenant=principal.tenant, experiment=experiment)
        if row is None:
            raise NotFound(f"There is no experiment `{experiment}`.", next_step="`headworks eval list` shows them.")
        return read_row(row)

    async def list(
        self,
        principal: Principal,
        feature: str | None = None,
        release: Digest | None = None,
        most: int = 50,
        *,
        gate: Digest | None = None,
    ) -> list[Experiment]:
        """Those that were started last first, whatever the clock said; with `gate` those that are run for it."""
        named: dict[str, Any] = {"tenant": principal.tenant, "feature": feature, "release": release, "gate": gate}
        async with self._db.tx(principal) as tx:
            return [read_row(row) for row in await tx.fetch_all(SQL["list_experiments"], **named, most=most)]

    async def progress(self, principal: Principal, experiment: Experiment) -> Progress:
        """How far it is."""
        plan = await self.plan(principal, experiment)
        async with self._db.tx(principal) as tx:
            missing = await self.keeping.missing(tx, principal, cells_of(experiment, plan))
        return Progress(experiment.answers - len(missing), experiment.answers)

    async def cancel(self, principal: Principal, experiment: UUID) -> Experiment:
        """Stop asking; what is answered stays. Raises Conflict where it is not running."""
        allow(principal, "experiment:run")
        found, why = await self.find(principal, experiment), f"{principal.name} cancelled it."
        of_experiment = {"tenant": principal.tenant, "experiment": experiment}
        async with self._db.tx(principal) as tx:
            ended = await tx.run(SQL["end_experiment"], **of_experiment, state="cancelled", why=why)
            await note_audit(tx, principal, "experiment.cancel", str(experiment), {"was": found.state})
        if not ended:
            raise Conflict(f"The experiment is {found.state} already.")
        return await self.find(principal, experiment)

    async def resume(
        self, principal: Principal, experiment: UUID, most_cost_micro_usd: int | None = None
    ) -> Experiment:
        """Go on with what is missing, with another ceiling if need be. Raises Conflict where it is running or done."""
        allow(principal, "experiment:run")
        found = await self.find(principal, experiment)
        if found.made_by != principal.id:
            raise Conflict(f"It runs with the rights of {found.made_by_name}.", next_step="Start one of your own.")
        if found.state in {"running", "done"}:
            raise Conflict(f"The experiment is {found.state}.")
        async with self._db.tx(principal) as tx:
            revision = await tx.fetch_value(
                SQL["resume_experiment"],
                tenant=principal.tenant,
                experiment=experiment,
                most_cost=most_cost_micro_usd,
            )
            await self._enqueue(tx, principal, experiment, revision)
            await note_audit(tx, principal, "experiment.resume", str(experiment), {"was": found.state})
        return await self.find(principal, experiment)

    async def plan(self, principal: Principal, experiment: Experiment) -> Plan:
        """What it runs, from the files that it was started with."""
        await self._keyring.ensure(self._db, principal.tenant)
        content = self._keyring.open(principal.tenant, "experiment.content", experiment.id, experiment.sealed)
        material = msgspec.msgpack.decode(content, type=Material)
        try:
            return read_plan(material.files, self._read_suite, material.dataset)
        except WorkspaceInvalid:
            if experiment.erased:
                raise Conflict(f"The examples of the experiment {experiment.id} were erased.") from None
            raise

    async def results(self, principal: Principal, experiment: Experiment) -> Sequence[Result]:
        """All that is there, in the order of examples and repeats."""
        plan = await self.plan(principal, experiment)
        names: dict[Digest, list[str]] = {}
        for scorer in plan.scorers:
            names.setdefault(scorer.digest, []).append(scorer.name)
        async with self._db.tx(principal) as tx:
            return await self.keeping.results(tx, principal, cells_of(experiment, plan), plan.examples, names)

    async def _forget_errors(self, tx: Tx, principal: Principal, release: Digest, plan: Plan) -> None:
        """What failed is asked again; a gate takes that for new results, and spends a look on them."""
        of_release = {"tenant": principal.tenant, "release": release, "examples": list(plan.digests)}
        await tx.run(SQL["forget_failed_outputs"], **of_release)
        scorers = [each.digest for each in plan.scorers]
        await tx.run(SQL["forget_failed_scores"], **of_release, scorers=scorers)

    async def _enqueue(self, tx: Tx, principal: Principal, experiment: UUID, revision: int) -> None:
        name = f"experiment:{experiment}:{revision}"
        arguments = (str(principal.tenant), str(experiment))
        await self._jobs.enqueue(tx, RUN, name, *arguments, partition=f"experiment:{experiment}")


def _traces_in(files: Mapping[str, bytes]) -> list[UUID]:
    """That the examples of all golden files were made of: the experiment keeps them all."""
    examples = [each for path in files if is_golden(path) for each in read_dataset(path, files[path])]
    return sorted({trace for each in examples if (trace := trace_of(each)) is not None})


def cells_of(experiment: Experiment, plan: Plan) -> Cells:
    """All cells of an experiment."""
    scorers = tuple(dict.fromkeys(each.digest for each in plan.scorers))
    return Cells(experiment.release, plan.digests, experiment.repeats, scorers)


def read_row(row: Any) -> Experiment:  # noqa: ANN401 -- a row of find_experiment
    """An experiment from its row."""
    metrics = tuple(
        Metric(
            each["name"],
            cast("Scale", each["scale"]),
            each["is_better_high"],
            each["is_judge"],
            Digest(each["digest"]),
        )
        for each in row.scorers
    )
    return Experiment(
        row.experiment_id, row.project_id, row.project, row.feature, Digest(row.release),
        None if row.gate is None else Digest(row.gate), row.dataset_name, Digest(row.dataset), metrics, row.examples,
        row.repeats, row.at_once, row.most_cost_micro_usd, row.cost_micro_usd, row.state, row.why, row.made_by,
        row.made_by_name or "", row.made_at, row.ended_at, row.revision, row.content, row.erased,
    )  # fmt: skip


def _described(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "digest": each.digest,
            "scale": each.scale,
            "is_better_high": each.is_better_high,
            "is_judge": each.is_judge,
        }
        for each in plan.scorers
    ]


def _check(order: Order, repeats: int, examples: int) -> None:
    if not 1 <= repeats <= MOST_REPEATS:
        raise InvalidRequest(f"`repeats` is {repeats}; it must lie between 1 and {MOST_REPEATS}.", param="repeats")
    if not 1 <= order.at_once <= MOST_AT_ONCE:
        message = f"`concurrency` is {order.at_once}; it must lie between 1 and {MOST_AT_ONCE}."
        raise InvalidRequest(message, param="concurrency")
    if examples * repeats > MOST_ANSWERS:
        message = f"{examples} examples times {repeats} are more than {MOST_ANSWERS:,} answers."
        raise InvalidRequest(message, param="repeats", next_step="Repeat less often, or split the dataset.")
    if order.most_cost_micro_usd is not None and order.most_cost_micro_usd <= 0:
        raise InvalidRequest("`most_cost_micro_usd` must be above 0.", param="most_cost_micro_usd")
