"""Answers of experiments, shown to people who judge them: what was asked and answered, and by which criteria."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headworks.evaluation.contract import JudgedAnswer, Result, Scorer
from headworks.evaluation.experiments.keeping import SQL, Cell, documents_of
from headworks.evaluation.experiments.lifecycle import Experiments
from headworks.evaluation.scorers.contract import MeasuredScorer
from headworks.evaluation.scorers.judging import Judging
from headworks.storage.pool import Database
from headworks.types.evaluation import Output
from headworks.types.identity import Principal
from headworks.types.ids import Digest, DocumentId, ProjectId

WITHHELD = "withheld"
"""The error of an answer that its viewer may not read."""
_MOST_LOOKED_THROUGH = 50
"""Experiments of one release that are looked through for an example, the newest first."""


class Answers:
    """Reads answers, and knows which of them their viewer may read."""

    def __init__(self, db: Database, experiments: Experiments) -> None:
        self._db = db
        self._experiments = experiments

    async def find(
        self, principal: Principal, project: ProjectId, release: Digest, cell: Cell, metric: str
    ) -> JudgedAnswer | None:
        """One repeat of an example by a release; None where no experiment of the project has it."""
        for each in await self._experiments.list(principal, None, release, _MOST_LOOKED_THROUGH):
            if each.project_id != project:
                continue
            plan = await self._experiments.plan(principal, each)
            examples = dict(zip(plan.digests, plan.examples, strict=True))
            if cell.example not in examples:
                continue
            async with self._db.tx(principal) as tx:
                output = await self._experiments.keeping.output(tx, principal, release, cell)
            if output is not None:
                criteria = criteria_of(plan.scorers, metric)
                is_readable = not await self._hidden(principal, [output])
                return JudgedAnswer(each.feature, examples[cell.example], output, criteria, is_readable)
        return None

    async def readable(self, principal: Principal, results: Sequence[Result]) -> list[Result]:
        """Without the words of answers that rest on documents which the caller may not read: those are `withheld`."""
        hidden = await self._hidden(principal, [each.output for each in results])
        return [each if hidden.isdisjoint(documents_of(each.output)) else _withheld(each) for each in results]

    async def _hidden(self, principal: Principal, outputs: Sequence[Output]) -> set[DocumentId]:
        """The documents that they rest on and that the caller may not read, in this very moment."""
        documents = {document for output in outputs for document in documents_of(output)}
        if not documents:
            return set()
        named = {"tenant": principal.tenant, "documents": list(documents)}
        async with self._db.tx(principal) as tx:
            return {row.document_id for row in await tx.fetch_all(SQL["unreadable_documents"], **named)}


def _withheld(result: Result) -> Result:
    """Numbers stay; reasons may quote the answer."""
    output = Output(
        error_code=WITHHELD, error_message="It rests on documents that you may not read.", trace=result.output.trace,
        latency_ms=result.output.latency_ms, cost_micro_usd=result.output.cost_micro_usd, model=result.output.model,
    )  # fmt: skip
    scores = {name: replace(each, reason="", details={}) for name, each in result.scores.items()}
    return replace(result, output=output, scores=scores)


def criteria_of(scorers: Sequence[Scorer], metric: str) -> Mapping[str, str]:
    """What a metric's judge is asked, by the names of its criteria; none where no judge gives the metric."""
    found = next((each for each in scorers if each.name == metric), None)
    measure = found.measure if isinstance(found, MeasuredScorer) else None
    if not isinstance(measure, Judging):
        return {}
    criteria = measure.judge.spec.criteria
    return criteria if measure.criterion is None else {measure.criterion: criteria[measure.criterion]}
