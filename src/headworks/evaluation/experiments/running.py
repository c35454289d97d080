"""The work of experiments: each step answers and scores a batch of what is missing, and may be repeated."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Protocol
from uuid import UUID

from headworks.errors import CeilingReached, Forbidden, HeadworksError, NotFound, WorkspaceInvalid
from headworks.evaluation.contract import Scorer
from headworks.evaluation.experiments.ceilings import Ceiling, CellPurse
from headworks.evaluation.experiments.keeping import SQL, Cell, Cells
from headworks.evaluation.experiments.lifecycle import RUN, Experiment, Experiments, cells_of
from headworks.evaluation.suites.reading import Plan
from headworks.jobs.engine import Jobs, Run
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Answerer, Output, Score
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, TenantId
from headworks.types.spending import PURSE

_log = logging.getLogger(__name__)
_BATCH = 200
_ATTEMPTS = 12
"""Of a step: about half an hour with the pauses between, so that a database may be away for long."""


class Directory(Protocol):
    """What running asks of identity."""

    async def curator(self, tenant: TenantId) -> Principal:
        """The tenant's own."""
        ...

    async def in_background(self, tenant: TenantId, of: PrincipalId) -> Principal:
        """Somebody with the rights that he has now. Raises Forbidden."""
        ...


class ExperimentRuns:
    """What the jobs process does for experiments."""

    def __init__(
        self, db: Database, keyring: Keyring, directory: Directory, experiments: Experiments, answerer: Answerer
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._directory = directory
        self._experiments = experiments
        self._answerer = answerer

    def register(self, jobs: Jobs) -> None:
        """Before `jobs.start()`."""
        jobs.register(RUN, self.run)

    async def run(self, run: Run, tenant: str, experiment: str) -> None:
        """Batches until nothing is missing, or something stops it."""
        while await run.step("answer and score", self.batch, tenant, experiment, attempts=_ATTEMPTS):
            pass

    async def batch(self, tenant: str, experiment: str) -> int:
        """Answer and score what is missing, up to 200 answers; how many were worked on (0: it has ended)."""
        whose = TenantId(UUID(tenant))
        curator = await self._directory.curator(whose)
        await self._keyring.ensure(self._db, whose)
        try:
            found = await self._experiments.find(curator, UUID(experiment))
        except NotFound:
            return 0
        if found.state != "running":
            return 0
        try:
            principal = await self._directory.in_background(whose, found.made_by)
            plan = await self._experiments.plan(principal, found)
            return await self._work(principal, found, plan)
        except (Forbidden, NotFound, WorkspaceInvalid) as error:
            await self._end(curator, found, "failed", str(error))
            return 0

    async def _work(self, principal: Principal, experiment: Experiment, plan: Plan) -> int:
        cells = cells_of(experiment, plan)
        async with self._db.tx(principal) as tx:
            missing = await self._experiments.keeping.missing(tx, principal, cells)
        if not missing:
            await self._end(principal, experiment, "done", "")
            return 0
        batch = _Batch(self._db, self._experiments, self._answerer, principal, experiment, plan, cells)
        await batch.work(missing[:_BATCH])
        if batch.refusal is not None:
            raise batch.refusal
        if batch.is_short:
            await self._end(principal, experiment, "stopped", batch.ceiling.why)
            return 0
        return len(missing[:_BATCH])

    async def _end(self, principal: Principal, experiment: Experiment, state: str, why: str) -> None:
        async with self._db.tx(principal) as tx:
            await tx.run(
                SQL["end_experiment"],
                tenant=principal.tenant,
                experiment=experiment.id,
                state=state,
                why=why[:2000],
            )


class _Batch:
    """Some cells of one experiment, several at once. Each is kept as soon as it is there."""

    def __init__(  # noqa: PLR0917 -- what one batch is made of
        self,
        db: Database,
        experiments: Experiments,
        answerer: Answerer,
        principal: Principal,
        experiment: Experiment,
        plan: Plan,
        cells: Cells,
    ) -> None:
        self._db = db
        self._keeping = experiments.keeping
        self._answerer = answerer
        self._principal = principal
        self._experiment = experiment
        self._cells = cells
        self._examples = dict(zip(plan.digests, plan.examples, strict=True))
        self._scorers: dict[Digest, Scorer] = {each.digest: each for each in plan.scorers}
        self._queue: deque[Cell] = deque()
        self.ceiling = Ceiling(experiment.most_cost_micro_usd, experiment.cost_micro_usd)
        self.refusal: HeadworksError | None = None
        self._is_refused = False

    @property
    def is_short(self) -> bool:
        """Whether the ceiling left something undone."""
        return self._is_refused or (self.ceiling.is_reached and bool(self._queue))

    async def work(self, missing: list[Cell]) -> None:
        """All of them, or until it is cancelled, refused, or at its ceiling."""
        self._queue.extend(missing)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._experiment.at_once, len(missing))):
                group.create_task(self._take())

    async def _take(self) -> None:
        while self._queue and not self.ceiling.is_reached and self.refusal is None and await self._is_wanted():
            if not self._queue:
                return
            purse = CellPurse(self.ceiling)
            PURSE.set(purse)
            try:
                await self._cell(self._queue.popleft(), purse)
            except CeilingReached:
                pass  # what it was to make stays missing
            except (Forbidden, NotFound) as error:
                self.refusal = error
            finally:
                self._is_refused = self._is_refused or purse.is_refused
                if unbooked := purse.book():
                    async with self._db.tx(self._principal) as tx:
                        await self._add_cost(tx, unbooked)

    async def _is_wanted(self) -> bool:
        async with self._db.tx(self._principal) as tx:
            row = await tx.fetch_one(SQL["state_of"], **self._of_experiment())
        return row is not None and row.state == "running" and row.revision == self._experiment.revision

    def _of_experiment(self) -> dict[str, Any]:
        return {"tenant": self._principal.tenant, "experiment": self._experiment.id}

    async def _add_cost(self, tx: Tx, cost: int) -> None:
        await tx.run(SQL["add_cost"], **self._of_experiment(), cost=cost)

    async def _cell(self, cell: Cell, purse: CellPurse) -> None:
        """Answer it, if nobody has, and score it. Raises CeilingReached, and what refuses all calls."""
        release, principal = self._cells.release, self._principal
        async with self._db.tx(principal) as tx:
            output = await self._keeping.output(tx, principal, release, cell)
            scored = await self._keeping.scored_by(tx, principal, self._cells, cell)
        costs: list[int | None] = []
        if output is None:
            output = await self._answer(cell, purse)
            costs.append(_cost(output))
        scores = []
        for digest in self._cells.scorers:
            if digest not in scored:
                score = await self._scorers[digest].score(principal, self._examples[cell.example], output)
                costs.append(_cost_of_score(score))
                if purse.is_refused:
                    break  # the score would say that a call was not made
                scores.append((digest, score))
        purse.told(None if None in costs else sum(each or 0 for each in costs))
        async with self._db.tx(principal) as tx:
            for digest, score in scores:
                await self._keeping.keep_score(tx, principal, release, cell, digest, score)
            await self._add_cost(tx, purse.book())

    async def _answer(self, cell: Cell, purse: CellPurse) -> Output:
        """The output that is kept: if another experiment was first, that one. Raises CeilingReached."""
        release, principal = self._cells.release, self._principal
        model = f"{self._experiment.feature}@{release}"
        output = await self._answerer.answer(principal, model, self._examples[cell.example])
        if purse.is_refused:
            raise CeilingReached(self.ceiling.why)  # a stage went on without its call: that is not the release's answer
        async with self._db.tx(principal) as tx:
            if await self._keeping.keep_output(tx, principal, release, cell, output):
                return output
            return await self._keeping.output(tx, principal, release, cell) or output


def _cost(output: Output) -> int | None:
    """Of one answer; an error without a price has cost nothing that anybody knows."""
    if output.cost_micro_usd is None and output.error_code is not None:
        return 0
    return output.cost_micro_usd


def _cost_of_score(score: Score) -> int:
    """What a judge says that it cost."""
    cost = score.details.get("cost_micro_usd", 0)
    return cost if isinstance(cost, int) else 0
