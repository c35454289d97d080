"""Answers of experiments, shown to people who judge them: what was asked and answered, and by which criteria."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headworks.evaluation.contract import JudgedAnswer, Result, Scorer
from headworks.evaluation.experiments.keeping import SQL, Cell
from headworks.evaluation.experiments.lifecycle import Experiments
from headworks.evaluation.scorers.contract import MeasuredScorer
from headworks.evaluation.scorers.judging import Judging
from headworks.storage.pool import Database
from headworks.types.evaluation import Output
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId

WITHHELD = "withheld"
"""The error of an answer that its viewer may not read."""
_MOST_LOOKED_THROUGH = 50
"""Experiments of one release that are looked through for an example, the newest first."""


class Answers:
    """Reads single answers. Whether their viewer may read what they rest on is for the caller to ask."""

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
                return JudgedAnswer(each.feature, examples[cell.example], output, criteria_of(plan.scorers, metric))
        return None

    async def readable(self, principal: Principal, results: Sequence[Result]) -> list[Result]:
        """Without the words of answers that rest on documents which the caller may not read: those are `withheld`."""
        documents = {each.document for result in results for each in result.output.passages}
        named = {"tenant": principal.tenant, "documents": list(documents)}
        async with self._db.tx(principal) as tx:
            hidden = {row.document_id for row in await tx.fetch_all(SQL["unreadable_documents"], **named)}
        return [
            _withheld(each) if any(one.document in hidden for one in each.output.passages) else each for each in results
        ]


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
