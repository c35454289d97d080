"""Answers of experiments, shown to people who judge them: what was asked and answered, and by which criteria."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headworks.evaluation.contract import JudgedAnswer, Scorer
from headworks.evaluation.experiments.keeping import Cell
from headworks.evaluation.experiments.lifecycle import Experiments
from headworks.evaluation.scorers.contract import MeasuredScorer
from headworks.evaluation.scorers.judging import Judging
from headworks.storage.pool import Database
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId

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


def criteria_of(scorers: Sequence[Scorer], metric: str) -> Mapping[str, str]:
    """What a metric's judge is asked, by the names of its criteria; none where no judge gives the metric."""
    found = next((each for each in scorers if each.name == metric), None)
    measure = found.measure if isinstance(found, MeasuredScorer) else None
    if not isinstance(measure, Judging):
        return {}
    criteria = measure.judge.spec.criteria
    return criteria if measure.criterion is None else {measure.criterion: criteria[measure.criterion]}
