"""Judges beside people: cards are made, kept for good, and asked for by gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from headworks.errors import InvalidRequest, NotFound
from headworks.evaluation.experiments.lifecycle import Experiments
from headworks.evaluation.gates.gating import HumanJudgements
from headworks.evaluation.judges.cards import VALID_DAYS, Drift, JudgeCard, Pair, card_of, drift_of, pairs_of
from headworks.identity.service import allow
from headworks.records.audit import note_audit
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId, new_id
from headworks.types.json_values import JsonObject

_SQL = load("headworks.evaluation", "calibration.sql")


@dataclass(frozen=True, slots=True)
class KeptCard:
    """A card as it is kept. `is_valid`: its time is not over."""

    id: UUID
    project: ProjectId
    project_name: str
    card: JudgeCard
    made_at: datetime
    valid_until: datetime
    is_valid: bool

    @property
    def is_calibrated(self) -> bool:
        """Whether a gate may rest on the judge."""
        return self.is_valid and self.card.is_good


class JudgeCards:
    """Implements gating.JudgeCards."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def calibrate(
        self, principal: Principal, project: ProjectId, judge: Digest, metric: str, pairs: Sequence[Pair]
    ) -> KeptCard:
        """Make a card of everything that people and the judge have both judged, good or bad, and keep it.

        `judge` is the digest of the scorer, `pairs` as cards.pairs_of gives them. Raises InvalidRequest for none.
        """
        allow(principal, "experiment:run")
        if not pairs:
            raise InvalidRequest(
                f"Nobody has judged an answer that `{metric}` has scored.",
                next_step="Judge answers of an experiment: `headworks judgements wanted` lists them.",
            )
        return await self._keep(principal, project, card_of(judge, metric, pairs))

    async def is_calibrated(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> bool:
        """Whether the newest card of this very judge for the metric is good and valid now."""
        found = await self._newest(principal, project, judge, metric)
        return found is not None and found.is_calibrated

    async def find(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> KeptCard:
        """The newest card. Raises NotFound."""
        found = await self._newest(principal, project, judge, metric)
        if found is None:
            raise NotFound(f"No card is kept of this judge of `{metric}`.", next_step="Run `headworks eval calibrate`.")
        return found

    async def list(self, principal: Principal) -> Sequence[KeptCard]:
        """The newest card of each judge, by project and metric."""
        async with self._db.tx(principal) as tx:
            return [_read(row) for row in await tx.fetch_all(_SQL["list_cards"], into=_Row, tenant=principal.tenant)]

    async def check_drift(
        self, principal: Principal, project: ProjectId, judge: Digest, metric: str, pairs: Sequence[Pair]
    ) -> Drift:
        """Judge the newest card by judgements given since, in their order; an alarm takes the calibration away.

        Raises NotFound where there is no card.
        """
        allow(principal, "experiment:run")
        found = await self.find(principal, project, judge, metric)
        drift = drift_of(found.card, pairs)
        if drift.is_alarm and found.card.is_good:
            said = f"It disagreed {drift.disagreements} times in {drift.n} judgements since: it has drifted."
            await self._keep(principal, project, replace(found.card, missing=(said,)))
        return drift

    async def _keep(self, principal: Principal, project: ProjectId, card: JudgeCard) -> KeptCard:
        async with self._db.tx(principal) as tx:
            await tx.run(
                _SQL["add_card"],
                tenant=principal.tenant, id=new_id(), project=project, judge=card.judge, metric=card.metric,
                card=msgspec.json.encode(asdict(card)).decode(), good=card.is_good, days=VALID_DAYS, by=principal.id,
            )  # fmt: skip
            detail = {"metric": card.metric, "is_good": card.is_good}
            await note_audit(tx, principal, "judge.calibrate", card.judge, detail)
            kept = await _find(tx, principal, project, card.judge, card.metric)
        assert kept is not None  # noqa: S101 -- it was just added
        return kept

    async def _newest(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> KeptCard | None:
        async with self._db.tx(principal) as tx:
            return await _find(tx, principal, project, judge, metric)


class Calibration:
    """Judges of experiments, put beside what people said of the same answers."""

    def __init__(self, db: Database, experiments: Experiments, humans: HumanJudgements | None) -> None:
        self.cards = JudgeCards(db)
        self._experiments = experiments
        self._humans = humans

    async def calibrate(
        self, principal: Principal, experiments: Sequence[UUID], metric: str | None = None
    ) -> Sequence[KeptCard]:
        """A card for each judge (or the one of a metric) over what these experiments answered.

        Experiments with other releases or examples add to each other; the judge must be the same in all. Raises
        NotFound, InvalidRequest.
        """
        allow(principal, "experiment:run")
        pairs: dict[tuple[ProjectId, Digest, str], list[Pair]] = {}
        for each in dict.fromkeys(experiments):
            experiment = await self._experiments.find(principal, each)
            results = await self._experiments.results(principal, experiment)
            digests = list(dict.fromkeys(result.example_digest for result in results))
            for found in experiment.metrics:
                if not found.is_judge or found.digest is None or metric not in {None, found.name}:
                    continue
                labels: Mapping[Digest, float] = {}
                if self._humans is not None:
                    asked = (experiment.project_id, found.name, experiment.release, digests)
                    labels = await self._humans.labels(principal, *asked)
                key = (experiment.project_id, found.digest, found.name)
                pairs.setdefault(key, []).extend(pairs_of(results, labels, found.name))
        _check_judges(pairs, metric)
        return [
            await self.cards.calibrate(principal, project, judge, name, found)
            for (project, judge, name), found in pairs.items()
        ]


def _check_judges(pairs: Mapping[tuple[ProjectId, Digest, str], Sequence[Pair]], metric: str | None) -> None:
    if not pairs:
        what = "No judge scores them." if metric is None else f"No judge scores them as `{metric}`."
        raise InvalidRequest(what, next_step="Name experiments whose suite has a `judge`.", param="metric")
    for project, judge, name in pairs:
        if any(other != judge for place, other, same in pairs if (place, same) == (project, name)):
            raise InvalidRequest(
                f"The experiments have different judges of `{name}`.",
                next_step="A card is of one judge: name experiments that were scored by the same files.",
                param="experiments",
            )


@dataclass(frozen=True, slots=True)
class _Row:
    card_id: UUID
    project_id: ProjectId
    project: str
    card: JsonObject
    made_at: datetime
    valid_until: datetime
    is_valid: bool


async def _find(tx: Tx, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> KeptCard | None:
    asked = {"tenant": principal.tenant, "project": project, "judge": judge, "metric": metric}
    row = await tx.fetch_one(_SQL["newest_card"], into=_Row, **asked)
    return None if row is None else _read(row)


def _read(row: _Row) -> KeptCard:
    card = msgspec.convert(row.card, JudgeCard)
    return KeptCard(
        row.card_id, ProjectId(row.project_id), row.project, card, row.made_at, row.valid_until, row.is_valid
    )


def card_as_json(kept: KeptCard) -> JsonObject:
    """For `--json` and HTTP."""
    told = {
        "id": str(kept.id),
        "project": kept.project_name,
        "made_at": kept.made_at.isoformat(),
        "valid_until": kept.valid_until.isoformat(),
    }
    return told | {"is_calibrated": kept.is_calibrated} | asdict(kept.card)
